"""One run of the scene-shift table: from what was asked to progress, tables and the file of figures."""

from collections.abc import Sequence as Items
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edge.core.errors import EdgeError
from edge.core.filters import Sieve
from edge.core.sequences import Sequence
from edge.sections import Llm
from trainer.evaluate.columns import CEILING, Column, chosen
from trainer.evaluate.scene_shift import Extra, Judged, Runs, evaluate, halves, write
from trainer.evaluate.shifts import Shift, opened
from trainer.evaluate.tables import show
from trainer.evaluate.text import quality


@dataclass(frozen=True)
class Wanted:
    """What was asked on the command line. `published`: seeds judged by the published protocol, too."""

    data: Path
    home: str
    scene: str | None
    llm: Path | None
    json: Path | None
    seeds: int
    count: int
    columns: tuple[str, ...]
    published: int


def run(wanted: Wanted) -> dict[str, Any]:
    """Evaluate every scene; prints as it goes, and writes the figures after every seed."""
    console = Console()
    columns = chosen(wanted.columns, Llm(file=wanted.llm, count=wanted.count))
    scenes: dict[str, Any] = {}
    for shift in opened(wanted.data, wanted.home, wanted.scene):
        here = {name: column for name, column in columns.items() if name != "gpt4o" or shift.written}
        runs = _scene(shift, here, wanted, scenes, console)
        show(console, shift.home_name, shift.name, scenes[shift.name])
        for (name, seed), reason in runs.failed.items():
            console.print(f"{shift.name}: {name} gave nothing with seed {seed}: {reason}", style="yellow")
    return {"home": wanted.home, "scenes": scenes}


def _scene(shift: Shift, columns: dict[str, Column], wanted: Wanted, scenes: dict[str, Any], console: Console) -> Runs:
    ceiling = CEILING in wanted.columns
    steps = wanted.seeds * (1 + len(columns) + ceiling)
    runs = Runs()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console,
    ) as bar:  # fmt: skip
        task = bar.add_task(f"{shift.home_name} {shift.name}", total=steps, start=True)
        begun = 0

        def tell(name: str) -> None:
            nonlocal begun
            bar.update(task, description=f"{shift.home_name} {shift.name}: {name}", completed=begun)
            begun += 1

        for runs in evaluate(shift, columns, range(wanted.seeds), ceiling=ceiling, extra=_extra(wanted), tell=tell):
            scenes[shift.name] = runs.tables()
            if wanted.json:
                write(wanted.json, wanted.home, scenes)
        bar.update(task, completed=steps)
    return runs


def _extra(wanted: Wanted) -> Extra:
    """Return what is measured beside: the text itself, and by the published protocol for the first seeds."""

    def extra(shift: Shift, name: str, sieve: Sieve | None, seed: int) -> Judged:
        found: Judged = {}
        if seed < wanted.published and name in wanted.columns:
            from trainer.evaluate.published import judge  # noqa: PLC0415

            # What cannot be judged so (too few sequences) has no figure there.
            with suppress(EdgeError):
                found["published"] = judge(*_alone(shift, name, sieve, seed), seed)
        if sieve is not None:
            found["text"] = quality(shift, sieve)
        return found

    return extra


def _alone(shift: Shift, name: str, sieve: Sieve | None, seed: int) -> tuple[Shift, Items[Sequence]]:
    """Return what the published protocol judges on, and trains on: a column's sequences alone, GPT-4o's unsifted."""
    if name == CEILING:
        lived, held_out = halves(shift.normal, seed)
        return replace(shift, normal=held_out), lived
    if sieve is None:
        return shift, shift.home.sequences
    return shift, shift.written if name == "gpt4o" else sieve.kept
