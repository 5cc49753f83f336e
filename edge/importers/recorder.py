"""Home Assistant's recorder as a source: SQLite, MariaDB or PostgreSQL, read only, while it is being written.

Pages are ranges of row numbers, each read in its own short transaction: nothing of Home Assistant's waits for us, and
memory does not grow with the database. SQLAlchemy's one door, with the module that knows the schema's generations.
"""

import os
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from edge.core.errors import MessageError, SettingsError
from edge.database import BOUNDLESS
from edge.dialects.entities import AWAY as NO_STATE
from edge.importers.generations import Generation, Row
from edge.importers.naming import Names
from edge.importers.past import AUTOMATION, AWAY, DEVICE, MEASURED, PERSON, Gone, Page, Reported, digest, moment

PAGE = 25_000  # row numbers
PASSWORD = "SCENESHIFT_SOURCE_PASSWORD"  # of the database, in the environment  # noqa: S105 - its name, not a password
_DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mysql+pymysql", "postgresql": "postgresql+psycopg",
            "postgres": "postgresql+psycopg", "sqlite": "sqlite"}  # fmt: skip
_RUNS = 4096  # newest runs of automations remembered


class Recorder:
    """One recorder database. `since`, `until`: seconds since the epoch, rows outside are not looked at."""

    def __init__(self, source: str | Path, names: Names, *, since: float, until: float) -> None:
        """Connect; raises SettingsError naming the mend, never a password."""
        self._url = _url(source)
        self._names = names
        self._since, self._until = since, until
        self._runs: OrderedDict[Any, None] = OrderedDict()  # contexts in which automations ran
        options: dict[str, Any] = {"postgresql_readonly": True} if self._url.get_backend_name() == "postgresql" else {}
        server = self._url.get_backend_name() == "mysql"
        arguments = {"init_command": "SET SESSION TRANSACTION READ ONLY"} if server else {}
        self._engine = sa.create_engine(self._url, connect_args=arguments, execution_options=options)
        try:
            with self._engine.connect() as connection:
                self._generation = Generation(connection)
        except (SQLAlchemyError, UnicodeDecodeError, MemoryError) as error:
            raise self._told(error) from error

    def identity(self) -> str:
        """Return a digest of the address, user and password left out."""
        place = (self._url.get_backend_name(), self._url.host, self._url.port, self._url.database)
        return digest("recorder", str(place), self._names.identity())

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def pages(self, position: Any) -> Iterator[Page]:
        """Yield the states behind a position; from the start where the database is another by now."""
        try:
            yield from self._pages(position)
        except (SQLAlchemyError, UnicodeDecodeError, MemoryError) as error:
            raise self._told(error) from error

    def _pages(self, position: Any) -> Iterator[Page]:
        with self._engine.connect() as connection:
            first, last = connection.execute(self._generation.span).one()
            if first is None:
                return
            query = self._generation.rows(
                self._generation.unwanted(connection, self._names.besides), self._names.besides
            )
            low = self._behind(connection, position, first, last)
            total = max(1, last - low)
            starts = self._starts(connection)
            place = position.get("last") if low >= first and isinstance(position, dict) else None
            while low < last:
                high = min(low + PAGE, last)
                count = connection.execute(self._generation.counted, {"low": low, "high": high}).scalar_one()
                if not count:  # a purge leaves holes
                    following = connection.execute(self._generation.following, {"low": high}).scalar_one()
                    low = last if following is None else following - 1
                    continue
                rows = [Row(*row) for row in connection.execute(query, {"low": low, "high": high})]
                connection.rollback()  # ends the reading transaction: Home Assistant may purge and checkpoint
                items, left_out, place = self._items(rows, starts, place)
                left_out[MEASURED] += count - len(rows)
                low = high
                mark = self._mark(connection, high)
                yield Page(
                    tuple(items), count, left_out, {"row": high, "mark": mark, "last": place}, 1 - (last - high) / total
                )

    def _behind(self, connection: sa.Connection, position: Any, first: int, last: int) -> int:
        """Return the number of the row to read on behind."""
        row = position.get("row") if isinstance(position, dict) else None
        if isinstance(row, int) and first - 1 <= row <= last and self._mark(connection, row) == position.get("mark"):
            return row
        if self._since == float("-inf"):
            return int(first) - 1
        since: Any = self._since
        if not self._generation.seconds:
            since = datetime.fromtimestamp(self._since, UTC)
            if self._url.get_backend_name() != "postgresql":
                since = since.replace(tzinfo=None).isoformat(" ", "microseconds")
        found = connection.execute(self._generation.first_since(), {"since": since}).scalar_one()
        return int(last) if found is None else int(found) - 1

    def _mark(self, connection: sa.Connection, row: int) -> float | None:
        """Return when a row was written: by it a position is known again; None where a purge has taken the row."""
        found = connection.execute(self._generation.written, {"low": row}).one_or_none()
        connection.rollback()
        return None if found is None else _seconds(found[0] if found[0] is not None else found[1])

    def _starts(self, connection: sa.Connection) -> list[float]:
        query = self._generation.starts()
        found = [] if query is None else [_seconds(row[0]) for row in connection.execute(query)]
        return [each for each in found if each is not None]

    def _items(
        self, rows: list[Row], starts: list[float], last: float | None
    ) -> tuple[list[Reported | Gone], Counter[str], float | None]:
        """Return what rows tell, in their order; after a start of Home Assistant every state is told anew."""
        items: list[Reported | Gone] = []
        left_out: Counter[str] = Counter()
        for row in rows:
            time = _seconds(row.time if row.time is not None else row.old_time)
            if time is None:
                left_out["bad time"] += 1
                continue
            if last is not None and bisect_right(starts, time) > bisect_right(starts, last):
                items.append(Gone())
            last = time if last is None else max(last, time)
            if not self._since <= time < self._until:
                continue
            try:
                items += self._told_by(row, time)
            except MessageError as error:
                left_out[error.reason] += 1
        return items, left_out, last

    def _told_by(self, row: Row, time: float) -> list[Reported | Gone]:
        entity = _text(row.entity) or _text(row.old_entity)
        context = row.context or row.old_context
        if entity.startswith(("automation.", "script.")):
            self._runs[context] = None
            while len(self._runs) > _RUNS:
                self._runs.popitem(last=False)
            raise MessageError(MEASURED)
        state = _text(row.state).strip()
        if state.lower() in NO_STATE:
            gone = self._names.device(entity)
            if gone is None:
                raise MessageError(AWAY)
            return [Gone(gone)]
        events = self._names.events(entity, state, _text(row.attributes) or _text(row.old_attributes), time)
        cause = "" if context is None else DEVICE
        if row.parent or row.old_parent:
            cause = AUTOMATION
        elif row.user or row.old_user:
            cause = PERSON
        elif context is not None and context in self._runs:
            cause = AUTOMATION
        return [Reported(event, cause) for event in events]

    @cached_property
    def _where(self) -> str:
        if self._url.get_backend_name() == "sqlite":
            return unquote(str(self._url.database)).removeprefix("file:")
        return self._url.render_as_string(hide_password=True)

    def _told(self, error: SQLAlchemyError | UnicodeDecodeError | MemoryError) -> SettingsError:
        said = (str(getattr(error, "orig", None) or error) or BOUNDLESS).splitlines()[0]
        secret = self._url.password  # a server may repeat it
        said = said.replace(str(secret), "***") if secret else said
        mend = ""
        if self._url.get_backend_name() == "sqlite":
            mend = " (a copied database needs its -wal file beside it; Home Assistant mends a damaged one itself)"
        elif "connect" in said.lower():
            mend = " (is the server reachable from here, and the user allowed to read?)"
        return SettingsError(f"{self._where}: {said}{mend}")


