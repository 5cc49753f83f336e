"""History that others have written: text in every form, and Home Assistant's database, damaged and strange."""

import math
import os
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

from edge.core.errors import SettingsError
from edge.importers import FORMATS, Wanted, opened
from edge.importers.naming import Names
from edge.importers.past import Gone, Reader
from edge.importers.recorder import Recorder
from edge.importers.registry import Exposed
from edge.settings import Settings
from edge.sources import StatestreamSource
from fuzz import sound
from fuzz.damage import damaged

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-history-"))
_SETTINGS = Settings(sources=(StatestreamSource(dialect="statestream"),))
_PARIS = ZoneInfo("Europe/Paris")


def history(data: bytes) -> None:
    """Read a text file to its end. The first line of an input is the form it is said to have."""
    form, _, rest = data.partition(b"\n")
    name = form.decode("utf-8", "replace")
    path = _FOLDER / "history"
    path.write_bytes(rest)
    if rest.startswith(b"SQLite format 3"):
        return  # `recorder` below
    wanted = Wanted(_PARIS, name if name in FORMATS and name != "recorder" else "auto")
    try:
        reader = opened(str(path), wanted, _SETTINGS, [])
        _read(reader)
    except SettingsError as error:
        str(error).encode()


def _read(reader: Reader) -> None:
    """Read all pages; hold what is true of each, and that nothing is left behind the last one's position."""
    assert reader.identity().isascii()
    position, rows = None, 0
    try:
        for page in reader.pages(None):
            assert len(page.items) + Counter(page.left_out).total() <= page.rows * 4
            assert 0 <= page.done <= 1
            sound.events(each.event for each in page.items if not isinstance(each, Gone))
            position, rows = page.position, rows + page.rows
        left = sum(page.rows for page in reader.pages(position))
    finally:
        reader.close()
    assert left <= min(rows, 1), f"{left} of {rows} rows are read again"


_OLD = (
    "CREATE TABLE states (state_id INTEGER PRIMARY KEY, domain, entity_id, state, attributes, event_id, last_updated);"
    "CREATE TABLE events (event_id INTEGER PRIMARY KEY, context_user_id, context_parent_id, context_id);"
    "CREATE TABLE recorder_runs (run_id INTEGER PRIMARY KEY, start);"
)
_NEW = (
    "CREATE TABLE states (state_id INTEGER PRIMARY KEY, metadata_id, state, attributes_id, last_updated_ts,"
    " context_id_bin, context_user_id_bin, context_parent_id_bin, entity_id, attributes);"
    "CREATE TABLE states_meta (metadata_id INTEGER PRIMARY KEY, entity_id);"
    "CREATE TABLE state_attributes (attributes_id INTEGER PRIMARY KEY, shared_attrs);"
    "CREATE TABLE recorder_runs (run_id INTEGER PRIMARY KEY, start);"
)
_ROWS = {
    _OLD: (
        ("recorder_runs", (None, "2026-01-09 11:00:00.000000")),
        ("events", (7, "0123456789abcdef", None, "01ARZ3")),
        ("states", (None, "light", "light.hall", "on", '{"friendly_name": "Hall"}', 7, "2026-01-09 12:00:00.000000")),
        ("states", (None, "light", "light.hall", "off", "{}", 7, "2026-01-09 12:01:00.000000")),
    ),
    _NEW: (
        ("recorder_runs", (None, "2026-01-09 11:00:00.000000")),
        ("states_meta", (1, "binary_sensor.door")),
        ("states_meta", (2, "climate.bath")),
        ("state_attributes", (1, '{"device_class": "door", "friendly_name": "Front"}')),
        ("state_attributes", (2, '{"temperature": 21.5, "preset_mode": "eco"}')),
        ("states", (None, 1, "on", 1, 1767960000.5, b"c" * 16, b"u" * 16, None, None, None)),
        ("states", (None, 2, "heat", 2, 1767960060.0, b"d" * 16, None, b"p" * 16, None, None)),
        ("states", (None, 1, "off", 1, 1767960120.0, b"e" * 16, None, None, None, None)),
    ),
}


def _template(schema: str) -> bytes:
    """Return a small database of one generation of Home Assistant's schema."""
    path = _FOLDER / "template.db"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA page_size = 512;" + schema)
    for table, row in _ROWS[schema]:
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    connection.commit()
    connection.close()
    return path.read_bytes()


_TEMPLATES = {b"old": _template(_OLD), b"new": _template(_NEW)}
_EXPOSED = {
    entity: Exposed(sound.Device("0x00158d0001a2b3c4", "Front", "contact"), feature, "zigbee2mqtt")
    for entity, feature in (("climate.bath", "climate"), ("event.knob", "action"), ("light.desk", "light_l1"))
}


def recorder(data: bytes) -> None:
    """Read a database of Home Assistant to its end.

    The first line of an input names the generation, the second `damage` (patches follow) or `rows` (`table TAB cell TAB
    ...` follow; a cell begins with i, f, x or n where it is a whole number, a number, bytes or nothing).
    """
    generation, _, rest = data.partition(b"\n")
    kind, _, rest = rest.partition(b"\n")
    template = _TEMPLATES.get(generation)
    if template is None:
        return
    path = _FOLDER / f"recorder-{os.getpid()}.db"
    path.write_bytes(damaged(template, rest) if kind == b"damage" else template)
    if kind == b"rows":
        _inserted(path, rest)
    try:
        reader = Recorder(path, Names(_EXPOSED, streamed=True), since=-math.inf, until=math.inf)
        _read(reader)
    except SettingsError as error:
        str(error).encode()


def _inserted(path: Path, rows: bytes) -> None:
    connection = sqlite3.connect(path)
    try:
        for row in rows.split(b"\n", 16):
            table, *cells = row.split(b"\t", 16)
            marks = ", ".join("?" * len(cells))
            if table not in {b"states", b"states_meta", b"state_attributes", b"events", b"recorder_runs"}:
                continue
            try:
                connection.execute(f"INSERT INTO {table.decode()} VALUES ({marks})", [_cell(each) for each in cells])
            except (sqlite3.Error, OverflowError):
                continue  # what no database takes
        connection.commit()
    finally:
        connection.close()


def _cell(said: bytes) -> object:
    kind, rest = said[:1], said[1:]
    try:
        if kind == b"n":
            return None
        if kind in {b"i", b"f"}:
            return int(rest[:20]) if kind == b"i" else float(rest)
    except ValueError:
        return rest
    return rest if kind == b"x" else rest.decode("utf-8", "replace")
