"""Salvaging: a damaged record is set aside, and all that can be read of it is the record from then on.

A guard that is down for weeks is worse than one that has lost a day. What was damaged stays, as `damaged-<time>` within
the data directory, until somebody deletes it: `sceneshift status` and `doctor` name it as long.
"""

import json
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.core.errors import StoreError
from edge.database import PAGE, Database, migrations
from edge.durable import settle, why, write
from edge.soundness import ROWS, damage, left
from edge.store import FILE
from edge.writelog import read

ASIDE = "damaged-"
TOLD = "lost.json"  # what was lost, beside what was damaged
_SCRATCH = ".salvaging"
_READY = ".salvaged"  # a whole record that is to take its place: the one step between the damaged one and it
_LOGS = (f"{FILE}-wal", f"{FILE}-shm")
_STRIDE = 64  # rows: where neither the first nor the last of them can be read, those between are not tried
_MOST = 1 << 40  # a row's number; beyond it is one that was damaged
_BEYOND = 1 << 16  # rows looked for behind the last one that is known
_MENDED = (  # what refers to a row that was lost
    "INSERT OR IGNORE INTO devices (id, name, kind) SELECT device, device, '' FROM pairs",
    "DELETE FROM behaviors WHERE pair NOT IN (SELECT id FROM pairs)",
    "UPDATE alerts SET behavior = NULL WHERE behavior NOT IN (SELECT id FROM behaviors)",
    "DELETE FROM scores WHERE behavior NOT IN (SELECT id FROM behaviors)",
)

Row = tuple[Any, ...]
Rows = list[Row]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A record that was damaged: where it is, what was wrong with it, and how many behaviors were read and lost."""

    aside: str
    damage: str
    behaviors: int
    lost: int

    @property
    def told(self) -> str:
        """Say it in one sentence, with what mends it."""
        return (
            f"the record was damaged ({self.damage}): {self.behaviors} behaviors were saved, about {self.lost} lost; "
            f"`sceneshift restore` takes a backup; or delete {self.aside}, where what was damaged is, if that is well"
        )


def mend(directory: Path, now: float) -> Salvaged | None:
    """Salvage a data directory's record where it is damaged; the caller holds the lock. `now`: seconds since the epoch.

    Returns what was lost, None where nothing is wrong. Raises StoreError, and changes nothing, where it cannot be done.
    """
    try:
        _settle(directory)
        if not (directory / FILE).exists() and not left(directory / FILE):
            return None  # nothing was ever recorded here
        (directory / FILE).touch(mode=0o640)
        if not (wrong := damage(directory / FILE)):
            return None
        shutil.rmtree(directory / _SCRATCH, ignore_errors=True)
        (directory / _SCRATCH).mkdir(mode=0o700)
        kept, lost = _salvaged(directory, directory / _SCRATCH)
        aside = _aside(directory, now)
        told = Salvaged(str(aside), wrong, kept, lost)
        write(aside / TOLD, json.dumps(asdict(told)).encode())
        settle(aside)
        (directory / _SCRATCH).rename(directory / _READY)
        settle(directory)
        _settle(directory)
    except OSError as error:
        raise StoreError(f"{directory}: the record is damaged, and cannot be salvaged: {why(error)}") from error
    return told


def told_of(directory: Path) -> Salvaged | None:
    """Return what was salvaged last and is still set aside, None where nothing is."""
    for aside in sorted(directory.glob(f"{ASIDE}*"), reverse=True):
        try:
            return Salvaged(**json.loads((aside / TOLD).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
    return None


def _settle(directory: Path) -> None:
    """Let a record that was salvaged take its place; broken off anywhere, it is done again."""
    if not (directory / _READY).is_dir():
        return
    if (directory / _READY / FILE).exists():
        for log in _LOGS:  # of the damaged one: SQLite would lay it over the other
            (directory / log).unlink(missing_ok=True)
        (directory / _READY / FILE).replace(directory / FILE)
        settle(directory)
    shutil.rmtree(directory / _READY)


def _aside(directory: Path, now: float) -> Path:
    """Keep what is damaged under another name, too; it stays in its place until the other takes it."""
    name = f"{ASIDE}{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}"
    aside = next(place for n in range(1000) if not (place := directory / (f"{name}-{n}" if n else name)).exists())
    aside.mkdir(mode=0o700)
    for file in (FILE, *_LOGS):
        if (directory / file).exists():
            os.link(directory / file, aside / file)
    return aside


def _salvaged(directory: Path, scratch: Path) -> tuple[int, int]:
    """Write what can be read into a new record in `scratch`; return how many behaviors were read, and lost."""
    damaged = scratch / "damaged.db"
    shutil.copyfile(directory / FILE, damaged)
    _lay_over(damaged, directory / _LOGS[0])
    fresh = Database.open(scratch / FILE, migrations())
    try:
        fresh.settle()
        fresh.rows("PRAGMA foreign_keys = OFF")
        if not _copied(damaged, fresh):
            _replace_schema(damaged, fresh, scratch / FILE)
            _copied(damaged, fresh)
        with fresh.transaction():
            for table, makes_sense in ROWS.items():
                fresh.write(f"DELETE FROM {table} WHERE ({makes_sense}) IS NOT 1")  # noqa: S608
            for statement in _MENDED:
                fresh.write(statement)
        kept, first = fresh.rows("SELECT count(*), coalesce(min(id), 1) FROM behaviors")[0]
        last = fresh.rows("SELECT coalesce(max(id), 0) FROM behaviors")[0][0]
        fresh.settle()
    finally:
        fresh.close()
    if wrong := damage(scratch / FILE):
        raise StoreError(f"{directory / FILE}: the record is damaged, and what was read of it too: {wrong}")
    for path in scratch.glob("damaged.db*"):
        path.unlink()
    return kept, max(0, last - first + 1 - kept)


def _copied(damaged: Path, fresh: Database) -> int:
    """Copy all that can be read; return how many rows that were."""
    count = 0
    source = Database.bare(damaged, read_only=False, lenient=True)
    try:
        for table in ROWS:
            wanted = fresh.rows("SELECT name, pk, type FROM pragma_table_info(?) ORDER BY cid", table)
            with fresh.transaction():
                for columns, row in _rows(source, table, wanted):
                    marks = ", ".join("?" * len(row))
                    fresh.write(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", *row)  # noqa: S608
                    count += 1
        _count_on(source, fresh)
    finally:
        source.close()
    return count


def _count_on(source: Database, fresh: Database) -> None:
    """Let no row that is to come have the number of one that was lost."""
    with suppress(StoreError), fresh.transaction():
        for name, number in source.rows("SELECT name, seq FROM sqlite_sequence"):
            if isinstance(number, int) and 0 < number < _MOST:
                fresh.write("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", number, name)


def _rows(source: Database, table: str, wanted: Rows) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield (columns, values) of each row that can be read: from the beginning, from the end, and what lies between.

    `wanted`: name, place in the key and type of each column of today; an older record may lack some.
    """
    try:
        source.rows("PRAGMA writable_schema = ON")  # a file cut short is read as far as it goes
        here = {row[0] for row in source.rows("SELECT name FROM pragma_table_info(?)", table)}
    except StoreError:
        return
    columns = ", ".join(name for name, _, _ in wanted if name in here)
    key = [name for name, place, _ in wanted if place]
    reading = _Reading(source, f"SELECT {columns} FROM {table}", key)  # noqa: S608
    numbered = [kind for _, place, kind in wanted if place] == ["INTEGER"]
    yield from ((columns, row) for row in (reading.numbered() if numbered else reading.ends()))


