"""Behaviors to next-control probabilities by counting: 1- to 4-grams and the hour of day, interpolated.

The peer of ha-kontinuum, which scores a behavior by a back-off 1-4-gram model with time of day, its surprise
standardized by median and MAD. Each context is smoothed by a shorter one as a Pitman-Yor process is (Teh, ACL 2006;
interpolated Kneser-Ney on the counts themselves), so all controls have some probability, together one:
p(c | context) = (max(n(c) - d, 0) + (strength + d * followers) * p(c | shorter)) / (n + strength).
The order and the hour are learned apart, multiplied as if independent, and this product smooths what both say together.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np

from edge.core.sequences import Sequence
from edge.core.vocabulary import CONTROL_ROWS, FIRST, Vocabulary
from trainer.peers.peer import Floats, Given, Ids, Windows

ORDER = 4  # the next behavior and three before it
NOTHING = -1  # the id of the place before a sequence's first behavior; any other outside of [0, size) is unknown
SLOTS = 24  # hours of day
# Strengths of the shorter context, in behaviors, and the power of the hour in the product; chosen on simulated homes.
STRENGTH, TIMED_STRENGTH, HOUR_POWER = 12.0, 20.0, 0.7
UNKNOWN_SURPRISE = float(np.log(CONTROL_ROWS * 10))  # nats; the hub's own price of a control never heard of
_CHUNK = 4096  # places a dense table of probabilities is made for at once: 16 MB with 512 controls
# What each context looks at: how many behaviors before, and whether the hour.
CONTEXTS = ((0, False), (1, False), (2, False), (3, False), (0, True), (1, True), (2, True))
_ORDERED, _HOUR = 4, 4  # the first contexts know the order alone; then comes the hour alone, then both


@dataclass(frozen=True)
class Counts:
    """What followed each context: sorted context keys, and per context a run of (control, count)."""

    keys: Ids
    first: Ids  # (contexts + 1,): where each context's run begins
    controls: Ids
    times: Floats
    discount: float

    @classmethod
    def of(cls, keys: Ids, controls: Ids, size: int) -> "Counts":
        """Count how often each control followed each context. The discount is n1 / (n1 + 2 n2) (Ney et al., 1994)."""
        counted = keys != NOTHING
        pairs, times = np.unique(keys[counted] * size + controls[counted], return_counts=True)
        contexts, first = np.unique(pairs // size, return_index=True)
        once, twice = int((times == 1).sum()), int((times == 2).sum())
        discount = float(np.clip(once / max(once + 2 * twice, 1), 0.1, 0.9))
        return cls(contexts, np.append(first, len(pairs)), pairs % size, times.astype(np.float64), discount)

    def smoothed(self, keys: Ids, shorter: Floats, strength: float) -> Floats:
        """Return probabilities (n, size) after contexts (n,), smoothed by those after shorter ones (n, size)."""
        found = np.minimum(np.searchsorted(self.keys, keys), max(len(self.keys) - 1, 0))
        met = np.flatnonzero(self.keys[found] == keys) if len(self.keys) else np.empty(0, np.int64)
        start, end = self.first[found[met]], self.first[found[met] + 1]
        lengths = end - start
        rows = np.repeat(np.arange(len(met)), lengths)
        places = np.arange(lengths.sum()) + np.repeat(start - np.cumsum(lengths) + lengths, lengths)
        total = np.bincount(rows, self.times[places], len(met)) + strength
        out = shorter.copy()
        out[met] *= ((strength + self.discount * lengths) / total)[:, None]
        out[met[rows], self.controls[places]] += (self.times[places] - self.discount) / total[rows]
        return out


class NGram:
    """Counts of one home. Controls are ids in [0, size), hours are slots in [0, slots)."""

    def __init__(self, counts: Items[Counts], size: int, slots: int) -> None:
        """Hold the counts of each of CONTEXTS; `fit` makes them."""
        self.size, self.slots = size, slots
        self._counts = tuple(counts)

    @classmethod
    def fit(cls, controls: Items[Ids], hours: Items[Ids], size: int, slots: int = SLOTS) -> "NGram":
        """Count runs of control ids (n,) and their hour slots (n,), one or many runs; unknown controls are not counted.

        A timeline is one run. Raises ValueError where a run's hours are not as many as its controls.
        """
        ids, times, before = _joined(controls, hours)
        known = (ids >= 0) & (ids < size)
        self = cls((), size, slots)
        keys = self._keys(before[known], times[known])
        self._counts = tuple(Counts.of(each, ids[known], size) for each in keys)
        return self

    @property
    def parameters(self) -> int:
        """The counts held."""
        return sum(len(each.controls) for each in self._counts)

    def log_probabilities(self, before: Ids, hours: Ids) -> Floats:
        """Return log-probabilities (n, size) of the control at each place; each row's probabilities sum to one.

        `before` (n, ORDER - 1): the controls before it, the nearest last, NOTHING where there was none; `hours` (n,):
        the hour slot of the place itself. An unknown control before it is a context never met.
        """
        before = np.asarray(before, np.int64).reshape(-1, ORDER - 1)
        keys = self._keys(before, np.asarray(hours, np.int64))
        any_time = self._counts[0].smoothed(keys[0], np.full((len(before), self.size), 1 / self.size), STRENGTH)
        out = any_time
        for place in range(1, _ORDERED):
            out = self._counts[place].smoothed(keys[place], out, STRENGTH)
        out = out * (self._counts[_HOUR].smoothed(keys[_HOUR], any_time, STRENGTH) / any_time) ** HOUR_POWER
        out /= out.sum(1, keepdims=True)
        for place in range(_HOUR + 1, len(CONTEXTS)):
            out = self._counts[place].smoothed(keys[place], out, TIMED_STRENGTH)
        logs: Floats = np.log(out)
        return logs

    def surprise(self, controls: Items[Ids], hours: Items[Ids]) -> list[Floats]:
        """Return each run's nats (n,), one a behavior, given those before it; an unknown one is UNKNOWN_SURPRISE."""
        ids, times, before = _joined(controls, hours)
        out = np.full(len(ids), UNKNOWN_SURPRISE)
        known = np.flatnonzero((ids >= 0) & (ids < self.size))
        for start in range(0, len(known), _CHUNK):
            part = known[start : start + _CHUNK]
            out[part] = -self.log_probabilities(before[part], times[part])[np.arange(len(part)), ids[part]]
        return np.split(out, np.cumsum([len(each) for each in controls])[:-1]) if len(controls) else []

    def _keys(self, before: Ids, hours: Ids) -> list[Ids]:
        """Return the key (n,) of each of CONTEXTS; one with an unknown control is NOTHING and never counted."""
        named = np.where((before >= NOTHING) & (before < self.size), before + 1, self.size + 1)
        out: list[Ids] = []
        for length, timed in CONTEXTS:
            key = hours.copy() if timed else np.zeros(len(before), np.int64)
            for place in range(1, length + 1):
                key = key * (self.size + 2) + named[:, -place]
            key[(named[:, ORDER - 1 - length :] > self.size).any(1)] = NOTHING
            out.append(key)
        return out


