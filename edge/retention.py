"""Retention: what is too old, or more than there is room for, leaves the record, a little at a time.

The oldest rows go, in order; the others keep their numbers, so that nothing is written anew for those that leave. What
was learned from them stays as it was learned: counts, limits and models are kept by their slots.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from edge.database import Database
from edge.recorder import Recorder

STEP = 500  # rows that go in one transaction: the fast loop waits for no more
SHARE = 0.05  # of the record goes in a night at most: a clock that is wrong for a night takes little with it
PRESENT = 1001  # newest behaviors, the middle one of which is the present: a few wrong times are not
SPARED = 25_000  # newest behaviors that go by age alone: what is learned from fits into any size
REPORTS = 400  # newest reports of adaptations kept: a year of nights
DAY = 86400.0
_BY_AGE = "SELECT id FROM behaviors WHERE id <= ? AND time >= ? ORDER BY id LIMIT 1"
_REPORTS = "DELETE FROM adaptations WHERE time < ? OR id <= (SELECT max(id) FROM adaptations) - ?"


@dataclass(frozen=True, slots=True)
class Room:
    """How much is kept: behaviors of the last `days`, and `bytes` in the file."""

    days: float
    bytes: float


def release(database: Database, recorder: Recorder, room: Room) -> Iterator[int]:
    """Let go of what is beyond the room, as much of it as one night may; yield after each transaction the rows gone.

    Broken off anywhere, the record is whole; what is left to do is done another night. Raises StoreError.
    """
    present = _present(database)
    if present is None:
        return
    oldest = present - room.days * DAY
    last, pairs = _last(database, oldest, room.bytes), set[int]()
    while (first := _first(database)) is not None and first <= last:
        until = min(last, first + STEP - 1)
        with database.transaction():
            found = database.rows("SELECT pair FROM behaviors WHERE id <= ?", until)
            database.write("DELETE FROM alerts WHERE behavior <= ?", until)
            database.write("DELETE FROM behaviors WHERE id <= ?", until)  # scores go along
        pairs.update(pair for (pair,) in found)
        yield len(found)
    for pair in sorted(pairs):
        recorder.let_go(pair)
        yield 0
    with database.transaction():
        began = database.rows("SELECT time FROM behaviors ORDER BY id LIMIT 1")[0][0]
        database.write("DELETE FROM alerts WHERE time < ?", min(oldest, began))
        database.write(_REPORTS, min(oldest, began), REPORTS)
    yield 0
    database.compact()


def _present(database: Database) -> float | None:
    """Return the time of the home's now, None before its first behavior."""
    newest = database.rows("SELECT time FROM behaviors ORDER BY id DESC LIMIT ?", PRESENT)
    return median(time for (time,) in newest) if newest else None


def _first(database: Database) -> int | None:
    first = database.rows("SELECT min(id) FROM behaviors")[0][0]
    return None if first is None else int(first)


def _last(database: Database, oldest: float, size: float) -> int:
    """Return the last row that goes tonight: all up to it are older than `oldest`, or too many; 0 where none is."""
    count = int(database.rows("SELECT count(*) FROM behaviors")[0][0])
    most = _nth(database, max(STEP, math.ceil(count * SHARE)))
    within = database.rows(_BY_AGE, most, oldest)
    by_age = within[0][0] - 1 if within else most
    over = 1 - size / max(size, database.size())
    by_size = _nth(database, min(math.ceil(count * over), count - SPARED))
    return max(by_age, min(by_size, most))


def _nth(database: Database, number: int) -> int:
    """Return the row of the oldest behavior but `number` - 1, of the newest where there are fewer; 0 for none."""
    found = database.rows("SELECT max(id) FROM (SELECT id FROM behaviors ORDER BY id LIMIT ?)", max(0, number))
    return int(found[0][0] or 0)
