"""False alarms a week against what is found: simulated homes lived for weeks, day by day, as the hub lives them.

Every home is learned after some weeks of history; then every night its limits are refitted, and every `learn_every`
nights (the hub: every night) it is learned again on what was lived and not told, through the gate. Other settings
than the one asked for are judged with the same models, their limits refitted every night by their own alarms.
Anomalies stand in a second life beside, of which nothing is learned: they are odd by all that was ever lived there.
"""

import json
import threading
from collections.abc import Sequence as Items
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edge import compose
from edge.adapt import Plan
from edge.core.behaviors import Behavior
from edge.core.errors import RetrainError
from edge.sections import Adapt
from edge.settings import Settings
from edge.slots import Slots
from trainer.cluster import HERE, Where
from trainer.cluster import run as run_pieces
from trainer.evaluate.hub import Hub, Lessons
from trainer.evaluate.injections import KINDS, Injector
from trainer.evaluate.past import Past
from trainer.evaluate.progress import Tell, progress
from trainer.evaluate.replay import found, merged
from trainer.homes import timeline

SETTINGS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)  # false alarms a week the trade-off is shown at
MOTION = (timeline.MOTION, 0.0)  # share of motion of the homes, in turn
STARTS = (date(2024, 1, 8), date(2024, 4, 8), date(2024, 7, 8), date(2024, 10, 7))  # a season each, in turn
WEEK = 7
MOST_SECONDS = 3600.0
Figures = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What was asked: how many homes, for how long after how many days of history, at which setting."""

    homes: int = 4
    weeks: int = 12
    history: int = 28
    alarms_per_week: float = 1.0
    learn_every: int = 7
    seed: int = 1
    steps: int | None = None
    settings: tuple[float, ...] = SETTINGS


@dataclass(frozen=True)
class Life:
    """A home's life: the days before it is judged, those of it, the same with anomalies, and where these are odd."""

    name: str
    motion: float
    before: tuple[Behavior, ...]
    days: tuple[tuple[Behavior, ...], ...]
    attacked: tuple[tuple[Behavior, ...], ...]
    odd: tuple[tuple[int, int], ...]
    kinds: tuple[str, ...]
    midnights: tuple[float, ...]

    @classmethod
    def of(cls, number: int, wanted: Wanted) -> "Life":
        """Live a home."""
        motion, start = MOTION[number % len(MOTION)], STARTS[number % len(STARTS)]
        days = wanted.history + WEEK * wanted.weeks
        seed = wanted.seed + number
        lived = timeline.behaviors(timeline.Wanted(seed, days, start, motion=motion, bought=1.0))
        clock = timeline.lively(seed).clock
        midnights = tuple(
            datetime.combine(start + timedelta(days=day), datetime.min.time(), clock).timestamp()
            for day in range(wanted.history, days + 1)
        )
        before = tuple(each for each in lived if each.time < midnights[0])
        judged = [each for each in lived if each.time >= midnights[0]]
        injected = Injector(Past.of(lived, clock), judged, clock, wanted.seed).drawn()
        attacked, odd = merged(judged, injected)
        return cls(
            f"{number + 1}", motion, before, _by_day(judged, midnights), _by_day(attacked, midnights), tuple(odd),
            tuple(each.kind for each in injected), midnights,
        )  # fmt: skip


def _by_day(behaviors: Items[Behavior], midnights: Items[float]) -> tuple[tuple[Behavior, ...], ...]:
    places = np.searchsorted([each.time for each in behaviors], midnights)
    return tuple(tuple(behaviors[a:b]) for a, b in pairwise(places.tolist()))


def judge(wanted: Wanted, tell: Tell, where: Where = HERE) -> Figures:
    """Return the figures of every home and setting; raises EdgeError where a home cannot be learned."""
    settings = tuple(dict.fromkeys((wanted.alarms_per_week, *wanted.settings)))
    asked = {**asdict(wanted), "settings": settings, "homes": 1}  # how many there are changes no home
    homes = run_pieces(home, [{"number": number, "wanted": asked} for number in range(wanted.homes)], where, tell)
    averages = [
        {"alarms_per_week": setting, **_average([home["settings"][place] for home in homes])}
        for place, setting in enumerate(settings)
    ]
    return {
        "alarms_per_week": wanted.alarms_per_week, "weeks": wanted.weeks, "history_days": wanted.history,
        "learn_every": wanted.learn_every, **_average([home["settings"][0] for home in homes]), "homes": homes,
        "trade_off": sorted(averages, key=lambda each: float(each["alarms_per_week"])),
    }  # fmt: skip


def _average(figures: Items[Figures]) -> Figures:
    recalls = [each["recall"] for each in figures if each["recall"] is not None]
    return {
        "false_alarms_per_week": float(np.mean([each["false_alarms_per_week"] for each in figures])),
        "recall": float(np.mean(recalls)) if recalls else None,
    }


