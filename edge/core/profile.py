"""What a home is known by: its routines, what it does at which hour of the week, and its devices."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.habits import MOST
from edge.core.past import DAY, Past
from edge.core.routines import Routine, found_in

WEEK_HOURS = 7 * 24


@dataclass(frozen=True, slots=True)
class Seen:
    """A device as it was seen to act: `first` and `last` in seconds since the epoch, `count` in all that is recorded.

    `week`: its behaviors of the recent weeks by hour of the week (168, from Monday 0 h), as its home's clock has them.
    """

    first: float
    last: float
    count: int
    week: tuple[int, ...] = (0,) * WEEK_HOURS


@dataclass(frozen=True, slots=True)
class Profile:
    """A home's recent weeks. `weeks`: of days on which it did anything; `devices` that did, by id; its `routines`."""

    routines: tuple[Routine, ...]
    devices: Mapping[str, Seen]
    weeks: float

    def week(self, device: str | None = None) -> tuple[int, ...]:
        """Return the behaviors by hour of the week (168), of one device or of all."""
        if device is not None:
            return self.devices[device].week if device in self.devices else (0,) * WEEK_HOURS
        counts = np.array([each.week for each in self.devices.values()], np.int64).reshape(-1, WEEK_HOURS)
        return tuple(counts.sum(0).tolist())


def profile(behaviors: Iterable[Behavior], zone: tzinfo, kind: Callable[[str], str]) -> Profile:
    """Return what a home is known by, of its behaviors in order of arrival; `kind` returns a device's class."""
    seen: dict[str, list[float]] = {}
    newest: deque[Behavior] = deque(maxlen=MOST)
    for each in behaviors:
        known = seen.setdefault(each.device, [each.time, each.time, 0])
        known[:] = min(known[0], each.time), max(known[1], each.time), known[2] + 1
        newest.append(each)
    past = Past.of(newest, zone)
    number = {device: row for row, device in enumerate(seen)}
    owner = np.array([number[device] for device, _ in past.pairs], np.int64)
    hour = (past.minute // DAY + 6) % 7 * 24 + past.minute % DAY // 60
    device = owner[past.pair] if len(hour) else hour
    counts = np.bincount(device * WEEK_HOURS + hour, minlength=len(seen) * WEEK_HOURS).reshape(-1, WEEK_HOURS)
    told = {
        name: Seen(first, last, int(count), tuple(week))
        for (name, (first, last, count)), week in zip(seen.items(), counts.tolist(), strict=True)
    }
    return Profile(found_in(past, kind), told, len(past.days) / 7)
