"""What the broker has sent and nobody has taken yet, bounded by number and by bytes.

Where it is full, whoever puts waits: with it the socket, and with that the broker, which keeps what it promised.
"""

import threading
import time
from collections import deque

from edge.core.events import Message

# Messages. In a flood acknowledgements of what we publish stand behind all that is not read yet: read much, early.
CAPACITY = 12_000
LARGEST = 8 * 1024 * 1024  # bytes of topics and payloads; a single larger one is taken where nothing else waits
SPARE = 0.1  # of both, kept free of messages that the broker has not promised (QoS 0)


class Inbox:
    """Messages in order of arrival, between the broker's thread and the loop's."""

    def __init__(self, capacity: int = CAPACITY, largest: int = LARGEST) -> None:
        self._capacity = capacity
        self._largest = largest
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message, wait: float) -> bool:
        """Append a message, after at most `wait` seconds; False where there was no room.

        One without an id was promised to nobody: there is less room for it, and it waits for none.
        """
        with self._changed:
            if not message.mid:
                fits = self._fits(message, 1.0 - SPARE)
            else:
                fits = self._changed.wait_for(lambda: self._fits(message, 1.0), wait)
            if fits:
                self._messages.append(message)
                self._bytes += _size(message)
                self._changed.notify_all()
            return fits

    def take(self, limit: int, wait: float) -> list[Message]:
        """Return up to `limit` messages in order of arrival; waits at most `wait` seconds for the first."""
        deadline = time.monotonic() + wait
        with self._changed:
            while not self._messages and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            taken = [self._messages.popleft() for _ in range(min(limit, len(self._messages)))]
            self._bytes -= sum(map(_size, taken))
            self._changed.notify_all()
            return taken

    def _fits(self, message: Message, share: float) -> bool:
        more = len(self._messages) + 1 <= self._capacity * share
        return not self._messages or (more and self._bytes + _size(message) <= self._largest * share)


def _size(message: Message) -> int:
    return len(message.topic) + len(message.payload)
