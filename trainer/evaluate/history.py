"""A timeline judged: what the hub foretells on days it has not lived, and how often it alarms on them.

The hub's own path from behaviors to alarms: sequences, training and limits (edge/adapt.py), the fast loop
(edge/watch.py). The n-gram beside it is judged by the same figures.
"""

import json
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edge import compose
from edge.adapt import Model, Plan, SlowLoop
from edge.core.dictionary import Dictionary
from edge.core.errors import RetrainError
from edge.core.prompts import Pair
from edge.core.scenes import Scene
from edge.core.vocabulary import Vocabulary
from edge.demo.recorded import BEFORE
from edge.sections import Adapt
from edge.settings import Settings
from edge.slots import Slots
from trainer.evaluate.contenders import Contender, Counting, Network
from trainer.evaluate.days import Days
from trainer.evaluate.injections import KINDS
from trainer.evaluate.progress import Tell, progress
from trainer.evaluate.replay import Lived, alarms, found, merged
from trainer.evaluate.timelines import read

OURS, NGRAM, ADAPTED = "ours", "ngram", "adapted"
MOST_SECONDS = 3600.0  # of one training: this is no hub, and a large home is learned whole
SHOWN = ("hr1", "hr5", "hr10", "ndcg10", "nll", "macro_recall", "alarms_per_day", "injected_alarms_per_day",
         "injected_recall")  # fmt: skip
Figures = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What was asked: a file, days of it by local date (the second is not among them), and how to learn."""

    file: Path
    train: tuple[date, date]
    test: tuple[date, date]
    adapt: str | None = None
    alarms_per_week: float = 1.0
    seed: int = 0
    steps: int | None = None


@dataclass
class Clock:
    """Wall seconds by what was done, and who is told of the progress."""

    tell: Tell
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the seconds of what is done within."""
        begun = time.perf_counter()
        self.tell(name, 0, 1)
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begun, 2)


def judge(wanted: Wanted, tell: Tell, done: Callable[[Figures], None] = lambda _: None) -> Figures:
    """Return all figures; `done` is told them as they come. Raises EdgeError saying what is wrong.

    `hr*`, `ndcg10`, `macro_recall`: over every test behavior, foretold from the window before it, ranked among all
    known controls; one not seen in training is a miss. `nll`: mean nats of those that were seen, `unseen` counts the
    rest. `alarms_per_day`: on the untouched days, `alarms_at_unseen_per_day` of them at what was never seen;
    `injected_alarms_per_day` and `injected_recall`: with anomalies.
    """
    clock = Clock(tell)
    begun = time.perf_counter()
    with clock.timed("read"):
        days = Days.of(read(wanted.file), wanted.train, wanted.test, wanted.seed)
    tested = len(days.test.behaviors) + len(days.left_out)
    counted = Counter(each.kind for each in days.injected)
    told: Figures = {
        "behaviors": {"train": days.trained, "test": tested, "unseen_share": round(days.unseen / tested, 6)},
        "days": days.count,
        "injected": {kind: counted[kind] for kind in KINDS if counted[kind]},
        "alarms_per_week": wanted.alarms_per_week,
        "seed": wanted.seed,
    }
    for name, figures in _judged(wanted, days, clock):
        told[name] = figures
        told["seconds"] = {**clock.seconds, "all": round(time.perf_counter() - begun, 2)}
        done(told)
    return told


def _judged(wanted: Wanted, days: Days, clock: Clock) -> Iterator[tuple[str, Figures]]:
    with tempfile.TemporaryDirectory(prefix="sceneshift-history-") as name:
        slow = slow_loop(Path(name), wanted.alarms_per_week, wanted.seed, wanted.steps)
        source, target = scenes(wanted.adapt or "home")
        with clock.timed("train"):
            model, report = learned(slow, days, source, clock.tell)
        yield OURS, {**network_figures(slow, model, days, clock), **report}
        with clock.timed(NGRAM):
            counted = Counting(days.home, model.scorer.vocabulary, model.limits.alpha)
        yield NGRAM, figures(counted, counted, days, model.scorer.vocabulary, clock)
        if wanted.adapt is None:
            return
        with clock.timed("adapt"):
            adapted, report = _adapted(slow, model, days, change=(source, target), folder=Path(name), tell=clock.tell)
        yield ADAPTED, {**network_figures(slow, adapted, days, clock), **report}


def slow_loop(folder: Path, alarms_per_week: float, seed: int, steps: int | None) -> SlowLoop:
    """Return the hub's slow loop on the shipped base model, with its slots in a folder."""
    settings = Settings(adapt=Adapt(steps=steps, seconds=MOST_SECONDS))
    plan = Plan(count=settings.llm.count, alarms_per_week=alarms_per_week, seed=seed)
    return compose.slow_loop(settings, Slots(folder / "slots"), threading.Event(), plan)


def scenes(name: str) -> tuple[Scene, Scene]:
    """Return what a scene is changed to from: as in the benchmark of scene shifts, else from nothing known."""
    source = Scene.parse(BEFORE.get(name, "home"))
    return source, Scene.parse(name).over(source)


