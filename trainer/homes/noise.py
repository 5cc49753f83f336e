"""Noise: what is forgotten, done twice, not heard, or heard though nobody did it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

MISSES = 8  # chances a habit has a day that a behavior is missed
SENSING = frozenset({"motion", "contact", "presence", "leak", "smoke", "climate_sensor", "doorbell"})


@dataclass(frozen=True, slots=True)
class Noise:
    """How untidy a home and its network are; all shares of 1 but `strays`, reports a sensor and day."""

    forgets: float = 0.07  # what was put on is not put off
    doubles: float = 0.04  # a control is used twice within seconds
    misses: float = 0.02  # a behavior is never reported
    strays: float = 0.15  # a sensor reports what nobody did


MODEST = Noise()
SILENT = Noise(0.0, 0.0, 0.0, 0.0)


@lru_cache(maxsize=4)
def slips(seed: int, home: int, habits: int, days: int) -> list[list[list[float]]]:
    """Return chances by habit and day, alike in every scene: of forgetting, of doing twice, MISSES of being missed."""
    drawn = np.random.default_rng([seed, home, 7, 1]).random((habits, days, 2 + MISSES))
    found: list[list[list[float]]] = drawn.tolist()
    return found


def stray_hours(rate: float, sensors: int, days: int, seed: tuple[int, ...]) -> list[list[float]]:
    """Return for every sensor the hours, counted from the first midnight, at which it reports for nothing."""
    rng = np.random.default_rng([*seed, 7, 2])
    return [sorted(rng.uniform(0.0, 24.0 * days, int(count)).tolist()) for count in rng.poisson(rate * days, sensors)]
