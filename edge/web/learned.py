"""Learned: a home's routines as sentences, its week hour by hour, and its devices."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from edge.core.devices import Device
from edge.core.phrases import Phrases
from edge.core.profile import Profile, profile
from edge.core.routines import Routine
from edge.store import Store
from edge.web import heat
from edge.web.strings import say
from edge.web.visits import MissingError, Visit

FRESH = 900.0  # seconds for which what was found is shown again: a profile moves by the week


@dataclass(frozen=True, slots=True)
class Told:
    """One routine: its sentence, and how often a week."""

    sentence: str
    often: str


@dataclass(frozen=True, slots=True)
class Known:
    """One device: `first` and `last` day it acted on, "" where it never did; `often`: times a week of late."""

    id: str
    name: str
    kind: str
    first: str = ""
    last: str = ""
    count: int = 0
    often: str = ""


@dataclass(frozen=True, slots=True)
class Learned:
    """The page. `device`: the id of the one that is looked at, "" for all; `name`: its name; `weeks` looked at."""

    device: str
    name: str
    routines: tuple[Told, ...]
    week: tuple[heat.Row, ...]
    most: int
    devices: tuple[Known, ...]
    weeks: float


class Profiles:
    """The profiles of the homes looked at, each made anew after FRESH where something was done meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: WeakKeyDictionary[Store, tuple[float, int, Profile]] = WeakKeyDictionary()

    def of(self, visit: Visit) -> Profile:
        """Return the profile of a visit's home."""
        with self._lock:
            at, count, found = self._made.get(visit.store, (0.0, -1, None))
            now = visit.store.newest()
            if found is None or (now != count and not 0 <= visit.wall - at < FRESH):
                kinds = {device.id: device.kind for device in visit.devices()}
                found = profile(visit.store.behaviors(), visit.zone, lambda device: kinds.get(device, "other"))
                self._made[visit.store] = visit.wall, now, found
            return found


_PROFILES = Profiles()


def view(visit: Visit) -> Learned:
    """Return what the home has learned, of all or of the device that is asked for."""
    return learned(_PROFILES.of(visit), visit.devices(), visit.query.get("device", ""), visit)


def learned(found: Profile, devices: Iterable[Device], chosen: str, visit: Visit) -> Learned:
    """Return the page of a profile; raises MissingError for a device that is not there."""
    known = {device.id: device for device in devices}
    if chosen and chosen not in known:
        raise MissingError(say("learned.no_device", device=f"{chosen:.40}"))
    names = {each.id: each.name for each in known.values()}
    week = found.week(chosen or None)
    days = [week[day * heat.HOURS : (day + 1) * heat.HOURS] for day in range(7)]
    by_name = sorted(known.values(), key=lambda each: each.name.lower())
    routines = (each for each in found.routines if not chosen or chosen in each.devices)
    return Learned(
        device=chosen,
        name=names.get(chosen, ""),
        routines=tuple(_told(each, names, visit.phrases) for each in routines),
        week=heat.rows((say(f"day.short.{day}") for day in range(7)), days) if any(week) else (),
        most=max(week),
        devices=tuple(_known(each, found, visit) for each in by_name),
        weeks=found.weeks,
    )


def _told(routine: Routine, names: Mapping[str, str], phrases: Phrases) -> Told:
    return Told(phrases.routine(routine, names), _often(routine.per_week))


def _known(device: Device, found: Profile, visit: Visit) -> Known:
    seen = found.devices.get(device.id)
    kind = device.kind.replace("_", " ")
    if seen is None:
        return Known(device.id, device.name, kind)
    first, last = (f"{visit.local(moment):%Y-%m-%d}" for moment in (seen.first, seen.last))
    weekly = sum(seen.week) / max(found.weeks, 1.0)
    return Known(device.id, device.name, kind, first, last, seen.count, _often(weekly) if weekly else "")


def _often(weekly: float) -> str:
    return say("learned.weekly", n=f"{weekly:.0f}" if weekly >= 9.95 else f"{weekly:.1f}")
