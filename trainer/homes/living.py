"""Living: what a home's habits come to on given days in a given scene."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from edge.core.scenes import DAYTIME, Scene, fault, season_of
from edge.core.sequences import Step
from trainer.homes.calendars import AWAY, FREE, ILL, LATE, WORK, Calendar
from trainer.homes.chance import chances
from trainer.homes.climate import Weather
from trainer.homes.comfort import Comfort
from trainer.homes.habits import AUTOMATION, Habit, Use
from trainer.homes.home import Home
from trainer.homes.noise import MISSES, SENSING, slips, stray_hours
from trainer.homes.sun import daylight

WAKES = 5.0  # clock hour at which a day of the home begins
NOON = 12.0
SHORTEST, LONGEST = 0.5, 2.5  # how much less or longer weather makes a heater or a fan run
_SUNNY = frozenset({"sun up", "sun down", "glare"})
_AGAIN = 100  # the repetition that is a doubled one
_WEATHER = frozenset({"cold", "hot"})
Origin = tuple[int, int, int, int, int]


class Lived(NamedTuple):
    """One behavior with its origin (habit, day, use, act, repetition).

    `hour` counts from the first midnight; `natural` is the same before the scene moved it.
    """

    hour: float
    natural: float
    device: str
    kind: str
    control: str
    origin: Origin


@dataclass(frozen=True)
class Stretch:
    """What one stretch of days in one scene is like."""

    home: Home
    scene: Scene
    start: date
    weather: Weather
    comfort: Comfort
    calendar: Calendar
    seed: int
    possible: dict[tuple[str, int], bool] = field(default_factory=dict)  # by device and hour, as they are asked for

    @classmethod
    def of(cls, home: Home, scene: Scene, start: date, days: int, seed: int) -> "Stretch":
        """Draw the weather and look up the sun; a season the dates are not in is borrowed from its own dates."""
        real = home.season_start(start, days, scene.season)
        season = scene.season or season_of(start + timedelta(days=days // 2), home.latitude)
        weather = Weather.of(home.climate, real, days, np.random.default_rng([seed, home.seed, 1]))
        place = home.climate
        light = tuple(
            daylight(real + timedelta(days=day), place.latitude, place.longitude, home.clock) for day in range(days)
        )
        comfort = Comfort.of(weather, light, home.heats_below, home.cools_above)
        calendar = Calendar.draw(home.people, start, days, (seed, home.seed))
        lived_in = replace(scene, season=season).named(home.dictionary)
        return cls(home, lived_in, start, weather, comfort, calendar, seed)

    @property
    def count(self) -> int:
        """How many days there are."""
        return self.calendar.days

    def moved(self, hour: float) -> float:
        """Return where the part of the day the home is active in puts a clock hour (5 to 29)."""
        if not self.scene.part:
            return hour
        span = len(DAYTIME)
        day = DAYTIME[0] + (min(max(hour, WAKES), WAKES + 23.99) - WAKES) * span / 24.0
        return day if self.scene.part == "daytime" else day + 12.0

    def anchored(self, habit: Habit, day: int) -> float:
        """Return a habit's clock hour on a day; what follows the sun waits until somebody is there to do it."""
        if habit.anchor == "clock" and (habit.person == AUTOMATION or habit.hour >= NOON):
            return habit.hour
        who = self.home.people.get(habit.person)
        free = self.calendar.kind(habit.person, day) in {FREE, ILL}
        if habit.anchor == "clock":
            return habit.hour + (who.late / 2 if who and free else 0.0)
        if habit.anchor == "back" and who:
            return who.back + habit.hour
        dawn, dusk = self.comfort.light[day]
        if habit.anchor == "dawn":
            return max(dawn + habit.hour, who.wake + 0.2 if who else 0.0)
        hour = dusk + habit.hour
        return who.back + 0.2 if who and not free and who.leave < hour < who.back else hour

    def happens(self, habit: Habit, day: int) -> bool:
        """Tell whether a habit can be lived on a day: its weekday, and its person neither gone nor out."""
        if habit.person == AUTOMATION:
            return (self.calendar.weekday + day) % 7 in habit.weekdays
        kind = self.calendar.kind(habit.person, day)
        if kind == AWAY or (habit.anchor == "back" and kind != WORK):
            return False
        if kind in {LATE, FREE} and habit.anchor == "clock" and self.calendar.out(habit.person, day, habit.hour):
            return False
        return self.calendar.week_day(habit.person, day) in habit.weekdays

    def lived(self, number: int, habit: Habit, out: list[Lived]) -> None:
        """Add what one habit does on all the days."""
        draws = chances(self.seed, self.home.seed, number, self.count)
        errors = slips(self.seed, self.home.seed, len(self.home.habits), self.count)[number]
        for day, chance in enumerate(draws):
            if chance[0] >= habit.chance or not self.happens(habit, day):
                continue
            # nearly normal, standard deviation `spread`
            jitter = 2.0 * (chance[1] + chance[2] + chance[3] - 1.5) * habit.spread
            hour = min(max(self.anchored(habit, day) + jitter, 0.1), 28.0)
            keen = chance[0] / habit.chance  # 0 to 1: who acts only when it is bad
            for place, use in enumerate(habit.uses):
                begins = hour + use.delay / 60.0
                urge = self.urge(use.need, day, begins) if use.need else 1.0
                if urge > keen:
                    self._used(use, begins, urge, chance, errors[day], (number, day, place), out)

    def urge(self, need: str, day: int, natural: float) -> float:
        """Return how strongly a need is felt; a home that lives by night keeps its own rhythm with the blinds."""
        if self.scene.part and need in _SUNNY:
            return 1.0
        return self.comfort.urge(need, day, self.moved(natural))

    def _used(  # noqa: PLR0917 - the innermost loop of training: positional arguments are the fastest
        self,
        use: Use,
        natural: float,
        urge: float,
        chance: list[float],
        slip: list[float],
        origin: tuple[int, int, int],
        out: list[Lived],
    ) -> None:
        noise, (forgets, doubles, *misses) = self.home.noise, slip
        longer = min(max(0.25 + 0.5 * urge, SHORTEST), LONGEST) if use.need in _WEATHER else 1.0
        for place, act in enumerate(use.acts):
            if act.stop and forgets < noise.forgets:
                continue
            begins = natural + act.delay * (longer if act.stop else 1.0) / 60.0
            times = min(1 + int(chance[4 + place % 8] * act.repeats), act.repeats)
            for count in range(times):
                if misses[(place * 5 + count) % MISSES] >= noise.misses:
                    self._done((use.device, use.kind, act.control), begins + count * 0.02, (*origin, place, count), out)
            if place == 0 and doubles < noise.doubles:
                again = begins + (times - 1) * 0.02 + 0.004
                self._done((use.device, use.kind, act.control), again, (*origin, place, _AGAIN), out)

    def _done(self, what: tuple[str, str, str], natural: float, origin: Origin, out: list[Lived]) -> None:
        """Add a behavior (device, kind, control) at a clock hour where the scene has it."""
        at = hour = natural
        if self.scene.part:
            hour = min(natural, WAKES + 23.95)
            at = self.moved(hour)
        device, kind, control = what
        asked = (device, int(at) % 24)
        if asked not in self.possible:
            self.possible[asked] = fault(Step(0, asked[1], device, control), kind, self.scene) is None
        if self.possible[asked]:
            before = origin[1] * 24.0
            out.append(Lived(before + at, before + hour, device, kind, control, origin))

    def strays(self, out: list[Lived]) -> None:
        """Add what sensors report though nobody did it."""
        sensors = [each for each in self.home.dictionary.devices.values() if each.kind in SENSING]
        hours = stray_hours(self.home.noise.strays, len(sensors), self.count, (self.seed, self.home.seed))
        for number, (sensor, found) in enumerate(zip(sensors, hours, strict=True)):
            control = next(control for device, control in self.home.dictionary.controls if device == sensor.id)
            for place, when in enumerate(found):
                day, hour = divmod(when, 24.0)
                origin = (-1 - number, int(day), 0, 0, place)
                self._done((sensor.id, sensor.kind, control), hour, origin, out)


def lived(home: Home, scene: Scene, start: date, days: int, seed: int) -> list[Lived]:
    """Return what happens in `days` days, in order of time; hours count from the first midnight."""
    stretch = Stretch.of(home, scene, start, days, seed)
    found: list[Lived] = []
    stretch.strays(found)
    for number, habit in enumerate(home.habits):
        if home.present(habit.person, scene):
            stretch.lived(number, habit, found)
    asleep = home.newcomer
    if asleep and scene.new_device in {asleep, home.dictionary.devices[asleep].name}:
        asleep = ""
    return sorted((each for each in found if each.device != asleep), key=attrgetter("hour", "origin"))
