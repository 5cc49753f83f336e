"""Drawing the parts of a home: its people, its devices and their controls, its habits."""

from collections.abc import Sequence as Items
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trainer.homes.automations import draw_chatter, draw_presence, draw_sunset
from trainer.homes.chance import cumulative, one, place
from trainer.homes.habits import Habit, Owned, draw_habit, draw_report
from trainer.homes.names import STYLES, device_name, spelling
from trainer.homes.ontology import CLASSES, Class
from trainer.homes.people import ROLES, Person
from trainer.homes.routines import draw_blinds, draw_cleaning, draw_cooling, draw_free_days

GUEST = 9  # the number of the person who is only there when the scene says guests
CLEANER = 8  # the number of the person who comes on one or two mornings a week
MAX_PAIRS = 60
_HOUSEHOLDS = (
    ("worker",), ("retired",), ("home office",), ("shift worker",), ("worker", "worker"), ("worker", "home office"),
    ("retired", "retired"), ("worker", "shift worker", "child"), ("worker", "worker", "child"),
)  # fmt: skip


_TALKING = tuple(each for each in CLASSES if each.kind == "other")


@lru_cache(maxsize=64)
def _tempered(shares: tuple[float, ...], diversity: float) -> tuple[float, ...]:
    """Return shares added up, sharpened toward the most common (diversity below 1) or flattened (above)."""
    power = 1.0 / max(diversity, 0.05)
    return cumulative(shares if diversity == 1.0 else [(share / max(shares)) ** power for share in shares])


def varied(count: int, diversity: float) -> int:
    """Return how many of `count` equally common things a population of this diversity knows."""
    return min(count, max(1, round(count * diversity)))


def draw_people(
    rng: np.random.Generator, diversity: float = 1.0, personality: float = 1.0
) -> tuple[int, dict[int, Person]]:
    """Return how many people live here and everybody who could: at least two, and a guest."""
    roles = list(_HOUSEHOLDS[int(rng.integers(varied(len(_HOUSEHOLDS), diversity)))])
    residents = len(roles)
    while len(roles) < 2:
        roles.append(one(ROLES[:4], rng))
    people = {number: Person.draw(role, rng, personality) for number, role in enumerate(roles)}
    return residents, {**people, GUEST: Person.draw("guest", rng, personality)}


def settle(people: dict[int, Person], rng: np.random.Generator, personality: float = 1.0) -> dict[int, Person]:
    """Return the people with some workers turned students, some working part-time, and in some homes a cleaner."""
    out = dict(people)
    for number, who in people.items():
        chance, drawn = rng.random(3), Person.draw("student", rng, personality)
        if who.role == "worker" and chance[0] < 0.15:
            out[number] = drawn
        elif who.role == "worker" and chance[0] < 0.35:
            out[number] = replace(who, off=frozenset({0, 4} if chance[1] < 0.2 else {int(chance[2] * 5)}))
    if rng.random() < 0.2:
        out[CLEANER] = Person.draw("cleaner", rng, personality)
    return out


@dataclass(slots=True)
class Inventory:
    """What a home has: its way of naming (`style`, `form`), its devices and their names by id."""

    style: str
    form: int
    owned: list[Owned] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def add(self, cls: Class, rng: np.random.Generator) -> bool:
        """Add a device of a class; False where the home has all it can name."""
        name = device_name(cls, self.style, self.names.values(), rng)
        key = f"0x{rng.integers(2**63):016x}" if self.style == "bridge" else name
        controls = spelling(cls, self.style, self.form, rng)
        if sum(len(each.spelling.all) for each in self.owned) + len(controls.all) > MAX_PAIRS:
            return False
        self.names[key] = name
        self.owned.append(Owned(key, cls, controls))
        return True

    def add_talking(self, rng: np.random.Generator) -> None:
        """Add, in most homes, a device of no known class that keeps reporting."""
        if rng.random() < 0.85 and not any(each.cls.kind == "other" for each in self.owned):
            self.add(_TALKING[int(rng.random() < 0.3)], rng)


def draw_devices(rng: np.random.Generator, diversity: float = 1.0) -> Inventory:
    """Draw a home's devices."""
    style = STYLES[place(_tempered((0.45, 0.3, 0.25), diversity), rng)]
    found = Inventory(style, int(rng.integers(100)))
    shares = _tempered(tuple(each.share for each in CLASSES), diversity)
    count = min(max(round(11 + (int(rng.integers(4, 19)) - 11) * diversity), 3), 24)
    for _ in range(count):
        cls = CLASSES[place(shares, rng)]
        if style == "smartthings" and cls.title in found.names and rng.random() < 0.8:
            continue
        if not found.add(cls, rng):
            break
    return found


def _shares(owned: Items[Owned], personality: float, rng: np.random.Generator) -> NDArray[np.float64]:
    favorites = rng.permutation(len(owned))
    weights = np.empty(len(owned))
    leaning = 1.05 + (float(rng.uniform(0.5, 1.6)) - 1.05) * min(personality, 2.0)
    weights[favorites] = 1.0 / (1.0 + np.arange(len(owned))) ** leaning
    return weights


def draw_habits(
    people: dict[int, Person], owned: Items[Owned], newcomer: str, rng: np.random.Generator, personality: float = 1.0
) -> tuple[Habit, ...]:
    """Draw everybody's habits, the newcomer's (a device not used until a scene names it), schedules and reports."""
    weights = _shares(owned, personality, rng)
    settled = [(each, weight) for each, weight in zip(owned, weights, strict=True) if each.id != newcomer]
    devices, shares = [each for each, _ in settled], [float(weight) for _, weight in settled]
    habits: list[Habit] = []
    for number, who in people.items():
        if number == CLEANER:
            continue
        count = int(rng.integers(3, 7)) if number == GUEST else int(rng.integers(5, 13))
        habits += [draw_habit(number, who, devices, shares, rng, personality=personality) for _ in range(count)]
    seasonal = [each for each in devices if each.cls.need]
    for each in seasonal:
        habits += [draw_habit(0, people[0], [each], [1.0], rng) for _ in range(int(rng.integers(1, 3)))]
    habits += [draw_habit(0, people[0], [each], [1.0], rng) for each in owned if each.id == newcomer for _ in range(2)]
    reports = [draw_report(each, rng) for each in devices if rng.random() < 0.7]
    return (*habits, *(each for each in reports if each is not None))


def draw_routines(
    people: dict[int, Person], residents: int, owned: Items[Owned], newcomer: str, rng: np.random.Generator
) -> tuple[Habit, ...]:
    """Draw what homes do beside their people's own habits: comfort, free days, cleaning, automations, chatter."""
    devices = [each for each in owned if each.id != newcomer]
    living = {number: who for number, who in people.items() if number < residents}
    habits = draw_cooling(devices, residents, rng) + draw_blinds(devices, rng)
    habits += draw_free_days(living, devices, [1.0] * len(devices), rng)
    if CLEANER in people:
        habits += draw_cleaning(CLEANER, people[CLEANER], devices, rng)
    return (*habits, *draw_sunset(devices, rng), *draw_presence(devices, living, rng), *draw_chatter(devices, rng))
