"""What is proposed to the language model: which sequences are worth rewriting, and which device is to join them.

One rule for every home and scene. A sequence lived often is asked for more often, but less than it is lived, and one
of a device hardly used more: a new scene leaves less of the most usual, and a second person uses other things.
Where a scene wakes devices, every second sequence is to have one of them; of the rest, some are to have a device the
home hardly used: coverage is not left to luck. Where more people are at home, their lives run through each other.
"""

import re
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from edge.core.compress import Kept
from edge.core.dictionary import Dictionary
from edge.core.prompts import Pair
from edge.core.scenes import Scene, possible, waking
from edge.core.sequences import LENGTH, Sequence, Step

WOKEN_SHARE = 0.5  # of the sequences that a device the scene wakes is to join
COVERED_SHARE = 0.05  # of the others that a device of the home is to join, all devices alike
MOST_JOINING = 5  # controls of a joining device that a request names
LANE = 4  # behaviors of one life before another's in a home of several people

REPORT = re.compile(r"notification|refresh")  # what a device or an app does by itself


def deliberate(pair: Pair) -> bool:
    """Tell whether a control is what people do, no report of the device's own."""
    return not REPORT.search(pair[1].lower())


def woken(dictionary: Dictionary, scene: Scene) -> list[Pair]:
    """Return what people do with the devices a scene wakes in this home, a new device's among them."""
    awake = waking(scene)

    def wakes(device: str) -> bool:
        described = dictionary.devices.get(device)
        named = described is not None and scene.new_device in {described.id, described.name}
        return named or dictionary.kind(device) in awake

    return [pair for pair in dictionary.controls if wakes(pair[0]) and deliberate(pair)]


def _pair(step: Step) -> Pair:
    return step.device, step.control


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
    """Return `count` proposals from the sequences shown, or none where the scene leaves nothing of them.

    What cannot be in the scene at any hour is cut out first: that is no question to ask of a model.
    """
    source, target = scenes
    rng = np.random.default_rng(seed)
    allowed = set(possible(dictionary, target))
    left = ((kept, tuple(step for step in kept.sequence if _pair(step) in allowed)) for kept in shown)
    shown = [replace(kept, sequence=sequence) for kept, sequence in left if sequence]
    if not shown:
        return []
    ends = np.cumsum(_weights(shown))

    def draw(size: int) -> list[Sequence]:
        """Draw as evenly as the weights allow (systematic sampling)."""
        rows = np.searchsorted(ends, (np.arange(size) + rng.random()) / size * ends[-1], side="right")
        return [shown[min(int(row), len(shown) - 1)].sequence for row in rng.permutation(rows)]

    drawn = draw(count)
    if target.occupancy == "multiple" != source.occupancy:
        drawn = [_woven(lives, rng) for lives in zip(drawn, draw(count), strict=True)]
    awake = _controls(woken(dictionary, target))
    others = _controls(pair for pair in dictionary.controls if pair in allowed and deliberate(pair))
    out: list[Proposal] = []
    for sequence in drawn:
        chance = rng.random()
        pool = awake if awake and chance < WOKEN_SHARE else others if rng.random() < COVERED_SHARE else {}
        free = [pairs for device, pairs in pool.items() if all(step.device != device for step in sequence)]
        joining = free[int(rng.integers(len(free)))] if free else []
        out.append(Proposal(sequence, tuple(sorted(joining, key=switches, reverse=True)[:MOST_JOINING])))
    return out


def _weights(shown: Items[Kept]) -> NDArray[np.float64]:
    """Return how often each sequence is asked for: the root of its count over the roots of its devices' use."""
    use: Counter[str] = Counter()
    for kept in shown:
        for step in kept.sequence:
            use[step.device] += kept.count
    rarity = [np.mean([use[step.device] ** -0.5 for step in kept.sequence]) for kept in shown]
    weights: NDArray[np.float64] = np.sqrt([kept.count for kept in shown]) * np.array(rarity)
    return weights


def _controls(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    out: dict[str, list[Pair]] = {}
    for pair in pairs:
        out.setdefault(pair[0], []).append(pair)
    return out


def _woven(lives: Items[Sequence], rng: np.random.Generator) -> Sequence:
    """Let two lives run through each other on one day and the first one's clock; what is done again counts once."""
    lanes = [[next(run) for _, run in groupby((step for step in each if step.day == each[0].day), key=_pair)][:LANE]
             for each in lives]  # fmt: skip
    now = lanes[0][0]
    out: list[Step] = []
    while any(lanes) and len(out) < LENGTH:
        lane = int(rng.choice([at for at, rest in enumerate(lanes) if rest]))
        step = lanes[lane].pop(0)
        now = step if lane == 0 else replace(step, day=now.day, hour=now.hour)
        out.append(now)
    return tuple(out)
