"""How likely the language model finds given replies: their log-likelihood, several in one batch, nothing drawn."""

import time
from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from edge.workers.engine import UBATCH, Engine, Row, Unusable

LOGITS = 2**26  # bytes of logits a batch may ask for, where one reply does not need more


@dataclass(frozen=True)
class Candidate:
    """A reply to judge: prompt and reply in tokens, how many are the prompt's, how many the shared part holds."""

    number: int
    tokens: tuple[int, ...]
    prompt: int
    shared: int

    @property
    def asked(self) -> tuple[int, ...]:
        """The tokens of the prompt that are not in the shared part."""
        return self.tokens[self.shared : self.prompt]


def most(engine: Engine) -> int:
    """Return how many tokens a batch may hold."""
    return min(UBATCH, max(1, LOGITS // (4 * engine.size)))


def ranked(engine: Engine, candidates: Items[Candidate], width: int, deadline: float) -> Iterator[tuple[int, float]]:
    """Yield (candidate number, nats); raises Unusable where time is over before all are judged."""
    for batch in _batches(engine, candidates, width):
        if time.monotonic() > deadline:
            raise Unusable("time was over before all replies were judged")
        yield from _judged(engine, batch)


def _batches(engine: Engine, candidates: Items[Candidate], width: int) -> Iterator[list[list[Candidate]]]:
    """Cut candidates into batches of groups with the same prompt, within sequences, tokens and logits."""
    limit = most(engine)
    batch: list[list[Candidate]] = []
    count = size = 0
    for _, same in groupby(sorted(candidates, key=lambda each: each.tokens[: each.prompt]), _prompt_of):
        group: list[Candidate] = []
        for candidate in same:
            own = len(candidate.tokens) - candidate.prompt
            whole = own + (0 if group and engine.shares else len(candidate.asked))
            if count and (count == width or size + whole > limit):
                yield [*batch, group] if group else batch
                batch, group, count, size = [], [], 0, 0
                whole = own + len(candidate.asked)
            if group and not engine.shares:
                batch, group = [*batch, group], []
            group.append(candidate)
            count, size = count + 1, size + whole
        batch = [*batch, group]
    if batch:
        yield batch


def _prompt_of(candidate: Candidate) -> tuple[int, ...]:
    return candidate.tokens[: candidate.prompt]


def _judged(engine: Engine, batch: list[list[Candidate]]) -> Iterator[tuple[int, float]]:
    """Evaluate one batch: a prompt once for all its replies, each reply in a sequence of its own."""
    rows: list[Row] = []
    places: list[tuple[Candidate, list[int]]] = []
    sequence = 0
    for group in batch:
        held = tuple(range(sequence + 1, sequence + 1 + len(group)))
        sequence += len(group)
        for each in held:
            engine.branch(each, group[0].shared)
        asked = group[0].asked
        rows += [Row(token, group[0].shared + turn, held, turn == len(asked) - 1) for turn, token in enumerate(asked)]
        before = len(rows) - 1
        for each, candidate in zip(held, group, strict=True):
            own = candidate.tokens[candidate.prompt : -1]
            places.append((candidate, [before, *range(len(rows), len(rows) + len(own))]))
            rows += [Row(token, candidate.prompt + turn, (each,), True) for turn, token in enumerate(own)]
    engine.decode(rows)
    for candidate, after in places:
        yield candidate.number, _nats(engine, after, candidate.tokens[candidate.prompt :])
    engine.forget(range(1, sequence + 1))


def _nats(engine: Engine, after: Items[int], tokens: Items[int]) -> float:
    logits = np.stack([engine.logits(row) for row in after]).astype(np.float64)
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float((logits[np.arange(len(tokens)), tokens] - total).sum())
