"""Which sequences are kept, given how important each is: ours, the paper's, and the baselines they are held against.

A rule sees what is known of the sequences and a budget of tokens, and returns the rows it keeps in the order it
took them, each with its reason. Ours is the hub's own (edge/core/compress.py), near and far told by encodings.
"""

from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from edge.core.compress import SATURDAY, choose, reasons
from edge.core.sequences import Sequence
from trainer.sppc.autoencoder import Floats

MOST = 6000  # distinct sequences that are compared with each other: 144 MB
SHARP = 4.0  # power of the cosine of two encodings
OTHER_DAYS = 0.97  # how near the same behavior on a working day and on a weekend is
HALVINGS = 12  # of the threshold of similarity, until the budget is met


@dataclass(frozen=True)
class Known:
    """What a rule sees: sequences, their importance (n,), tokens (n,) and encodings (n, HIDDEN), and chance."""

    sequences: Items[Sequence]
    importance: Floats
    costs: NDArray[np.int64]
    states: Floats
    seed: int = 0

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """The encodings, each of length 1."""
        length = np.linalg.norm(self.states, axis=1, keepdims=True)
        return np.asarray(self.states / np.maximum(length, 1e-9), np.float32)


Chosen = dict[int, str]
Rule = Callable[[Known, float], Chosen]  # (what is known, budget in tokens) -> row: reason


def coverage(known: Known, budget: float) -> Chosen:
    """Keep what brings most per token: something near to what is lived often and is important."""
    rows: dict[Sequence, list[int]] = {}
    for row, each in enumerate(known.sequences):
        rows.setdefault(each, []).append(row)
    alike = sorted(rows.values(), key=lambda each: -len(each))[:MOST]
    first = np.array([each[0] for each in alike])
    count = np.array([len(each) for each in alike], float)
    importance = np.array([known.importance[each].mean() for each in alike])
    distinct = [known.sequences[row] for row in first]
    off = np.array([each[0].day >= SATURDAY for each in distinct])
    near = np.clip(known.unit[first] @ known.unit[first].T, 0, 1) ** np.float32(SHARP)
    near *= np.where(off[:, None] == off, np.float32(1), np.float32(OTHER_DAYS))
    chosen = choose(near, count, importance, known.costs[first].astype(float), budget)
    told = reasons([distinct[place] for place in chosen], count[chosen], importance[chosen])
    return {int(first[place]): reason for place, reason in zip(chosen, told, strict=True)}


def paper(known: Known, budget: float) -> Chosen:
    """Keep the most important (SPPC as IoTGen states it)."""
    return dict.fromkeys(_filled(np.argsort(-known.importance, kind="stable"), known.costs, budget), "important")


def chance(known: Known, budget: float) -> Chosen:
    """Keep any."""
    order = np.random.default_rng([known.seed, 14]).permutation(len(known.costs))
    return dict.fromkeys(_filled(order, known.costs, budget), "chance")


def similarity(known: Known, budget: float) -> Chosen:
    """Keep, in the order they were lived, what is unlike all kept before: by the highest threshold the budget allows.

    SmartGen's code does so with a threshold by hand.
    """
    low, high = -1.0, 1.0
    best: list[int] = []
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = _unlike(known, middle, budget)
        if found is None:
            high = middle
        else:
            best, low = found, middle
    rest = [row for row in range(len(known.costs)) if row not in set(best)] if not best else []
    return dict.fromkeys(best or _filled(np.array(rest), known.costs, budget), "unlike")


def _unlike(known: Known, threshold: float, budget: float) -> list[int] | None:
    """Return what is less alike than a threshold to all kept before; None where that is more than the budget."""
    nearest = np.full(len(known.costs), -np.inf, np.float32)
    kept: list[int] = []
    spent = 0
    for row, cost in enumerate(known.costs):
        if nearest[row] < threshold:
            spent += int(cost)
            if spent > budget:
                return None
            kept.append(row)
            nearest = np.maximum(nearest, known.unit @ known.unit[row])
    return kept


def medoids(known: Known, budget: float) -> Chosen:
    """Keep the sequence nearest to the center of each cluster of encodings: as many clusters as the budget allows."""
    low, high = 0, len(np.unique(known.unit, axis=0)) + 1
    best: list[int] = []
    while high - low > max(1, low // 20):
        middle = (low + high) // 2
        found = KMeans(middle, n_init=1, max_iter=30, random_state=known.seed).fit_transform(known.unit).argmin(0)
        rows = sorted({int(row) for row in found})
        if known.costs[rows].sum() > budget:
            high = middle
        else:
            best, low = rows, middle
    return dict.fromkeys(best or _filled(np.argsort(known.costs), known.costs, budget), "medoid")


def _filled(order: NDArray[np.int64], costs: NDArray[np.int64], budget: float) -> list[int]:
    """Take rows in order, each that the budget still allows."""
    kept: list[int] = []
    for row in order:
        if costs[row] <= budget:
            kept.append(int(row))
            budget -= float(costs[row])
    return kept


RULES: dict[str, Rule] = {"coverage": coverage, "paper": paper}
BASELINES: dict[str, Rule] = {"similarity": similarity, "random": chance, "medoids": medoids}
