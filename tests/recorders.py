"""Databases as Home Assistant's recorder keeps them, in five generations of its schema, on any server.

Made from what its own test fixtures say of each schema: which columns there are, of what type, and who fills them.
"""

import json
import zlib
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

GENERATIONS = (16, 25, 30, 33, 43)  # attributes in the row; apart; cause in the row; seconds; entities apart, binary
USER, PARENT = "0123456789abcdef0123456789abcdef", "01ARZ3NDEKTSV4RRFFQ69G5FAV"
_MOMENT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(timezone=True, fsp=6), "mysql")
_SECONDS = sa.Float().with_variant(mysql.DOUBLE(asdecimal=False), "mysql").with_variant(sa.Double(), "postgresql")
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")


def columns(*pairs):
    return [sa.Column(name, kind) for name, kind in pairs]


def schema(version):
    """Return the tables of a generation."""
    meta = sa.MetaData()
    context = [f"context_{what}" for what in ("id", "user_id", "parent_id")]
    states = [("state", sa.String(255)), ("event_id", sa.Integer), ("last_changed", _MOMENT), ("last_updated", _MOMENT)]
    states += [("old_state_id", sa.Integer), ("entity_id", sa.String(255)), ("attributes", _TEXT)]
    events = [("event_type", sa.String(64)), ("time_fired", _MOMENT), *((name, sa.String(36)) for name in context)]
    if version < 25:
        states += [("domain", sa.String(64)), ("created", _MOMENT)]
    else:
        states.append(("attributes_id", sa.Integer))
        sa.Table("state_attributes", meta, sa.Column("attributes_id", sa.Integer, primary_key=True),
                 *columns(("hash", sa.BigInteger), ("shared_attrs", _TEXT)))  # fmt: skip
    if version >= 30:
        states += [(name, sa.String(36)) for name in context]
    if version >= 33:
        states += [("last_updated_ts", _SECONDS), ("last_changed_ts", _SECONDS)]
    if version >= 43:
        states += [(f"{name}_bin", sa.LargeBinary(16)) for name in context]
        states += [("metadata_id", sa.Integer), ("last_reported_ts", _SECONDS)]
        sa.Table("states_meta", meta, sa.Column("metadata_id", sa.Integer, primary_key=True),
                 *columns(("entity_id", sa.String(255))))  # fmt: skip
    sa.Table("events", meta, sa.Column("event_id", sa.Integer, primary_key=True), *columns(*events))
    sa.Table("states", meta, sa.Column("state_id", sa.Integer, primary_key=True), *columns(*states))
    sa.Table("recorder_runs", meta, sa.Column("run_id", sa.Integer, primary_key=True), *columns(("start", _MOMENT)))
    sa.Table("schema_changes", meta, sa.Column("change_id", sa.Integer, primary_key=True),
             *columns(("schema_version", sa.Integer)))  # fmt: skip
    for name in ("last_updated", "last_updated_ts"):
        if name in meta.tables["states"].c:
            sa.Index(f"ix_states_{name}", meta.tables["states"].c[name])
    return meta


class Recording:
    """A recorder at work: tells what happens, row by row, as its generation did."""

    def __init__(self, engine, version=43):
        self.engine, self.version = engine, version
        self.tables = schema(version).tables
        next(iter(self.tables.values())).metadata.create_all(engine)
        self._entities, self._attributes, self._rows = {}, {}, []
        self._number = 0
        self._insert("schema_changes", [{"change_id": 1, "schema_version": version}])

    def started(self, time):
        self.flush()
        self._insert("recorder_runs", [{"start": moment(time)}])

    def state(self, time, entity, state, attributes=None, *, user=None, parent=None, context=None):
        """Take a state in; `flush` writes. Returns its number."""
        self._number += 1
        text = json.dumps(attributes or {})
        row = {"state_id": self._number, "state": state}
        new = self.version
        if new < 33:
            row |= {"last_updated": moment(time), "last_changed": moment(time)}
        else:
            row["last_updated_ts"] = time
        if new < 43:
            row["entity_id"] = entity
        else:
            row["metadata_id"] = self._id("states_meta", self._entities, entity, {"entity_id": entity})
        if new < 25:
            row |= {"attributes": text, "domain": entity.partition(".")[0]}
        else:
            shared = {"hash": zlib.crc32(text.encode()), "shared_attrs": text}
            row["attributes_id"] = self._id("state_attributes", self._attributes, text, shared)
        cause = {"context_id": context or f"{self._number:026d}", "context_user_id": user, "context_parent_id": parent}
        if new < 30:
            event = {"event_id": self._number, "event_type": "state_changed", "time_fired": moment(time), **cause}
            row["event_id"] = self._number
            self._rows.append(("events", event))
        elif new < 43:
            row |= cause
        else:
            row |= {f"{name}_bin": binary(value) for name, value in cause.items()}
        self._rows.append(("states", row))
        return self._number

    def flush(self):
        """Commit what was told."""
        for table in ("state_attributes", "states_meta", "events", "states"):
            rows = [row for name, row in self._rows if name == table]
            if rows:
                self._insert(table, rows)
        self._rows.clear()

    def _id(self, table, known, key, row):
        if key not in known:
            known[key] = len(known) + 1
            self._rows.append((table, {self.tables[table].primary_key.columns.keys()[0]: known[key], **row}))
        return known[key]

    def _insert(self, table, rows):
        with self.engine.begin() as connection:
            connection.execute(sa.insert(self.tables[table]), rows)


def moment(time):
    return datetime.fromtimestamp(time, UTC)


def binary(value):
    return None if value is None else value.encode()[-16:].rjust(16, b"\0")


def sqlite(path, version=43, *, wal=True):
    """Return a recorder on a new file, as Home Assistant opens it."""
    engine = sa.create_engine(f"sqlite:///{path}")
    if wal:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return Recording(engine, version)
