"""Chance: picking one of a few things, many times faster than a generator's own `choice`, with the same draws."""

from bisect import bisect_right
from collections.abc import Sequence as Items
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def one(options: Items[T], rng: np.random.Generator) -> T:
    """Return one of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


def cumulative(shares: Items[float]) -> tuple[float, ...]:
    """Return the shares added up, the last 1."""
    sums = list(accumulate(map(float, shares)))
    return tuple(each / sums[-1] for each in sums)


def place(sums: Items[float], rng: np.random.Generator) -> int:
    """Return a place by shares added up."""
    return min(bisect_right(sums, float(rng.random())), len(sums) - 1)