def contexts(controls: Ids) -> Ids:
    """Return for each place of a run (n,) the ORDER - 1 controls before it (n, ORDER - 1), the nearest last."""
    padded = np.concatenate([np.full(ORDER - 1, NOTHING, np.int64), np.asarray(controls, np.int64)])
    return np.lib.stride_tricks.sliding_window_view(padded, ORDER - 1)[: len(controls)]


def _joined(controls: Iterable[Ids], hours: Iterable[Ids]) -> tuple[Ids, Ids, Ids]:
    none = np.empty(0, np.int64)
    runs = [np.asarray(run, np.int64) for run in controls]
    times = [np.asarray(run, np.int64) for run in hours]
    if [len(run) for run in runs] != [len(run) for run in times]:
        raise ValueError("a run has not as many hours as controls")
    before = [contexts(run) for run in runs]
    return (
        np.concatenate([none, *runs]),
        np.concatenate([none, *times]),
        np.concatenate([np.empty((0, ORDER - 1), np.int64), *before]),
    )


def standardized(surprise: Floats, normal: Floats) -> Floats:
    """Return how many median absolute deviations of `normal` (n,) each surprise lies above its median."""
    middle = np.median(normal)
    spread = np.median(np.abs(normal - middle))
    return np.asarray((surprise - middle) / max(float(spread) * 1.4826, 1e-6))


@dataclass(frozen=True)
class Surprised:
    """The n-gram as a peer that scores sequences: by the behavior it is surprised by most, standardized."""

    model: NGram
    vocabulary: Vocabulary
    normal: Floats

    @property
    def parameters(self) -> int:
        """The counts held."""
        return self.model.parameters

    def scores(self, sequences: Items[Sequence]) -> Floats:
        """Return each sequence's highest standardized surprise (n,)."""
        nats = self.model.surprise(*_runs(sequences, self.vocabulary))
        return standardized(np.array([each.max() for each in nats]), self.normal)


def fit(given: Given) -> Surprised:
    """Count the training sequences; what is usual is told by the validation's surprise."""
    size = len(given.vocabulary.controls)
    model = NGram.fit(*_runs(given.train, given.vocabulary), size, given.vocabulary.slots)
    usual = model.surprise(*_runs(given.validation or given.train, given.vocabulary))
    return Surprised(model, given.vocabulary, np.concatenate(usual))


def _runs(sequences: Items[Sequence], vocabulary: Vocabulary) -> tuple[list[Ids], list[Ids]]:
    """Return each sequence's control ids from 0, what the vocabulary does not name beyond them, and its hour slots."""
    windows = Windows.of(sequences, vocabulary)
    known = np.where(windows.control < FIRST, len(vocabulary.controls), windows.control - FIRST)
    return (
        [row[own] for row, own in zip(known, windows.own, strict=True)],
        [row[own] for row, own in zip(windows.time, windows.own, strict=True)],
    )
