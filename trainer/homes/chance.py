"""Chance: picking one of a few things, much faster than a generator's own `choice`; what befalls a habit by day."""

from bisect import bisect_right
from collections.abc import Sequence as Items
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

import numpy as np

DRAWS = 12  # chances a habit has a day
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


@lru_cache(maxsize=1024)
def chances(seed: int, home: int, number: int, days: int) -> list[list[float]]:
    """Return a habit's DRAWS chances by day: the same in every scene."""
    drawn: list[list[float]] = np.random.default_rng([seed, home, 2, number]).random((days, DRAWS)).tolist()
    return drawn
