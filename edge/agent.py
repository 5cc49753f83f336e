"""The agent: opens everything a home needs, and runs the two loops until it is told to stop."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from edge import __version__, compose, notify, standing
from edge.alerts import BEGUN
from edge.core.devices import Device
from edge.core.discovery import entity_ids
from edge.core.habits import MOST
from edge.core.outbox import ALERT, PASSING, USUAL
from edge.desk import Desk
from edge.dialects import Dialects, dialect
from edge.homeassistant import HomeAssistant
from edge.jobs import Jobs
from edge.mqtt import Session
from edge.receipts import Receipts
from edge.requests import Request, Requests
from edge.salvage import told_of
from edge.settings import Settings
from edge.store import Store
from edge.synthesis import Progress
from edge.watch import Watch

BATCH = 200  # messages in one commit, at most: what the broker may have under way
# Seconds after a connection within which the broker has begun to send what it kept, and after which it has ended.
BACKLOG = (5.0, 600.0)
TICK = 1.0  # seconds between two looks at what is not urgent
RANKS = {"alert": ALERT, "behavior": PASSING, "progress": PASSING}  # of what is published
BEAT = 1800.0  # seconds between two signs of life on disk: seldom, for an SD card's sake


class Agent:
    """One home's agent. Open it, run it, close it; `on_progress` hears how far a long job is."""

    def __init__(self, settings: Settings, on_progress: Progress | None = None) -> None:
        """Open store, slots and models; raises StoreError. Nothing is connected yet."""
        self.settings = settings
        self.store = Store.open(settings.data.directory)
        salvaged = told_of(settings.data.directory)
        self._damaged = "" if salvaged is None else salvaged.told  # what a record that was damaged has lost
        self.session = Session(settings.broker)
        self.requests = Requests(settings.broker.prefix)
        self._desk = Desk(self.requests, self.session.publish, self.announce)
        own = entity_ids(settings.broker.client_id)  # heard of through Home Assistant, an alert would cause the next
        self._sources = Dialects(
            dialect(source.dialect, {**source.options(), "exclude": (*source.exclude, *own)})
            for source in settings.sources
        )
        self._sources.know(self.store.devices())
        alerts = compose.alerts(settings, self.store, self.publish)
        zone = settings.home.zone
        self.watch = Watch(self.store, self.session.acknowledge, self.publish, self._sources, zone, alerts=alerts)
        self.jobs = Jobs(settings, self.store, self.watch, self._desk, on_progress)
        self.home_assistant = HomeAssistant(settings, self.store, self.session.publish)
        self._began = time.monotonic()  # when the connection did
        self._connected = threading.Event()  # set by the broker's thread, heeded by the loop's
        self.watch.states.values = self.store.states()
        self.watch.devices.update({device.id: device for device in self.store.devices()})
        self.watch.devices.update(self.jobs.known.devices)
        self.watch.census.know((device.id for device in self.store.devices()), self.store.pairs())
        self.on_publish: list[Callable[[str, Mapping[str, Any]], None]] = []  # hear what is published; must not block
        self.snapshot: Mapping[str, Any] = {}  # the status of a moment ago, for other threads
        self._progress: Mapping[str, Any] | None = None  # what was told last of the job under way
        self._described: list[Device] = []
        self._take_up()
        self.jobs.resume()
        prefix, mark = settings.broker.prefix, uuid.uuid4().hex
        self._receipts = Receipts(self.store, prefix, self.publish, mark, self.jobs.now())
        self.snapshot = self.status()

    def run(self, stop: threading.Event) -> None:
        """Hear, score and adapt until `stop` is set; raises StoreError when the disk gives up."""
        ours = (self.requests, self.jobs.scenery, self.home_assistant, self._receipts)
        self.session.on_connect.append(self._meet_broker)
        self.session.subscribe([*self._sources.topics(), *(topic for each in ours for topic in each.topics())])
        self.session.open()
        try:
            due = beat = 0.0
            ready = False
            while not stop.is_set():
                self._hear()
                self._desk.heed_threads(self.jobs)
                self._introduce()
                if not ready and self.session.connected:
                    ready = True
                    notify.ready()
                if time.monotonic() >= due:
                    due = time.monotonic() + TICK
                    notify.watchdog()
                    self.jobs.tick()
                    self._glance()
                if time.monotonic() >= beat:
                    beat = time.monotonic() + BEAT
                    if self.session.connected:  # else a connection will
                        self.announce()
                    self._beat()
        finally:
            notify.stopping()
            self.close()

    def close(self) -> None:
        """Stop children and threads, say goodbye to the broker, close the store."""
        self.jobs.close()
        self._desk.close()
        self.session.close()
        self.store.close()

    def publish(self, topic: str, body: Mapping[str, Any], *, retain: bool = False) -> None:
        """Publish JSON under our prefix; whoever listens in this process hears it too."""
        self.home_assistant.hear_published(topic, body, self.watch.alerts)
        for listener in self.on_publish:
            listener(topic, body)
        rank = RANKS.get(topic, USUAL)
        self.session.publish(f"{self.settings.broker.prefix}/{topic}", json.dumps(body), retain=retain, rank=rank)

    def ask(self, request: Request) -> "Future[dict[str, Any]]":
        """Ask from another thread: done by the loop's own, answered as over MQTT (status, data, error)."""
        return self._desk.ask(request)

    def _take_up(self) -> None:
        """Take up what was lived and told: no alert is repeated, no mute forgotten."""
        rows = list(self.store.behaviors_with_ids(after=max(0, self.store.newest() - MOST)))
        told = self.store.alerts(min(each.time for _, each in rows), BEGUN) if rows else []  # clocks are set back
        self.watch.take_up(rows, told, time.time())

    def _beat(self) -> None:
        """Leave a sign of life on disk, with what another process cannot know."""
        self.store.set_fact("heartbeat", {"time": round(time.time()), **self.status()})

    def _hear(self) -> None:
        """Take what has arrived within a commit's time through the fast loop."""
        messages = self.session.take(BATCH, 0.2)
        deadline = time.monotonic() + self.settings.data.commit_seconds
        while messages and len(messages) < BATCH and (left := deadline - time.monotonic()) > 0:
            more = self.session.take(BATCH - len(messages), min(left, 0.05))
            if not more:
                break
            messages += more
        if not messages:
            self._catch_up(0)
            return
        asked = [message for message in messages if self.requests.concerns(message)]
        told = [message for message in messages if self.jobs.scenery.concerns(message)]
        around = [message for message in messages if self.home_assistant.concerns(message)]
        came = [message for message in messages if self._receipts.concerns(message)]
        ours = [*told, *asked, *came, *(message for message in around if not self._sources.matches(message.topic))]
        mine = {id(message) for message in ours}
        self.watch.handle([message for message in messages if id(message) not in mine])
        if gone := self.watch.take_gone():
            self.store.drop(gone)
        if (described := self._sources.described()) != self._described:
            self._described = described
            self.store.remember(self.watch.describe(described))
        for message in told:
            self.jobs.scenery.hear(message)
        for message in came:
            self._receipts.hear(message)
        for message in around:
            self.home_assistant.hear(message)
        if refused := self._desk.hear(asked, self.jobs):
            self.store.record(refused)
        self.session.acknowledge(ours)
        self._catch_up(len(messages))

    def _catch_up(self, heard: int) -> None:
        """Notice when what the broker had kept for us has come: at the first batch that leaves nothing waiting."""
        connected = time.monotonic() - self._began
        if (heard < BATCH and not self.session.inbox and connected > BACKLOG[0]) or connected > BACKLOG[1]:
            self.watch.behind = False

    def _meet_broker(self) -> None:
        """Take in, in the broker's thread and before any message of it, that a connection has begun."""
        self._began, self.watch.behind = time.monotonic(), True
        self._connected.set()

    def _introduce(self) -> None:
        """Tell all there is to know where the broker has just connected us, or Home Assistant has just started."""
        if connected := self._connected.is_set():
            self._connected.clear()
            self._receipts.ask(self.watch.alerts.newest)
        if connected or self.home_assistant.born():
            self.home_assistant.forget_sent()
            self.announce()

    def _glance(self) -> None:
        """Keep the status for other threads; tell how far a job is whenever that has changed."""
        told, self.snapshot = self.snapshot, self.status()
        moved = self.session.connected and self.home_assistant.tick()
        trained = told["training"] != self.snapshot["training"]
        if moved or trained:
            self.announce()
        if trained:
            self._beat()
        if (progress := self.snapshot["progress"]) != self._progress:
            self._progress = progress
            self.publish("progress", progress or {})

    def announce(self) -> None:
        """Tell what the agent is doing, retained; called at every connection and change.

        What Home Assistant discovers comes first, then that we are there, then every state.
        """
        self.snapshot = self.status()
        choices, scene = self.jobs.choices, str(self.jobs.scenery.scene)
        if self.session.connected:
            self.home_assistant.discover(scene, choices.alarms_per_week)
        self.publish("state", self.snapshot, retain=True)
        states = {
            **({} if self.home_assistant.settling else {"scene/state": scene}),
            "mode/state": choices.mode,
            "alarms_per_week/state": f"{choices.alarms_per_week:g}",
            "alerts/state": "ON" if choices.alerts else "OFF",
            "notifications/suspended": str(self.watch.alerts.suspended_until(time.time())),
        }
        for topic, text in states.items():
            self.session.publish(f"{self.settings.broker.prefix}/{topic}", text, retain=True)
        self.home_assistant.tell()

    def status(self) -> dict[str, Any]:
        """Return what the agent is doing."""
        model, now = self.watch.model, self.jobs.now()
        days = standing.days(self.store, model.created if model else None, now)
        return {
            "version": __version__,
            "slot": model.slot if model else None,
            "scene": str(self.jobs.scenery.scene),
            "scores": model is not None,
            "judged": self.watch.scored,
            "days": {**days, "needed": self.settings.model.learn_after_days},
            "false_alarms": standing.false_alarms(self.store, now),
            **self.jobs.choices.status(),
            **self.jobs.status(),
            "problem": "; ".join(filter(None, (self.jobs.problem, self._damaged))),
            **self.watch.alerts.status(time.time(), now),
            "shed": self._shed(),
        }

    def _shed(self) -> dict[str, int]:
        """Return what was dropped since the start because there was too much of it; messages are counted on disk."""
        unsent = {f"{rank} publications": count for rank, count in self.session.outbox.shed.items()}
        found = {"messages at QoS 0": self.session.dropped, **unsent, **self._desk.refused}
        return {what: count for what, count in found.items() if count}
