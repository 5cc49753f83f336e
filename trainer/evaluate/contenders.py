"""Who foretells a timeline and alarms on it: the hub's model, and the n-gram it is measured against."""

from collections.abc import Sequence as Items
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.core.calibration import PARTS, Limits, calibrate
from edge.core.gate import TRAIN, roles
from edge.core.sequences import Sequence, Step, own
from edge.core.vocabulary import FIRST, Vocabulary
from edge.synthesis import Home, Scoring
from trainer.evaluate.replay import Lived, newest_surprise
from trainer.peers.ngram import NGram, contexts, standardized

Ids = NDArray[np.int64]
Floats = NDArray[np.floating]
_CHUNK = 4096


class Told(NamedTuple):
    """Of each behavior the rank of its control among all (1: the likeliest; equals behind) and its nats."""

    ranks: Ids
    nats: Floats


class Contender(Protocol):
    """Foretells what is done next, and finds some of it surprising."""

    limits: Limits

    def foretold(self, lived: Lived) -> Told:
        """Return what was foretold of each behavior from what came before it."""
        ...

    def surprise(self, lived: Lived) -> Floats:
        """Return the nats (n, len(PARTS)) of each behavior."""
        ...


class Network:
    """The hub's own model, asked as the hub asks it: from the window before a behavior."""

    def __init__(self, scorer: Scoring, limits: Limits) -> None:
        """Take a model that was learned or adapted."""
        self.limits = limits
        self._scorer = scorer

    def foretold(self, lived: Lived) -> Told:
        """Return what the hub says comes next; where nothing came before, a rank behind all."""
        ranks = np.full(len(lived.behaviors), len(self._scorer.vocabulary.controls) + 1, np.int64)
        nats = np.full(len(lived.behaviors), np.nan)
        asked = lived.contexts()
        told = self._scorer.foretold(asked)
        some = np.array([len(each) > 1 for each in asked], bool)
        ranks[some], nats[some] = told.ranks, told.nats
        return Told(ranks, nats)

    def surprise(self, lived: Lived) -> Floats:
        """Return what the hub's fast loop is told."""
        return newest_surprise(self._scorer.surprise(lived.sequences()), len(lived.behaviors))


class Counting:
    """The n-gram with the hour of day. It knows the hour of what it foretells, which the hub does not.

    It foretells by the counts of all training days. It alarms by those of the days the hub trains on, its surprise
    standardized by median and MAD (ha-kontinuum), with the hub's own rule of limits on the days the hub holds out.
    """

    def __init__(self, home: Home, vocabulary: Vocabulary, alpha: float) -> None:
        """Count a home's training days; `alpha`: the share of normal sequences that may alarm."""
        self._vocabulary = vocabulary
        sequences = home.sequences
        ids, hours = self._ids([step for sequence in sequences for step in _own(sequence)])
        size = len(vocabulary.controls)
        self._whole = NGram.fit([ids], [hours], size)
        marks = roles(sequences)
        counts = [len(own(sequence)) for sequence in sequences]
        role = np.repeat(marks, counts)
        breaks = np.flatnonzero(np.diff(role)) + 1
        runs = [part for part in np.split(np.arange(len(ids)), breaks) if len(part) and role[part[0]] == TRAIN]
        self._part = NGram.fit([ids[run] for run in runs], [hours[run] for run in runs], size)
        nats = np.concatenate([np.empty(0), *self._part.surprise([ids], [hours])])
        self._normal = nats[role == TRAIN]
        rows = np.split(self._rows(nats), np.cumsum(counts)[:-1])
        self.limits = calibrate([part for part, mark in zip(rows, marks, strict=True) if mark != TRAIN], alpha)

    def foretold(self, lived: Lived) -> Told:
        """Return what the counts say comes next, after the three behaviors before it and at its hour."""
        ids, hours, count = self._after(lived)
        before = contexts(ids)[count:]
        ids, hours = ids[count:], hours[count:]
        ranks = np.full(len(ids), len(self._vocabulary.controls) + 1, np.int64)
        nats = np.full(len(ids), np.nan)
        for start in range(0, len(ids), _CHUNK):
            part = slice(start, start + _CHUNK)
            likely = self._whole.log_probabilities(before[part], hours[part])
            named = np.flatnonzero(ids[part] >= 0)
            true = likely[named, ids[part][named]]
            ranks[start + named] = (likely[named] >= true[:, None]).sum(1)
            nats[start + named] = -true
        return Told(ranks, nats)

    def surprise(self, lived: Lived) -> Floats:
        """Return the standardized surprise as that of what was done; it says nothing of the other parts."""
        ids, hours, count = self._after(lived)
        return self._rows(self._part.surprise([ids], [hours])[0][count:])

    def _rows(self, nats: NDArray[np.float64]) -> Floats:
        return np.pad(standardized(nats, self._normal)[:, None], ((0, 0), (0, len(PARTS) - 1)))

    def _after(self, lived: Lived) -> tuple[Ids, Ids, int]:
        """Return ids and hours of the window before the days and of the days, and how many came before."""
        before = lived.windows[0].steps
        return *self._ids([*before, *lived.steps]), len(before)

    def _ids(self, steps: Items[Step]) -> tuple[Ids, Ids]:
        """Return each step's control, counted from 0, negative where it is not known, and its hour."""
        known = {pair: row for row, pair in enumerate(self._vocabulary.controls)}
        ids = [known.get((step.device, step.control), -FIRST) for step in steps]
        return np.array(ids, np.int64), np.array([step.hour for step in steps], np.int64)


def _own(sequence: Sequence) -> list[Step]:
    return [sequence[place] for place in own(sequence)]
