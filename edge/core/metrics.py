"""How good scores are at telling anomalies from normals."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WITHIN = 0.05  # share of normals that alarm in a home that is not told too much


@dataclass(frozen=True, slots=True)
class Metrics:
    """AUROC is rank-based; the rest at a threshold. `nll`: a normal sequence's mean score.

    `next_nll`: mean nats of the next behavior, NaN where nobody looked. `recall_within`: the recall at the threshold,
    or at the higher one at which a share WITHIN of the normals alarms. `least`: the recall that what comes after a
    model is compared with, at least (edge/core/gate.py).
    """

    auroc: float
    false_positive_rate: float
    recall: float
    f1: float
    nll: float
    normals: int
    anomalies: int
    next_nll: float = float("nan")
    recall_within: float = float("nan")
    least: float = 0.0


class Foretold(NamedTuple):
    """How well behaviors were foretold: each one's rank (1: the likeliest) and its nats, (m,)."""

    ranks: NDArray[np.int64]
    nats: NDArray[np.float32]


def auroc(normal: NDArray[np.floating], anomalous: NDArray[np.floating]) -> float:
    """Return the probability that an anomaly scores above a normal, ties counted half (Mann-Whitney)."""
    if not normal.size or not anomalous.size:
        return 0.5
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, anomalous, side="left")
    above = np.searchsorted(ordered, anomalous, side="right")
    return float((below + above).mean() / 2 / normal.size)


def measure(
    normal: NDArray[np.floating],
    anomalous: NDArray[np.floating],
    threshold: float,
    following: NDArray[np.floating] | None = None,
) -> Metrics:
    """Measure scores of normals (n,) and anomalies (m,) at an alarm threshold; `following`: nats of next behaviors."""
    false = int((normal > threshold).sum())
    true = int((anomalous > threshold).sum())
    flagged = true + false
    precision = true / flagged if flagged else 0.0
    recall = true / anomalous.size if anomalous.size else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    within = max(threshold, float(np.quantile(normal, 1 - WITHIN, method="higher"))) if normal.size else threshold
    return Metrics(
        auroc=auroc(normal, anomalous),
        false_positive_rate=false / normal.size if normal.size else 0.0,
        recall=recall,
        f1=f1,
        nll=float(normal.mean()) if normal.size else float("nan"),
        normals=int(normal.size),
        anomalies=int(anomalous.size),
        next_nll=float(following.mean()) if following is not None and following.size else float("nan"),
        recall_within=float((anomalous > within).mean()) if anomalous.size else 0.0,
    )


def rate_at_recall(normal: NDArray[np.floating], anomalous: NDArray[np.floating], recall: float) -> float:
    """Return the false-positive rate at the highest threshold that still finds `recall` of the anomalies."""
    if not normal.size or not anomalous.size or recall <= 0:
        return 0.0
    ordered = np.sort(anomalous)[::-1]
    needed = min(int(np.ceil(recall * ordered.size - 1e-9)), ordered.size)
    return float((normal >= ordered[needed - 1]).mean())
