"""Merging: behaviors of the past into the record, as if they had been lived with it.

Rows behind the first of them are numbered anew, by time; what pointed at one points at the same behavior afterwards.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from edge.core.behaviors import Behavior
from edge.core.devices import Device, kind_of
from edge.core.errors import StoreError
from edge.database import Database
from edge.renumber import renumber

ALIKE = 2.0  # seconds within which the same control of the same device is one behavior, told twice
_ROWS = 5000  # of the past, written at once
_BEFORE = """
CREATE TEMP TABLE past (n INTEGER PRIMARY KEY, time REAL NOT NULL, pair INTEGER NOT NULL);
CREATE TEMP TABLE near (pair INTEGER, time REAL, id INTEGER, PRIMARY KEY (pair, time, id)) WITHOUT ROWID;
CREATE TEMP TABLE fresh (n INTEGER PRIMARY KEY, time REAL NOT NULL, pair INTEGER NOT NULL);
"""
_NEAR = """
INSERT INTO near SELECT pair, time, id FROM behaviors
WHERE time BETWEEN (SELECT min(time) FROM past) - ?1 AND (SELECT max(time) FROM past) + ?1
"""
_FRESH = """
INSERT INTO fresh SELECT min(n), time, pair FROM past p
WHERE NOT EXISTS (SELECT 1 FROM near b WHERE b.pair = p.pair AND b.time BETWEEN p.time - ?1 AND p.time + ?1)
GROUP BY pair, time
"""
_FIRST = "SELECT min(id) FROM behaviors WHERE time > (SELECT min(time) FROM fresh)"
_NEXT = "SELECT coalesce(max(id), 0) + 1 FROM behaviors"
_WHOLE = """
INSERT INTO whole (old, time, pair) SELECT old, time, pair FROM (
    SELECT id AS old, time, pair, 0 AS new, id AS n FROM behaviors WHERE id >= ?
    UNION ALL SELECT NULL, time, pair, 1, n FROM fresh
) ORDER BY time, new, n
"""
_AFTER = """
DROP TABLE temp.past;
DROP TABLE temp.near;
DROP TABLE temp.fresh;
"""


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of behaviors of the past: how many are new in the record, and how many it had already."""

    new: int
    duplicates: int


def merge(database: Database, behaviors: Iterable[tuple[Behavior, str]], devices: Iterable[Device]) -> Merged:
    """Take behaviors of the past, each with its device's shown name, into the record, all of them or none.

    They come in any order; `devices` says more of some, and is read last. One within ALIKE seconds of the same in the
    record is a duplicate, and so is one that is told twice. Names that the record has already stay. Raises StoreError.
    """
    with database.transaction():
        database.run(_BEFORE)
        count = _take(database, behaviors, devices)
        database.write(_NEAR, ALIKE)
        database.write(_FRESH, ALIKE)
        new = int(database.rows("SELECT count(*) FROM fresh")[0][0])
        if new:
            first = database.rows(_FIRST)[0][0] or database.rows(_NEXT)[0][0]
            renumber(database, first, _WHOLE, first)
        database.run(_AFTER)
    database.settle()
    return Merged(new, count - new)


def _take(database: Database, behaviors: Iterable[tuple[Behavior, str]], devices: Iterable[Device]) -> int:
    """Write behaviors beside the record, their devices and pairs into it; return how many there are."""
    named = {row[0]: row[1] for row in database.rows("SELECT id, name FROM devices")}
    pairs = {(row[1], row[2]): row[0] for row in database.rows("SELECT id, device, control FROM pairs")}
    unnamed = {device for device, name in named.items() if name == device}
    count = 0
    for rows in _chunks(behaviors):
        for behavior, name in rows:
            if not math.isfinite(behavior.time):
                raise StoreError(f"a behavior of the past has no time: {behavior.time}")
            if behavior.device not in named:
                named[behavior.device] = name
                unnamed.add(behavior.device)
                _describe(database, Device(behavior.device, name, kind_of(name)))
            pair = (behavior.device, behavior.control)
            if pair not in pairs:
                pairs[pair] = database.write("INSERT INTO pairs (device, control) VALUES (?, ?)", *pair)
        database.write_many(
            "INSERT INTO past (time, pair) VALUES (?, ?)",
            [(behavior.time, pairs[behavior.device, behavior.control]) for behavior, _ in rows],
        )
        count += len(rows)
    for device in devices:
        if device.id in unnamed or device.id not in named:
            _describe(database, device)
    return count


def _describe(database: Database, device: Device) -> None:
    upsert = (
        "INSERT INTO devices (id, name, kind) VALUES (?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind"
    )
    database.write(upsert, device.id, device.name, device.kind)


def _chunks(behaviors: Iterable[tuple[Behavior, str]]) -> Iterator[list[tuple[Behavior, str]]]:
    """Yield what may be millions in lists of thousands."""
    coming = iter(behaviors)
    while rows := list(islice(coming, _ROWS)):
        yield rows
