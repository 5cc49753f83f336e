"""Scores to an alarm threshold, by split conformal prediction.

Of sequences exchangeable with the calibration set, at most a share alpha scores above the threshold
(Vovk et al., Algorithmic Learning in a Random World, 2005: the (n+1)(1-alpha)-th smallest score).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import EdgeError

MAX_ALPHA = 0.05  # no home is alarmed by more than one in twenty of its own sequences
MIN_ALPHA = 0.001


@dataclass(frozen=True, slots=True)
class Threshold:
    """Alarm above `value` nats; `alpha` the share of normal sequences above it, from `n` calibration scores."""

    value: float
    alpha: float
    n: int


def alpha_for(alarms_per_week: float, sequences_per_week: float) -> float:
    """Return the share of normal sequences that may alarm so that a week has the wanted number of false alarms."""
    return float(np.clip(alarms_per_week / max(sequences_per_week, 1e-9), MIN_ALPHA, MAX_ALPHA))


def calibrate(scores: NDArray[np.floating], alpha: float, weight: NDArray[np.floating] | None = None) -> Threshold:
    """Fit the threshold on scores (n,) of normal sequences the model has not seen; raises EdgeError for none.

    `weight` (n,): how much of the days to come each stands for, by default all alike (weighted conformal
    prediction, Tibshirani et al., NeurIPS 2019). With fewer than 1/alpha - 1 scores no finite threshold has
    the guarantee: the highest score is taken.
    """
    finite = np.isfinite(scores)
    if not finite.any():
        raise EdgeError("no sequence to calibrate on")
    order = np.argsort(scores[finite], kind="stable")
    ordered = scores[finite][order]
    share = np.ones(ordered.size) if weight is None else weight[finite][order]
    # One more score, that of the day to come, weighs as an average one and lies above all.
    reached = np.cumsum(share) / (share.sum() + share.mean())
    rank = int(np.searchsorted(reached, 1 - alpha - 1e-12))
    return Threshold(float(ordered[min(rank, ordered.size - 1)]), alpha, int(ordered.size))


def drifting(alarms: int, sequences: int, alpha: float) -> bool:
    """Tell whether a home alarms far more often than it was calibrated for (four standard deviations of a binomial)."""
    expected = alpha * sequences
    return sequences >= 40 and alarms > expected + 4 * math.sqrt(expected * (1 - alpha)) + 2
