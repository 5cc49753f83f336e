"""What the agent publishes, as server-sent events to the browsers that look on."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any

TOPICS = frozenset({"behavior", "alert", "progress", "state"})
MOST = 32  # browsers at once
WAITING = 100  # events kept for a slow browser; then the oldest are lost to it
HEARTBEAT = 15.0  # seconds of silence after which a sign of life is sent
AGAIN = 3000  # milliseconds a browser waits before it connects again


class Live:
    """Hands on what is published; `hear` is called in the agent's thread and never waits."""

    def __init__(self, heartbeat: float = HEARTBEAT) -> None:
        """`heartbeat`: seconds of silence before a sign of life."""
        self.newest: Mapping[str, Any] = {}  # the behavior scored last
        self._heartbeat = heartbeat
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[str]] = set()
        self._lock = threading.Lock()

    def hear(self, topic: str, body: Mapping[str, Any]) -> None:
        """Take in one thing published."""
        if topic not in TOPICS:
            return
        if topic == "behavior":
            self.newest = body
        with self._lock:
            if self._loop is not None and self._queues:
                self._loop.call_soon_threadsafe(self._spread, event(topic, body))

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve on a loop from now on."""
        self._loop = loop

    def end(self) -> None:
        """End every stream; called in any thread."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(self._spread, "")

    @property
    def full(self) -> bool:
        """Tell whether no browser more is served."""
        return len(self._queues) >= MOST

    async def stream(self, first: Mapping[str, Any]) -> AsyncIterator[str]:
        """Yield events until the page closes; the first is the agent's state."""
        waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)
        self._queues.add(waiting)
        try:
            yield f"retry: {AGAIN}\n{event('state', first)}"
            while self._loop is not None:
                try:
                    told = await asyncio.wait_for(waiting.get(), self._heartbeat)
                except TimeoutError:
                    told = ": still here\n\n"
                if not told:
                    return
                yield told
        finally:
            self._queues.discard(waiting)

    def _spread(self, told: str) -> None:
        for waiting in self._queues:
            _put(waiting, told)


def event(topic: str, body: Mapping[str, Any]) -> str:
    """Return one server-sent event; JSON holds no line break that would end it early, and no number that is none."""
    plain = json.loads(json.dumps(body), parse_constant=lambda _: None)
    return f"event: {topic}\ndata: {json.dumps(plain)}\n\n"


def _put(waiting: "asyncio.Queue[str]", told: str) -> None:
    if waiting.full():
        waiting.get_nowait()
    waiting.put_nowait(told)
