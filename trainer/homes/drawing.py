"""Drawing the parts of a home: its people, its devices and their controls, its habits."""

from collections.abc import Sequence as Items

import numpy as np

from trainer.homes.habits import Habit, Owned, draw_habit, draw_report
from trainer.homes.names import STYLES, device_name, spelling
from trainer.homes.ontology import CLASSES
from trainer.homes.people import ROLES, Person

GUEST = 9  # the number of the person who is only there when the scene says guests
MAX_PAIRS = 60
_HOUSEHOLDS = (
    ("worker",), ("retired",), ("home office",), ("shift worker",), ("worker", "worker"), ("worker", "home office"),
    ("retired", "retired"), ("worker", "shift worker", "child"), ("worker", "worker", "child"),
)  # fmt: skip


def draw_people(rng: np.random.Generator) -> tuple[int, dict[int, Person]]:
    """Return how many people live here and everybody who could: at least two, and a guest."""
    roles = list(_HOUSEHOLDS[int(rng.integers(len(_HOUSEHOLDS)))])
    residents = len(roles)
    while len(roles) < 2:
        roles.append(str(rng.choice(ROLES[:4])))
    people = {number: Person.draw(role, rng) for number, role in enumerate(roles)}
    return residents, {**people, GUEST: Person.draw("guest", rng)}


def draw_devices(rng: np.random.Generator) -> tuple[list[Owned], dict[str, str]]:
    """Return the home's devices and their names by id."""
    style = STYLES[int(rng.choice(3, p=[0.45, 0.3, 0.25]))]
    form = int(rng.integers(100))
    shares = np.array([each.share for each in CLASSES])
    count = int(rng.integers(4, 19))
    owned: list[Owned] = []
    names: dict[str, str] = {}
    for _ in range(count):
        cls = CLASSES[int(rng.choice(len(CLASSES), p=shares / shares.sum()))]
        if style == "smartthings" and cls.title in names and rng.random() < 0.8:
            continue
        name = device_name(cls, style, names.values(), rng)
        key = f"0x{rng.integers(2**63):016x}" if style == "bridge" else name
        controls = spelling(cls, style, form, rng)
        if sum(len(each.spelling.all) for each in owned) + len(controls.all) > MAX_PAIRS:
            break
        names[key] = name
        owned.append(Owned(key, cls, controls))
    return owned, names


def draw_habits(
    people: dict[int, Person], owned: Items[Owned], newcomer: str, rng: np.random.Generator
) -> tuple[Habit, ...]:
    """Draw everybody's habits, the newcomer's (a device not used until a scene names it), schedules and reports."""
    favorites = rng.permutation(len(owned))
    weights = np.empty(len(owned))
    weights[favorites] = 1.0 / (1.0 + np.arange(len(owned))) ** float(rng.uniform(0.5, 1.6))
    settled = [(each, weight) for each, weight in zip(owned, weights, strict=True) if each.id != newcomer]
    devices, shares = [each for each, _ in settled], [float(weight) for _, weight in settled]
    habits: list[Habit] = []
    for number, who in people.items():
        count = int(rng.integers(3, 7)) if number == GUEST else int(rng.integers(5, 13))
        habits += [draw_habit(number, who, devices, shares, rng) for _ in range(count)]
    seasonal = [each for each in devices if each.cls.need]
    for each in seasonal:
        habits += [draw_habit(0, people[0], [each], [1.0], rng) for _ in range(int(rng.integers(1, 3)))]
    habits += [draw_habit(0, people[0], [each], [1.0], rng) for each in owned if each.id == newcomer for _ in range(2)]
    reports = [draw_report(each, rng) for each in devices if rng.random() < 0.7]
    return (*habits, *(each for each in reports if each is not None))
