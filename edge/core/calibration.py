"""Surprise to limits beyond which somebody is told, by split conformal prediction.

Of sequences exchangeable with the calibration set, at most a share alpha is beyond them
(Vovk et al., Algorithmic Learning in a Random World, 2005: the (n+1)(1-alpha)-th smallest score).
"""

import math
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.core import memory
from edge.core.errors import EdgeError

MAX_ALPHA = 0.05  # no home is alarmed by more than one in twenty of its own sequences
MIN_ALPHA = 0.0001
TOLD = 16  # sequences that must lie beyond a part's scale, so that it is more than one day's oddity
MOST_TOLD = 0.1  # and the share of all that may: where few were seen, nothing is left of a tail
SELDOM = {"when": 0.1, "duration": 0.1}  # how often each part may be beyond, of the others' share: these two are noisy
PARTS = ("what", "when", "duration", *memory.PARTS)  # of the network, and of the counts
NEVER = 1e6  # nats; the limit of a part nobody judges
# Nats; the least limit of each part, before all are joined. A limit of nothing would call every other hour unusual;
# what is counted and was as rare as once in 55 times is not odd by itself, but at an hour at which nothing is done.
LEAST = dict.fromkeys(memory.PARTS, 4.0) | {"what": 0.05, "when": 0.05, "duration": 0.05, "hour": 1.0}
TOGETHER = 2  # the power of the sum that joins a behavior's parts: what is odd in three ways is odder than in one
POWER = 4  # of the sum that joins a sequence's steps: near the maximum, yet two odd steps are odder than one
TAIL = 0.1  # the share of the highest scores whose shape says what lies beyond them
# The tail's shape: from few excesses it is told too light rather than too heavy, so never lighter than an exponential;
# and a home's few oddest hours must not lift the limit out of reach.
SHAPE = (0.0, 0.5)


