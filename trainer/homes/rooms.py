"""Rooms: a home's floor plan, and in which room each person is at what time.

What people use says where they are; between, they wander through the rooms as the hour suggests, sleep, get up at
night, leave and come back. Shares of the day follow the European time-use surveys (Eurostat, HETUS), rounded.
"""

from bisect import bisect_right
from collections.abc import Iterable
from collections.abc import Sequence as Items
from typing import NamedTuple

import numpy as np

from trainer.homes.calendars import AWAY, FREE, ILL, LATE, Calendar
from trainer.homes.chance import cumulative, place
from trainer.homes.living import Lived
from trainer.homes.people import Person

HALL, KITCHEN, LIVING, BEDROOM, BATHROOM = "Hall", "Kitchen", "Living room", "Bedroom", "Bathroom"
OFFICE, KIDS, LANDING, LAUNDRY = "Office", "Kids room", "Landing", "Laundry"
ROOMS = (HALL, KITCHEN, LIVING, BEDROOM, BATHROOM, OFFICE, KIDS, LANDING, LAUNDRY)
OUT = ""  # no room: not in the home
UPSTAIRS = frozenset({BEDROOM, BATHROOM, KIDS, OFFICE, LANDING})
DWELL = {HALL: 2.0, KITCHEN: 18.0, LIVING: 50.0, BEDROOM: 15.0, BATHROOM: 7.0, OFFICE: 70.0, KIDS: 35.0, LANDING: 1.0,
         LAUNDRY: 6.0}  # fmt: skip  # median minutes of a stay; they spread log-normally
DWELL_SPREAD = 0.6
NIGHT_VISIT = 0.3  # nights on which somebody gets up once: about a third of adults (nocturia, ICS)
MEALS = (7.5, 12.5, 19.0)
_PLACED = {
    **dict.fromkeys(("refrigerator", "cooktop", "oven", "kettle", "coffee_maker", "toaster", "dishwasher", "microwave",
                     "range_hood", "pet_feeder"), KITCHEN),
    **dict.fromkeys(("television", "set_top", "speaker", "projector", "game_console", "air_conditioner", "fireplace",
                     "robot_cleaner", "blind"), LIVING),
    **dict.fromkeys(("electric_blanket", "bed", "humidifier", "air_purifier"), BEDROOM),
    **dict.fromkeys(("towel_rail", "water_valve"), BATHROOM),
    **dict.fromkeys(("washer", "dryer", "clothing_care", "boiler", "dehumidifier"), LAUNDRY),
    **dict.fromkeys(("door_lock", "thermostat", "remote", "doorbell", "garage_door"), HALL),
    **dict.fromkeys(("mower", "sprinkler", "camera", "siren", "power_meter", "other", "elevator", "presence"), OUT),
    "computer": OFFICE,
}  # fmt: skip


class Stay(NamedTuple):
    """Somebody is in a room from `begin` to `end`, hours counted from the first midnight."""

    begin: float
    end: float
    room: str
    awake: bool


class _Move(NamedTuple):
    begin: float
    room: str
    awake: bool = True


def room_of(kind: str, rng: np.random.Generator) -> str:
    """Return the room a device of a class stands in, drawn where the class does not say it; OUT: in none."""
    drawn = (LIVING, KITCHEN, BEDROOM, OFFICE)[int(rng.integers(4))]
    return _PLACED.get(kind, drawn)


def crossed(before: str, after: str) -> tuple[str, ...]:
    """Return the rooms walked through between two: the hall, and the landing at the head of the stairs."""
    if before == after or {before, after} == {KITCHEN, LIVING}:
        return ()
    high, low = before in UPSTAIRS, after in UPSTAIRS
    way = (LANDING,) if high and low else (LANDING, HALL) if high else (HALL, LANDING) if low else (HALL,)
    return tuple(room for room in way if room not in {before, after})


def stays(
    number: int, who: Person, calendar: Calendar, acts: Iterable[tuple[float, str]], rng: np.random.Generator
) -> list[Stay]:
    """Return where a resident is, day after day. `acts`: when something in which room is used, in order of time."""
    moves = [_Move(0.0, BEDROOM, awake=False)]
    own = _bedroom(number)
    for day in range(calendar.days):
        moves += _day(number, who, calendar, day, rng)
    begins = [move.begin for move in moves]
    visits: list[_Move] = []
    for hour, room in acts:
        at = moves[bisect_right(begins, hour) - 1]
        if room in {OUT, at.room} or at.room == OUT:
            continue
        visits += [_Move(hour - 0.008, room), _Move(hour + float(rng.uniform(0.02, 0.1)), at.room, at.awake)]
    if calendar.kind(number, 0) == AWAY:
        moves[0] = _Move(0.0, OUT)
    return _joined(sorted((*moves, *visits)), calendar.days * 24.0, own)


