"""A simulated home: one seed. Where it is, who lives there, what it has and what its habits are."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.scenes import Scene, season_of
from trainer.homes.climate import CLIMATES, Climate
from trainer.homes.drawing import GUEST, draw_devices, draw_habits, draw_people
from trainer.homes.habits import AUTOMATION, Habit
from trainer.homes.people import Person

SEASON_STEP = timedelta(days=91)  # whole weeks, so that weekdays stay where they are


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
