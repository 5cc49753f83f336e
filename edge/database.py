"""The database file: opened durable, its schema brought up to date, transactions. The only user of sqlite3.

Migrations are edge/schema/NNN_name.sql, append-only: each runs once, whole or not at all, in its own transaction.
"""

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from edge.core.errors import DamageError, StoreError
from edge.durable import why
from edge.lock import OWNER

MEND = "`sceneshift run` sets it aside and goes on with all that can be read; `sceneshift restore` takes a backup"
PAGE = 512  # bytes; a small commit writes a page or two: a quarter of the bytes that pages of 4096 cost (measured)
_SMALL = 4 * 2**20  # bytes of a file that is worth no writing anew
_WAIT = 10.0  # seconds to wait for another process's transaction
BOUNDLESS = "it holds a size that no memory has room for"  # a MemoryError of SQLite, which says nothing itself
_ROOM = "make room on its disk: the agent then goes on by itself, and nothing that was acknowledged is lost"
_MENDS = {  # by SQLite's primary result code
    sqlite3.SQLITE_FULL: _ROOM,
    sqlite3.SQLITE_IOERR: "its disk is full or fails: `sceneshift doctor` looks",
    sqlite3.SQLITE_READONLY: f"its disk must be mounted for writing; {OWNER}",
    sqlite3.SQLITE_CANTOPEN: f"its disk is full, or not mounted for writing; {OWNER}",
}


def migrations() -> dict[int, str]:
    """Return the shipped migrations: number -> SQL."""
    folder = resources.files("edge") / "schema"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return {int(file.name[:3]): file.read_text(encoding="utf-8") for file in files}


class Database:
    """One connection, shared by threads; every failure of SQLite is a StoreError."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, scripts: Mapping[int, str], *, read_only: bool = False) -> "Database":
        """Open the file, made and migrated unless read_only; raises StoreError where it cannot be used."""
        try:
            if not read_only:
                path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
                path.touch(mode=0o640)
        except OSError as error:
            raise StoreError(f"{path}: {why(error)}") from error
        database = cls(_connected(path, read_only=read_only), path)
        try:
            database._prepare(scripts, read_only=read_only)
        except StoreError as error:
            database.close()
            if read_only and not os.access(path.parent, os.W_OK):  # the log's index lies beside the file
                raise StoreError(f"{error}: who reads it writes beside it; {OWNER}") from error
            raise
        return database

    @classmethod
    def bare(cls, path: Path, *, read_only: bool = True, lenient: bool = False) -> "Database":
        """Open a file as it is; `lenient`: whatever can be read of one that is damaged. Raises StoreError."""
        connection = _connected(path, read_only=read_only)
        if lenient:
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
        return cls(connection, path)

    @classmethod
    def in_memory(cls, scripts: Mapping[int, str]) -> "Database":
        """Make an empty database that no disk holds."""
        database = cls(sqlite3.connect(":memory:", isolation_level=None), Path(":memory:"))
        database._prepare(scripts, read_only=False)
        return database

    def close(self) -> None:
        """Close the file; nothing is pending outside a transaction."""
        with self._guarded():
            self._connection.close()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a query; return its rows."""
        with self._guarded():
            return self._connection.execute(query, values).fetchall()

    def each(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query one by one, as far as the file can be read."""
        with self._guarded():
            yield from self._connection.execute(query, values)

    def write(self, statement: str, *values: Any) -> int:
        """Run one statement of a transaction; return the row id of an INSERT."""
        with self._guarded():
            return int(self._connection.execute(statement, values).lastrowid or 0)

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement of a transaction once for every row of values."""
        with self._guarded():
            self._connection.executemany(statement, rows)

    def run(self, script: str) -> None:
        """Run the statements of a script, as part of a transaction."""
        for statement in _statements(script):
            self.write(statement)

    def settle(self) -> bool:
        """Put the log's content into the file and empty the log; False where somebody reads it meanwhile."""
        return not self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]

    def copy(self, path: Path) -> None:
        """Write the database as it is at this moment into a new file; others may go on writing."""
        self.rows("VACUUM INTO ?", str(path))

    def size(self) -> int:
        """Return how many bytes of the file hold anything."""
        pages, free = (self.rows(f"PRAGMA {pragma}")[0][0] for pragma in ("page_count", "freelist_count"))
        return int(pages - free) * int(self.rows("PRAGMA page_size")[0][0])

    def compact(self) -> bool:
        """Write the file anew where more than half of it is empty and the disk has room; tell whether that was done.

        What is empty is filled again first; so this is for a record that has become far smaller than it was.
        """
        full, file = self.size(), self._path.stat().st_size
        if file < _SMALL or full * 2 > file or shutil.disk_usage(self._path.parent).free < 4 * full:
            return False
        try:
            self.rows("VACUUM")
        except StoreError:
            return False  # it is as it was: somebody else writes, or there is no room for a second one after all
        self.settle()
        return True

    def erase(self) -> None:
        """Write the file anew without what was deleted, and empty the log; raises StoreError where it is read."""
        self.rows("VACUUM")
        if not self.settle():
            raise StoreError(f"{self._path}: another process reads it; end that and do this again")

    @contextmanager
    def erasing(self) -> Iterator[None]:
        """As `transaction`; and what is deleted inside is in no byte of any file afterwards."""
        self.rows("PRAGMA secure_delete = ON")
        with self.transaction():
            yield
        self.erase()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is on disk at the end, or none of it is; one that writes nothing costs nothing."""
        with self._guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, UnicodeError, MemoryError) as error:
                raise _told(self._path, error) from error

    def version(self) -> int:
        """Return the number of the newest migration that was run."""
        return int(self.rows("PRAGMA user_version")[0][0])

    def _prepare(self, scripts: Mapping[int, str], *, read_only: bool) -> None:
        newest = max(scripts)
        if self.version() > newest:
            raise StoreError(f"{self._path}: written by a newer version of sceneshift")
        if read_only:
            if self.version() < newest:
                raise StoreError(f"{self._path}: not brought up to date yet; `sceneshift run` does it")
            return
        for pragma in (f"page_size = {PAGE}", "journal_mode = WAL", "synchronous = FULL"):
            self.rows(f"PRAGMA {pragma}")
        for number in sorted(scripts):
            with self.transaction():
                if self.version() < number:  # asked inside: another process may have done it
                    self.run(scripts[number])
                    self.write(f"PRAGMA user_version = {number}")
        self.rows("PRAGMA foreign_keys = ON")  # only now: a table that is made anew takes nothing along


def _connected(path: Path, *, read_only: bool) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
            uri=True, isolation_level=None, check_same_thread=False, timeout=_WAIT,
        )  # fmt: skip
    except sqlite3.Error as error:
        raise _told(path, error) from error


def _told(path: Path, error: Exception) -> StoreError:
    """Return an error of SQLite as ours, with what mends it where anything does."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or str(error).startswith("Could not decode"):
        return DamageError(f"{path} is damaged ({error}): {MEND}")
    if isinstance(error, MemoryError):
        return DamageError(f"{path} is damaged ({BOUNDLESS}): {MEND}")
    return StoreError(f"{path}: {error}" + (f": {_MENDS[code]}" if code in _MENDS else ""))


def _statements(script: str) -> Iterator[str]:
    """Split a script; sqlite3's own executescript would commit what is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
