"""What waits to be published, bounded: alerts go first, and what nobody may be listening to is shed first.

A retained message stands for its topic alone: a newer one replaces it. Of what is only passing, the oldest is shed.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass

ALERT, USUAL, PASSING = "alert", "usual", "passing"  # ranks, in the order they are sent
RANKS = (ALERT, USUAL, PASSING)
# How many may be under way for one of a rank to be sent, too. In a flood the broker's acknowledgements stand behind all
# that it sends us, so some of the places are kept for an alert that must not wait for them.
UNDER_WAY = {ALERT: 20, USUAL: 16, PASSING: 12}
CAPACITY = 4000  # messages of one rank that wait
PASSING_CAPACITY = 1000  # of what is passing
LARGEST = 8 * 1024 * 1024  # bytes of payloads of one rank


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to be published."""

    topic: str
    payload: bytes
    retain: bool = False


class Outbox:
    """Letters by rank. `shed` counts those that were dropped, by rank."""

    def __init__(self) -> None:
        self.shed: Counter[str] = Counter()
        self._lanes: dict[str, OrderedDict[str | int, Letter]] = {rank: OrderedDict() for rank in RANKS}
        self._bytes: Counter[str] = Counter()
        self._number = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def put(self, letter: Letter, rank: str = USUAL) -> bool:
        """Take a letter in; tell whether it waits. A full rank refuses it; passing ones make room for newer ones."""
        lane, size = self._lanes[rank], len(letter.payload)
        self._number += 1
        key = letter.topic if letter.retain else self._number
        if key in lane:
            self._bytes[rank] -= len(lane.pop(key).payload)
        full = PASSING_CAPACITY if rank == PASSING else CAPACITY
        while lane and (len(lane) >= full or self._bytes[rank] + size > LARGEST):
            self.shed[rank] += 1
            if rank != PASSING:
                return False
            _, oldest = lane.popitem(last=False)
            self._bytes[rank] -= len(oldest.payload)
        lane[key] = letter
        self._bytes[rank] += size
        return True

    def take(self, under_way: int = 0) -> Letter | None:
        """Return the letter to be sent next, None where nothing waits, or too many are under way for what does."""
        for rank, lane in self._lanes.items():
            if lane and under_way < UNDER_WAY[rank]:
                _, letter = lane.popitem(last=False)
                self._bytes[rank] -= len(letter.payload)
                return letter
        return None
