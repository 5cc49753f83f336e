"""Motion: what sensors, doors and lamps of the rooms report as people move through a home.

A motion sensor reports when it first sees somebody and, its hold time after the last movement, that nobody is
there (PIR sensors of zigbee2mqtt: `occupancy_timeout`, 60 to 900 s). Sensors without it fill a log: CASAS Aruba (one
resident, 31 motion and 4 door sensors, 220 days) has 1.7 million events (Cook, 2010), a hub's log some hundred a day.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Items
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from edge.core.devices import Device
from trainer.homes.rooms import BATHROOM, BEDROOM, HALL, KITCHEN, LANDING, LAUNDRY, LIVING, OUT, ROOMS, Stay, crossed

STIRS = {HALL: 30.0, KITCHEN: 25.0, LIVING: 6.0, BATHROOM: 20.0, LANDING: 30.0, LAUNDRY: 20.0}  # movements seen an hour
STIRS_ELSEWHERE, STIRS_ASLEEP = 8.0, 0.1
WALK = 8.0 / 3600  # hours to cross a room
MISSED = 0.01  # reports of a motion sensor lost on the air; what is switched or opened says it again until it is heard
FRIDGE, AIRED, TERRACE = 0.45, 0.7, 0.12  # stays in the kitchen, mornings in the bedroom, stays in the living room
SHUT, VENTED = 0.25, 0.06  # stays in the bathroom with the door closed, stays in the kitchen with the window open
LIT_AFTER = 0.05  # hours: who stays shorter needs no lamp
FORGOTTEN = 0.1  # lamps left on by the last who leaves
DETECTED, CLEAR, OPEN, CLOSED, ON, OFF = "motion detected", "motion clear", "open", "closed", "on", "off"
DOORS = ("Front door contact", "Fridge door contact", "Terrace door contact", "Bedroom window", "Bathroom door contact",
         "Kitchen window")  # fmt: skip


class Report(NamedTuple):
    """What a device of a room reports, at an hour counted from the first midnight."""

    hour: float
    device: str
    control: str


def sensor_of(room: str) -> str:
    """Return the name of a room's motion sensor."""
    return f"{room} motion sensor"


def lamp_of(room: str) -> str:
    """Return the name of a room's lamp."""
    return f"{room} ceiling light"


def room_devices(count: int) -> list[Device]:
    """Return `count` devices of rooms: a motion sensor each, then doors, then lamps; fewer where no more are known."""
    names = [*map(sensor_of, ROOMS), *DOORS, *map(lamp_of, ROOMS)]
    kinds = ["motion"] * len(ROOMS) + ["contact"] * len(DOORS) + ["light"] * len(ROOMS)
    return [Device(name, name, kind) for name, kind in zip(names[:count], kinds, strict=False)]


def movements(people: Iterable[Items[Stay]], rng: np.random.Generator) -> dict[str, list[float]]:
    """Return the hours at which something moves in each room, in order."""
    found: dict[str, list[float]] = {room: [] for room in ROOMS}
    for stays in people:
        before = OUT
        for stay in stays:
            for turn, room in enumerate(crossed(before or HALL, stay.room or HALL)):
                found[room].append(stay.begin - 0.01 + turn * WALK)
            before = stay.room
            if stay.room == OUT:
                continue
            rate = STIRS.get(stay.room, STIRS_ELSEWHERE) if stay.awake else STIRS_ASLEEP
            more = rng.uniform(stay.begin, stay.end, int(rng.poisson(rate * (stay.end - stay.begin))))
            found[stay.room] += [stay.begin, *more.tolist()] if stay.awake else more.tolist()
    return {room: sorted(hours) for room, hours in found.items()}


