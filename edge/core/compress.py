"""Many sequences to the few that stand for them: the choice of SPPC, and its light, on-device form (IoTGen).

Identical sequences collapse to one with its count. Of the distinct ones those are kept that bring most for what
they cost: each sequence is to have one near it among them, and the more so, the more often it is lived and the
harder it is to foretell. Importance alone keeps the odd and loses the usual: worse than plain de-duplication.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import EdgeError
from edge.core.sequences import LENGTH, Sequence

MOST = 1500  # distinct sequences that are compared with each other: 9 MB
SHARP = 2.0  # power of the nearness: above 1, only what is nearly the same stands for another
BULK = 0.7  # power of what a sequence costs: at 1, short ones alone would be kept
SATURDAY = 5
COVERAGE, USUAL, ODD = "coverage", "usual", "odd"  # why a sequence was kept
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kept:
    """A sequence that stands for `count` identical ones; `importance` in the caller's unit; why it was kept."""

    sequence: Sequence
    count: int
    importance: float
    reason: str


def importance_of(sequences: Items[Sequence], surprise: Items[NDArray[np.floating]]) -> Floats:
    """Return how important each sequence is (n,), in nats: the light stand-in for leave-one-out training.

    `surprise`: what the hub's model says of each (own steps, parts), as edge/scorer.py gives it. What is done and when
    surprises by its mean over the steps, as often as the sequence says something new; repeated steps say nothing.
    The model has seen the sequence and all alike (but for the weekday): it is the more important, the fewer they are.
    """
    said = [tuple((step.device, step.control, step.hour) for step in each) for each in sequences]
    alike = Counter(said)
    mean = (each[:, :2].sum(1).mean() if len(each) else 0.0 for each in surprise)
    return np.array(
        [nats * len(set(each)) / alike[each] ** 0.5 for each, nats in zip(said, mean, strict=True)], np.float64
    )


def compress(
    sequences: Items[Sequence],
    importance: NDArray[np.floating],
    budget: int,
    costs: NDArray[np.integer] | None = None,
) -> list[Kept]:
    """Return sequences whose costs add up to at most `budget`, the most usual first.

    `importance` (n,): higher is harder to foretell. `costs` (n,): tokens of each, say; without them each costs 1, so
    that the budget is a number of sequences. Raises EdgeError where they differ in length.
    """
    costs = np.ones(len(sequences), np.int64) if costs is None else costs
    if not len(sequences) == len(importance) == len(costs):
        raise EdgeError(f"{len(importance)} importances and {len(costs)} costs for {len(sequences)} sequences")
    counts = Counter(sequences)
    weight = dict(zip(sequences, importance.tolist(), strict=True))
    price = dict(zip(sequences, costs.tolist(), strict=True))
    latest = list(counts)[::-1]
    distinct = sorted(latest, key=lambda each: -counts[each])[:MOST]  # of those lived once, the last
    count, odd, cost = (np.array([of[each] for each in distinct], float) for of in (counts, weight, price))
    chosen = choose(nearness(distinct), count, odd, cost, budget)
    told = reasons([distinct[row] for row in chosen], count[chosen], odd[chosen])
    kept = zip((distinct[row] for row in chosen), count[chosen], odd[chosen], told, strict=True)
    return sorted((Kept(each, int(many), float(nats), why) for each, many, nats, why in kept),
                  key=lambda each: -each.count)  # fmt: skip


def choose(near: NDArray[np.float32], count: Floats, importance: Floats, cost: Floats, budget: float) -> list[int]:
    """Return which of n distinct sequences to keep, the one worth most for its cost first (facility location).

    `near` (n, n): how near each two are, 0 to 1. `count`, `importance`, `cost` (n,) of each. What a sequence is worth:
    how much nearer all come to the kept ones by it, each as often as it is lived and by the root of its importance.
    It only falls as others are kept, so one whose old worth is below another's new worth need not be looked at (lazy
    greedy; Minoux, 1978).
    """
    weight = count * np.sqrt(np.maximum(importance, 0.0) + 1e-6)
    best = np.zeros(len(near), np.float32)
    bulk: list[float] = (np.maximum(cost, 1e-9) ** BULK).tolist()

    def worth(row: int) -> float:
        return float(np.maximum(near[row] - best, 0) @ weight) / bulk[row]

    queue = [(-worth(row), row) for row in range(len(near))]
    heapq.heapify(queue)
    kept: list[int] = []
    while queue:
        _, row = heapq.heappop(queue)
        if cost[row] > budget:
            continue
        now = worth(row)
        if queue and now < -queue[0][0]:
            heapq.heappush(queue, (-now, row))
            continue
        kept.append(row)
        budget -= float(cost[row])
        best = np.maximum(best, near[row])
    return kept


def reasons(kept: Items[Sequence], count: Floats, importance: Floats) -> list[str]:
    """Return why each was kept, in the order they were: a control none before has; lived often; hard to foretell."""
    covered: set[tuple[str, str]] = set()
    out: list[str] = []
    middle = float(np.median(importance)) if len(kept) else 0.0
    for sequence, many, nats in zip(kept, count, importance, strict=True):
        fresh = {(step.device, step.control) for step in sequence} - covered
        covered |= fresh
        out.append(COVERAGE if fresh else USUAL if many > 1 or nats <= middle else ODD)
    return out


def nearness(distinct: Items[Sequence]) -> NDArray[np.float32]:
    """Return how near each two sequences are (n, n), from 0 to 1: what they do, when, in which order and place."""
    said: dict[object, int] = {}
    places: list[tuple[int, int]] = []
    for row, sequence in enumerate(distinct):
        places += [(row, said.setdefault(each, len(said))) for each in _said(sequence[-LENGTH:])]
    table = np.zeros((len(distinct), len(said)), np.float32)
    np.add.at(table, tuple(np.array(places).T), np.float32(1))
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(np.clip(table @ table.T, 0, 1) ** np.float32(SHARP), np.float32)


def _said(sequence: Sequence) -> Iterator[object]:
    """Yield what a sequence says: each control, at its hour, its place and behind the one before; days on or off."""
    before = None
    for place, step in enumerate(sequence):
        pair = (step.device, step.control)
        yield pair
        yield pair, step.hour
        yield before, pair
        yield place, pair
        before = pair
    yield bool(sequence) and sequence[0].day >= SATURDAY
    yield len(sequence)
