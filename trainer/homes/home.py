"""A simulated home: one seed. What it lives in a scene, and its sequences as lived in one scene and in another."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.scenes import Scene, season_of
from edge.core.sequences import Sequence
from trainer.homes.climate import CLIMATES, Climate
from trainer.homes.drawing import GUEST, draw_devices, draw_habits, draw_people
from trainer.homes.habits import AUTOMATION, Habit
from trainer.homes.living import lived
from trainer.homes.people import Person
from trainer.homes.rewriting import rewritten

SEASON_STEP = timedelta(days=91)  # whole weeks, so that weekdays stay where they are
FIRST_YEAR = date(2025, 1, 1)


@dataclass(frozen=True)
class Home:
    """Everything that is fixed about a home. `heats_below` and `cools_above` are degrees Celsius outdoors.

    `newcomer` is the id of a device that nobody uses until a scene names it as new.
    """

    seed: int
    climate: Climate
    dictionary: Dictionary
    people: dict[int, Person]
    residents: int
    habits: tuple[Habit, ...]
    newcomer: str
    heats_below: float
    cools_above: float

    @classmethod
    def draw(cls, seed: int) -> "Home":
        """Draw a home; the same seed is the same home."""
        rng = np.random.default_rng([seed, 0])
        climate = CLIMATES[int(rng.integers(len(CLIMATES)))]
        residents, people = draw_people(rng)
        owned, names = draw_devices(rng)
        newcomer = owned[-1].id if len(owned) > 3 else ""
        habits = draw_habits(people, owned, newcomer, rng)
        pairs = [(each.id, control) for each in owned for control in each.spelling.all]
        known = [Device(each.id, names[each.id], each.cls.kind) for each in owned]
        heats, cools = float(rng.normal(14.5, 1.5)), float(rng.normal(18.5, 2.5))
        return cls(seed, climate, Dictionary.of(pairs, known), people, residents, habits, newcomer, heats, cools)

    @property
    def latitude(self) -> float:
        """Degrees, north positive."""
        return self.climate.latitude

    @property
    def zone(self) -> str:
        """The name of its time zone (IANA)."""
        return self.climate.zone

    @cached_property
    def clock(self) -> ZoneInfo:
        """Its time zone."""
        return ZoneInfo(self.climate.zone)

    def season_start(self, start: date, days: int, season: str) -> date:
        """Return `start` or a day of the same weekday some quarters later, so that the days lie in `season`."""
        for _ in range(4):
            if not season or season_of(start + timedelta(days=days // 2), self.latitude) == season:
                return start
            start += SEASON_STEP
        return start

    def present(self, person: int, scene: Scene) -> bool:
        """Tell whether somebody lives here in a scene."""
        if person == AUTOMATION:
            return True
        if scene.mode == "away":
            return False
        if person == GUEST:
            return scene.mode == "guests"
        return person < {"single": 1, "multiple": max(2, self.residents)}.get(scene.occupancy, self.residents)


def live(home: Home, scene: Scene, start: date, days: int, seed: int) -> list[Behavior]:
    """Return the behaviors of `days` days from a date, in order of time (seconds since the epoch).

    The same seed is the same chance for the same habit on the same day, so two scenes differ only by
    what the scene changes. A season the dates are not in is lived with the weather and sun of its own dates.
    """
    out: list[Behavior] = []
    for each in lived(home, scene, start, days, seed):
        day, hour = divmod(each.hour, 24.0)
        wall = datetime.combine(start + timedelta(days=int(day)), time(), home.clock) + timedelta(hours=hour)
        out.append(Behavior(wall.timestamp(), each.device, each.control))
    return sorted(out, key=lambda behavior: behavior.time)


def variants(
    home: Home, source: Scene, targets: Items[Scene], days: int, seed: int
) -> list[tuple[Sequence, tuple[Sequence, ...]]]:
    """Return the home's sequences as lived in `source`, each with the same as lived in every target.

    An empty tuple means that the target scene leaves nothing of it. Half are windows of everything that
    happens, half follow one device over several days, as the real logs do. Lengths 1 to 10.
    """
    rng = np.random.default_rng([seed, home.seed, 3])
    start = FIRST_YEAR + timedelta(days=int(rng.integers(365)))
    said = [scene.season for scene in (source, *targets) if scene.season]
    start = home.season_start(start, days, said[0] if said else "")
    before = lived(home, source, start, days, seed)
    after = [lived(home, target, start, days, seed) for target in targets]
    return rewritten(before, after, start.weekday(), rng)


def pairs(home: Home, source: Scene, target: Scene, days: int, seed: int) -> list[tuple[Sequence, Sequence]]:
    """Return the home's sequences as lived in `source`, each with the same as lived in `target`."""
    return [(sequence, replies[0]) for sequence, replies in variants(home, source, (target,), days, seed)]