def sensed(moved: dict[str, list[float]], hold: float) -> list[Report]:
    """Return what motion sensors report that hold for `hold` hours."""
    out: list[Report] = []
    for room, listed in moved.items():
        hours = np.array(listed)
        if not hours.size:
            continue
        breaks = np.flatnonzero(np.diff(hours) > hold)
        first, last = hours[np.concatenate([[0], breaks + 1])], hours[np.concatenate([breaks, [hours.size - 1]])]
        name = sensor_of(room)
        out += [Report(hour, name, DETECTED) for hour in first.tolist()]
        out += [Report(hour + hold, name, CLEAR) for hour in last.tolist()]
    return out


def hold_for(moved: dict[str, list[float]], wanted: float) -> float:
    """Return the hold time, hours, at which the sensors make about `wanted` reports; 10 s to 30 minutes."""
    low, high = 10.0 / 3600, 0.5
    for _ in range(16):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if len(sensed(moved, middle)) > wanted else (low, middle)
    return high


def doors(people: Iterable[Items[Stay]], warm: bool, rng: np.random.Generator) -> list[Report]:
    """Return what the doors report: the front door, the fridge, the terrace in warm seasons, windows, the bathroom."""
    out: list[Report] = []

    def opened(door: str, hour: float, minutes: float) -> None:
        out.extend((Report(hour, door, OPEN), Report(hour + minutes / 60.0, door, CLOSED)))

    front, fridge, terrace, window, bathroom, vent = DOORS
    for number, stays in enumerate(people):
        for before, stay in pairwise(stays):
            chance, minutes = float(rng.random()), float(rng.uniform(0.1, 0.5))
            if OUT in {before.room, stay.room}:
                opened(front, stay.begin - 0.003, minutes)
            elif stay.room == KITCHEN and chance < FRIDGE:
                opened(fridge, stay.begin + minutes / 60.0, minutes)
            elif stay.room == KITCHEN and chance > 1.0 - VENTED:
                opened(vent, stay.begin + minutes / 60.0, 40.0 * minutes)
            elif stay.room == BATHROOM and chance < SHUT:
                out += [Report(stay.begin + 0.005, bathroom, CLOSED), Report(stay.end, bathroom, OPEN)]
            elif stay.room == LIVING and warm and chance < TERRACE:
                opened(terrace, stay.begin + minutes / 60.0, 60.0 * minutes)
            elif number == 0 and before.room == BEDROOM and not before.awake and stay.awake and chance < AIRED:
                opened(window, stay.begin + 0.02, (100.0 if warm else 35.0) * (0.5 + minutes))
    return out


def lamps(
    people: Iterable[Items[Stay]], light: Items[tuple[float, float]], lit: frozenset[str], rng: np.random.Generator
) -> list[Report]:
    """Return what the lamps of rooms do: on where somebody stays in the dark, off when the last one leaves.

    `light`: clock hours of dawn and dusk by day; `lit`: the rooms that have a lamp.
    """
    dark: dict[str, list[tuple[float, float]]] = {}
    for stay in (each for stays in people for each in stays):
        dawn, dusk = light[min(int(stay.begin // 24.0), len(light) - 1)]
        clock = stay.begin % 24.0
        if stay.room in lit and stay.awake and not dawn < clock < dusk and stay.end - stay.begin > LIT_AFTER:
            dark.setdefault(stay.room, []).append((stay.begin, stay.end))
    out: list[Report] = []
    for room, times in dark.items():
        for begin, end in _merged(sorted(times), rng):
            out += [Report(begin + 0.002, lamp_of(room), ON), Report(end + 0.001, lamp_of(room), OFF)]
    return out


def _merged(times: Items[tuple[float, float]], rng: np.random.Generator) -> list[tuple[float, float]]:
    """Join times that overlap; a lamp that is forgotten stays on until the room is lit the next time, or two hours."""
    out: list[tuple[float, float]] = []
    for begin, end in times:
        if out and (begin <= out[-1][1] + 0.01 or (rng.random() < FORGOTTEN and begin < out[-1][1] + 2.0)):
            out[-1] = out[-1][0], max(out[-1][1], end)
        else:
            out.append((begin, end))
    return out