@dataclass(frozen=True, slots=True)
class Limits:
    """How surprising each part of a behavior may be, in nats; `alpha` of normal sequences are beyond, seen on `n`.

    Each on its own scale: which rare thing people do is always a surprise, at which hour hardly ever, and in a sum the
    first would drown the second.
    """

    what: float
    when: float
    duration: float
    alpha: float
    n: int
    moment: float = NEVER
    device: float = NEVER
    hour: float = NEVER
    order: float = NEVER
    pace: float = NEVER
    length: float = NEVER

    @property
    def parts(self) -> tuple[float, ...]:
        """The limits in the order of PARTS."""
        return tuple(getattr(self, part) for part in PARTS)

    def times(self, factor: float) -> "Limits":
        """Return limits so many times as high."""
        parts = {part: nats * factor for part, nats in zip(PARTS, self.parts, strict=True)}
        return Limits(**parts, alpha=self.alpha, n=self.n)

    def ratios(self, surprise: Items[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how many times its limit each part (..., len(PARTS)) is; fewer parts are the first ones."""
        nats = np.asarray(surprise, np.float64)
        ratios: NDArray[np.float64] = nats / np.array(self.parts)[: nats.shape[-1]]
        return ratios

    def score(self, surprise: Items[float] | NDArray[np.floating]) -> float:
        """Return how odd one behavior is, its parts joined; above 1 is unusual."""
        return float(_together(self.ratios(surprise)))

    @staticmethod
    def joined(before: float, score: float) -> float:
        """Return a sequence's score with one more behavior: what is odd adds up, the oddest counts most."""
        return float((before**POWER + score**POWER) ** (1 / POWER))

    def scores(self, surprise: Items[NDArray[np.floating]]) -> NDArray[np.float64]:
        """Return each sequence's score (n,), its own steps joined. `surprise`: (steps, parts) nats a sequence."""
        return np.array([_joined(self.ratios(steps)) for steps in surprise])


def alpha_for(alarms_per_week: float, sequences_per_week: float) -> float:
    """Return the share of normal sequences that may alarm so that a week has the wanted number of false alarms."""
    return float(np.clip(alarms_per_week / max(sequences_per_week, 1e-9), MIN_ALPHA, MAX_ALPHA))


def calibrate(
    surprise: Items[NDArray[np.floating]], alpha: float, weight: NDArray[np.floating] | None = None
) -> Limits:
    """Fit the limits on the surprise of normal sequences the model has not seen; raises EdgeError for none.

    `surprise`: (steps, parts) nats a sequence. `weight` (n,): how much of the days to come each sequence stands for,
    by default all alike (weighted conformal prediction, Tibshirani et al., NeurIPS 2019). Each part's scale is a
    quantile of its own; their common factor is conformal where there are enough sequences to tell one in
    1/alpha. Where there are not, the tail is continued: the guarantee then is that of the highest score seen, one in
    n + 1, and what lies beyond is an estimate.
    """
    whole = np.array([len(steps) > 0 and bool(np.isfinite(steps).all()) for steps in surprise], bool)
    if not whole.any():
        raise EdgeError("no sequence to calibrate on")
    seen = [steps for steps, kept in zip(surprise, whole, strict=True) if kept]
    most = np.array([steps.max(0) for steps in seen])
    share = np.ones(len(seen)) if weight is None else np.asarray(weight, np.float64)[whole]
    level = max(alpha, min(TOLD / (len(most) + 1), MOST_TOLD))
    scale = np.array(
        [
            max(_limit(nats, share, level * SELDOM.get(part, 1.0)), LEAST[part])
            for part, nats in zip(PARTS, most.T, strict=False)
        ]
    )
    scores = np.array([_joined(steps / scale) for steps in seen])
    limits = dict.fromkeys(PARTS, NEVER) | dict(zip(PARTS, scale * _limit(scores, share, alpha), strict=False))
    return Limits(**{part: float(limit) for part, limit in limits.items()}, alpha=alpha, n=len(most))


def _joined(ratios: NDArray[np.floating]) -> float:
    """Return the score of a sequence whose steps are at these ratios (steps, parts)."""
    return float((_together(ratios) ** POWER).sum() ** (1 / POWER))


def _together(ratios: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the score of behaviors whose parts are at these ratios (..., parts)."""
    joined: NDArray[np.float64] = (ratios**TOGETHER).sum(-1) ** (1 / TOGETHER)
    return joined


def _limit(scores: NDArray[np.floating], share: NDArray[np.float64], alpha: float) -> float:
    """Return what a share alpha of scores like these lies beyond."""
    # One more sequence, that of the day to come, weighs as an average one and lies above all.
    level = (1 - alpha) * (1 + share.mean() / share.sum())
    return _reached(scores, share, level) if level <= 1 else _beyond(scores, share, alpha)


def _beyond(scores: NDArray[np.floating], share: NDArray[np.float64], alpha: float) -> float:
    """Return the score a share alpha lies beyond, where it is above all that was seen.

    Peaks over threshold: the excesses over a high quantile follow a generalized Pareto distribution (Pickands 1975;
    for streams Siffer et al., KDD 2017), here fitted by probability-weighted moments (Hosking and Wallis 1987).
    """
    base = _reached(scores, share, 1 - TAIL)
    above = scores > base
    excess, part = scores[above] - base, share[above]
    tail = float(part.sum() / share.sum())
    if len(excess) < 5 or tail <= alpha:
        return float(scores.max())
    order = np.argsort(excess)
    excess, part = excess[order], part[order] / part.sum()
    mean = float((excess * part).sum())
    lower = float((excess * part * (1 - np.cumsum(part) + part / 2)).sum())  # E[X (1 - F(X))]
    heavy = float(np.clip(2 - mean / max(mean - 2 * lower, 1e-9), *SHAPE))
    spread = mean * (1 - heavy)
    times = tail / alpha
    far = spread * (math.log(times) if abs(heavy) < 1e-6 else (times**heavy - 1) / heavy)
    return float(max(scores.max(), base + far))


def _reached(values: NDArray[np.floating], share: NDArray[np.floating], level: float) -> float:
    """Return the smallest value up to which lies a share `level` of the weight; the highest where none is enough."""
    order = np.argsort(values, kind="stable")
    rank = int(np.searchsorted(np.cumsum(share[order]) / share.sum(), level - 1e-12))
    return float(values[order][min(rank, len(values) - 1)])


def drifting(alarms: int, sequences: int, alpha: float) -> bool:
    """Tell whether a home alarms far more often than it was calibrated for (four standard deviations of a binomial)."""
    expected = alpha * sequences
    return sequences >= 40 and alarms > expected + 4 * math.sqrt(expected * (1 - alpha)) + 2
