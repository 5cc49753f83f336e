"""Surprise to limits beyond which somebody is told, by split conformal prediction.

Of sequences exchangeable with the calibration set, at most a share alpha is beyond them
(Vovk et al., Algorithmic Learning in a Random World, 2005: the (n+1)(1-alpha)-th smallest score).
"""

import math
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import EdgeError

MAX_ALPHA = 0.05  # no home is alarmed by more than one in twenty of its own sequences
MIN_ALPHA = 0.001
SCALE = 0.95  # the quantile that makes what and when comparable
LEAST = 0.05  # nats; a limit of nothing would call every other hour unusual


@dataclass(frozen=True, slots=True)
class Limits:
    """How surprising what is done, and when, may be, in nats; `alpha` of normal sequences are beyond, seen on `n`.

    Each of the two on its own scale: which rare thing people do is always a surprise, at which hour hardly ever, and
    in a sum the first would drown the second.
    """

    what: float
    when: float
    alpha: float
    n: int

    def score(self, what: float, when: float) -> float:
        """Return how many times its limit the odder of the two is; above 1 is unusual."""
        return max(what / self.what, when / self.when)

    def scores(self, surprise: Items[NDArray[np.floating]]) -> NDArray[np.float64]:
        """Return each sequence's score (n,): that of its oddest step. `surprise`: (steps, 2) nats a sequence."""
        scale = np.array([self.what, self.when])
        return np.array([float((steps / scale).max()) for steps in surprise])


def alpha_for(alarms_per_week: float, sequences_per_week: float) -> float:
    """Return the share of normal sequences that may alarm so that a week has the wanted number of false alarms."""
    return float(np.clip(alarms_per_week / max(sequences_per_week, 1e-9), MIN_ALPHA, MAX_ALPHA))


def calibrate(
    surprise: Items[NDArray[np.floating]], alpha: float, weight: NDArray[np.floating] | None = None
) -> Limits:
    """Fit the limits on the surprise of normal sequences the model has not seen; raises EdgeError for none.

    `surprise`: (steps, 2) nats a sequence, of what and of when. `weight` (n,): how much of the days to come each
    sequence stands for, by default all alike (weighted conformal prediction, Tibshirani et al., NeurIPS 2019). The
    two scales are the SCALE quantiles of the same sequences; their common factor is conformal.
    """
    highest = np.array([steps.max(0) for steps in surprise]).reshape(-1, 2)
    whole = np.array([bool(np.isfinite(steps).all()) for steps in surprise], bool)
    most = highest[whole]
    if not len(most):
        raise EdgeError("no sequence to calibrate on")
    share = np.ones(len(most)) if weight is None else np.asarray(weight, np.float64)[whole]
    scale = np.maximum([_reached(most[:, part], share, SCALE) for part in (0, 1)], LEAST)
    # One more sequence, that of the day to come, weighs as an average one and lies above all.
    factor = _reached((most / scale).max(1), share, (1 - alpha) * (1 + share.mean() / share.sum()))
    return Limits(float(scale[0] * factor), float(scale[1] * factor), alpha, len(most))


def _reached(values: NDArray[np.floating], share: NDArray[np.floating], level: float) -> float:
    """Return the smallest value up to which lies a share `level` of the weight; the highest where none is enough."""
    order = np.argsort(values, kind="stable")
    rank = int(np.searchsorted(np.cumsum(share[order]) / share.sum(), level - 1e-12))
    return float(values[order][min(rank, len(values) - 1)])


def drifting(alarms: int, sequences: int, alpha: float) -> bool:
    """Tell whether a home alarms far more often than it was calibrated for (four standard deviations of a binomial)."""
    expected = alpha * sequences
    return sequences >= 40 and alarms > expected + 4 * math.sqrt(expected * (1 - alpha)) + 2
