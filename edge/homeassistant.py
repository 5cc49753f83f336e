"""Home Assistant: has the agent discovered, again at every birth and connection, and leaves nothing behind.

Only the thread of the fast loop may call it. What was published is a fact in the store, so that another form, another
prefix or none at all removes it, however long ago it was. The broker keeps no behavior for whoever comes later: what
was done last and is expected next is told to those who listen, and again at a birth or a connection.
"""

import json
import math
import random
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edge import __version__
from edge.alerts import Alerts
from edge.core.discovery import MIGRATE, Form, Place, form_for, messages
from edge.core.events import Message
from edge.core.outbox import PASSING
from edge.core.quiet import SAME_SEQUENCE
from edge.scenery import Facts
from edge.sections import Web
from edge.settings import Settings
from edge.sources import StatestreamSource

UNUSUAL_FOR = 900.0  # seconds after the last unusual behavior of an alarmed sequence in which it is "unusual now"
DELAYS = (0.5, 2.0)  # seconds after a birth; not every agent of a home answers at once
SETTLES = 2.0  # seconds Home Assistant has to take in what it is told of an entity, or to let go of one
LONGEST = 255  # characters of a state
_LOOPBACK = ("127.", "::1", "localhost")  # a page there is no link for whoever looks at Home Assistant
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared with, not listened on
_PUBLISHED, _VERSION = "discovery", "home_assistant_version"  # facts
# Where MQTT statestream tells the version: of the update entity, or of the Version integration's sensor.
_VERSIONS = ("update/home_assistant_core_update/installed_version", "sensor/current_version/state")


class Sending(Protocol):
    """The way to the broker (edge/mqtt.py)."""

    def __call__(self, topic: str, payload: str, *, retain: bool = ..., rank: str = ...) -> object:
        """Publish."""
        ...


