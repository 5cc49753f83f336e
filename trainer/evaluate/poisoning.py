"""Somebody lives anomalies on a share of the days that are learned from: what the home's model finds afterwards.

The hub's own loops: the fast one hears the poisoned days and its alerts keep out what alerted (edge/core/admission.py),
limits are refitted every night, every `learn_every` nights all that was lived is learned, and the gate decides. The
household says nothing of any alert. What is live in the end is judged on clean days that nobody has learned.
"""

import json
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Items
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console

from edge.core.errors import RetrainError
from edge.core.scenes import Scene
from edge.core.verdicts import UNUSUAL
from edge.learning import Model, Outcome
from trainer.evaluate.contenders import Network
from trainer.evaluate.history import slow_loop, write
from trainer.evaluate.hub import Hub, Lessons, Remembering
from trainer.evaluate.injections import Injection
from trainer.evaluate.poisoning_homes import Ground, opened
from trainer.evaluate.poisoning_plots import HABIT, LOCK, STRATEGIES, Plot
from trainer.evaluate.poisoning_tables import draw, show
from trainer.evaluate.progress import Tell, progress
from trainer.evaluate.replay import Lived, alarms, found, merged
from trainer.evaluate.timelines import home_of

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
PROMISED = 0.1  # share of the days up to which recall falls by no more than MARGIN, each time
MARGIN = 0.1
KINDS = ("flicker", "order", "moment", "control")  # of edge/core/gate.py, in turn
Figures = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What was asked: homes, runs of each, at which shares of the days, by whom, learning every so many nights."""

    homes: tuple[str, ...]
    data: Path
    seeds: int = 1
    shares: tuple[float, ...] = SHARES
    strategies: tuple[str, ...] = STRATEGIES
    learn_every: int = 14
    alarms_per_week: float = 1.0
    steps: int | None = None

    def plots(self, seed: int) -> list[Plot]:
        """Return who does what: without poison all strategies are the same."""
        shares = [share for share in self.shares if share > 0]
        some = [Plot(strategy, share, seed) for share in shares for strategy in self.strategies]
        return [Plot("none", 0.0, seed), *some]


def lived(wanted: Wanted, done: Items[Figures], tell: Tell) -> Iterator[Figures]:
    """Yield the figures of every life that is not `done` yet; raises EdgeError where a home cannot be learned."""
    known = {(each["home"], each["seed"], each["strategy"], each["share"]) for each in done}
    for seed in range(wanted.seeds):
        for name in wanted.homes:
            plots = [each for each in wanted.plots(seed) if (name, seed, each.strategy, each.share) not in known]
            if not plots:
                continue
            ground = opened(name, wanted.data, seed)
            plots = [each for each in plots if each.strategy not in {HABIT, LOCK} or each.strategy in ground.targets]
            first = learned(wanted, ground, seed, tell)
            for place, plot in enumerate(plots):
                tell(f"{name}, seed {seed}: {plot.strategy} {plot.share:.0%}", place, len(plots))
                yield life(wanted, ground, plot, first)


def learned(wanted: Wanted, ground: Ground, seed: int, tell: Tell) -> Outcome:
    """Return the model of the days before, which nobody has touched; raises RetrainError where there is none."""
    with TemporaryDirectory(prefix="sceneshift-poisoning-") as name:
        slow = slow_loop(Path(name), wanted.alarms_per_week, seed, wanted.steps)
        home = home_of(ground.before, ground.zone)
        outcome = slow.learn(home, Scene(), ground.begins[0], on_progress=tell)
    if outcome.model is None:
        raise RetrainError(f"{ground.name}: no model was learned: {outcome.report.get('abandoned')}")
    outcome.model = replace(outcome.model, scorer=Remembering(outcome.model.scorer))  # every life asks it the same
    return outcome


def life(wanted: Wanted, ground: Ground, plot: Plot, first: Outcome) -> Figures:
    """Live the watched days with what is planted; return what came of every learning, and what is found then."""
    planted = 0
    with TemporaryDirectory(prefix="sceneshift-poisoning-") as name:
        slow = slow_loop(Path(name), wanted.alarms_per_week, plot.seed, wanted.steps)
        lessons = Lessons(slow, wanted.learn_every)
        lessons.taught[0] = first
        hub = Hub(Path(name) / "hub", ground.zone, wanted.alarms_per_week, lessons)
        try:
            hub.hear(ground.before)
            hub.night(0, ground.begins[0])
            begun = hub.model
            for day, own in enumerate(ground.days):
                poison = plot.planted(ground, day, hub.model)
                planted += len(poison)
                hub.live(day, sorted([*own, *poison], key=lambda each: each.time), ())
                hub.night(day + 1, ground.begins[day + 1])
            figures = {"before": judged(ground, begun), "after": judged(ground, hub.model)}
        finally:
            hub.close()
    nights = {night: outcome for night, outcome in lessons.taught.items() if night}
    return {
        "home": ground.name, "seed": plot.seed, "strategy": plot.strategy, "share": plot.share, "planted": planted,
        "alerts": len(hub.calm), **figures,
        "nights": [
            {"night": night, "accepted": outcome.model is not None, "lowered": outcome.report.get("lowered"),
             "reasons": list(outcome.report.get("gate", {}).get("reasons", ())), **outcome.report.get("admission", {})}
            for night, outcome in sorted(nights.items())
        ],
    }  # fmt: skip


def judged(ground: Ground, model: Model) -> Figures:
    """Return what a model is worth on clean days: `recall` of injected anomalies and by kind, `fpr` of sequences.

    `found`: by the fast loop, of the six kinds of anomalies in whole days; `targets`: of what each target is.
    """
    normal, odd = (model.limits.scores(model.scorer.surprise(each)) > UNUSUAL for each in (ground.normal, ground.odd))
    parts = asdict(model.limits)
    by_kind = {kind: float(np.mean(odd[place :: len(KINDS)])) for place, kind in enumerate(KINDS)}
    return {
        "recall": float(odd.mean()), "anomalies": len(odd), "fpr": float(normal.mean()), "normals": len(normal),
        "kinds": by_kind, "found": _found(ground, model, ground.injected),
        "targets": {name: _found(ground, model, target) for name, target in ground.targets.items()},
        "limits": {part: round(nats, 3) for part, nats in parts.items()},
    }  # fmt: skip


def _found(ground: Ground, model: Model, injected: Items[Injection]) -> float | None:
    """Return which share of anomalies the fast loop tells of when they are put into the judged days."""
    if not injected:
        return None
    behaviors, odd = merged(ground.lived, injected)
    asked = Lived.after(ground.days[-1], behaviors, ground.zone)
    surprise = Network(model.scorer, model.limits).surprise(asked)
    return float(np.mean(found(alarms(asked, surprise, model.limits, model.scorer.vocabulary), odd)))


def curve(cells: Items[Figures]) -> list[Figures]:
    """Return by strategy and share the mean over homes and seeds, and the most that recall fell by."""
    out: list[Figures] = []
    clean = [each for each in cells if each["share"] == 0]
    for strategy in dict.fromkeys(each["strategy"] for each in cells if each["share"] > 0):
        for share in sorted({each["share"] for each in cells}):
            own = [each for each in cells if (each["strategy"], each["share"]) == (strategy, share)]
            some = own if share else clean
            if not some:
                continue
            fallen = [each["before"]["recall"] - each["after"]["recall"] for each in some]
            target = [each["after"]["targets"].get(strategy) for each in some]  # a home may have none
            told = [each for each in target if each is not None]
            days = [each["after"]["found"] for each in some if each["after"]["found"] is not None]
            nights = [night["accepted"] for each in some for night in each["nights"]]
            out.append({
                "strategy": strategy, "share": share, "lives": len(some),
                "recall": float(np.mean([each["after"]["recall"] for each in some])),
                "recall_before": float(np.mean([each["before"]["recall"] for each in some])),
                "most_fallen": max(fallen), "fpr": float(np.mean([each["after"]["fpr"] for each in some])),
                "found": float(np.mean(days)) if days else None,
                "target": float(np.mean(told)) if told else None,
                "accepted": float(np.mean(nights)) if nights else None,
            })  # fmt: skip
    return out


def kept(cells: Items[Figures]) -> bool:
    """Tell whether the promise held in every life: recall up to PROMISED."""
    fallen = [each["before"]["recall"] - each["after"]["recall"] for each in cells if each["share"] <= PROMISED]
    return all(each <= MARGIN for each in fallen)


def run(wanted: Wanted, json_file: Path | None, judge: Callable[..., Iterator[Figures]] = lived) -> Figures:
    """Measure what is missing, write the figures after every life, show a table, draw the curve beside the file."""
    console = Console()
    there = json_file is not None and json_file.is_file()
    cells: list[Figures] = json.loads(json_file.read_text(encoding="utf-8"))["lives"] if json_file and there else []
    told = _told(cells)
    with progress(console, "poisoning") as tell:
        for cell in judge(wanted, tuple(cells), tell):
            cells.append(cell)
            told = _told(cells)
            if json_file:
                write(json_file, told)
    show(console, told)
    if json_file:
        draw(told, json_file.with_suffix(".png"))
    return told


def _told(cells: Items[Figures]) -> Figures:
    return {"promised_share": PROMISED, "margin": MARGIN, "kept": kept(cells), "curve": curve(cells),
            "lives": list(cells)}  # fmt: skip
