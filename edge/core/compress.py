"""Many sequences to the few that stand for them: the light, on-device form of SPPC (IoTGen, section on SPPC).

Identical sequences collapse to one with its count. Of the distinct ones, first each control gets the most
usual sequence it occurs in, then the usual and the odd (high importance) are taken in turn: importance
alone loses to plain de-duplication.
"""

from collections import Counter
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import EdgeError
from edge.core.sequences import Sequence


@dataclass(frozen=True, slots=True)
class Kept:
    """A sequence that stands for `count` identical ones; `importance` in the caller's unit; why it was kept."""

    sequence: Sequence
    count: int
    importance: float
    reason: str


def compress(sequences: Items[Sequence], importance: NDArray[np.floating], budget: int) -> list[Kept]:
    """Return at most `budget` sequences, the most usual first. `importance` (n,): higher is harder to foretell.

    Raises EdgeError where the two differ in length.
    """
    if len(sequences) != len(importance):
        raise EdgeError(f"{len(importance)} importances for {len(sequences)} sequences")
    counts = Counter(sequences)
    weight = {sequence: float(value) for sequence, value in zip(sequences, importance, strict=True)}
    usual = sorted(counts, key=lambda each: -counts[each])
    odd = sorted(counts, key=lambda each: -weight[each])
    reasons: dict[Sequence, str] = {}
    _cover(usual, reasons, budget)
    for common, rare in zip(usual, odd, strict=True):
        for sequence, reason in ((common, "usual"), (rare, "odd")):
            if len(reasons) < budget:
                reasons.setdefault(sequence, reason)
    return sorted(
        (Kept(each, counts[each], weight[each], reason) for each, reason in reasons.items()),
        key=lambda kept: -kept.count,
    )


def _cover(usual: Items[Sequence], reasons: dict[Sequence, str], budget: int) -> None:
    """Keep the most usual sequence of every (device, control) pair, as far as half the budget goes."""
    covered: set[tuple[str, str]] = set()
    for sequence in usual:
        fresh = {(step.device, step.control) for step in sequence} - covered
        if fresh and len(reasons) < max(1, budget // 2):
            covered |= fresh
            reasons[sequence] = "coverage"
