"""What the language model learns from: prompts exactly as the hub sends them, over simulated homes.

One sample is a home's static prefix (head, devices, habits) and several requests with their replies; each
request sees the prefix and itself only. The same sequence is asked for in several scenes (contrast).
"""

from collections import Counter
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edge.core import prompts
from edge.core.dictionary import Dictionary
from edge.core.prompts import Labels
from edge.core.scenes import OCCUPANCIES, SEASONS, Scene
from edge.core.sequences import Sequence
from trainer.homes.home import Home
from trainer.homes.life import variants

DAYS = 10  # days of each home a sample draws from
SLOT = 3  # hours of a slot in the published data sets
THINNED, EDITED = 0.45, 0.8  # cumulative shares of requests of which the scene leaves less, and of other edits
HELD_OUT = 10_000_000  # seeds from here on are never trained on


@dataclass(frozen=True, slots=True)
class Request:
    """One sequence to rewrite and what it becomes."""

    sequence: Sequence
    reply: Sequence
    source: Scene
    target: Scene


@dataclass(frozen=True)
class Sample:
    """A home's prefix and its requests; `foreign` is another home's prefix, to measure with; `bare` has none."""

    labels: Labels
    habits: tuple[Sequence, ...]
    requests: tuple[Request, ...]
    dictionary: Dictionary
    foreign: str = ""
    bare: bool = False

    @cached_property
    def prefix(self) -> str:
        """The static part of the prompt."""
        if self.bare:
            return prompts.head()
        told = prompts.devices_text(self.labels) + prompts.habits_text(self.habits, self.labels)
        return self.foreign or prompts.head() + told

    def asked(self, request: Request) -> str:
        """Return the text of a request."""
        return prompts.request_text(request.sequence, request.source, request.target, self.labels)

    def answered(self, request: Request) -> str:
        """Return the text of its reply, the line's end included."""
        return prompts.sequence_text(request.reply, self.labels) + "\n"


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
    )
    weights = np.array((5.0 if source.season else 0.6, 4.0 if source.part else 1.0, 1.2, 0.8, 0.5 if newcomer else 0.0))
    return changes[int(rng.choice(5, p=weights / weights.sum()))].over(source)


def _coarse(sequence: Sequence) -> Sequence:
    return tuple(replace(step, hour=step.hour // SLOT * SLOT) for step in sequence)


def _sayable(sequence: Sequence, labels: Labels) -> bool:
    return all((step.device, step.control) in labels.texts for step in sequence)


class Population:
    """Samples over homes; home and chance follow from the sample's number, so that any sample can be made again."""

    def __init__(self, seed: int, *, held_out: bool = False) -> None:
        self.seed = seed
        self.first = HELD_OUT if held_out else 0

    def sample(
        self, number: int, lesson: Lesson, count: int, scenes: tuple[Scene, Scene] | None = None
    ) -> Sample | None:
        """Draw a sample of about `count` requests, from one scene to another where they are given.

        None for a home that has nothing to tell.
        """
        rng = np.random.default_rng([self.seed, self.first + number, 5])
        home = Home.draw(self.first + self.seed * 1_000_003 + number)
        source, targets = (scenes[0], [scenes[1]]) if scenes else self._scenes(home, lesson, rng)
        lived = variants(home, source, targets, DAYS, self.first + number)
        if not lived:
            return None
        slots = rng.random() < 0.4
        sequences = [sequence for sequence, _ in lived]
        limit = int(rng.integers(6, lesson.most_pairs + 1)) if rng.random() < 0.5 else lesson.most_pairs
        labels = Labels.of(prompts.choose(home.dictionary, sequences, targets[0], limit), home.dictionary)
        requests = self._requests(lived, (source, targets), labels, count, rng)
        habits = self._habits(sequences, labels, lesson, rng)
        if slots:
            requests = [replace(each, sequence=_coarse(each.sequence), reply=_coarse(each.reply)) for each in requests]
            habits = [_coarse(each) for each in habits]
        return Sample(labels, tuple(habits), tuple(requests), home.dictionary, bare=lesson.bare) if requests else None

    def _scenes(self, home: Home, lesson: Lesson, rng: np.random.Generator) -> tuple[Scene, list[Scene]]:
        source = draw_source(rng)
        targets = [draw_target(source, home, rng) for _ in range(3)]
        if lesson.bare:
            return source, [source, source]
        if rng.random() < lesson.copying:
            return source, [source, targets[0]]
        return source, [targets[0], targets[1], source if rng.random() < 0.15 else targets[2]]

    def _requests(
        self,
        lived: Items[tuple[Sequence, tuple[Sequence, ...]]],
        scenes: tuple[Scene, list[Scene]],
        labels: Labels,
        count: int,
        rng: np.random.Generator,
    ) -> list[Request]:
        source, targets = scenes
        places = [each for each in lived if _sayable(each[0], labels)]
        if not places:
            return []
        edited = [each for each in places if any(each[0] != reply for reply in each[1])]
        thinned = [each for each in places if any(len(reply) < len(each[0]) for reply in each[1])]
        out: list[Request] = []
        while len(out) < count:
            chance = rng.random()
            pool = (thinned if chance < THINNED else edited if chance < EDITED else places) or places
            sequence, replies = pool[int(rng.integers(len(pool)))]
            order = sorted(rng.permutation(len(targets)), key=lambda which: len(replies[which]) >= len(sequence))
            for which in order[: int(rng.integers(1, 4))]:
                said = tuple(step for step in replies[which] if (step.device, step.control) in labels.texts)
                out.append(Request(sequence, said, source, targets[which]))
        return out

    def _habits(
        self, sequences: Items[Sequence], labels: Labels, lesson: Lesson, rng: np.random.Generator
    ) -> list[Sequence]:
        usual = [each for each, _ in Counter(sequences).most_common(60) if _sayable(each, labels)]
        if not usual:
            return []
        count = min(len(usual), int(rng.integers(0, lesson.most_habits + 1)))
        first = usual[: count // 2]
        rest = [usual[int(place)] for place in rng.permutation(len(usual))[: count - len(first)]]
        return list(dict.fromkeys([*first, *rest]))
