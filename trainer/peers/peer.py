"""What a peer is: another detector of odd sequences, learned from the same home and measured in the same run."""

from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.core.sequences import FIELDS, Sequence, tokens
from edge.core.vocabulary import FIRST, PAD, Vocabulary

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


class Peer(Protocol):
    """A learned detector."""

    @property
    def parameters(self) -> int:
        """Numbers learned; 0 where that means nothing."""
        ...

    def scores(self, sequences: Items[Sequence]) -> Floats:
        """Return how odd each sequence is (n,), the higher, the odder; on the peer's own scale."""
        ...


def _silent(share: float) -> None:
    del share


@dataclass(frozen=True)
class Given:
    """What a peer learns from.

    For networks: `epochs` instead of their own number, torch's `threads`, whom to `tell` the share that is trained.
    """

    train: tuple[Sequence, ...]
    validation: tuple[Sequence, ...]
    vocabulary: Vocabulary
    seed: int
    threads: int = 1
    epochs: int | None = None
    tell: Callable[[float], None] = _silent

    @property
    def rows(self) -> int:
        """The ids a control can have, padding and the unknown one included."""
        return FIRST + len(self.vocabulary.controls)


Fit = Callable[[Given], Peer]


@dataclass(frozen=True)
class Windows:
    """Sequences as ids (n, LENGTH) by field; padding lies behind. `own`: where a behavior is."""

    day: Ids
    time: Ids
    device: Ids
    control: Ids

    @classmethod
    def of(cls, sequences: Items[Sequence], vocabulary: Vocabulary) -> "Windows":
        """Read the last LENGTH steps of each sequence."""
        ids = tokens(sequences, vocabulary)
        return cls(*(ids[..., FIELDS.index(name)] for name in ("day", "time", "device", "control")))

    @property
    def own(self) -> NDArray[np.bool_]:
        """Where a behavior is, and not padding (n, LENGTH)."""
        return np.asarray(self.control != PAD)
