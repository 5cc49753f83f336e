"""Living: what a home's habits come to on given days in a given scene."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from edge.core.scenes import DAYTIME, Scene, fault, season_of
from edge.core.sequences import Step
from trainer.homes.climate import Weather
from trainer.homes.habits import Habit, Use
from trainer.homes.home import Home
from trainer.homes.sun import daylight

WAKES = 5.0  # clock hour at which a day of the home begins
_DRAWS = 12  # chances a habit has a day


@dataclass(frozen=True, slots=True)
class Lived:
    """One behavior with its origin (habit, day, use, act, repetition).

    `hour` counts from the first midnight; `natural` is the same before the scene moved it.
    """

    hour: float
    natural: float
    device: str
    kind: str
    control: str
    origin: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class _Days:
    """What one stretch of days in one scene is like."""

    home: Home
    scene: Scene
    start: date
    weather: Weather
    light: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, home: Home, scene: Scene, start: date, days: int, seed: int) -> "_Days":
        """Draw the weather and look up the sun; a season the dates are not in is borrowed from its own dates."""
        real = home.season_start(start, days, scene.season)
        season = scene.season or season_of(start + timedelta(days=days // 2), home.latitude)
        weather = Weather.of(home.climate, real, days, np.random.default_rng([seed, home.seed, 1]))
        place = home.climate
        light = [
            daylight(real + timedelta(days=day), place.latitude, place.longitude, home.clock) for day in range(days)
        ]
        return cls(home, replace(scene, season=season), start, weather, tuple(light))

    def moved(self, hour: float) -> float:
        """Return where the part of the day the home is active in puts a clock hour (5 to 29)."""
        if not self.scene.part:
            return hour
        span = len(DAYTIME)
        day = DAYTIME[0] + (min(max(hour, WAKES), WAKES + 23.99) - WAKES) * span / 24.0
        return day if self.scene.part == "daytime" else day + 12.0

    def anchored(self, habit: Habit, day: int) -> float:
        """Return a habit's clock hour on a day; what follows the sun waits until somebody is there to do it."""
        if habit.anchor == "clock":
            return habit.hour
        who = self.home.people[habit.person]
        dawn, dusk = self.light[day]
        if habit.anchor == "dawn":
            return max(dawn + habit.hour, who.wake + 0.2)
        hour = dusk + habit.hour
        away = (self.start.weekday() + day) % 7 < 5 and who.leave < hour < who.back
        return who.back + 0.2 if away else hour

    def holds(self, need: str, day: int, hour: float) -> bool:
        """Tell whether a need holds on a day at a clock hour (above 24: the next morning)."""
        if need == "cold":
            return float(self.weather.means[day]) < self.home.heats_below
        if need == "hot":
            return self.weather.at(day, hour) > self.home.cools_above
        if need == "dark":
            dawn, dusk = self.light[day]
            return not dawn < hour % 24.0 < dusk
        return True

    def lived(self, number: int, habit: Habit, seed: int) -> Iterator[Lived]:
        """Yield what one habit does on all the days."""
        days = len(self.light)
        draws = np.random.default_rng([seed, self.home.seed, 2, number]).random((days, _DRAWS))
        for day in range(days):
            chance = draws[day]
            if chance[0] >= habit.chance or (self.start.weekday() + day) % 7 not in habit.weekdays:
                continue
            jitter = 2.0 * float(chance[1:4].sum() - 1.5) * habit.spread  # nearly normal, standard deviation `spread`
            hour = min(max(self.anchored(habit, day) + jitter, 0.1), 28.0)
            for place, use in enumerate(habit.uses):
                yield from self._used(use, day, hour + use.delay / 60.0, chance, (number, day, place))

    def _used(
        self, use: Use, day: int, natural: float, chance: NDArray[np.float64], origin: tuple[int, int, int]
    ) -> Iterator[Lived]:
        begins = self.moved(natural)
        if not self.holds(use.need, day, begins):
            return
        for place, act in enumerate(use.acts):
            times = 1 + int(float(chance[4 + place % 8]) * act.repeats)
            for again in range(min(times, act.repeats)):
                hour = natural + act.delay / 60.0 + again * 0.02
                if self.scene.part:
                    hour = min(hour, WAKES + 23.95)
                at, before = self.moved(hour), day * 24.0
                step = Step(0, int(at) % 24, use.device, act.control)
                if fault(step, use.kind, self.scene) is None:
                    yield Lived(before + at, before + hour, use.device, use.kind, act.control, (*origin, place, again))


def lived(home: Home, scene: Scene, start: date, days: int, seed: int) -> list[Lived]:
    """Return what happens in `days` days, in order of time; hours count from the first midnight."""
    stretch = _Days.of(home, scene, start, days, seed)
    found: list[Lived] = []
    for number, habit in enumerate(home.habits):
        if not home.present(habit.person, scene):
            continue
        awake = home.newcomer and scene.new_device in {home.newcomer, home.dictionary.devices[home.newcomer].name}
        found += [each for each in stretch.lived(number, habit, seed) if awake or each.device != home.newcomer]
    return sorted(found, key=lambda each: (each.hour, each.origin))
