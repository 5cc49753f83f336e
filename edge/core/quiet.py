"""Who is not to be disturbed, and when: exclusions, mutes, a budget, a cooldown. Every silence has its reason."""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from edge.core.devices import Device
from edge.core.errors import SettingsError
from edge.core.sequences import SET_BACK

EXCLUDED, CLEANER, OFF, MUTED = "excluded", "cleaner", "alerts off", "muted"
SAME_SEQUENCE, SHADOW, COOLDOWN, BUDGET = "same sequence", "shadow", "cooldown", "budget"
REASONS = (EXCLUDED, CLEANER, OFF, MUTED, SAME_SEQUENCE, SHADOW, COOLDOWN, BUDGET)  # in the order they are asked for
EVERYTHING = "*"  # the glob of a mute of all devices
DAY = 86400.0
MOST_MUTES = 200  # kept at once
MOST_SENT = 1000  # alerts remembered: no budget is larger
LONGEST_MUTE = 366 * DAY  # seconds
_UNITS = {"m": 1.0, "h": 60.0, "d": 1440.0}
_NUMBER = re.compile(r"[0-9]{1,9}([.][0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Mute:
    """No alert of devices whose id or name fits `glob`, from `since` until `until`: seconds since the epoch.

    By the wall clock; before `since` it does not hold: a clock that is set back must not silence a home for years.
    """

    glob: str
    until: float
    since: float = float("-inf")

    def holds(self, now: float) -> bool:
        """Tell whether it holds at `now`."""
        return self.since - SET_BACK <= now < self.until


def fits(globs: Iterable[str], device: Device) -> bool:
    """Tell whether a device's id or its name fits one of the globs, case and all."""
    return any(fnmatchcase(name, glob) for glob in globs for name in (device.id, device.name))


def parse_minutes(text: str) -> float:
    """Read a time such as 90, 90m, 2h or 1d, minutes where nothing is said; raises SettingsError."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "m")
    if not _NUMBER.fullmatch(number) or float(number) * _UNITS[unit] * 60 > LONGEST_MUTE:
        raise SettingsError(f"{text!r:.40} is no time: write for example 90m, 2h or 1d, a year at most")
    return float(number) * _UNITS[unit]


class Quiet:
    """What keeps an unusual behavior from being told.

    Mutes go by the wall clock: a person says "for two hours". Budget and cooldown go by the home's own time, that of
    its behaviors, so that a backlog or a replay is treated as it was lived; a clock set back frees nobody.
    """

    def __init__(self, exclude: Iterable[str] = (), budget_per_day: int = 10, cooldown: float = 1800.0) -> None:
        """Take the settings: globs never judged, alerts in any 24 h at most, seconds between two of one device."""
        self.exclude = tuple(exclude)
        self.budget = budget_per_day
        self.cooldown = cooldown
        self.silent = ""  # why nobody is told anything for as long as that lasts, CLEANER or OFF; "" where it does not
        self._mutes: dict[str, Mute] = {}
        self._sent: deque[tuple[float, str]] = deque(maxlen=MOST_SENT)  # (time, device id), the newest

    def excluded(self, device: Device) -> bool:
        """Tell whether a device is context only: recorded, and never judged."""
        return fits(self.exclude, device)

    def mute(self, glob: str, until: float, since: float = float("-inf")) -> None:
        """Tell nobody of these devices before `until`; the same glob again replaces what it said."""
        self._mutes.pop(glob, None)
        self._mutes[glob] = Mute(glob, until, since)
        while len(self._mutes) > MOST_MUTES:
            del self._mutes[next(iter(self._mutes))]

    def unmute(self, glob: str) -> None:
        """End a mute; one that is not there has ended."""
        self._mutes.pop(glob, None)

    def mutes(self, now: float) -> list[Mute]:
        """Return the mutes that hold at `now`, and forget the others."""
        self._mutes = {glob: mute for glob, mute in self._mutes.items() if mute.holds(now)}
        return list(self._mutes.values())

    def muted(self, device: Device, now: float) -> bool:
        """Tell whether a mute of the device holds at `now`, by the wall clock."""
        return fits((mute.glob for mute in self._mutes.values() if mute.holds(now)), device)

    def held(self, device: str, time: float) -> str:
        """Return what holds an alert of a device back at `time`, COOLDOWN or BUDGET; "" where it may be told."""
        if any(sent == device and abs(time - at) < self.cooldown for at, sent in self._sent):
            return COOLDOWN
        return BUDGET if self.spent(time) >= self.budget else ""

    def spent(self, time: float) -> int:
        """Return how many alerts were told in the 24 h around `time`."""
        return sum(abs(time - at) < DAY for at, _ in self._sent)

    def charge(self, device: str, time: float) -> None:
        """Take into account that an alert was told; only then is anything charged."""
        self._sent.append((time, device))

    def kept(self) -> dict[str, list[float]]:
        """Return the mutes as JSON, to outlive the process: since and until, by glob."""
        return {glob: [max(mute.since, 0.0), mute.until] for glob, mute in self._mutes.items()}

    def take_up(self, kept: Mapping[str, Any], now: float) -> None:
        """Take up the mutes that were kept; what is none is left out, and none holds longer than LONGEST_MUTE."""
        for glob, moments in kept.items():
            match moments:
                case [int() | float() as since, int() | float() as until] if Mute(glob, until, since).holds(now):
                    self.mute(glob, min(float(until), now + LONGEST_MUTE), float(since))
                case int() | float() as until if now < until:  # of an earlier version
                    self.mute(glob, min(float(until), now + LONGEST_MUTE), now)
