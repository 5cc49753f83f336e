"""A small home for tests: a lamp, a kettle, a heater and a fan, lived by rule with some chance."""

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.sequences import Sequence, Step

DEVICES = (
    Device("lamp1", "Hall lamp", "light"),
    Device("kettle1", "Kettle", "kettle"),
    Device("heat1", "Bath heater", "heater"),
    Device("fan1", "Desk fan", "fan"),
)
PAIRS = tuple((device.id, f"state {value}") for device in DEVICES for value in ("ON", "OFF"))
HOME = Dictionary.of(PAIRS, DEVICES)
MONDAY = 1_736_121_600.0  # 2025-01-06 00:00 UTC


def step(day: int, hour: int, pair: int) -> Step:
    """Return a step; `pair` counts in PAIRS: lamp on, lamp off, kettle on, ..."""
    return Step(day, hour, *PAIRS[pair])


def sequences(count: int = 120, seed: int = 0) -> list[Sequence]:
    """Return winter mornings (lamp, kettle, heater) and evenings (lamp, heater), by day."""
    rng = np.random.default_rng(seed)
    out: list[Sequence] = []
    for number in range(count):
        day = number // 2 % 7
        if number % 2 == 0:
            steps = [step(day, 7, 0), step(day, 7, 2), step(day, 7, 3)]
            steps += [step(day, 8, 4), step(day, 8, 5)] if rng.random() < 0.3 else []
        else:
            steps = [step(day, 18, 0), step(day, 21 + int(rng.integers(2)), 1)]
        out.append(tuple(steps))
    return out


def behaviors(count: int = 120, seed: int = 0) -> list[Behavior]:
    """Return the same home dated: two sequences a day from MONDAY on."""
    out: list[Behavior] = []
    for number, sequence in enumerate(sequences(count, seed)):
        midnight = MONDAY + number // 2 * 86400
        out += [
            Behavior(midnight + each.hour * 3600 + place * 60, each.device, each.control)
            for place, each in enumerate(sequence)
        ]
    return out
