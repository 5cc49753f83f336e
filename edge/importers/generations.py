"""How a Home Assistant recorder keeps states, in every generation of its schema: one question for all of them.

Told by the columns that are there, not by a version: a database under migration has both generations at once.
- until 2022: entity, attributes and times in each row; who caused it in the event the row points at.
- from schema 25: attributes once in state_attributes; from 28: the cause in the row.
- from 31: times as seconds (`last_updated_ts`); from 36: the cause in binary; from 38: the entity in states_meta.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from edge.core.errors import SettingsError

# Domains whose states are measurements, housekeeping or the cause instead of the act: most rows, and never fetched.
MEASURING = (
    "sensor", "number", "input_number", "input_text", "input_datetime", "text", "date", "time", "datetime", "update",
    "weather", "sun", "zone", "calendar", "counter", "timer", "camera", "image", "image_processing", "geo_location",
    "plant", "air_quality", "conversation", "stt", "tts", "todo", "tag", "wake_word", "assist_satellite", "schedule",
    "persistent_notification", "scene", "group", "stream", "schema",
)  # fmt: skip
_LOW: sa.BindParameter[int] = sa.bindparam("low")
_HIGH: sa.BindParameter[int] = sa.bindparam("high")


@dataclass(frozen=True, slots=True)
class Row:
    """One state as it was recorded, old columns beside new ones. Times: seconds, text or a datetime, UTC."""

    number: int
    entity: str | None
    old_entity: str | None
    state: str | None
    attributes: str | None
    old_attributes: str | None
    time: Any
    old_time: Any
    user: Any
    old_user: Any
    parent: Any
    old_parent: Any
    context: Any
    old_context: Any


class Generation:
    """The questions a database of one generation is asked."""

    def __init__(self, connection: sa.Connection) -> None:
        """Look at tables and columns; raises SettingsError where there are no states."""
        inspector = sa.inspect(connection)
        tables = {name: {each["name"] for each in inspector.get_columns(name)} for name in inspector.get_table_names()}
        if not {"state_id", "state"} <= tables.get("states", set()):
            found = ", ".join(sorted(tables)[:12]) or "none"
            raise SettingsError(f"no database of Home Assistant's recorder: no table of states; its tables: {found}")
        self._tables = tables
        self._states = _table("states", tables["states"])
        self._meta = "states_meta" in tables and "metadata_id" in tables["states"]
        named = {"metadata_id", "entity_id"} <= tables["states_meta"] if self._meta else "entity_id" in tables["states"]
        if not named or not {"last_updated_ts", "last_updated"} & tables["states"]:
            raise SettingsError("a damaged database, or none of Home Assistant's: its states have no entity or no time")
        self.asked = self._asked()
        number = self._states.c.state_id
        self.span = sa.select(sa.func.min(number), sa.func.max(number))
        self.counted = sa.select(sa.func.count()).select_from(self._states).where(number > _LOW, number <= _HIGH)
        self.following = sa.select(sa.func.min(number)).where(number > _LOW)
        times = [_column(self._states, name).label(name) for name in ("last_updated_ts", "last_updated")]
        self.written = sa.select(*times).select_from(self._states).where(number == _LOW)

    def rows(self, measured: Collection[int], besides: Collection[str]) -> sa.Select[Any]:
        """Return the question for rows of low < number <= high.

        `measured`: the entities' numbers that are not wanted, as `unwanted` finds them; `besides`: entities that are,
        whatever their domain.
        """
        number, query = self._states.c.state_id, self.asked
        query = query.where(number > _LOW, number <= _HIGH).order_by(number)
        if self._meta:
            # The sum keeps databases from asking the index of entities for each page: rows are read in their order.
            entity = self._states.c.metadata_id + 0
            skipped: sa.BindParameter[list[int]] = sa.bindparam(
                "skipped", list(measured) or [-1], expanding=True, literal_execute=True
            )
            return query.where(sa.or_(entity.is_(None), entity.not_in(skipped)))
        if "domain" in self._tables["states"]:
            domain = self._states.c.domain
            wanted = sa.or_(domain.is_(None), domain.not_in(MEASURING))
        else:
            wanted = sa.and_(*(self._states.c.entity_id.not_like(f"{domain}.%") for domain in MEASURING))
        return query.where(sa.or_(wanted, self._states.c.entity_id.in_(list(besides) or [""])))

    def unwanted(self, connection: sa.Connection, besides: Collection[str]) -> list[int]:
        """Return the numbers of entities that measure, [] where the rows name their entities themselves."""
        if not self._meta:
            return []
        meta = _table("states_meta", self._tables["states_meta"])
        found = connection.execute(sa.select(meta.c.metadata_id, meta.c.entity_id))
        return [row[0] for row in found if str(row[1]).partition(".")[0] in MEASURING and str(row[1]) not in besides]

    def first_since(self) -> sa.Select[Any]:
        """Return the question for the first row at or after `since`, seconds or a datetime as `since_of` makes it."""
        time = self._states.c.last_updated_ts if self.seconds else self._states.c.last_updated
        return sa.select(sa.func.min(self._states.c.state_id)).where(time >= sa.bindparam("since"))

    @property
    def seconds(self) -> bool:
        """Tell whether times are seconds since the epoch."""
        return "last_updated_ts" in self._tables["states"]

    def starts(self) -> sa.Select[Any] | None:
        """Return the question for when Home Assistant was started, None where nobody wrote that down."""
        if "start" not in self._tables.get("recorder_runs", set()):
            return None
        runs = _table("recorder_runs", self._tables["recorder_runs"])
        return sa.select(runs.c.start).where(runs.c.start.is_not(None)).order_by(runs.c.start)

    def _asked(self) -> sa.Select[Any]:
        """Return the columns of a Row, in its order, with NULL for what this generation lacks."""
        states, tables = self._states, self._tables
        source: sa.FromClause = states
        meta = attributes = events = None
        if self._meta:
            meta = _table("states_meta", tables["states_meta"])
            source = source.outerjoin(meta, meta.c.metadata_id == states.c.metadata_id)
        if "attributes_id" in tables["states"] & tables.get("state_attributes", set()):
            attributes = _table("state_attributes", tables["state_attributes"])
            source = source.outerjoin(attributes, attributes.c.attributes_id == states.c.attributes_id)
        told = "context_user_id" in tables["states"]
        if (
            not told
            and "event_id" in tables["states"]
            and {"event_id", "context_user_id"} <= tables.get("events", set())
        ):
            events = _table("events", tables["events"])
            source = source.outerjoin(events, events.c.event_id == states.c.event_id)
        columns = [
            _column(states, "state_id"), _column(meta, "entity_id"), _column(states, "entity_id"),
            _column(states, "state"), _column(attributes, "shared_attrs"), _column(states, "attributes"),
            _column(states, "last_updated_ts"), _column(states, "last_updated"),
        ]  # fmt: skip
        for name in ("context_user_id", "context_parent_id", "context_id"):
            columns += [_column(states, f"{name}_bin"), _column(states if events is None else events, name)]
        return sa.select(*(each.label(f"c{place}") for place, each in enumerate(columns))).select_from(source)


def _table(name: str, columns: Collection[str]) -> sa.TableClause:
    return sa.table(name, *(sa.column(each) for each in sorted(columns)))


def _column(table: sa.TableClause | None, name: str) -> sa.ColumnElement[Any]:
    return sa.null() if table is None or name not in table.c else table.c[name]
