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
from trainer.homes.comfort import adapted
from trainer.homes.drawing import (
    CLEANER,
    GUEST,
    draw_devices,
    draw_habits,
    draw_people,
    draw_routines,
    settle,
    varied,
)
from trainer.homes.habits import AUTOMATION, Habit
from trainer.homes.noise import MODEST, Noise
from trainer.homes.people import Person

BALANCE, BALANCE_SPREAD = 14.5, 1.5  # degrees outdoors below which homes heat; Eurostat counts degree days from 15
COMFORT_LIMIT = 19.0  # degrees outdoors, of a day and night, above which a home grows too warm
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
    noise: Noise = MODEST

    @classmethod
    def draw(cls, seed: int, diversity: float = 1.0, personality: float = 1.0) -> "Home":
        """Draw a home; the same seed is the same home.

        `diversity`: how much homes differ in place, household and devices. `personality`: how far a person's hours
        and preferences lie from what is usual in their role (the two are apart, as in BehaviorGen).
        """
        rng = np.random.default_rng([seed, 0])
        climate = CLIMATES[int(rng.integers(varied(len(CLIMATES), diversity)))]
        residents, people = draw_people(rng, diversity, personality)
        found = draw_devices(rng, diversity)
        owned = found.owned
        newcomer = owned[-1].id if len(owned) > 3 else ""
        more = np.random.default_rng([seed, 7])
        people = settle(people, more, personality)
        habits = draw_habits(people, owned, newcomer, rng, personality)
        heats = BALANCE + float(rng.normal(0.0, BALANCE_SPREAD)) * personality
        cools = adapted(COMFORT_LIMIT + float(rng.normal(0.0, 2.0)) * personality, climate.mean + climate.swing)
        found.add_talking(more)
        habits += draw_routines(people, residents, owned, newcomer, more)
        pairs = [(each.id, control) for each in owned for control in each.spelling.all]
        known = [Device(each.id, found.names[each.id], each.cls.kind) for each in owned]
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
        if person == CLEANER:
            return True
        return person < {"single": 1, "multiple": max(2, self.residents)}.get(scene.occupancy, self.residents)
