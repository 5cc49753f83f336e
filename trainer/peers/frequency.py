"""Behaviors to surprise by how often a control is used at its hour: no order, no device."""

from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np

from edge.core.sequences import Sequence
from edge.core.vocabulary import TIME_ROWS, Vocabulary
from trainer.peers.peer import Floats, Given, Windows


@dataclass(frozen=True)
class Frequency:
    """Nats of each control at each hour slot (TIME_ROWS, rows)."""

    vocabulary: Vocabulary
    nats: Floats

    @property
    def parameters(self) -> int:
        """The counts of the home's slots and controls."""
        return self.vocabulary.slots * len(self.vocabulary.controls)

    def scores(self, sequences: Items[Sequence]) -> Floats:
        """Return the nats (n,) of each sequence's rarest behavior."""
        windows = Windows.of(sequences, self.vocabulary)
        return np.asarray(np.where(windows.own, self.nats[windows.time, windows.control], 0.0).max(1))


def fit(given: Given) -> Frequency:
    """Count controls by hour slot; each was seen once more than it was (Laplace)."""
    windows = Windows.of(given.train, given.vocabulary)
    counts = np.ones((TIME_ROWS, given.rows))
    np.add.at(counts, (windows.time[windows.own], windows.control[windows.own]), 1)
    return Frequency(given.vocabulary, -np.log(counts / counts.sum(1, keepdims=True)))