def home(item: Any, tell: Tell) -> Figures:
    """Live one home; return its figures at every setting. `item`: its number, and what is wanted of all."""
    number, wanted = int(item["number"]), Wanted(**item["wanted"])
    settings, life = wanted.settings, Life.of(number, wanted)
    clock = timeline.lively(wanted.seed + number).clock
    told: list[Figures] = []
    with TemporaryDirectory(prefix="sceneshift-alarms-") as name:
        folder = Path(name)
        plan = Plan(alarms_per_week=wanted.alarms_per_week, seed=wanted.seed)
        config = Settings(adapt=Adapt(steps=wanted.steps, seconds=MOST_SECONDS))
        slow = compose.slow_loop(config, Slots(folder / "slots"), threading.Event(), plan)
        lessons = Lessons(slow, wanted.learn_every)
        for place, setting in enumerate(settings):
            hub = Hub(folder / str(place), clock, setting, lessons)
            try:
                hub.hear(life.before)
                for day, midnight in enumerate(life.midnights[:-1]):
                    tell(f"home {life.name}, {setting:g} a week", place * len(life.days) + day,
                         len(settings) * len(life.days))  # fmt: skip
                    hub.night(day, midnight)
                    hub.live(day, life.days[day], life.attacked[day])
            finally:
                hub.close()
            told.append({"alarms_per_week": setting, **_figures(life, hub)})
    if not lessons.taught:
        raise RetrainError(f"home {life.name}: nothing was learned")
    behaviors = sum(map(len, life.days))
    return {"home": life.name, "motion": life.motion, "behaviors_per_day": behaviors / len(life.days),
            "injected": len(life.kinds), "settings": told}  # fmt: skip


def _figures(life: Life, hub: Hub) -> Figures:
    """Return a home's false alarms by week, and which anomalies it found."""
    ends = np.cumsum([len(day) for day in life.days])
    week = np.searchsorted(ends, hub.calm, side="right") // WEEK
    weeks = np.bincount(week, minlength=-(-len(life.days) // WEEK))
    hits = found(hub.told, life.odd)
    by_kind = {kind: [hit for hit, each in zip(hits, life.kinds, strict=True) if each == kind] for kind in KINDS}
    return {
        "weeks": weeks.tolist(),
        "false_alarms_per_week": float(weeks.mean()),
        "recall": float(np.mean(hits)) if hits else None,
        "kinds": {kind: float(np.mean(each)) for kind, each in by_kind.items() if each},
    }


def run(wanted: Wanted, json_file: Path | None, picture: Path | None, where: Where = HERE) -> Figures:
    """Judge the homes; shows how far it is and a table, writes the figures and draws the trade-off."""
    console = Console()
    with progress(console, "alarms") as tell:
        told = judge(wanted, tell, where)
    if json_file:
        part = json_file.with_name(f"{json_file.name}.part")
        part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        part.replace(json_file)
    show(console, told)
    if picture:
        draw(told, picture)
    return told


def show(console: Console, told: Figures) -> None:
    """Print false alarms a week and recall, of each home and on average, at every setting."""
    table = Table(title="false alarms a week / recall of injected anomalies; * a home with motion sensors")
    for name in (
        "a week",
        *(f"home {each['home']}{'*' if each['motion'] else ''}" for each in told["homes"]),
        "average",
    ):
        table.add_column(name, no_wrap=True)
    for row in told["trade_off"]:
        own = [each for home in told["homes"] for each in home["settings"]
               if each["alarms_per_week"] == row["alarms_per_week"]]  # fmt: skip
        table.add_row(f"{row['alarms_per_week']:g}", *map(_cell, own), _cell(row))
    console.print(table)


def _cell(figures: Figures) -> str:
    recall = "-" if figures["recall"] is None else f"{figures['recall']:.2f}"
    return f"{figures['false_alarms_per_week']:.2f} / {recall}"


def draw(told: Figures, path: Path) -> None:
    """Draw recall against false alarms a week, a point a setting: each home and their average."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # a second to import

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    for home in told["homes"]:
        rows = sorted(home["settings"], key=lambda each: float(each["alarms_per_week"]))
        label = f"home {home['home']}{', motion' if home['motion'] else ''}"
        axes.plot([each["false_alarms_per_week"] for each in rows], [each["recall"] for each in rows], ".-", alpha=0.4,
                  label=label)  # fmt: skip
    rows = told["trade_off"]
    axes.plot(
        [each["false_alarms_per_week"] for each in rows], [each["recall"] for each in rows], "ko-", label="average"
    )
    for each in rows:
        axes.annotate(f"{each['alarms_per_week']:g}", (each["false_alarms_per_week"], each["recall"] or 0.0),
                      textcoords="offset points", xytext=(4, -12))  # fmt: skip
    axes.set(xlabel="false alarms a week", ylabel="recall of injected anomalies", ylim=(0.0, 1.02),
             title="Trade-off; at each point the alarms a week that were asked for")  # fmt: skip
    axes.legend()
    figure.savefig(path, dpi=150)
