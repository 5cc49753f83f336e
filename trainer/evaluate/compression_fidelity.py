"""How well each estimate of importance agrees with leave-one-out training, and what it costs."""

import time
from collections.abc import Mapping
from collections.abc import Sequence as Items
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.sequences import Sequence
from trainer.sppc import importance
from trainer.sppc.autoencoder import Floats, Tell, train
from trainer.sppc.windows import Windows

TOP = (0.05, 0.20)
LEAST = 5  # sequences of one length of which an order says something
SINGLE = 3  # networks trained one after the other, to know what one takes


def fidelity(sequences: Items[Sequence], folder: Path, *, tell: Tell) -> dict[str, Any]:
    """Hold each estimate against two exact runs, which are kept in `folder`; seconds are of one processor.

    Returns {estimate: figures}: against each exact run and their mean. `exact` against itself is the ceiling.
    """
    windows = Windows.of(sequences)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{len(windows)}-{seed}.json" for seed in range(2)]

    def told(seed: int) -> Tell:
        return lambda done, of: tell(seed * of + done, 2 * of)

    exact = [importance.exact(windows, seed, tell=told(seed), kept=path) for seed, path in enumerate(paths)]
    seconds = [importance.seconds_of(path) for path in paths]
    out: dict[str, Any] = {
        "sequences": len(windows),
        "exact": {**agreement(exact[0], exact[1], windows.length), "seconds": float(np.mean(seconds))},
        "one after the other": {"seconds": len(windows) * _alone(windows)},
    }
    estimates: Mapping[str, Any] = {
        "crossfit x1": lambda seed: importance.crossfit(windows, seed, repeats=1),
        "crossfit": lambda seed: importance.crossfit(windows, seed),
        "crossfit x3": lambda seed: importance.crossfit(windows, seed, repeats=3),
        "trained x3": lambda seed: importance.trained(windows, seed, repeats=3),
    }
    for name, estimate in estimates.items():
        out[name] = compared(estimate, exact, windows)
    out["length"] = _against(windows.length.astype(float), exact, windows)
    return out


def compared(estimate: Any, exact: Items[Floats], windows: Windows, seeds: Items[int] = (10, 11)) -> dict[str, Any]:
    """Return an estimate's agreement with the exact runs and its seconds, the mean over its own seeds."""
    found = []
    for seed in seeds:
        begun = time.process_time()
        values = estimate(seed)
        found.append({**_against(values, exact, windows), "seconds": time.process_time() - begun})
    return {key: float(np.mean([each[key] for each in found])) for key in found[0]}


def _against(values: Floats, exact: Items[Floats], windows: Windows) -> dict[str, float]:
    each = [agreement(values, one, windows.length) for one in exact]
    out = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
    mean = agreement(values, np.mean(exact, axis=0), windows.length)
    return {**out, **{f"{key} of mean": value for key, value in mean.items()}}


def agreement(one: Floats, other: Floats, length: NDArray[np.int64]) -> dict[str, float]:
    """Return Spearman's correlation, the same among sequences of equal length, and the overlap of the topmost."""
    groups = [rows for size in np.unique(length) if len(rows := np.flatnonzero(length == size)) >= LEAST]
    within = [(spearman(one[rows], other[rows]), len(rows)) for rows in groups]
    told = [(value, size) for value, size in within if np.isfinite(value)]
    out = {
        "spearman": spearman(one, other),
        "within length": sum(value * size for value, size in told) / max(1, sum(size for _, size in told)),
    }
    return out | {f"top {share:.0%}": overlap(one, other, share) for share in TOP}


def spearman(one: Floats, other: Floats) -> float:
    """Return the correlation of the ranks; NaN where all are alike."""
    left, right = ranks(one), ranks(other)
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def ranks(values: Floats) -> Floats:
    """Return the rank of each value, equal ones sharing their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], np.float64)


def overlap(one: Floats, other: Floats, share: float) -> float:
    """Return which part of the highest share of one is among the highest of the other."""
    size = max(1, round(share * len(one)))
    left, right = (set(np.argsort(-each, kind="stable")[:size].tolist()) for each in (one, other))
    return len(left & right) / size


def growth(sequences: Items[Sequence], count: int, seed: int, *, exact: bool) -> dict[str, float]:
    """Return the seconds of the default estimate, and of an exact run, on some of the sequences."""
    rows = np.sort(np.random.default_rng([seed, 16]).permutation(len(sequences))[:count])
    windows = Windows.of([sequences[row] for row in rows])
    begun = time.process_time()
    found = importance.crossfit(windows, seed)
    out = {"sequences": float(len(windows)), "crossfit": time.process_time() - begun}
    if exact:
        begun = time.process_time()
        truth = importance.exact(windows, seed)
        out |= {"exact": time.process_time() - begun, "spearman": spearman(found, truth)}
    return out


def _alone(windows: Windows) -> float:
    begun = time.process_time()
    for seed in range(SINGLE):
        train(windows, np.ones((1, len(windows))), seed, importance.RECIPE)
    return (time.process_time() - begun) / SINGLE
