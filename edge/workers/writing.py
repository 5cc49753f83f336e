"""Writes replies, several at once: each request is a sequence of its own that begins where the shared part ends.

What a reply reads depends on its own request, seed and grammar alone; which others are in the batch changes only
the order in which floats are added up.
"""

import time
from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from edge.workers.engine import UBATCH, Engine, Row
from edge.workers.sampling import Chances, Sampler


@dataclass(frozen=True)
class Asked:
    """One request: its tokens, how many of them the shared part holds, and the grammars of its one or two lines."""

    index: int
    tokens: tuple[int, ...]
    shared: int
    lines: tuple[Any, ...]  # compiled grammars, None for a line held to nothing


@dataclass
class Reply:
    """What was written for one request; `tokens` counts all lines, `seconds` last from its first token on."""

    index: int
    lines: list[bytes] = field(default_factory=lambda: [b""])
    tokens: int = 0
    seconds: float = 0.0


def common(tokens: Items[int], static: Items[int]) -> int:
    """Return how many tokens two texts begin with in common; the last of `tokens` is always left to evaluate."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(tokens, static, strict=False)))
    return min(same, len(tokens) - 1)


class _Slot:
    """A request being answered in one sequence."""

    def __init__(self, asked: Asked, sequence: int, sampler: Sampler) -> None:
        self.asked, self.sequence, self.sampler = asked, sequence, sampler
        self.reply = Reply(asked.index)
        self.waiting = [*asked.tokens[asked.shared :]]  # what is to be evaluated before the next draw
        self.place = asked.shared
        self.row = 0
        self.begun = 0.0
        sampler.hold(asked.lines[0])

    def rows(self, before: int) -> list[Row]:
        """Return what the next batch evaluates for it; `before` rows stand in it already."""
        last = len(self.waiting) - 1
        found = [
            Row(token, self.place + turn, (self.sequence,), turn == last) for turn, token in enumerate(self.waiting)
        ]
        self.place += len(found)
        self.row = before + last
        return found

    def step(self, engine: Engine, limit: int) -> bool:
        """Draw one token; tell whether the reply is done."""
        token = self.sampler.draw(self.row)
        now = time.monotonic()
        self.begun = self.begun or now
        self.reply.tokens, self.reply.seconds = self.reply.tokens + 1, now - self.begun
        if engine.ends(token):
            return True
        written, newline, _ = engine.piece(token).partition(b"\n")
        self.reply.lines[-1] += written
        self.waiting = [token]
        if newline:
            if len(self.reply.lines) == len(self.asked.lines):
                return True
            self.sampler.hold(self.asked.lines[len(self.reply.lines)])
            self.reply.lines.append(b"")
        return self.reply.tokens >= limit * len(self.reply.lines)


class Desk:
    """Where requests wait and are answered, `width` at a time."""

    def __init__(self, engine: Engine, width: int, chances: Chances, seed: int, limit: int) -> None:
        self._engine, self._chances, self._seed, self._limit = engine, chances, seed, limit
        self._free = deque(range(1, width + 1))
        self._slots: list[_Slot] = []
        self.first = 0.0  # when the first token was drawn, by the monotonic clock

    def replies(self, asked: Items[Asked], deadline: float) -> Iterator[Reply]:
        """Yield replies as they are done, until all are or time is over."""
        waiting = deque(asked)
        while (waiting or self._slots) and time.monotonic() < deadline:
            rows: list[Row] = []
            for slot in self._slots:
                rows += slot.rows(len(rows))
            self._admit(waiting, rows)
            self._engine.decode(rows)
            done = [slot for slot in self._slots if slot.step(self._engine, self._limit)]
            self.first = self.first or time.monotonic()
            for slot in done:
                self._leave(slot)
                yield slot.reply

    def _admit(self, waiting: deque[Asked], rows: list[Row]) -> None:
        """Let requests in while there is room; the very first goes alone, so that it is answered soonest."""
        while waiting and self._free and (not rows or self.first):
            if rows and len(rows) + len(waiting[0].tokens) - waiting[0].shared > UBATCH:
                return
            asked, sequence = waiting.popleft(), self._free.popleft()
            self._engine.branch(sequence, asked.shared)
            sampler = Sampler(self._engine, self._chances, self._seed + asked.index)
            slot = _Slot(asked, sequence, sampler)
            rows += slot.rows(len(rows))
            self._slots.append(slot)

    def _leave(self, slot: _Slot) -> None:
        slot.sampler.close()
        self._engine.forget([slot.sequence])
        self._slots.remove(slot)
        self._free.append(slot.sequence)
