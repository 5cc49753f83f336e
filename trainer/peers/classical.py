"""Detectors of outlying windows from well-kept libraries: river's half-space trees, scikit-learn's three.

A window is how often it holds each control, and how much of it lies in each hour slot, in one row of numbers.
"""

from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from edge.core.sequences import Sequence
from edge.core.vocabulary import FIRST, Vocabulary
from trainer.peers.peer import Floats, Given, Windows

NEIGHBORS = 20
NU = 0.05  # share of the training windows an OCSVM may leave outside
TREES, HEIGHT = 25, 8
_HALF = 0.5  # a half-space tree wants numbers from 0 to 1


@dataclass(frozen=True)
class Features:
    """Windows to numbers (n, controls + slots), standardized by the training windows' mean and deviation."""

    vocabulary: Vocabulary
    middle: Floats
    spread: Floats

    @classmethod
    def of(cls, given: Given) -> "Features":
        """Learn the scale of each number."""
        raw = _counts(given.train, given.vocabulary)
        # What never varied keeps the scale of one behavior in all the windows.
        return cls(given.vocabulary, raw.mean(0), np.maximum(raw.std(0), 1 / np.sqrt(len(raw))))

    def rows(self, sequences: Items[Sequence]) -> Floats:
        """Return the numbers (n, f) of sequences."""
        return (_counts(sequences, self.vocabulary) - self.middle) / self.spread


def _counts(sequences: Items[Sequence], vocabulary: Vocabulary) -> Floats:
    windows = Windows.of(sequences, vocabulary)
    controls = FIRST + len(vocabulary.controls)
    out = np.zeros((len(sequences), controls + vocabulary.slots))
    rows = np.nonzero(windows.own)[0]
    np.add.at(out, (rows, windows.control[windows.own]), 1.0)
    np.add.at(out, (rows, controls + windows.time[windows.own]), 1.0)
    return out


@dataclass(frozen=True)
class Outliers:
    """A learned library detector; `oddness` takes rows (n, f)."""

    features: Features
    oddness: Callable[[Floats], Floats]
    parameters: int = 0

    def scores(self, sequences: Items[Sequence]) -> Floats:
        """Return the library's score of each window (n,), turned so that higher is odder."""
        return np.asarray(self.oddness(self.features.rows(sequences)), np.float64)


def isolation_forest(given: Given) -> Outliers:
    """Isolation forest (Liu et al., ICDM 2008), the library's defaults."""
    features = Features.of(given)
    model = IsolationForest(random_state=given.seed).fit(features.rows(given.train))
    return Outliers(features, lambda rows: -model.score_samples(rows))


def lof(given: Given) -> Outliers:
    """Local outlier factor (Breunig et al., SIGMOD 2000) against the training windows."""
    features = Features.of(given)
    neighbors = min(NEIGHBORS, len(given.train) - 1)
    model = LocalOutlierFactor(n_neighbors=neighbors, novelty=True).fit(features.rows(given.train))
    return Outliers(features, lambda rows: -model.score_samples(rows))


def ocsvm(given: Given) -> Outliers:
    """One-class support vector machine (Schölkopf et al., 2001) with a radial kernel."""
    features = Features.of(given)
    model = OneClassSVM(nu=NU).fit(features.rows(given.train))
    return Outliers(features, lambda rows: -model.score_samples(rows), int(model.dual_coef_.size))


def half_space_trees(given: Given) -> Outliers:
    """Half-space trees (Tan et al., IJCAI 2011), learned in one pass as a stream is."""
    features = Features.of(given)
    size = max(2, min(250, len(given.train) // 4))
    model = HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=size, seed=given.seed)
    for row in _within(features.rows(given.train)):
        model.learn_one(row)  # type: ignore[no-untyped-call]

    def oddness(rows: Floats) -> Floats:
        return np.array([model.score_one(row) for row in _within(rows)])  # type: ignore[no-untyped-call]

    return Outliers(features, oddness)


def _within(rows: Floats) -> list[dict[int, float]]:
    """Return each row as river wants it, its numbers between 0 and 1 and 0.5 where they are usual."""
    squeezed = _HALF + np.arctan(rows) / np.pi
    return [dict(enumerate(row)) for row in squeezed.tolist()]
