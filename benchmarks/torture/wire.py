"""The wire between broker and agent: a TCP proxy that reads MQTT as it passes, and can fail.

It is the witness: which event was sent to the agent, as new or again, and which the agent has acknowledged. What a
broker that was killed has lost of itself is told apart from what the agent loses.
"""

import json
import selectors
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

CONNECT, PUBLISH, PUBACK, SUBACK = 1, 3, 4, 9
V5 = 5
ANSWERS = "sceneshift/response/"


class Packets:
    """One direction's bytes, cut into whole packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield (type, flags, content) of every packet that is whole now."""
        self._rest += chunk
        while (found := self._first()) is not None:
            start, end = found
            yield self._rest[0] >> 4, self._rest[0] & 15, self._rest[start:end]
            self._rest = self._rest[end:]

    def _first(self) -> tuple[int, int] | None:
        size = 0
        for place in range(1, min(5, len(self._rest))):
            size |= (self._rest[place] & 127) << 7 * (place - 1)
            if self._rest[place] < 128:
                end = place + 1 + size
                return (place + 1, end) if len(self._rest) >= end else None
        return None


class Witness:
    """What has passed, over all connections. Events are told by their number in `n`; other messages by nothing."""

    def __init__(self, alert_topic: str) -> None:
        self.alert_topic = alert_topic
        self.lock = threading.Lock()
        self.sent: Counter[int] = Counter()  # events sent to the agent as new
        self.acknowledged: set[int] = set()  # by the agent: safe with it, it says
        self.alerts: Counter[int] = Counter()  # told by the agent as new, by number
        self.answers = 0  # of the agent's to requests
        self.subscribed = 0  # times the agent has been connected and subscribed
        self.last = 0.0  # when the agent acknowledged last (monotonic)


class Link:
    """One connection of the agent's."""

    def __init__(self, agent: socket.socket, broker: socket.socket, witness: Witness) -> None:
        self.agent = agent
        self.broker = broker
        self._witness = witness
        self._packets = {agent: Packets(), broker: Packets()}
        self._version = V5
        self._under_way: dict[int, int] = {}  # packet id -> number of the event

    def passes(self, source: socket.socket, chunk: bytes) -> socket.socket:
        """Take in what comes from one side; return the other."""
        with self._witness.lock:
            for kind, flags, content in self._packets[source].feed(chunk):
                if source is self.agent:
                    self._said(kind, flags, content)
                else:
                    self._heard(kind, flags, content)
        return self.broker if source is self.agent else self.agent

    def close(self) -> None:
        """End it at once, for both sides."""
        for side in (self.agent, self.broker):
            with suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            side.close()

    def _said(self, kind: int, flags: int, content: bytes) -> None:
        witness = self._witness
        if kind == CONNECT:
            self._version = content[6]
        elif kind == PUBACK:
            number = self._under_way.pop(int.from_bytes(content[:2], "big"), None)
            if number is not None:
                witness.acknowledged.add(number)
                witness.last = time.monotonic()
        elif kind == PUBLISH and not flags & 8:
            topic, _, payload = self._message(flags, content)
            witness.answers += topic.startswith(ANSWERS)
            if topic == witness.alert_topic:
                witness.alerts[int(json.loads(payload)["alert"])] += 1

    def _heard(self, kind: int, flags: int, content: bytes) -> None:
        if kind == SUBACK:
            self._witness.subscribed += 1
        elif kind == PUBLISH:
            _, mid, payload = self._message(flags, content)
            with suppress(ValueError, TypeError, KeyError):
                number = int(json.loads(payload)["n"])
                self._under_way[mid] = number
                if not flags & 8:
                    self._witness.sent[number] += 1

    def _message(self, flags: int, content: bytes) -> tuple[str, int, bytes]:
        """Return topic, packet id and payload of a PUBLISH (MQTT v5, section 3.3)."""
        size = int.from_bytes(content[:2], "big")
        topic, rest, mid = content[2 : 2 + size].decode(), content[2 + size :], 0
        if flags & 6:
            mid, rest = int.from_bytes(rest[:2], "big"), rest[2:]
        if self._version == V5:
            length, place = 0, 0
            while True:
                length |= (rest[place] & 127) << 7 * place
                place += 1
                if rest[place - 1] < 128:
                    break
            rest = rest[place + length :]
        return topic, mid, rest


class Wire:
    """A port of its own in front of the broker's; runs in a thread until it is closed."""

    def __init__(self, broker_port: int, witness: Witness) -> None:
        self._broker = broker_port
        self._witness = witness
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._links: list[Link] = []
        self._lock = threading.Lock()
        self._closing = False
        self._dead_until = 0.0  # refuses connections before then (monotonic)
        self._still_until = 0.0  # passes nothing before then
        self.torn = False  # passes half of what comes next, and breaks off there
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self, seconds: float) -> None:
        """End every connection, and refuse others for some seconds."""
        self._dead_until = time.monotonic() + seconds
        self._drop()

    def hold(self, seconds: float) -> None:
        """Pass nothing for some seconds."""
        self._still_until = time.monotonic() + seconds

    def close(self) -> None:
        """End all of it."""
        self._closing = True
        self._thread.join(5)
        self._drop()
        self._listener.close()

    def _drop(self) -> None:
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.close()

    def _run(self) -> None:
        while not self._closing:
            with self._lock:
                links = {side: link for link in self._links for side in (link.agent, link.broker)}
            with selectors.DefaultSelector() as ready:
                try:
                    for side in (self._listener, *([] if time.monotonic() < self._still_until else links)):
                        ready.register(side, selectors.EVENT_READ)
                    chosen = [key.fileobj for key, _ in ready.select(0.05)]
                except (OSError, ValueError):  # cut just now
                    continue
            for side in chosen:
                if side is self._listener:
                    self._accept()
                elif isinstance(side, socket.socket):
                    self._pass(side, links[side])

    def _accept(self) -> None:
        agent, _ = self._listener.accept()
        try:
            if time.monotonic() < self._dead_until:
                raise ConnectionRefusedError
            broker = socket.create_connection(("127.0.0.1", self._broker), 2)
        except OSError:
            agent.close()
            return
        for side in (agent, broker):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._links.append(Link(agent, broker, self._witness))

    def _pass(self, side: socket.socket, link: Link) -> None:
        try:
            chunk = side.recv(65536)
            if chunk and self.torn:
                self.torn = False
                link.passes(side, chunk[: len(chunk) // 2]).sendall(chunk[: len(chunk) // 2])
                chunk = b""
            if chunk:
                link.passes(side, chunk).sendall(chunk)
                return
        except OSError:
            pass
        link.close()
        with self._lock:
            self._links = [each for each in self._links if each is not link]