def learned(slow: SlowLoop, days: Days, scene: Scene, tell: Tell) -> tuple[Model, Figures]:
    """Return the home's first model and how it was trained; raises RetrainError where the hub would learn none."""
    outcome = slow.learn(days.home, scene, days.test.behaviors[0].time, on_progress=tell)
    if outcome.model is None:
        raise RetrainError(f"no model was learned: {outcome.report.get('abandoned')}")
    return outcome.model, {"retrain": outcome.report["retrain"]}


def _adapted(
    slow: SlowLoop, model: Model, days: Days, *, change: tuple[Scene, Scene], folder: Path, tell: Tell
) -> tuple[Model, Figures]:
    """Return the model the hub would go on with in another scene, and why: the incumbent where nothing came of it."""
    writer = compose.writer(Settings().llm, folder / "states")
    now = days.test.behaviors[0].time
    outcome = slow.adapt(days.home, model, writer, source=change[0], target=change[1], now=now, on_progress=tell)
    told: Figures = {
        key: outcome.report[key] for key in ("abandoned", "gate", "retrain", "synthetic") if key in outcome.report
    }
    return outcome.model or model, {"scene": str(change[1]), "swapped": outcome.model is not None, **told}


def network_figures(slow: SlowLoop, model: Model, days: Days, clock: Clock) -> Figures:
    """Return what a model of the hub is worth; it hears a device that joined as its class is, as the agent lets it."""
    heard = Dictionary.of([*days.home.dictionary.controls, *((e.device, e.control) for e in days.test.behaviors)])
    joined = slow.joined(model, heard).scorer
    own, hearing = Network(model.scorer, model.limits), Network(joined, model.limits)
    return figures(own, hearing, days, joined.vocabulary, clock)


def figures(contender: Contender, hearing: Contender, days: Days, vocabulary: Vocabulary, clock: Clock) -> Figures:
    """Return what a contender is worth on the test days; `hearing`: the same as the fast loop asks it."""
    with clock.timed("foretell"):
        out = foretelling(contender, days)
    with clock.timed("alarms"):
        out |= alarming(hearing, days, vocabulary)
    return {**out, "limits": {name: round(value, 5) for name, value in asdict(contender.limits).items()}}


def foretelling(contender: Contender, days: Days) -> Figures:
    """Return how well each test behavior is foretold."""
    told = contender.foretold(days.test)
    truth: list[Pair] = [(each.device, each.control) for each in days.test.behaviors]
    seen = np.array([pair in days.kept for pair in truth], bool)
    ranks = np.concatenate([np.where(seen, told.ranks, np.inf), np.full(len(days.left_out), np.inf)])
    by_control: dict[Pair, list[bool]] = defaultdict(list)
    for pair, rank in zip((*truth, *days.left_out), ranks.tolist(), strict=True):
        by_control[pair].append(rank <= 1)
    nats = told.nats[seen & np.isfinite(told.nats)]
    return {
        **{f"hr{k}": float((ranks <= k).mean()) for k in (1, 5, 10)},
        "ndcg10": float(np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0).mean()),
        "nll": float(nats.mean()) if len(nats) else None,
        "macro_recall": float(np.mean([np.mean(hits) for hits in by_control.values()])),
        "unseen": days.unseen,
    }


def alarming(contender: Contender, days: Days, vocabulary: Vocabulary) -> Figures:
    """Return how often the hub alarms on the test days, untouched and with anomalies, and which of these it finds."""
    calm = alarms(days.test, contender.surprise(days.test), contender.limits, vocabulary)
    behaviors, odd = merged(days.test.behaviors, days.injected)
    lived = Lived.on(days.test.windows[0], behaviors, days.test.zone)
    told = alarms(lived, contender.surprise(lived), contender.limits, vocabulary)
    hits = found(told, odd)
    by_kind = {
        kind: [hit for hit, each in zip(hits, days.injected, strict=True) if each.kind == kind] for kind in KINDS
    }
    strange = sum((days.test.behaviors[place].device, days.test.behaviors[place].control) not in days.kept
                  for place in calm)  # fmt: skip
    return {
        "alarms_per_day": len(calm) / days.count,
        "alarms_at_unseen_per_day": strange / days.count,
        "injected_alarms_per_day": len(told) / days.count,
        "injected_recall": float(np.mean(hits)) if hits else None,
        "injected": {kind: float(np.mean(each)) for kind, each in by_kind.items() if each},
    }


def write(path: Path, told: Figures) -> None:
    """Write figures whole, or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def run(wanted: Wanted, json_file: Path | None) -> Figures:
    """Judge a timeline; shows how far it is and a table, and writes the figures as they come. Raises EdgeError."""
    console = Console()
    with progress(console, wanted.file.name) as tell:
        told = judge(wanted, tell, lambda so_far: write(json_file, so_far) if json_file else None)
    show(console, told)
    return told


def show(console: Console, told: Figures) -> None:
    """Print the figures, a column a contender."""
    names = [name for name in (OURS, NGRAM, ADAPTED) if name in told]
    behaviors = told["behaviors"]
    title = f"{behaviors['test']} behaviors of {told['days']} days, {behaviors['unseen_share']:.1%} of them never seen"
    table = Table("", *names, title=title)
    for each in SHOWN:
        table.add_row(each, *(_cell(told[name][each]) for name in names))
    for kind, count in told["injected"].items():
        table.add_row(f"found of {count} {kind}", *(_cell(told[name]["injected"].get(kind)) for name in names))
    console.print(table)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
