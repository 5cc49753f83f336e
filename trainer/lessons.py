"""What the language model is asked while it learns: rewriting, letting a device join, writing anew.

The same sequence is asked for in several scenes (contrast). A device joins a sequence because the scene wakes it,
or because the lesson took it out of the source: so the model learns where in this home's life it belongs.
"""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np

from edge.core import prompts
from edge.core.dictionary import Dictionary
from edge.core.prompts import Pair
from edge.core.proposals import MOST_JOINING, deliberate
from edge.core.scenes import OCCUPANCIES, SEASONS, Scene
from edge.core.sequences import LENGTH, Sequence
from trainer.homes.home import Home
from trainer.homes.rewriting import Change

THINNED, JOINED = 0.35, 0.7  # cumulative shares of requests of which the scene leaves less, and where it brings more
WRITTEN = 0.12  # share of requests without a source sequence
TAKEN_OUT = 0.3  # share of requests of which a device is taken out, to join again
NAMED = 0.8  # share of what is new that is asked for by its device
EXPLAINED = 0.3  # share of requests whose reply gives its reason
RARITIES = ("head", "middle", "tail")  # behaviors that make up half of a home's life, the next third, the rest
_SHARES = (0.5, 0.85)


@dataclass(frozen=True, slots=True)
class Request:
    """One sequence to rewrite, or none, and what it becomes.

    `joining`: what a device that is to take part can do. `rarity`: the RARITIES of the reply's rarest behavior.
    """

    sequence: Sequence
    reply: Sequence
    source: Scene
    target: Scene
    joining: tuple[Pair, ...] = ()
    rarity: int = 0
    explained: bool = False


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a stage of the curriculum asks: the share of pure copying, and how large a dictionary may be."""

    copying: float
    most_pairs: int
    most_habits: int
    bare: bool = False


COPYING = Lesson(copying=1.0, most_pairs=24, most_habits=0, bare=True)
EDITING = Lesson(copying=0.08, most_pairs=prompts.PAIRS, most_habits=prompts.EXAMPLES)

_FOLLOWING = {  # what a season is compared with; doubled where most changes
    "winter": ("spring", "spring", "summer", "autumn"),
    "spring": ("winter", "winter", "summer", "autumn"),
    "summer": ("winter", "winter", "autumn", "spring"),
    "autumn": ("spring", "summer", "summer", "winter"),
}


def draw_source(rng: np.random.Generator) -> Scene:
    """Draw a scene a home may be in; often only one thing of it is said."""
    season = str(rng.choice(SEASONS, p=[0.5, 0.13, 0.24, 0.13]))
    part = str(rng.choice(("daytime", "night"), p=[0.7, 0.3]))
    occupancy = str(rng.choice(OCCUPANCIES))
    if rng.random() < 0.55:
        return (Scene(season=season), Scene(part=part), Scene(occupancy=occupancy), Scene())[
            int(rng.choice(4, p=[0.52, 0.27, 0.15, 0.06]))
        ]
    return Scene(
        season=season if rng.random() < 0.85 else "",
        part=part if rng.random() < 0.35 else "",
        occupancy=occupancy if rng.random() < 0.5 else "",
    )


def draw_target(source: Scene, home: Home, rng: np.random.Generator) -> Scene:
    """Draw what the scene becomes: one thing changes, mostly one that the source says."""
    newcomer = home.dictionary.devices[home.newcomer].name if home.newcomer else ""
    seasons = _FOLLOWING.get(source.season, SEASONS)
    changes = (
        Scene(season=str(rng.choice(seasons))),
        Scene(part="daytime" if source.part == "night" else "night"),
        Scene(occupancy="single" if source.occupancy == "multiple" else "multiple"),
        Scene(mode=str(rng.choice(("away", "guests", "home"), p=[0.45, 0.4, 0.15]))),
        Scene(new_device=newcomer),
        Scene(removed_device=str(rng.choice([each.name for each in home.dictionary.devices.values()]))),
    )
    likely = 5.0 if source.season else 0.6, 4.0 if source.part else 1.0
    weights = np.array((*likely, 1.2, 0.8, 0.5 * bool(newcomer), 0.3))
    return changes[int(rng.choice(len(changes), p=weights / weights.sum()))].over(source)


def rarities(sequences: Items[Sequence]) -> dict[Pair, int]:
    """Return which of the RARITIES each behavior of a home is."""
    counts = Counter((step.device, step.control) for sequence in sequences for step in sequence)
    reached, out = 0, {}
    for pair, count in counts.most_common():
        out[pair] = sum(reached >= share * counts.total() for share in _SHARES)
        reached += count
    return out


Lived = Items[tuple[Sequence, tuple[Change, ...]]]


class Requests:
    """Draws the requests of one sample. `told`: the pairs that the prefix names."""

    def __init__(
        self,
        dictionary: Dictionary,
        lived: Lived,
        scenes: tuple[Scene, Items[Scene]],
        told: Items[Pair],
        rng: np.random.Generator,
    ) -> None:
        self._dictionary = dictionary
        self._told = frozenset(told)
        self._source, self._targets = scenes
        self._rng = rng
        self._rarity = rarities([sequence for sequence, _ in lived])
        self._places = [each for each in lived if all((step.device, step.control) in self._told for step in each[0])]

    def draw(self, count: int, *, bare: bool) -> list[Request]:
        """Return about `count` requests; `bare`: pure copies only."""
        pools = self._pools()
        out: list[Request] = []
        while self._places and len(out) < count:
            chance = self._rng.random()
            pool = pools[0] if chance < THINNED else pools[1] if chance < JOINED else self._places
            pool = pool or self._places
            sequence, changes = pool[int(self._rng.integers(len(pool)))]
            order = sorted(self._rng.permutation(len(changes)), key=lambda at: len(changes[at].kept()) >= len(sequence))
            for which in order[: int(self._rng.integers(1, 4))]:
                if bare:
                    out.append(Request(sequence, sequence, self._source, self._source))
                else:
                    out.append(self._asked(sequence, changes[which], self._targets[which]))
        return out

    def _pools(self) -> tuple[Lived, Lived]:
        thinned = [each for each in self._places if any(len(change.kept()) < len(each[0]) for change in each[1])]
        joined = [each for each in self._places if any(change.new() for change in each[1])]
        return thinned, joined

    def _asked(self, sequence: Sequence, change: Change, target: Scene) -> Request:
        chance = self._rng.random()
        kept = change.kept()
        lived = tuple(step for step in change.reply() if (step.device, step.control) in self._told)
        if chance < WRITTEN and lived:
            device = self._one(step.device for step in lived) if self._rng.random() < 0.5 else ""
            return self._made((), lived, target, device)
        device = self._one(step.device for step in kept)
        rest = tuple(step for step in sequence if step.device != device)
        if chance < WRITTEN + TAKEN_OUT and rest and len({step.device for step in kept}) > 1:
            return self._made(rest, kept, target, device)
        new = self._one(change.new())
        if new and self._rng.random() < NAMED:
            return self._made(sequence, change.reply(new), target, new)
        crowded = target.occupancy != self._source.occupancy or target.mode != self._source.mode
        return self._made(sequence, change.reply() if crowded else kept, target, "")

    def _one(self, devices: Iterable[str]) -> str:
        """Draw one of the devices, each as often as it is there; none of none."""
        options = list(devices)
        return options[int(self._rng.integers(len(options)))] if options else ""

    def _made(self, sequence: Sequence, reply: Sequence, target: Scene, device: str) -> Request:
        used = {(step.device, step.control) for step in reply if step.device == device}
        joining = self._joining(device, used) if used else ()
        said = tuple(each for each in reply if (each.device, each.control) in self._told or each.device == device)
        rarity = max((self._rarity.get((step.device, step.control), 2) for step in said), default=0)
        explained = bool(sequence) and self._rng.random() < EXPLAINED
        return Request(sequence, said[:LENGTH], self._source, target, joining, rarity, explained)

    def _joining(self, device: str, used: set[Pair]) -> tuple[Pair, ...]:
        """Return what a device can do, what it will do always among it, in the dictionary's order."""
        can = [pair for pair in self._dictionary.controls if pair[0] == device and deliberate(pair)]
        others = [pair for pair in can if pair not in used]
        most = max(0, MOST_JOINING - len(used))
        more = [others[at] for at in self._rng.permutation(len(others))[: int(self._rng.integers(0, most + 1))]]
        return tuple(pair for pair in self._dictionary.controls if pair in used or pair in more)
