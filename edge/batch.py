"""The slow loop's first half on files of the published data sets' form."""

import tempfile
import threading
from pathlib import Path
from typing import Any

from edge import compose
from edge.core.dictionary import DatasetNames
from edge.core.errors import MessageError, RetrainError, SettingsError
from edge.core.scenes import Scene
from edge.history import slots_of
from edge.sections import Llm
from edge.settings import Settings
from edge.slots import Slots
from edge.synthesis import Home, Progress, synthesize


def synthesize_files(
    dictionary: Path,
    sequences: Path,
    scenes: tuple[Scene, Scene],
    *,
    out: Path,
    count: int,
    seed: int,
    llm: Path | None,
    tell: Progress,
) -> dict[str, Any]:
    """Write what a home will do in another scene; return the figures. Raises the errors of each step.

    The filters ask a model of the home as it is now, so one is trained first, as the hub does.
    """
    try:
        names = DatasetNames.parse(dictionary.read_text(encoding="utf-8"))
        lived = names.sequences(sequences.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MessageError) as error:
        raise SettingsError(f"{dictionary}, {sequences}: {error}") from error
    if not lived:
        raise SettingsError(f"{sequences}: no sequence in it")
    source, target = scenes
    home = Home(names.dictionary(lived), tuple(lived), weeks=len(lived) / 20, slots=slots_of(lived))
    settings = Settings(llm=Llm(file=llm, count=count))
    with tempfile.TemporaryDirectory(prefix="sceneshift-synthesize-") as name:
        slow = compose.slow_loop(settings, Slots(Path(name)), threading.Event())
        slow.reseed(seed)
        learned = slow.learn(home, source, 0.0, on_progress=tell)
        if learned.model is None:
            raise RetrainError(str(learned.report.get("abandoned")))
        made = synthesize(
            home,
            learned.model.scorer,
            compose.writer(settings.llm, Path(name) / "states"),
            source=source,
            target=target.over(source),
            count=count,
            seed=seed,
            on_progress=tell,
        )
    out.write_text(names.lines(made.sieve.kept), encoding="utf-8")
    return {
        "from": str(source),
        "to": str(target.over(source)),
        "seed": seed,
        "lived": len(lived),
        "shown": len(made.shown),
        "llm": made.replies.figures(),
        "synthetic": made.report(),
        "retrain": learned.report["retrain"],
    }