def _joined(moves: Items[_Move], until: float, own: str) -> list[Stay]:
    """Turn moves into stays, in one room at a time."""
    out: list[Stay] = []
    within = [move for move in moves if move.begin < until]
    for move, after in zip(within, [*within[1:], _Move(until, own)], strict=True):
        if after.begin <= move.begin:
            continue
        if out and out[-1].room == move.room and out[-1].awake == move.awake:
            out[-1] = out[-1]._replace(end=after.begin)
        else:
            out.append(Stay(move.begin, after.begin, move.room, move.awake))
    return out


def _bedroom(number: int) -> str:
    return BEDROOM if number < 2 else KIDS


def _day(number: int, who: Person, calendar: Calendar, day: int, rng: np.random.Generator) -> list[_Move]:
    """Return one person's moves of a day, from waking to the night after it."""
    kind, midnight, own = calendar.kind(number, day), day * 24.0, _bedroom(number)
    if kind == AWAY:
        return [_Move(midnight + 4.5, OUT)]
    late = who.late if kind in {FREE, ILL} else 0.0
    wake = midnight + who.wake + late / 2 + float(rng.normal(0.0, 0.2))
    sleep = midnight + who.sleep + late + float(rng.normal(0.0, 0.3))
    # Everybody washes, then eats; the rest of the day follows the hour.
    moves = [_Move(wake, own), _Move(wake + 0.05, BATHROOM), _Move(wake + 0.05 + float(rng.uniform(0.1, 0.4)), KITCHEN)]
    hour = moves[-1].begin + float(rng.uniform(0.15, 0.5))
    for left, back in _absences(number, who, calendar, day, rng):
        moves += _wandering(hour, midnight + left, own, who, rng)
        moves += [_Move(midnight + left - 0.03, HALL), _Move(midnight + left, OUT), _Move(midnight + back, HALL)]
        hour = midnight + back + 0.03
    moves += _wandering(hour, sleep - 0.25, own, who, rng)
    moves += [_Move(sleep - 0.25, BATHROOM), _Move(sleep - 0.12, own), _Move(sleep, own, awake=False)]
    if rng.random() < NIGHT_VISIT:
        up = sleep + float(rng.uniform(1.5, 5.0))
        moves += [_Move(up, BATHROOM), _Move(up + float(rng.uniform(0.05, 0.12)), own, awake=False)]
    return [move for move in moves if move.begin < midnight + 29.0]


def _absences(
    number: int, who: Person, calendar: Calendar, day: int, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Return the clock hours between which somebody is not in the home on a day, in order."""
    kind = calendar.kind(number, day)
    if kind == ILL:
        return []
    if kind == FREE:
        left, back = calendar.outings[number][day]
        return [(left, back)] if back > left else []
    away = [(who.leave + float(rng.normal(0.0, 0.15)), who.back + float(rng.normal(0.0, 0.3)))]
    if kind == LATE:
        begins = max(who.back + 0.5, 17.5)
        away.append((begins, begins + 3.5))
    return [(left, back) for left, back in away if back - left > 0.1]


def _wandering(hour: float, until: float, own: str, who: Person, rng: np.random.Generator) -> list[_Move]:
    """Return moves between the rooms until an hour."""
    moves: list[_Move] = []
    while hour < until:
        names, sums = _wished(hour % 24.0, own, who)
        room = names[place(sums, rng)]
        moves.append(_Move(hour, room))
        hour += DWELL[room] / 60.0 * float(np.exp(rng.normal(0.0, DWELL_SPREAD)))
    return moves


def _wished(hour: float, own: str, who: Person) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return rooms and how likely each is entered next at a clock hour, added up."""
    eats = max(0.0, 1.0 - min(abs(hour - meal) for meal in MEALS))
    evening = hour > 18.5 or hour < 4.0
    works = who.role in {"home office", "student"} and 8.5 < hour < 17.0
    shares = {KITCHEN: 1.0 + 5.0 * eats, LIVING: 5.0 if evening else 1.6, BATHROOM: 0.7, own: 0.6, LAUNDRY: 0.25}
    shares[OFFICE] = 4.0 if works else 0.3
    return tuple(shares), cumulative(list(shares.values()))


def of_person(found: Items[Lived], persons: Items[int], rooms: dict[str, str]) -> dict[int, list[tuple[float, str]]]:
    """Return what each person used where. `persons`: by number of habit; strays (negative numbers) are nobody's."""
    out: dict[int, list[tuple[float, str]]] = {}
    for each in found:
        if each.origin[0] >= 0:
            out.setdefault(persons[each.origin[0]], []).append((each.hour, rooms[each.device]))
    return out