class HomeAssistant:
    """What Home Assistant sees of the agent beyond its own topics."""

    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        send: Sending,
        *,
        clock: Callable[[], float] = time.monotonic,
        seed: int | None = None,
    ) -> None:
        """Take the settings; `clock` counts seconds, `seed` draws the delay after a birth."""
        self._section = section = settings.homeassistant
        broker = settings.broker
        self._place = Place(broker.client_id, broker.prefix, section.prefix, __version__, _page(settings.web))
        bases = {each.base_topic for each in settings.sources if isinstance(each, StatestreamSource)}
        self._versions = [f"{base}/{version}" for base in sorted({"+", *bases}) for version in _VERSIONS]
        self._facts = facts
        self._send = send
        self._clock = clock
        self._random = random.Random(seed)
        self._version = str(facts.fact(_VERSION, ""))
        self._sent: dict[str, str] = {}  # since the connection began, or Home Assistant
        self._freed: float | None = None  # when what is gone has been let go of
        self._taken_in: float | None = None  # when what was published last has been taken in
        self._born: float | None = None  # when to answer a birth
        self._unusual_until = -math.inf
        self._told: dict[str, Any] = {}  # of the newest behavior

    def topics(self) -> list[str]:
        """Return the filters to subscribe to."""
        return [] if self._section.discovery == "off" else [self._status, *self._versions]

    def concerns(self, message: Message) -> bool:
        """Tell whether a message is of Home Assistant itself."""
        return message.topic == self._status or message.topic.endswith(tuple(f"/{each}" for each in _VERSIONS))

    def hear(self, message: Message) -> None:
        """Take in a birth, or the version; what is neither is ignored."""
        text = message.payload[:40].decode(errors="replace").strip()
        if message.topic == self._status:
            if text == "online" and not message.retained:
                self._born = self._clock() + self._random.uniform(*DELAYS)
        elif form_for(text) is not None:
            before = self.form
            self._version = text
            self._facts.set_fact(_VERSION, text)
            self._born = self._clock() if self.form != before else self._born

    @property
    def form(self) -> Form:
        """The form that is published."""
        if self._section.discovery != "auto":
            return self._section.discovery
        return form_for(self._version) or "entities"

    def born(self) -> bool:
        """Tell, once, that all is to be told again: Home Assistant has just started, or is another version."""
        due = self._born is not None and self._clock() >= self._born
        if due:
            self._born = None
        return due

    def forget_sent(self) -> None:
        """Take nothing as known to the broker or to Home Assistant: a connection or a birth has just been."""
        self._sent = {}

    def discover(self, scene: str, alarms_per_week: float) -> None:
        """Publish what is not published yet, and remove what no longer is; only while connected.

        Where all is published anew, that we are there is said behind it.
        """
        wanted = messages(self.form, self._place, scene, alarms_per_week)
        kept = {*wanted, *([self._unusual] if wanted else ())}
        published = {str(topic) for topic in self._facts.fact(_PUBLISHED, [])}
        gone = sorted(published - kept)
        if gone and not self._let_go(gone, moving=bool(wanted)):
            return
        new = {topic: payload for topic, payload in wanted.items() if self._sent.get(topic) != payload}
        anew = bool(new) and not self._sent
        if not kept <= published:
            self._facts.set_fact(_PUBLISHED, sorted(published | kept))
        for topic in gone:
            self._send(topic, "", retain=True)
        for topic, payload in new.items():
            self._send(topic, payload, retain=True)
        if anew:
            self._send(f"{self._place.prefix}/availability", "online", retain=True)
        if gone:
            self._facts.set_fact(_PUBLISHED, sorted(kept))
        if new:
            self._taken_in = self._clock() + SETTLES
        self._sent = wanted

    def _let_go(self, gone: list[str], *, moving: bool) -> bool:
        """Tell whether Home Assistant has let go of what is gone; where it was not told so yet, tell it.

        `moving`: other topics are about to tell of the same entities. Else their states go once they are gone.
        """
        if self._freed is None:
            self._freed = self._clock() + SETTLES
            configs = [topic for topic in gone if topic.endswith("/config")]
            for topic in configs:
                self._send(topic, MIGRATE if moving else "", retain=not moving)
            if configs and not moving:
                self._facts.set_fact(_PUBLISHED, [topic for topic in gone if topic not in configs])
        if self._clock() < self._freed:
            return False
        self._freed = None
        return True

    @property
    def settling(self) -> bool:
        """Tell whether what was just published may not be taken in yet, so that a new scene is none it knows."""
        return self._taken_in is not None

    def tell(self) -> None:
        """Publish our own states again."""
        if self.form != "off":
            if self._told:
                self._send(self._newest, json.dumps(self._told), rank=PASSING)
            unusual = self._clock() < self._unusual_until
            self._send(self._unusual, "ON" if unusual else "OFF", retain=True)

    def hear_published(self, topic: str, body: Mapping[str, Any], alerts: Alerts) -> None:
        """Take in what the agent publishes: what was done, how odd it was, and what is expected."""
        if topic != "behavior" or self.form == "off":
            return
        self._told = {**self._told, **_in_words(body, alerts)}
        self._send(self._newest, json.dumps(self._told), rank=PASSING)
        if body["unusual"] and body["quiet"] in {"", SAME_SEQUENCE}:
            began = self._clock() >= self._unusual_until
            self._unusual_until = self._clock() + UNUSUAL_FOR
            if began:
                self._send(self._unusual, "ON", retain=True)

    def tick(self) -> bool:
        """Let go of what is not unusual any more; tell whether the agent is to announce itself again."""
        if math.isfinite(self._unusual_until) and self._clock() >= self._unusual_until:
            self._unusual_until = -math.inf
            self.tell()
        due = [each for each in (self._freed, self._taken_in) if each is not None and self._clock() >= each]
        if self._taken_in in due:
            self._taken_in = None
        return bool(due)

    @property
    def _status(self) -> str:
        return f"{self._section.prefix}/status"

    @property
    def _newest(self) -> str:
        return f"{self._place.prefix}/newest"

    @property
    def _unusual(self) -> str:
        return f"{self._place.prefix}/unusual"


def _page(web: Web) -> str:
    """Return where the page is for another machine, "" where it is for none."""
    if not web.enabled or web.address.startswith(_LOOPBACK):
        return ""
    host = socket.gethostname() if web.address in _ANYWHERE else web.address
    return web.url(host)


def _in_words(body: Mapping[str, Any], alerts: Alerts) -> dict[str, Any]:
    """Return the newest behavior in words, its score, and what comes next; `score` only where it was judged."""

    def words(device: str, control: str) -> str:
        return alerts.phrases.behavior(alerts.device(device).name, control)

    likely = [(words(each["device"], each["control"]), each["probability"]) for each in body["next"]]
    first, probability = likely[0] if likely else ("nothing known", None)
    found = {
        "behavior": words(body["device"], body["control"]),
        "next": first[:LONGEST],
        "probability": probability,
        "expected": dict(likely),
    }
    score = body["score"]
    return {**found, "score": score} if score is not None and math.isfinite(score) else found
