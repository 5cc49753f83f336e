"""Habits: chains of device uses with their own time of day, weekdays, probability, jitter and conditions."""

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace

import numpy as np

from edge.core.scenes import UNATTENDED
from trainer.homes.chance import cumulative, one, place
from trainer.homes.names import Spelling
from trainer.homes.ontology import Class
from trainer.homes.people import WORKDAYS, Person

AUTOMATION = -1  # the "person" whose habits are schedules and reports
_WEEKLY = cumulative((0.55, 0.2, 0.12, 0.13))
_REPEATED = cumulative((0.62, 0.14, 0.1, 0.08, 0.06))
_CHAINED = cumulative((0.55, 0.25, 0.12, 0.08))
DUSK_KINDS = frozenset({"light", "blind"})


@dataclass(frozen=True, slots=True)
class Act:
    """One control in a use: `delay` minutes after the use's start, up to `repeats` times in a row.

    `stop`: it ends the use, so it waits longer in worse weather and may be forgotten.
    """

    control: str
    delay: float
    repeats: int
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """One device used: it happens only where `need` holds when it starts, `delay` minutes into the habit."""

    device: str
    kind: str
    need: str
    delay: float
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Habit:
    """What a person does again and again. `hour` is a clock hour, or hours after what `anchor` says."""

    person: int
    anchor: str  # clock, dusk, dawn, back (coming home)
    hour: float
    spread: float  # standard deviation in hours
    weekdays: frozenset[int]
    chance: float  # probability on a day that is one of the weekdays
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Owned:
    """A device as habits see it."""

    id: str
    cls: Class
    spelling: Spelling


def _weekdays(rng: np.random.Generator) -> frozenset[int]:
    options = (
        frozenset(range(7)),
        frozenset(WORKDAYS),
        frozenset({5, 6}),
        frozenset(int(day) for day in rng.permutation(7)[: int(rng.integers(1, 4))]),
    )
    return options[place(_WEEKLY, rng)]


def _repeats(rng: np.random.Generator) -> int:
    # Real logs repeat one control many times (volume, channel, location); most acts are single.
    return (1, 2, 3, 5, 9)[place(_REPEATED, rng)]


def _use(owned: Owned, delay: float, rng: np.random.Generator) -> Use:
    names = owned.spelling
    shapes = ["start", "both"] if names.starts else []
    shapes += ["adjust", "adjust", "full"] if names.adjusts else ["start"]
    shape = one(shapes, rng)
    acts: list[Act] = []
    if shape != "adjust":
        acts.append(Act(names.starts[0], 0.0, _repeats(rng) if rng.random() < 0.3 else 1))
    if shape in {"adjust", "full"}:
        several = range(int(rng.integers(1, 3)))
        acts += [Act(one(names.adjusts, rng), float(rng.uniform(1, 9)), _repeats(rng)) for _ in several]
    if shape in {"both", "full"} and names.stops:
        acts.append(Act(names.stops[0], one((8, 25, 55, 110, 200), rng) * float(rng.uniform(0.8, 1.2)), 1, stop=True))
    ordered = tuple(sorted(acts, key=lambda act: act.delay))
    return Use(owned.id, owned.cls.kind, owned.cls.need, delay, ordered)


def by_sun(use: Use, spelling: Spelling, *, closing: bool) -> Use:
    """Return a use of a blind as the sun wants it: opened by day, closed when it sinks, never both at once."""
    moves = {*spelling.starts, *spelling.stops}
    end = Act((spelling.stops if closing else spelling.starts)[0], 0.0, 1)
    kept = tuple(act for act in use.acts if act.control not in moves)
    if len(kept) == len(use.acts):
        return use
    return replace(use, need="sun down" if closing else "sun up", acts=(end, *kept))


def _chance(rng: np.random.Generator) -> float:
    rare = rng.random() < 0.3  # the long tail: things done once or twice a month
    return float(rng.uniform(0.03, 0.12)) if rare else float(rng.beta(4.0, 2.0))


def draw_habit(
    person: int,
    who: Person,
    devices: Items[Owned],
    weights: Items[float],
    rng: np.random.Generator,
    *,
    personality: float = 1.0,
) -> Habit:
    """Draw a habit of one person over the home's devices, the first of which sets its time.

    `personality` scales how far its hour lies from the usual hours of that device.
    """
    chain = 1 + place(_CHAINED, rng)
    shares = cumulative(weights)
    picked = [devices[place(shares, rng)] for _ in range(chain)]
    first = picked[0].cls
    hour = one(first.hours, rng) + float(rng.normal(0.0, 0.6)) * personality
    if first.kind in DUSK_KINDS and rng.random() < 0.5:
        anchor = "dusk" if first.kind == "light" or rng.random() < 0.5 else "dawn"
        hour = float(rng.uniform(-0.4, 1.0))
    else:
        anchor = "clock"
        hour = present_hour(who, hour, rng)
    uses = tuple(_use(owned, turn * float(rng.uniform(2, 25)), rng) for turn, owned in enumerate(picked))
    closing = anchor == "dusk" or (anchor == "clock" and hour > 14.5)
    uses = tuple(
        by_sun(use, owned.spelling, closing=closing) if use.kind == "blind" else use
        for use, owned in zip(uses, picked, strict=True)
    )
    return Habit(person, anchor, hour, float(rng.uniform(0.1, 0.8)), _weekdays(rng), _chance(rng), uses)


def present_hour(who: Person, hour: float, rng: np.random.Generator) -> float:
    """Return an hour near the wanted one at which a person is at home on a working day."""
    if who.at_home(0, hour):
        return hour
    if hour < who.wake or hour > who.sleep:
        return float(rng.uniform(who.wake, who.wake + 1.5))
    return who.back + float(rng.uniform(-0.2, 2.0))


def draw_report(owned: Owned, rng: np.random.Generator) -> Habit | None:
    """Draw a schedule or a report of a device that acts by itself; None for one that does not."""
    controls = owned.spelling.reports
    if not controls and owned.cls.kind in UNATTENDED:
        controls = owned.spelling.starts
    if not controls:
        return None
    act = Act(one(controls, rng), 0.0, _repeats(rng))
    use = Use(owned.id, owned.cls.kind, owned.cls.need, 0.0, (act,))
    hour, chance = float(rng.uniform(0.5, 23.5)), float(rng.beta(2.0, 2.0))
    return Habit(AUTOMATION, "clock", hour, float(rng.uniform(0.02, 2.5)), _weekdays(rng), chance, (use,))
