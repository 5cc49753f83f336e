"""Heat maps as tables: every cell says its number, and a level for its ground."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEVELS = 5  # grounds that are told apart, beside none at all
HOURS = 24


@dataclass(frozen=True, slots=True)
class Cell:
    """One hour: what is written in it, its level from 0 (never) to LEVELS, and what a pointer on it is told."""

    told: str
    level: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its head and a cell an hour (24)."""

    head: str
    cells: tuple[Cell, ...]


def level(value: float, most: float) -> int:
    """Return a value's level: by its root, so that what is seldom can be told from what is never."""
    if value <= 0 or most <= 0:
        return 0
    return min(LEVELS, 1 + int(LEVELS * (value / most) ** 0.5 * (1 - 1e-9)))


def rows(heads: Iterable[str], counts: Sequence[Sequence[int]]) -> tuple[Row, ...]:
    """Return the rows of counts by hour, each cell telling its count; the fullest has the highest level."""
    most = max((max(each, default=0) for each in counts), default=0)
    return tuple(
        Row(head, tuple(Cell(str(n) if n else "", level(n, most)) for n in each))
        for head, each in zip(heads, counts, strict=True)
    )
