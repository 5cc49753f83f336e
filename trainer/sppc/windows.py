"""Sequences as the autoencoder reads them: which control at which time of day, packed by place."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge.core.dictionary import SLOT_HOURS
from edge.core.errors import RetrainError
from edge.core.sequences import LENGTH, Sequence

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Packed:
    """Batches of windows for k networks, or one for all (k = 1): longest first, place after place, hardly padded.

    `order` (k, b): which window stands where, `length` (k, b). `alive`: how many rows still go on at each place.
    Of every behavior `control`, `time` (k, p), the row it stands in `row` (p,), and whether it is one `real` (k, p).
    """

    order: Tensor
    length: Tensor
    alive: tuple[int, ...]
    control: Tensor
    time: Tensor
    row: Tensor
    real: Tensor


@dataclass(frozen=True)
class Windows:
    """The last LENGTH behaviors of each sequence as ids (n, LENGTH), 0 behind its end; `length` (n,).

    `controls`: the pairs the ids name, `slots`: times of day told apart (24, or 8 where hours stand three apart).
    """

    control: Ids
    time: Ids
    length: Ids
    controls: tuple[tuple[str, str], ...]
    slots: int

    @classmethod
    def of(cls, sequences: Items[Sequence]) -> "Windows":
        """Return sequences by the numbers of what they name; raises RetrainError for an empty sequence."""
        if not all(sequences):
            raise RetrainError("a sequence without a behavior has no importance: leave it out of the file")
        names = tuple(dict.fromkeys((step.device, step.control) for each in sequences for step in each[-LENGTH:]))
        coarse = all(step.hour % SLOT_HOURS == 0 for each in sequences for step in each)
        slots = 24 // SLOT_HOURS if coarse else 24
        numbers = {pair: number for number, pair in enumerate(names)}
        control, time = np.zeros((2, len(sequences), LENGTH), np.int64)
        for row, sequence in enumerate(sequences):
            for place, step in enumerate(sequence[-LENGTH:]):
                control[row, place] = numbers[step.device, step.control]
                time[row, place] = step.hour * slots // 24
        length = np.array([min(len(each), LENGTH) for each in sequences], np.int64)
        return cls(control, time, length, names, slots)

    def __len__(self) -> int:
        return len(self.length)

    @cached_property
    def patterns(self) -> Ids:
        """The number of each window's pattern (n,): windows alike in controls and times have the same."""
        rows = np.concatenate([self.control, self.time, self.length[:, None]], axis=1)
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)

    def packed(self, rows: Ids) -> Packed:
        """Pack a batch of windows for each network (k, b)."""
        rows = np.take_along_axis(rows, np.argsort(-self.length[rows], axis=1, kind="stable"), 1)
        length = self.length[rows]
        alive = tuple(int((length > place).any(0).sum()) for place in range(int(length.max())))
        place = np.repeat(np.arange(len(alive)), alive)
        row = np.concatenate([np.arange(count) for count in alive])
        behaviors = rows[:, row]
        return Packed(
            order=torch.from_numpy(rows),
            length=torch.from_numpy(length),
            alive=alive,
            control=torch.from_numpy(self.control[behaviors, place]),
            time=torch.from_numpy(self.time[behaviors, place]),
            row=torch.from_numpy(row),
            real=torch.from_numpy(place < length[:, row]),
        )
