"""Noise: what is forgotten, done twice, not heard, or heard though nobody did it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def slips(habits: int, days: int, seed: tuple[int, ...]) -> NDArray[np.float64]:
    """Return (habits, days, 3) chances: of forgetting, of doing twice, of being missed."""
    return np.random.default_rng([*seed, 7, 1]).random((habits, days, 3))


def stray_hours(rate: float, sensors: int, days: int, seed: tuple[int, ...]) -> list[list[float]]:
    """Return for every sensor the hours, counted from the first midnight, at which it reports for nothing."""
    rng = np.random.default_rng([*seed, 7, 2])
    return [sorted(rng.uniform(0.0, 24.0 * days, int(count)).tolist()) for count in rng.poisson(rate * days, sensors)]
