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
from edge.core.filters import transitions
from edge.core.prompts import Follows, Labels, Pair
from edge.core.replies import reply_text
from edge.core.scenes import Scene
from edge.core.sequences import Sequence
from trainer.homes.home import Home
from trainer.homes.life import variants
from trainer.lessons import Lesson, Request, Requests, draw_source, draw_target

DAYS = 10  # days of each home a sample draws from
SLOT = 3  # hours of a slot in the published data sets
HELD_OUT = 10_000_000  # seeds from here on are never trained on


@dataclass(frozen=True)
class Sample:
    """A home's prefix and its requests; `foreign` is another home's prefix, to measure with; `bare` has none.

    `told` are the pairs the prefix names, `labels` also name what only a request does.
    """

    told: tuple[Pair, ...]
    labels: Labels
    habits: tuple[Sequence, ...]
    follows: Follows
    requests: tuple[Request, ...]
    dictionary: Dictionary
    foreign: str = ""
    bare: bool = False

    @cached_property
    def prefix(self) -> str:
        """The static part of the prompt."""
        if self.bare:
            return prompts.head()
        return self.foreign or prompts.head() + prompts.home_text(self.told, self.habits, self.follows, self.labels)

    def asked(self, request: Request) -> str:
        """Return the text of a request."""
        return prompts.request_text(request.sequence, request.source, request.target, self.labels, request.joining)

    def answered(self, request: Request) -> str:
        """Return the text of its reply, the line's end included, and where asked for its reason."""
        reply = reply_text(request.reply, request.sequence if not self.bare else (), self.labels) + "\n"
        reason = prompts.reason_text(request.sequence, request.reply, request.target, self.labels)
        return reply + (reason if request.explained else "")


def _coarse(sequence: Sequence) -> Sequence:
    return tuple(replace(step, hour=step.hour // SLOT * SLOT) for step in sequence)


def _sayable(sequence: Sequence, told: Items[Pair]) -> bool:
    return all((step.device, step.control) in told for step in sequence)


class Population:
    """Samples over homes; home and chance follow from the sample's number, so that any sample can be made again.

    `homes`: how many different homes there are; None: each sample has its own.
    """

    def __init__(self, seed: int, *, held_out: bool = False, homes: int | None = None) -> None:
        self.seed = seed
        self.first = HELD_OUT if held_out else 0
        self.homes = homes

    def sample(
        self, number: int, lesson: Lesson, count: int, scenes: tuple[Scene, Scene] | None = None
    ) -> Sample | None:
        """Draw a sample of about `count` requests, from one scene to another where they are given.

        None for a home that has nothing to tell.
        """
        rng = np.random.default_rng([self.seed, self.first + number, 5])
        one_of_few = np.random.default_rng([self.seed, number, 6])  # a row's numbers are a batch apart: no remainder
        which = number if self.homes is None else int(one_of_few.integers(self.homes))
        home = Home.draw(self.first + self.seed * 1_000_003 + which)
        source, targets = (scenes[0], [scenes[1]]) if scenes else self._scenes(home, lesson, rng)
        lived = variants(home, source, targets, DAYS, self.first + number)
        if not lived:
            return None
        sequences = [sequence for sequence, _ in lived]
        limit = int(rng.integers(6, lesson.most_pairs + 1)) if rng.random() < 0.5 else lesson.most_pairs
        told = prompts.choose(home.dictionary, sequences, limit)
        labels = Labels.of([*told, *home.dictionary.controls], home.dictionary)
        requests = Requests(home.dictionary, lived, (source, targets), told, rng).draw(count, bare=lesson.bare)
        habits = self._habits([each for each in sequences if _sayable(each, told)], lesson, rng)
        if rng.random() < 0.4:  # the published data sets tell eight times of day apart
            requests = [replace(each, sequence=_coarse(each.sequence), reply=_coarse(each.reply)) for each in requests]
            habits = [_coarse(each) for each in habits]
        follows = transitions(sequences) if rng.random() < 0.9 else Counter()
        if not requests:
            return None
        return Sample(tuple(told), labels, tuple(habits), follows, tuple(requests), home.dictionary, bare=lesson.bare)

    def _scenes(self, home: Home, lesson: Lesson, rng: np.random.Generator) -> tuple[Scene, list[Scene]]:
        source = draw_source(rng)
        targets = [draw_target(source, home, rng) for _ in range(3)]
        if lesson.bare:
            return source, [source, source]
        if rng.random() < lesson.copying:
            return source, [source, targets[0]]
        return source, [targets[0], targets[1], source if rng.random() < 0.15 else targets[2]]

    def _habits(self, sequences: Items[Sequence], lesson: Lesson, rng: np.random.Generator) -> list[Sequence]:
        usual = [each for each, _ in Counter(sequences).most_common(60)]
        if not usual:
            return []
        count = min(len(usual), int(rng.integers(0, lesson.most_habits + 1)))
        first = usual[: count // 2]
        rest = [usual[int(place)] for place in rng.permutation(len(usual))[: count - len(first)]]
        return list(dict.fromkeys([*first, *rest]))
