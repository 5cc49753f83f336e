"""Timelines: JSON lines of dated behaviors to the behaviors of days, in the home's own local time."""

import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from edge.core.behaviors import Behavior
from edge.core.dictionary import Dictionary
from edge.core.errors import MessageError, SettingsError
from edge.core.sequences import split
from edge.core.vocabulary import CONTROL_ROWS, DEVICE_ROWS, FIRST
from edge.history import slots_of
from edge.synthesis import Home

WEEK = 7 * 86400.0


class Offsets(tzinfo):
    """Local time as a file tells it: the offset of the last behavior up to an instant holds until the next one's."""

    def __init__(self, changes: Items[tuple[float, timedelta]]) -> None:
        """Take the instants (epoch seconds, in order) from which each offset holds; the first holds before, too."""
        self._from = [instant for instant, _ in changes][1:]
        self._offsets = [offset for _, offset in changes] or [timedelta()]

    def at(self, instant: float) -> timedelta:
        """Return the offset from UTC at an instant, epoch seconds."""
        return self._offsets[bisect_right(self._from, instant)]

    def fromutc(self, dt: datetime) -> datetime:
        """Return the local time of a time in UTC (tzinfo's contract)."""
        return dt + self.at(dt.replace(tzinfo=UTC).timestamp())

    def utcoffset(self, dt: datetime | None) -> timedelta:
        """Return the offset of a local time; where clocks are set back, the earlier one."""
        if dt is None:
            return self._offsets[0]
        naive = dt.replace(tzinfo=UTC).timestamp()
        return self.at(naive - self.at(naive - self._offsets[0].total_seconds()).total_seconds())

    def dst(self, _dt: datetime | None) -> timedelta:
        """Return no summer time: the offset says it all."""
        return timedelta()

    def tzname(self, _dt: datetime | None) -> str:
        """Return a name for messages."""
        return "local"


@dataclass(frozen=True)
class Timeline:
    """What was lived, in order of time, and the clock on the wall there."""

    behaviors: tuple[Behavior, ...]
    zone: tzinfo

    def midnight(self, day: date) -> float:
        """Return when a local day begins, epoch seconds."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()

    def place(self, day: date) -> int:
        """Return how many behaviors lie before a local day."""
        return bisect_left(self.behaviors, self.midnight(day), key=lambda each: each.time)

    def between(self, start: date, until: date) -> tuple[Behavior, ...]:
        """Return the behaviors of the days from `start` up to `until`, which is not among them."""
        return self.behaviors[self.place(start) : self.place(until)]


def parse(line: str) -> tuple[Behavior, timedelta]:
    """Read one line, {"t": ISO 8601 time with offset, "device", "control"}; raises MessageError with the fault."""
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MessageError("not JSON") from error
    if not isinstance(row, dict):
        raise MessageError("not an object")
    told, device, control = (row.get(key) for key in ("t", "device", "control"))
    if not isinstance(device, str) or not device or not isinstance(control, str):
        raise MessageError("device and control must be texts")
    try:
        at = datetime.fromisoformat(told)  # type: ignore[arg-type]  # what is no text raises TypeError
        offset = at.utcoffset()
        instant = at.timestamp()
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError("t is no ISO 8601 time") from error
    if offset is None:
        raise MessageError("t has no offset from UTC")
    return Behavior(instant, device, control), offset


def read(path: Path) -> Timeline:
    """Read a file; raises SettingsError naming the file, and the line where one is malformed."""
    found: list[tuple[Behavior, timedelta]] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    found.append(_read(path, number, line))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    if not found:
        raise SettingsError(f"{path} holds no behavior")
    return timeline(found)


def _read(path: Path, number: int, line: str) -> tuple[Behavior, timedelta]:
    try:
        return parse(line)
    except MessageError as error:
        raise SettingsError(f"{path}, line {number}: {error.reason}") from error


def timeline(found: Iterable[tuple[Behavior, timedelta]]) -> Timeline:
    """Put behaviors and their offsets in order of time."""
    ordered = sorted(found, key=lambda each: each[0].time)
    changes: list[tuple[float, timedelta]] = []
    for behavior, offset in ordered:
        if not changes or changes[-1][1] != offset:
            changes.append((behavior.time, offset))
    return Timeline(tuple(behavior for behavior, _ in ordered), Offsets(changes))


def known(behaviors: Iterable[Behavior]) -> frozenset[tuple[str, str]]:
    """Return the controls a model has room for: those of the devices that act most, and of these the most usual."""
    use = Counter((each.device, each.control) for each in behaviors)
    acts: Counter[str] = Counter()
    for (device, _), count in use.items():
        acts[device] += count
    devices = {device for device, _ in acts.most_common(DEVICE_ROWS - FIRST)}
    return frozenset([pair for pair, _ in use.most_common() if pair[0] in devices][: CONTROL_ROWS - FIRST])


def home_of(behaviors: Items[Behavior], zone: tzinfo) -> Home:
    """Return the home the slow loop works on: as edge.history gathers it, of all these behaviors."""
    sequences = tuple(split(behaviors, zone))
    dictionary = Dictionary.of((each.device, each.control) for each in behaviors)
    weeks = (behaviors[-1].time - behaviors[0].time) / WEEK if behaviors else 0.0
    return Home(dictionary, sequences, weeks, slots_of(sequences))
