"""What is proposed to the language model: which sequences are worth rewriting, and which device is to join them.

One rule for every home and scene. A sequence lived often is asked for more often, but less than it is lived: a new
scene leaves less of the most usual. Where a scene wakes devices, every second sequence is to have one of them; of
the rest, some are to have a device the home hardly used: coverage is not left to luck. Where more people are
at home, their lives run through each other.
"""

import re
from collections.abc import Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from edge.core.compress import Kept
from edge.core.dictionary import Dictionary
from edge.core.prompts import Pair
from edge.core.scenes import Scene, fault, waking
from edge.core.sequences import LENGTH, Sequence, Step

WOKEN_SHARE = 0.5  # of the sequences that a device the scene wakes is to join
COVERED_SHARE = 0.25  # of the others that a device of the home is to join, all devices alike
MOST_JOINING = 5  # controls of a joining device that a request names
LANE = 4  # behaviors of one life before another's in a home of several people

REPORT = re.compile(r"notification|refresh")  # what a device or an app does by itself


def woken(dictionary: Dictionary, scene: Scene) -> list[Pair]:
    """Return what people do with the devices a scene wakes in this home, a new device's among them."""
    awake = waking(scene)

    def wakes(device: str) -> bool:
        described = dictionary.devices.get(device)
        named = described is not None and scene.new_device in {described.id, described.name}
        return named or dictionary.kind(device) in awake

    return [pair for pair in dictionary.controls if wakes(pair[0]) and not REPORT.search(pair[1].lower())]


def switches(pair: Pair) -> bool:
    """Tell whether a control turns its device on or off: what wakes a device, before anything is set on it."""
    return pair[1].lower().endswith((" on", " off"))


@dataclass(frozen=True, slots=True)
class Proposal:
    """A sequence to rewrite, and what a device that is to join it can do (nothing: none is to)."""

    sequence: Sequence
    joining: tuple[Pair, ...] = ()


def proposals(
    shown: Items[Kept], dictionary: Dictionary, scenes: tuple[Scene, Scene], count: int, seed: int
) -> list[Proposal]:
    """Return `count` proposals from the sequences shown, every one of them at first."""
    source, target = scenes
    rng = np.random.default_rng(seed)
    weight = np.sqrt([kept.count for kept in shown])
    weight /= weight.sum()
    more = rng.choice(len(shown), size=max(0, count - len(shown)), p=weight)
    drawn = [kept.sequence for kept in shown][:count] + [shown[row].sequence for row in more]
    if target.occupancy == "multiple" != source.occupancy:
        drawn = [_woven(each, shown[int(rng.choice(len(shown), p=weight))].sequence, rng) for each in drawn]
    awake = _controls(woken(dictionary, target))
    others = _controls(pair for pair in dictionary.controls if _possible(pair, dictionary, target))
    out: list[Proposal] = []
    for sequence in drawn:
        chance = rng.random()
        pool = awake if awake and chance < WOKEN_SHARE else others if rng.random() < COVERED_SHARE else {}
        joining = list(pool.values())[int(rng.integers(len(pool)))] if pool else []
        out.append(Proposal(sequence, tuple(sorted(joining, key=switches, reverse=True)[:MOST_JOINING])))
    return out


def _controls(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    out: dict[str, list[Pair]] = {}
    for pair in pairs:
        out.setdefault(pair[0], []).append(pair)
    return out


def _possible(pair: Pair, dictionary: Dictionary, scene: Scene) -> bool:
    anytime = replace(scene, part="")
    return not REPORT.search(pair[1].lower()) and not fault(Step(0, 12, *pair), dictionary.kind(pair[0]), anytime)


def _woven(one: Sequence, other: Sequence, rng: np.random.Generator) -> Sequence:
    """Let two lives run through each other on the first one's clock; what is done again and again counts once."""
    lanes = [[next(run) for _, run in groupby(each, key=lambda step: (step.device, step.control))][:LANE]
             for each in (one, other)]  # fmt: skip
    out: list[Step] = []
    while any(lanes) and len(out) < LENGTH:
        lane = int(rng.integers(2)) if all(lanes) else int(not lanes[0])
        step = lanes[lane].pop(0)
        at = step if lane == 0 or not out else out[-1]
        out.append(replace(step, day=at.day, hour=at.hour))
    return tuple(out)
