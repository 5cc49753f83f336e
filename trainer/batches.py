"""Samples to the tensors a step learns from."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from trainer.corpus import Population, Sample
from trainer.lessons import COPYING, EDITING, Lesson
from trainer.tokenizer import BEGIN_ID

ATTEMPTS = 50  # sample numbers a row may take: some homes have nothing to tell, some prefixes are too long


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of tokens (rows, places); `groups` as network.mask_of wants them.

    `learned` marks the replies' tokens, `rarity` is their request's (trainer.lessons.RARITIES).
    """

    tokens: Tensor
    positions: Tensor
    groups: Tensor
    learned: Tensor
    rarity: Tensor


Row = tuple[list[int], list[int], list[int], list[bool], list[int]]


def row(sample: Sample, tokenizer: Tokenizer, places: int) -> Row | None:
    """Pack a sample into at most `places` tokens, whole requests only; None where not even one fits."""
    texts = [sample.prefix]
    for request in sample.requests:
        texts += [sample.asked(request), sample.answered(request)]
    prefix, *rest = (each.ids for each in tokenizer.encode_batch(texts))
    tokens = [BEGIN_ID, *prefix]
    start = len(tokens)
    positions, groups, learned, rarity = list(range(start)), [0] * start, [False] * start, [0] * start
    for number, (asked, answered) in enumerate(zip(rest[::2], rest[1::2], strict=True), start=1):
        size = len(asked) + len(answered)
        if len(tokens) + size > places:
            continue
        tokens += [*asked, *answered]
        positions += range(start, start + size)
        groups += [number] * size
        learned += [False] * len(asked) + [True] * len(answered)
        rarity += [sample.requests[number - 1].rarity] * size
    return (tokens, positions, groups, learned, rarity) if len(tokens) > start else None


def stack(rows: list[Row], places: int) -> Batch:
    """Pad rows to one batch; padding sees only the prefix and is never learned."""
    out = Batch(
        torch.zeros(len(rows), places, dtype=torch.long),
        torch.zeros(len(rows), places, dtype=torch.long),
        torch.full((len(rows), places), -1, dtype=torch.long),
        torch.zeros(len(rows), places, dtype=torch.bool),
        torch.zeros(len(rows), places, dtype=torch.long),
    )
    for at, (tokens, positions, groups, learned, rarity) in enumerate(rows):
        size = len(tokens)
        out.tokens[at, :size] = torch.tensor(tokens)
        out.positions[at, :size] = torch.tensor(positions)
        out.groups[at, :size] = torch.tensor(groups)
        out.learned[at, :size] = torch.tensor(learned)
        out.rarity[at, :size] = torch.tensor(rarity)
    return out


@dataclass(frozen=True)
class Supply:
    """Batches by number: the same number is the same batch, so that training can be resumed.

    Most batches have `rows` rows of `places` tokens; every fourth has half as many rows of twice the
    length, for homes whose dictionary and habits are long.
    """

    population: Population
    tokenizer: Tokenizer
    rows: int
    places: int

    def batch(self, number: int, lesson: Lesson) -> Batch:
        """Make one batch."""
        double = 2 if number % 4 == 3 and not lesson.bare else 1
        places = self.places * double
        made = [
            self._row((number * self.rows + at) * ATTEMPTS, lesson, places) for at in range(self.rows // double or 1)
        ]
        return stack(made, places)

    def _row(self, first: int, lesson: Lesson, places: int) -> Row:
        for number in range(first, first + ATTEMPTS):
            sample = self.population.sample(number, lesson, places // 40)
            packed = row(sample, self.tokenizer, places) if sample else None
            if packed:
                return packed
        raise ValueError(f"no sample fits {places} tokens")

    def stream(self, start: int, copying_until: int) -> Generator[Batch]:
        """Yield batches from number `start` on, each made while the one before it is learned."""
        with ThreadPoolExecutor(1) as maker:
            waiting = maker.submit(self.batch, start, COPYING if start < copying_until else EDITING)
            while True:
                ready = waiting.result()
                start += 1
                waiting = maker.submit(self.batch, start, COPYING if start < copying_until else EDITING)
                yield ready
