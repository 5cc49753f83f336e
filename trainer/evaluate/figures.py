"""Figures of the tables: what is measured of a model, and how runs over several seeds become mean and spread."""

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Sequence as Items

import numpy as np
from numpy.typing import NDArray

from edge.core.calibration import Limits
from edge.core.metrics import measure
from edge.core.sequences import LENGTH, Sequence, own
from edge.core.verdicts import UNUSUAL
from edge.synthesis import Scoring

Figures = dict[str, float]
Summary = dict[str, dict[str, float | int | None]]
LEAST_GAP = 0.01  # between none and ceiling; a share of less says nothing
SYSTEM = ("auroc", "ap", "f1", "fpr", "recall", "gap_closed")
PREDICTION = ("hr1", "hr5", "hr10", "ndcg10", "macro_recall", "gap_closed")
GAP_ON = {"system": "auroc", "prediction": "hr10"}


def system(scorer: Scoring, limits: Limits, normal: Items[Sequence], attack: Items[Sequence]) -> Figures:
    """Return how well a detector tells attacks from normals, by rank and at its own limits."""
    calm, odd = (limits.scores(scorer.surprise(each)) for each in (normal, attack))
    told = measure(calm, odd, UNUSUAL)
    return {
        "auroc": told.auroc,
        "ap": average_precision(calm, odd),
        "f1": told.f1,
        "fpr": told.false_positive_rate,
        "recall": told.recall,
    }


def prediction(scorer: Scoring, normal: Items[Sequence]) -> Figures:
    """Return how well the next control is foretold, the whole vocabulary ranked.

    A control the model does not know is a miss. `macro_recall`: HR@1 of each true control, all controls alike.
    """
    truth = [
        (sequence[-LENGTH:][place].device, sequence[-LENGTH:][place].control)
        for sequence in normal
        for place in own(sequence)
        if place
    ]
    known = set(scorer.vocabulary.controls)
    found = [each in known for each in truth]
    ranks = np.where(found, scorer.foretold(normal).ranks, np.iinfo(np.int64).max).astype(np.float64)
    if not ranks.size:
        return dict.fromkeys(PREDICTION[:-1], 0.0)
    by_control: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for control, rank in zip(truth, ranks, strict=True):
        by_control[control].append(bool(rank <= 1))
    return {
        "hr1": float((ranks <= 1).mean()),
        "hr5": float((ranks <= 5).mean()),
        "hr10": float((ranks <= 10).mean()),
        "ndcg10": float(np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0).mean()),
        "macro_recall": float(np.mean([np.mean(hits) for hits in by_control.values()])),
    }


def average_precision(normal: NDArray[np.floating], anomalous: NDArray[np.floating]) -> float:
    """Return the precision at each threshold, weighted by the recall it adds; ties share one threshold."""
    if not anomalous.size:
        return 0.0
    levels = np.unique(np.concatenate([normal, anomalous]))[::-1]
    true = anomalous.size - np.searchsorted(np.sort(anomalous), levels, side="left")
    false = normal.size - np.searchsorted(np.sort(normal), levels, side="left")
    added = np.diff(true, prepend=0) / anomalous.size
    return float((added * true / np.maximum(true + false, 1)).sum())


def figure(values: Items[float]) -> dict[str, float | int | None]:
    """Return mean, sample standard deviation (0 of one run) and count; null where there is nothing to tell."""
    finite = np.array([value for value in values if np.isfinite(value)], np.float64)
    if not finite.size:
        return {"mean": None, "std": None, "seeds": 0}
    std = float(finite.std(ddof=1)) if finite.size > 1 else 0.0
    return {"mean": round(float(finite.mean()), 4), "std": round(std, 4), "seeds": int(finite.size)}


def summary(runs: Items[Figures]) -> Summary:
    """Return each figure of several runs as mean and spread."""
    return {
        name: figure([run[name] for run in runs if name in run]) for name in dict.fromkeys(k for r in runs for k in r)
    }


def table(columns: Mapping[str, Mapping[int, Figures]], gap_on: str | None = None) -> dict[str, Summary]:
    """Return every column's runs, by seed, as a summary, with the share of the gap closed where it is asked for.

    The share is (column - none) / (ceiling - none), the column's run against none's of the same seed, over the
    mean gap: its mean is the ratio of the means. Null where the ceiling is not LEAST_GAP above none.
    """
    out = {name: summary(list(runs.values())) for name, runs in columns.items()}
    if gap_on is None:
        return out
    none, ceiling = columns.get("none", {}), columns.get("ceiling", {})
    both = sorted(none.keys() & ceiling.keys())
    gap = float(np.mean([ceiling[seed][gap_on] - none[seed][gap_on] for seed in both])) if both else 0.0
    for name, runs in columns.items():
        above = [runs[seed][gap_on] - none[seed][gap_on] for seed in runs if seed in none]
        out[name]["gap_closed"] = figure([each / gap for each in above] if gap >= LEAST_GAP else [])
    return out
