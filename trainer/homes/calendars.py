"""Calendars: what kind of day each person of a home has, the same in every scene."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from trainer.homes.people import Person

WORK, FREE, ILL, LATE, AWAY = "work", "free", "ill", "late", "away"
HOLIDAY = 11 / 365  # public holidays a day: European countries have 9 to 15 a year
ILLNESS = 0.008  # begins on a day; lasts one to five
TRIP = 0.008  # begins on a day; lasts two to six, of one person or of all
TOGETHER = 0.4  # share of trips on which all go
EVENING = 0.06  # evenings out a day
EVENING_FROM, LATE_BY = 17.5, 3.5  # clock hour an evening out begins at the earliest; hours it lasts
OUTING = 0.65  # free days on which somebody goes out
OUT_FROM, OUT_TO, OUT_FOR = 9.5, 15.5, (1.5, 5.0)  # clock hours an outing begins between; hours it lasts
SUNDAY = 6
_PLACES = 12  # people a calendar has room for: their numbers in a home


@dataclass(frozen=True)
class Calendar:
    """Kinds of day by person and day, counted from the first; `weekday` (0 Monday) is the first day's."""

    weekday: int
    days: int
    people: Mapping[int, Person]
    kinds: Mapping[int, tuple[str, ...]]
    outings: Mapping[int, tuple[tuple[float, float], ...]]  # clock hours of leaving and coming back on a free day

    @classmethod
    def draw(cls, people: Mapping[int, Person], start: date, days: int, seed: tuple[int, ...]) -> "Calendar":
        """Draw the days of everybody; holidays and some trips are common to all."""
        rng = np.random.default_rng([*seed, 7, 0])
        common = rng.random((days, 3))
        own = rng.random((_PLACES, days, 8))
        everybody = _spells(common[:, 0] < TRIP * TOGETHER, common[:, 1], 2, 6)
        kinds: dict[int, tuple[str, ...]] = {}
        outings: dict[int, tuple[tuple[float, float], ...]] = {}
        for number, who in people.items():
            draws = own[number]
            gone = everybody | _spells(draws[:, 0] < TRIP * (1 - TOGETHER), draws[:, 1], 2, 6)
            sick = _spells(draws[:, 2] < ILLNESS, draws[:, 3], 1, 5)
            kinds[number] = tuple(
                AWAY
                if gone[day]
                else ILL
                if sick[day]
                else FREE
                if common[day, 2] < HOLIDAY or not who.works((start.weekday() + day) % 7)
                else LATE
                if draws[day, 4] < EVENING and who.role != "child"
                else WORK
                for day in range(days)
            )
            outings[number] = tuple(_outing(*chances) for chances in draws[:, 5:8].tolist())
        return cls(start.weekday(), days, people, kinds, outings)

    def kind(self, person: int, day: int) -> str:
        """Return a person's kind of day; whom the calendar does not know works by the week alone."""
        kinds = self.kinds.get(person)
        return kinds[day] if kinds else WORK

    def week_day(self, person: int, day: int) -> int:
        """Return the weekday a person lives a day as: a free or ill working day is lived as a Sunday."""
        weekday = (self.weekday + day) % 7
        who = self.people.get(person)
        return SUNDAY if who and who.works(weekday) and self.kind(person, day) in {FREE, ILL} else weekday

    def at_home(self, person: int, day: int, hour: float) -> bool:
        """Tell whether a person is in the home at a clock hour (0 to 24), awake or asleep."""
        kind, who = self.kind(person, day), self.people[person]
        if kind == AWAY or self.out(person, day, hour):
            return False
        return kind in {FREE, ILL} or not who.leave < hour < who.back

    def out(self, person: int, day: int, hour: float) -> bool:
        """Tell whether a clock hour lies in an evening out, or in an outing of a free day."""
        kind = self.kind(person, day)
        if kind == LATE:
            begins = max(self.people[person].back, EVENING_FROM)
            return begins <= hour < begins + LATE_BY
        left, back = self.outings[person][day] if kind == FREE else (0.0, 0.0)
        return left <= hour < back


def _outing(goes: float, begins: float, lasts: float) -> tuple[float, float]:
    """Return the clock hours of an outing by three chances; an empty one where nobody goes out."""
    left = OUT_FROM + begins * (OUT_TO - OUT_FROM)
    return (left, left + OUT_FOR[0] + lasts * (OUT_FOR[1] - OUT_FOR[0])) if goes < OUTING else (0.0, 0.0)


def _spells(begins: np.ndarray, lengths: np.ndarray, least: int, most: int) -> np.ndarray:
    """Return which days lie in a spell of `least` to `most` days that begins on one of them."""
    inside = np.zeros(len(begins), bool)
    for day in np.flatnonzero(begins):
        inside[day : day + least + int(float(lengths[day]) * (most - least + 1))] = True
    return inside
