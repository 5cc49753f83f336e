"""The home's life: numbered behaviors, published at QoS 1 at a steady pace whatever becomes of the agent.

A behavior's number is in its own time, so that the record alone tells which were stored, how often, in which order.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.core.behaviors import Behavior

BEGAN = 1_736_121_600.0  # 2025-01-06 00:00 UTC, a Monday
DAY = 86400.0
ODD_EVERY = 3  # days between two things that nobody does
PATIENCE = 30.0  # seconds the broker has to acknowledge
UNDER_WAY = 20  # publications the broker has not acknowledged, at most


def lived(seed: int) -> Iterator[Behavior]:
    """Yield what the home does, for ever: days by rule with some chance, and now and then an oddity."""
    chance = np.random.default_rng(seed)
    day = 0
    while True:
        found = [(7.0, "lamp", "state ON"), (7.02, "kettle", "state ON"), (7.1, "kettle", "state OFF")]
        if chance.random() < 0.5:
            found += [(8.0, "heater", "state ON"), (8.5 + chance.random(), "heater", "state OFF")]
        found += [(18.0 + chance.random(), "lamp", "state ON"), (21.0 + chance.random(), "lamp", "state OFF")]
        if day >= 60 and day % ODD_EVERY == 0:
            found.insert(0, (3.0, "fan", "state ON"))
        for hour, device, control in found:
            yield Behavior(BEGAN + day * DAY + round(hour * 3600), device, control)
        day += 1


class Publisher:
    """Publishes a home's life from behavior `start` on; what the broker has taken is `taken`."""

    def __init__(self, port: int, life: list[Behavior], start: int) -> None:
        self._life = life
        self._port = port
        self.next = start  # number of the behavior that is published next
        self.taken: set[int] = set(range(start))
        self._under_way: deque[tuple[int, paho.MQTTMessageInfo]] = deque()  # in order, with their numbers
        self._lock = threading.Lock()  # held while something is published
        self._client: paho.Client | None = None
        self._closing = threading.Event()
        self.pace = 25.0  # behaviors a second
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to publish, with the broker there."""
        self.resume()
        self._thread.start()

    def pause(self) -> None:
        """Publish nothing more; whatever was published is acknowledged when this returns."""
        deadline = time.monotonic() + PATIENCE
        with self._lock:
            while self._under_way and time.monotonic() < deadline:
                time.sleep(0.01)
                self._settle()
            assert not self._under_way, "the broker acknowledges nothing"
            self._leave()

    def abandon(self) -> None:
        """Leave at once: what the broker has not acknowledged it may have, or not; nothing is sent to it twice."""
        with self._lock:
            self._settle()
            self._under_way.clear()
            self._leave()

    def resume(self) -> None:
        """Go on, with the broker there."""
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="life", protocol=paho.MQTTv5)
        connected = threading.Event()
        client.on_connect = lambda *_: connected.set()
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        assert connected.wait(PATIENCE), "the broker does not answer"
        with self._lock:
            self._client = client

    def close(self) -> None:
        """End it, with all that was published acknowledged."""
        self._closing.set()
        self.pause()
        self._thread.join()

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _settle(self) -> None:
        while self._under_way and self._under_way[0][1].is_published():
            self.taken.add(self._under_way.popleft()[0])

    def _run(self) -> None:
        while not self._closing.wait(1 / self.pace):
            with self._lock:
                self._settle()
                if self._client is None or len(self._under_way) >= UNDER_WAY:
                    continue
                each = self._life[self.next]
                body = json.dumps({"t": each.time, "control": each.control, "n": self.next})
                self._under_way.append((self.next, self._client.publish(f"home/{each.device}", body, 1)))
                self.next += 1


class Listener:
    """Hears every alert as a person's phone would: with a session that the broker keeps."""

    def __init__(self, port: int, topic: str) -> None:
        self.heard: list[int] = []  # numbers of alerts, in order
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="phone", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_message = lambda _, __, message: self.heard.append(int(json.loads(message.payload)["alert"]))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


def life(seed: int, count: int) -> list[Behavior]:
    """Return the first behaviors of a home's life."""
    return list(islice(lived(seed), count))
