"""CSV with column names: any delimiter, any order. A column of entity ids is read as Home Assistant's own export is."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from edge.core.errors import MessageError, SettingsError
from edge.core.events import Event
from edge.dialects import entities
from edge.dialects.payloads import LONGEST_CONTROL, LONGEST_NAME, word
from edge.importers.lines import Read, sample
from edge.importers.past import MEASURED, REPLAYED, Gone, Reported, moment

KNOWN = {  # the names that are understood without being told
    "time": ("t", "time", "timestamp", "datetime", "last_changed", "last_updated", "date_time"),
    "device": ("device", "entity_id", "device_id", "sensor"),
    "control": ("control", "state", "action", "event", "value", "message"),
    "date": ("date",),
    "name": ("name", "friendly_name"),
}
_NEEDED = ("time", "device", "control")
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Header:
    """What the first line of a table says: its delimiter, and which column is what; `date` and `name` may lack."""

    delimiter: str
    columns: tuple[str, ...]
    places: Mapping[str, int]

    @property
    def entities(self) -> bool:
        """Tell whether the rows are states of entities, as Home Assistant's history exports them."""
        return self.columns[self.places["device"]] == "entity_id" and self.columns[self.places["control"]] == "state"


def header(path: Path, wanted: Mapping[str, str]) -> Header:
    """Read the first line; `wanted`: column names by what they hold. Raises SettingsError naming the columns found."""
    try:
        first = sample(path).partition(b"\n")[0].decode("utf-8").strip("\r")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: its first line is not in UTF-8; save it as UTF-8") from error
    delimiter = max(DELIMITERS, key=first.count)
    try:
        columns = tuple(name.strip().lower() for name in _cells(first, delimiter))
    except MessageError as error:
        raise SettingsError(f"{path}: its first line names no columns") from error
    places: dict[str, int] = {}
    for what, names in KNOWN.items():
        said = (wanted[what].strip().lower(),) if what in wanted else names
        found = [columns.index(name) for name in said if name in columns]
        if found:
            places[what] = found[0]
        elif what in _NEEDED or what in wanted:
            raise SettingsError(
                f"{path}: no column {' or '.join(said)}; its columns are {', '.join(columns)[:500]}: say which is "
                f"which with --columns time=...,device=...,control=... (date=... and name=... where there are such)"
            )
    return Header(delimiter, columns, places)


def parse_columns(said: str) -> dict[str, str]:
    """Read `time=When,device=Thing`; raises SettingsError."""
    wanted = dict(part.strip().partition("=")[::2] for part in said.split(",") if part.strip())
    strange = [what for what, name in wanted.items() if what not in KNOWN or not name.strip()]
    if strange:
        raise SettingsError(
            f"--columns: {', '.join(strange)}: each is one of {', '.join(KNOWN)}, = and a column's name"
        )
    return wanted


def reading(head: Header, zone: tzinfo) -> Read:
    """Return how a line is read; `zone`: of times without an offset."""

    def read(line: str) -> Reported | Gone:
        row = _cells(line, head.delimiter)
        if len(row) <= max(head.places.values()):
            raise MessageError("malformed")
        cells = {what: row[place] for what, place in head.places.items()}
        time = moment(f"{cells['date'].strip()} {cells['time'].strip()}" if "date" in cells else cells["time"], zone)
        device, name = word(cells["device"], LONGEST_NAME), cells.get("name", "")
        if head.entities:
            return _entity(time, device, cells["control"], name)
        shown = word(name, LONGEST_NAME) if name.strip() else device
        control = word(cells["control"], LONGEST_CONTROL)
        return Reported(Event(time, device, shown, "", control, momentary=True))

    return read


def _entity(time: float, entity_id: str, state: str, name: str) -> Reported | Gone:
    """Read a state of an entity in the words its live stream has; without its class, a sensor says on and off."""
    entities.entity(*entity_id.partition(".")[::2])
    if state.strip().lower() in entities.AWAY:
        return Gone(entity_id)
    attributes = {"friendly_name": name} if name.strip() else {}
    act = entities.told(entity_id, state, attributes)
    if act is None:
        raise MessageError(MEASURED)
    if act.at is not None and abs(time - act.at) > entities.LATE:
        raise MessageError(REPLAYED)
    device = entities.described(entity_id, attributes)
    return Reported(Event(time, entity_id, device.name, act.prop, act.value, momentary=act.momentary, kind=device.kind))


def _cells(line: str, delimiter: str) -> Sequence[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise MessageError("malformed") from error
