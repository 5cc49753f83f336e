"""A timeline of the size of a real home: years of what people do, and of motion, doors and lamps around them.

The sizes are those of a lively real home of 40 devices: about 240 behaviors a day, 60 % of them motion. Seasons
change as the year goes, habits wander, and one device is bought late.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.scenes import Scene, season_of
from trainer.homes.drawing import CLEANER, GUEST
from trainer.homes.habits import Habit
from trainer.homes.home import Home
from trainer.homes.living import Stretch, lived
from trainer.homes.motion import MISSED, Report, doors, hold_for, lamp_of, lamps, movements, room_devices, sensed
from trainer.homes.rooms import ROOMS, of_person, room_of, stays

DEVICES = 40
MOTION = 0.6  # share of the behaviors
WANDERS = 0.15  # hours by which a habit's hour wanders from one season to the next, standard deviation
PAUSED = 0.05  # habits that rest for a season
BOUGHT = 0.75  # share of the days after which the home's newest device is used
LEAST, MOST = 28.0, 50.0  # behaviors a day, without the rooms' devices, of a home that is taken
TRIED = 400


@dataclass(frozen=True)
class Wanted:
    """What a timeline is to be like. `motion`: share of motion, 0 for a home without sensors of the rooms.

    `bought`: share of the days after which the home's newest device is used; 1 for never.
    """

    seed: int
    days: int
    start: date = date(2024, 1, 1)
    devices: int = DEVICES
    motion: float = MOTION
    bought: float = BOUGHT


def lively(seed: int) -> Home:
    """Return the first home of a seed in which people do about as much as in a real one; ValueError if none does."""
    for number in range(TRIED):
        home = Home.draw(seed * TRIED + number)
        days = 42
        a_day = len(lived(home, Scene(), date(2025, 3, 3), days, seed)) / days
        if LEAST <= a_day <= MOST and len(home.dictionary.devices) >= 16 and home.residents >= 2:
            return home
    raise ValueError(f"no home of seed {seed} is lively enough")


def behaviors(wanted: Wanted) -> list[Behavior]:
    """Return what is reported, in order of time; devices stand by their names. The same wish, the same timeline."""
    home = lively(wanted.seed)
    names = {each.id: each.name for each in home.dictionary.devices.values()}
    out: list[Behavior] = []
    hold = None
    bought = wanted.start + timedelta(days=round(wanted.bought * wanted.days))
    for number, (start, days) in enumerate(_stretches(wanted.start, wanted.days, bought, home.latitude)):
        rng = np.random.default_rng([wanted.seed, home.seed, 8, number])
        home = replace(home, habits=tuple(_wandered(each, rng) for each in home.habits))
        scene = Scene(new_device=home.newcomer) if start >= bought else Scene()
        told, hold = _stretch(home, scene, start, days, wanted=wanted, hold=hold, rng=rng)
        for report in told:
            day, hour = divmod(report.hour, 24.0)
            wall = datetime.combine(start + timedelta(days=int(day)), time(), home.clock) + timedelta(hours=hour)
            out.append(Behavior(round(wall.timestamp(), 1), names.get(report.device, report.device), report.control))
    rooms = {device.id for device in room_devices(wanted.devices)}
    return list(_changes(sorted(out, key=lambda each: each.time), rooms))


def _changes(found: Iterable[Behavior], devices: Collection[str]) -> Iterator[Behavior]:
    """Yield what tells a change where a device reports its state: the hub takes none twice (edge/core/behaviors.py)."""
    last: dict[str, str] = {}
    for each in found:
        if each.device not in devices or last.get(each.device) != each.control:
            last[each.device] = each.control
            yield each


def _stretch(
    home: Home, scene: Scene, start: date, days: int, *, wanted: Wanted, hold: float | None, rng: np.random.Generator
) -> tuple[list[Report], float | None]:
    """Live the days of one season; return what is reported and the motion sensors' hold time."""
    seed = int(rng.integers(2**31))
    found = lived(home, scene, start, days, seed)
    used = [Report(each.hour, each.device, each.control) for each in found]
    if not wanted.motion:
        return used, None
    stretch = Stretch.of(home, scene, start, days, seed)
    drawn = np.random.default_rng([home.seed, 9])  # where a device stands does not change with the season
    rooms = {each.id: room_of(each.kind, drawn) for each in home.dictionary.devices.values()}
    acts = of_person(found, [habit.person for habit in home.habits], rooms)
    people = [
        stays(number, who, stretch.calendar, acts.get(number, ()), rng)
        for number, who in home.people.items()
        if number not in {GUEST, CLEANER} and home.present(number, scene)
    ]
    own = {each.id for each in room_devices(wanted.devices - len(home.dictionary.devices))}
    lit = frozenset(room for room in ROOMS if lamp_of(room) in own)
    warm = stretch.scene.season in {"spring", "summer"}
    others = [*doors(people, warm, rng), *lamps(people, stretch.comfort.light, lit, rng)]
    others = [report for report in others if report.device in own]
    moved = movements(people, rng)
    if hold is None:
        hold = hold_for(moved, (len(used) + len(others)) * wanted.motion / (1.0 - wanted.motion))
    told = (*others, *(report for report in sensed(moved, hold) if rng.random() >= MISSED))
    return [*used, *(report for report in told if 0.0 <= report.hour < 24.0 * days)], hold


def _stretches(start: date, days: int, bought: date, latitude: float) -> list[tuple[date, int]]:
    """Return the stretches that the days consist of: each of one season, before or after the newest device came."""
    out: list[tuple[date, int]] = []
    for day in range(days):
        today = start + timedelta(days=day)
        if out and today != bought and season_of(today, latitude) == season_of(out[-1][0], latitude):
            out[-1] = out[-1][0], out[-1][1] + 1
        else:
            out.append((today, 1))
    return out


def _wandered(habit: Habit, rng: np.random.Generator) -> Habit:
    moved, rests = float(rng.normal(0.0, WANDERS)), bool(rng.random() < PAUSED)
    return replace(habit, hour=habit.hour + moved, chance=0.0 if rests else habit.chance)


def lines(found: Iterable[Behavior], home: Home) -> Iterable[str]:
    """Write behaviors as JSON lines in the home's local time, with its offset."""
    for each in found:
        local = datetime.fromtimestamp(each.time, home.clock).isoformat(timespec="milliseconds")
        row = {"t": local, "device": each.device, "control": each.control}
        yield json.dumps(row, ensure_ascii=False) + "\n"


def write(path: Path, wanted: Wanted) -> int:
    """Write a timeline; return how many behaviors it has. Raises OSError."""
    found = behaviors(wanted)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines(found, lively(wanted.seed)))
    return len(found)
