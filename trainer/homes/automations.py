"""Automations: what a home does by rules of its own, and what its devices and applications keep saying."""

from collections.abc import Mapping
from collections.abc import Sequence as Items

import numpy as np

from trainer.homes.chance import cumulative, one, place
from trainer.homes.habits import AUTOMATION, Act, Habit, Owned, Use
from trainer.homes.people import Person
from trainer.homes.routines import ALWAYS

_SAID = cumulative((0.5, 0.2, 0.2, 0.1))
_WELCOMED = frozenset({"light", "switch", "plug", "speaker", "television"})
_NOTICING = frozenset({"motion", "presence", "contact", "door_lock"})


def _use(owned: Owned, control: str, delay: float = 0.0, repeats: int = 1) -> Use:
    need = "dark" if owned.cls.kind == "light" else ""
    return Use(owned.id, owned.cls.kind, need, delay, (Act(control, 0.0, repeats),))


def draw_sunset(owned: Items[Owned], rng: np.random.Generator) -> list[Habit]:
    """Draw lights that go on after sunset by themselves, and off late, in a third of homes."""
    lights = [each for each in owned if each.cls.kind == "light"]
    if rng.random() >= 0.35 or not lights:
        return []
    some = lights[: int(rng.integers(1, 3))]
    late, after = float(rng.uniform(22.0, 24.5)), float(rng.uniform(0.05, 0.5))
    on = tuple(_use(each, each.spelling.starts[0], 0.3 * turn) for turn, each in enumerate(some))
    off = tuple(_use(each, each.spelling.stops[0], 0.3 * turn) for turn, each in enumerate(some))
    return [
        Habit(AUTOMATION, "dusk", after, 0.03, ALWAYS, 0.95, on),
        Habit(AUTOMATION, "clock", late, 0.03, ALWAYS, 0.95, off),
    ]


def draw_presence(owned: Items[Owned], people: Mapping[int, Person], rng: np.random.Generator) -> list[Habit]:
    """Draw what is put on when a sensor notices somebody: on coming home, and on walking by at night."""
    sensors = [each for each in owned if each.cls.kind in _NOTICING]
    answers = [each for each in owned if each.cls.kind in _WELCOMED]
    if not sensors or not answers or rng.random() >= 0.6:
        return []
    sensor, answer = sensors[int(rng.integers(len(sensors)))], answers[int(rng.integers(len(answers)))]
    chain = (_use(sensor, sensor.spelling.starts[0]), _use(answer, answer.spelling.starts[0], 0.5))
    out = [Habit(AUTOMATION, "clock", float(rng.uniform(19.0, 23.5)), 1.0, ALWAYS, float(rng.beta(2, 3)), chain)]
    for number, who in people.items():
        if who.goes_out:
            out.append(Habit(number, "back", float(rng.uniform(0.0, 0.15)), 0.1, ALWAYS, float(rng.beta(5, 2)), chain))
    return out


def draw_chatter(owned: Items[Owned], rng: np.random.Generator) -> list[Habit]:
    """Draw what devices of no known class and applications report: in real logs up to half of everything.

    One or two of their controls are repeated again and again (locations, notifications).
    """
    out: list[Habit] = []
    for each in owned:
        if each.cls.kind != "other" or rng.random() < 0.15:
            continue
        names = each.spelling
        control = one((*names.reports, *names.adjusts, *names.starts), rng)
        for _ in range(int(rng.integers(3, 9))):
            act = Act(control, 0.0, (1, 2, 4, 9)[place(_SAID, rng)])
            hour, chance = float(rng.uniform(6.5, 23.5)), float(rng.beta(4.0, 2.0))
            use = Use(each.id, each.cls.kind, "", 0.0, (act,))
            out.append(Habit(AUTOMATION, "clock", hour, float(rng.uniform(0.2, 2.0)), ALWAYS, chance, (use,)))
    return out
