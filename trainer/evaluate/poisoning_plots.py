"""What somebody plants in a home on a share of its days so that its model will miss what he does later.

He can cause any behavior of the home's devices, and knows the model that watches him.
standard    anomalies of the four kinds (edge/core/gate.py), whether they alert or not.
habit       one behavior that is never done at night, every night he has.
lock        the same with a lock, a garage door or a siren.
flood       many anomalies on each of his days, for limits are fitted on the same days.
rising      the oddest anomalies that do not alert yet, more of them each time.
unalerted   only anomalies that do not alert: what alerted is not learned.
"""

from dataclasses import dataclass

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.sequences import Sequence, Step, own
from edge.core.verdicts import UNUSUAL
from edge.learning import Model
from trainer.evaluate.poisoning_homes import BEFORE, NIGHT, WATCHED, Ground, anomalies, planted

STANDARD, HABIT, LOCK, FLOOD, RISING, UNALERTED = STRATEGIES = (
    "standard", "habit", "lock", "flood", "rising", "unalerted",
)  # fmt: skip
A_DAY, FLOODED, DRAWN = 4, 16, 40  # anomalies planted on a day, when flooding, and chosen from


@dataclass(frozen=True)
class Plot:
    """A strategy and the days it has: a share of all training days, spread evenly over those that are watched."""

    strategy: str
    share: float
    seed: int

    def days(self) -> dict[int, int]:
        """Return which of the watched days are poisoned, each with its number."""
        count = min(round(self.share * (BEFORE + WATCHED)), WATCHED)
        chosen = np.floor((np.arange(count) + 0.5) * WATCHED / max(count, 1)).astype(int).tolist()
        return {day: number for number, day in enumerate(chosen)}

    def planted(self, ground: Ground, day: int, model: Model) -> list[Behavior]:
        """Return what is planted on a watched day, by time; nothing on those that are left alone."""
        number = self.days().get(day)
        if number is None:
            return []
        rng = np.random.default_rng([self.seed, 33, day])
        span = ground.day(day)
        out: list[Behavior] = []
        for steps in self._chosen(ground, model, number, rng):
            out += planted(steps, span, ground.zone, rng, exact=ground.slot_hours == 1)
        return sorted((each for each in out if each.time < span[1]), key=lambda each: each.time)

    def _chosen(self, ground: Ground, model: Model, number: int, rng: np.random.Generator) -> list[list[Step]]:
        if self.strategy in {HABIT, LOCK}:
            target = ground.targets.get(self.strategy, ())
            return [[Step(0, NIGHT, each.device, each.control)] for each in target[0].behaviors] if target else []
        drawn = anomalies(ground, int(rng.integers(2**31)))[:DRAWN]
        if self.strategy == STANDARD:
            return [_own(each) for each in drawn[:A_DAY]]
        if self.strategy == FLOOD:
            return [_own(each) for each in drawn[:FLOODED]]
        scores = model.limits.scores(model.scorer.surprise(drawn))
        quiet = [(float(score), each) for score, each in zip(scores, drawn, strict=True) if score <= UNUSUAL]
        if self.strategy == UNALERTED:
            return [_own(each) for _, each in quiet[:A_DAY]]
        oddest = sorted(quiet, key=lambda each: -each[0])[: 1 + number]
        return [_own(each) for _, each in oddest]


def _own(sequence: Sequence) -> list[Step]:
    return [sequence[place] for place in own(sequence)]