class _Reading:
    """Reads what can be read of one table."""

    def __init__(self, source: Database, select: str, key: list[str]) -> None:
        self._source, self._select, self._key = source, select, key
        self._whole = False  # whether the last reading came to its end

    def ends(self) -> Iterator[Row]:
        """Yield rows from the beginning until one cannot be read, then from the end until one cannot."""
        yield from self._ordered("")
        if not self._whole:
            yield from self._ordered(" DESC")

    def numbered(self) -> Iterator[Row]:
        """As `ends`, and what lies between: stride by stride, each halved until it can be read or is one row."""
        low = high = 0
        for row in self._ordered(""):
            low = max(low, row[0])
            yield row
        if self._whole:
            return
        for row in self._ordered(" DESC"):
            high = min(high or row[0], row[0])
            yield row
        end = high or low + _BEYOND
        for first in range(low + 1, end, _STRIDE):
            yield from self._halved(first, min(first + _STRIDE, end) - 1)

    def _halved(self, first: int, last: int) -> Iterator[Row]:
        spans = [(first, last)]
        while spans:
            low, high = spans.pop()
            yield from self._between(low, high)
            if self._whole or low == high or (high - low + 1 == _STRIDE and not self._ends_read(low, high)):
                continue
            middle = (low + high) // 2
            spans += [(middle + 1, high), (low, middle)]

    def _ends_read(self, first: int, last: int) -> bool:
        """Tell whether one of two rows can be read, or is known not to be there."""
        for number in (first, last):
            list(self._between(number, number))
            if self._whole:
                return True
        return False

    def _between(self, first: int, last: int) -> Iterator[Row]:
        yield from self._read(f"{self._select} WHERE {self._key[0]} BETWEEN ? AND ?", first, last)

    def _ordered(self, direction: str) -> Iterator[Row]:
        order = ", ".join(f"{name}{direction}" for name in self._key)
        yield from self._read(f"{self._select} ORDER BY {order}")

    def _read(self, query: str, *values: Any) -> Iterator[Row]:
        self._whole = False
        try:
            yield from self._source.each(query, *values)
            self._whole = True
        except StoreError:  # what cannot be read is left out
            return


def _replace_schema(damaged: Path, fresh: Database, made: Path) -> None:
    """Lay the pages of a new record that say where its tables are over a file where these cannot be read.

    A home's tables were made in this order before there was anything in them, so they lie where a new record's do;
    where they do not, what is read makes no sense and is left out.
    """
    new, old = made.read_bytes(), bytearray(damaged.read_bytes())
    old.extend(bytes(max(0, len(new) - len(old))))
    roots = {row[0] for row in fresh.rows("SELECT rootpage FROM sqlite_master")}
    for page in set(range(1, len(new) // PAGE + 1)) - roots - _free(new):
        old[(page - 1) * PAGE : page * PAGE] = new[(page - 1) * PAGE : page * PAGE]
    old[28:32] = (len(old) // PAGE).to_bytes(4, "big")
    damaged.write_bytes(old)
    for log in damaged.parent.glob(f"{damaged.name}-*"):
        log.unlink()


def _lay_over(damaged: Path, path: Path) -> None:
    """Put the whole pages of a log into the file: also those behind a damaged one, where SQLite would end."""
    with damaged.open("r+b") as file:
        for number, page in read(path).frames:
            file.seek((number - 1) * PAGE)
            file.write(page)


def _free(content: bytes) -> set[int]:
    """Return the pages of a database that nothing lies in: in an older one, something may."""
    found: set[int] = set()
    trunk = int.from_bytes(content[32:36], "big")
    while trunk:
        numbers = [number for (number,) in struct.iter_unpack(">I", content[(trunk - 1) * PAGE : trunk * PAGE])]
        found |= {trunk, *numbers[2 : 2 + numbers[1]]}
        trunk = numbers[0]
    return found
