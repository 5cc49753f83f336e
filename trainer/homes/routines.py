"""Routines every home of a kind has beside what chance gives: cooling on warm days, blinds, free days, a cleaner."""

from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import replace

import numpy as np

from edge.core.scenes import COOLING
from trainer.homes.chance import cumulative, one, place
from trainer.homes.habits import AUTOMATION, Act, Habit, Owned, Use, draw_habit
from trainer.homes.people import Person

ALWAYS = frozenset(range(7))
WEEKEND = frozenset({5, 6})
_COOLING_HOURS = (13.5, 15.5, 17.5, 19.5, 21.0, 22.5)  # afternoons, evenings, nights
_CHAINS = cumulative((0.3, 0.25, 0.15, 0.15, 0.15))
_CLEANED = frozenset(
    {"robot_cleaner", "light", "washer", "dryer", "dishwasher", "blind", "window", "plug", "switch", "speaker",
     "door_lock", "contact", "motion", "air_purifier", "clothing_care"}
)  # fmt: skip


def _use(owned: Owned, *acts: Act, need: str = "", delay: float = 0.0) -> Use:
    return Use(owned.id, owned.cls.kind, need, delay, acts)


def _cooled(owned: Owned, rng: np.random.Generator) -> Use:
    """Draw a chain of cooling: on, adjusted, off; or only a part of it."""
    names = owned.spelling
    start, stop = Act(names.starts[0], 0.0, 1), Act(names.stops[0], float(rng.uniform(40, 180)), 1, stop=True)
    adjust = Act(one(names.adjusts or names.starts, rng), float(rng.uniform(1, 30)), one((1, 1, 2, 4), rng))
    chains = ((start,), (start, stop), (adjust,), (start, adjust), (start, adjust, stop))
    return _use(owned, *chains[place(_CHAINS, rng)], need="hot")


def draw_cooling(owned: Items[Owned], residents: int, rng: np.random.Generator) -> list[Habit]:
    """Draw what the home does against heat with each device made for it: often, on every warm day."""
    out: list[Habit] = []
    for each in owned:
        if each.cls.kind not in COOLING:
            continue
        for _ in range(int(rng.integers(2, 5))):
            hour = one(_COOLING_HOURS, rng) + float(rng.normal(0.0, 0.7))
            chance, person = float(rng.beta(4.0, 1.5)), int(rng.integers(residents))
            out.append(
                Habit(person, "clock", hour, float(rng.uniform(0.3, 1.2)), ALWAYS, chance, (_cooled(each, rng),))
            )
    return out


def draw_blinds(owned: Items[Owned], rng: np.random.Generator) -> list[Habit]:
    """Draw blinds that follow the sun: opened after dawn, closed at dusk, shading on hot sunny days."""
    out: list[Habit] = []
    for each in owned:
        if each.cls.kind != "blind":
            continue
        opened, closed = each.spelling.starts[0], each.spelling.stops[0]
        person = AUTOMATION if rng.random() < 0.3 else 0
        offsets, chance = rng.uniform(0.05, 0.8, 2), float(rng.beta(4.0, 2.0))
        if rng.random() < 0.6:
            rises = _use(each, Act(opened, 0.0, 1), need="sun up")
            sinks = _use(each, Act(closed, 0.0, 1), need="sun down")
            out.append(Habit(person, "dawn", float(offsets[0]), 0.2, ALWAYS, chance, (rises,)))
            out.append(Habit(person, "dusk", float(offsets[1]) - 0.3, 0.2, ALWAYS, chance, (sinks,)))
        if rng.random() < 0.6:
            acts = (Act(closed, 0.0, 1), Act(opened, float(rng.uniform(120, 220)), 1))
            hour = float(rng.uniform(11.5, 14.5))
            out.append(Habit(person, "clock", hour, 0.7, ALWAYS, 0.8, (_use(each, *acts, need="glare"),)))
    return out


def draw_free_days(
    people: Mapping[int, Person], owned: Items[Owned], shares: Items[float], rng: np.random.Generator
) -> list[Habit]:
    """Draw what people who are out on working days do at home in the middle of free ones."""
    out: list[Habit] = []
    for number, who in people.items():
        if not who.goes_out:
            continue
        for _ in range(int(rng.integers(1, 4))):
            habit = draw_habit(number, who, owned, shares, rng)
            hour = float(rng.uniform(who.leave + 1.0, who.back - 0.5))
            out.append(replace(habit, anchor="clock", hour=hour, weekdays=WEEKEND, chance=float(rng.beta(3.0, 2.0))))
    return out


def draw_cleaning(number: int, who: Person, owned: Items[Owned], rng: np.random.Generator) -> list[Habit]:
    """Draw what a cleaner uses on the one or two mornings a week on which there is one."""
    mornings = frozenset(int(day) for day in rng.permutation(5)[: int(rng.integers(1, 3))])
    used = [each for each in owned if each.cls.kind in _CLEANED] or list(owned)
    habits = [draw_habit(number, who, used, [1.0] * len(used), rng) for _ in range(int(rng.integers(2, 5)))]
    hours = rng.uniform(who.wake + 0.2, who.leave - 0.4, len(habits))
    return [
        replace(each, anchor="clock", hour=float(hour), spread=0.3, weekdays=mornings, chance=max(each.chance, 0.6))
        for each, hour in zip(habits, hours, strict=True)
    ]