def _url(source: str | Path) -> sa.URL:
    """Return the address with the driver we have; a file is opened read-only. Raises SettingsError."""
    if isinstance(source, Path):
        return _file(str(source.absolute()))
    try:
        url = sa.make_url(source)
        backend = url.drivername.partition("+")[0]
        if backend == "sqlite":
            return _file(str(Path(url.database or "").absolute()))
        url = url.set(drivername=_DRIVERS[backend])
    except (ArgumentError, KeyError, ValueError, NoSuchModuleError) as error:
        raise SettingsError(
            "the address of a database is mysql://user@host/homeassistant or postgresql://user@host/homeassistant"
        ) from error
    if url.password is not None or any(key.lower().endswith(("password", "passwd")) for key in url.query):
        raise SettingsError(
            "a password in the address is read by whoever lists this computer's processes: leave it out, and set "
            f"{PASSWORD} in the environment"
        )
    secret = os.environ.get(PASSWORD)
    return url.set(password=secret) if secret else url


def _file(path: str) -> sa.URL:
    return sa.URL.create("sqlite", database=f"file:{quote(path)}", query={"mode": "ro", "uri": "true"})


def _text(value: object) -> str:
    """Return a column's text, "" for none; raises MessageError, for SQLite keeps anything in any column."""
    if value is not None and not isinstance(value, str):
        raise MessageError("malformed")
    return value or ""


def _seconds(value: Any, zone: tzinfo = UTC) -> float | None:
    """Return seconds since the epoch from what a column holds, None for what is no time."""
    try:
        if isinstance(value, datetime):
            return moment(value.isoformat(), zone)
        return moment(value if isinstance(value, str) else float(value), zone)
    except (MessageError, TypeError, ValueError):
        return None
