"""The agent: opens everything a home needs, and runs the two loops until it is told to stop."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from edge import compose, notify
from edge.adapt import Model, Outcome, SlowLoop
from edge.core.behaviors import Entry
from edge.core.devices import Device
from edge.core.errors import ArtifactError, EdgeError, MessageError, SettingsError
from edge.core.events import Message
from edge.core.scenes import Scene
from edge.core.sequences import LENGTH
from edge.dialects import Dialects, dialect
from edge.generator import Generator
from edge.history import gather
from edge.mqtt import Session
from edge.probation import Probation
from edge.requests import Request, Requests
from edge.scenery import Scenery
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Store
from edge.synthesis import Home, Progress
from edge.watch import Watch

log = logging.getLogger(__name__)

BATCH = 200  # messages in one commit, at most: what the broker may have under way
TICK = 1.0  # seconds between two looks at what is not urgent
BEAT = 300.0  # seconds between two signs of life on disk: seldom, for an SD card's sake


class Agent:
    """One home's agent. Open it, run it, close it; `on_progress` hears how far a long job is."""

    def __init__(self, settings: Settings, on_progress: Progress | None = None) -> None:
        """Open store, slots and models; raises StoreError. Nothing is connected yet."""
        self.settings = settings
        self.problem = ""  # why nothing is scored, "" while all is well
        self.store = Store.open(settings.data.directory)
        self.slots = Slots(settings.data.directory / "slots")
        self.session = Session(settings.broker)
        self.requests = Requests(settings.broker.prefix)
        self.last_report: dict[str, Any] = {}
        self.outcomes = 0  # jobs of the slow loop that have ended
        self._on_progress = on_progress
        self._worker = ThreadPoolExecutor(1, "slow")
        self._job: tuple[Request, Future[Outcome]] | None = None
        self._generator: Generator | None = None
        self._cancel = threading.Event()
        self._known = compose.known_dictionary(settings.home.dictionary)
        self._sources = Dialects(dialect(source.dialect, source.options()) for source in settings.sources)
        self._sources.know(self.store.devices())
        self.watch = Watch(self.store, self.session.acknowledge, self.publish, self._sources, settings.home.zone)
        self.watch.states.values = self.store.states()
        self.watch.devices = {device.id: device for device in self.store.devices()} | dict(self._known.devices)
        self._described: list[Device] = []
        self.slow: SlowLoop | None = None
        try:
            self.slow = compose.slow_loop(settings, self.slots, self._cancel)
        except ArtifactError as error:
            self._say(f"no model to score with: {error}")
        self.scenery = Scenery(self.store, settings.home, notice=settings.adapt.notice)
        self.probation = Probation(self.store, settings.adapt.probation_days)
        self._load()
        self._take_up()

    def run(self, stop: threading.Event) -> None:
        """Hear, score and adapt until `stop` is set; raises StoreError when the disk gives up."""
        topics = [*self._sources.topics(), *self.requests.topics(), *self.scenery.topics()]
        self.session.on_connect.append(self._announce)
        self.session.subscribe(topics)
        self.session.open()
        try:
            due = beat = 0.0
            ready = False
            while not stop.is_set():
                self._hear()
                if not ready and self.session.connected:
                    ready = True
                    notify.ready()
                if time.monotonic() >= due:
                    due = time.monotonic() + TICK
                    notify.watchdog()
                    self._tick()
                if time.monotonic() >= beat:
                    beat = time.monotonic() + BEAT
                    self.store.set_fact("heartbeat", {"time": round(time.time()), **self.status()})
        finally:
            notify.stopping()
            self.close()

    def close(self) -> None:
        """Stop children and threads, say goodbye to the broker, close the store."""
        self._cancel.set()
        if self._generator is not None:
            self._generator.stop()
        self._worker.shutdown(cancel_futures=True)
        self.session.close()
        self.store.close()

    def publish(self, topic: str, body: Mapping[str, Any], *, retain: bool = False) -> None:
        """Publish JSON under our prefix."""
        self.session.publish(f"{self.settings.broker.prefix}/{topic}", json.dumps(body), retain=retain)

    def _load(self) -> None:
        """Load the current slot, or the newest healthy one, and what is in shadow beside it."""
        if self.slow is None or not self.slots.names():
            return
        try:
            healthy = self.slots.load_healthy()
            self.watch.model = self.slow.open(healthy.name)
            if healthy.reason:
                self._say(f"scoring with slot {healthy.name}: {healthy.reason}")
            shadow = self.probation.incumbent
            self.watch.shadow = self.slow.open(shadow) if shadow else None
        except ArtifactError as error:
            self._say(f"no model to score with: {error}")

    def _take_up(self) -> None:
        """Take up the sequence that was being lived; an alert it has raised is not raised again."""
        rows = list(self.store.behaviors_with_ids(after=max(0, self.store.count() - LENGTH)))
        told = {alert.behavior for alert in self.store.alerts(rows[0][1].time)} if rows else set()
        for row, behavior in rows:
            self.watch.window = self.watch.window.extended(behavior, self.settings.home.zone)
            self.watch.window.alarmed |= row in told

    def _say(self, problem: str) -> None:
        log.error("%s", problem)
        self.problem = problem

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
            return
        asked = [message for message in messages if self.requests.concerns(message)]
        told = [message for message in messages if self.scenery.concerns(message)]
        ours = [*told, *asked]
        self.watch.handle([message for message in messages if message not in ours])
        if (described := self._sources.described()) != self._described:
            self._described = described
            self.store.remember(described)
            self.watch.devices.update({device.id: device for device in described})
        for message in told:
            self.scenery.hear(message)
        for message in asked:
            self._obey(message)
        self.session.acknowledge(ours)

    def _obey(self, message: Message) -> None:
        """Do what a request asks, or say why not."""
        what = message.topic.rpartition("/")[2]
        try:
            self.ask(self.requests.read(message))
        except MessageError as error:
            self.store.record([Entry(message, rejected=error.reason)])
        except SettingsError as error:
            self._answer("adapt" if what == "set" else what, {}, error=str(error))

    def ask(self, request: Request) -> None:
        """Begin what is asked; it is answered when it is done."""
        slow = self.slow
        if slow is None:
            self._answer(request.what, {}, error=self.problem, transaction=request.transaction)
        elif self._job is not None:
            self._answer(request.what, {}, error="an adaptation is under way", transaction=request.transaction)
        elif request.what == "rollback":
            self._roll_back(slow, request)
        elif request.what == "learn":
            home, scene, now = self.home(), self.scenery.scene, self.now()
            self._begin(request, lambda: slow.learn(home, scene, now, self.watch.model, self._on_progress))
        elif request.scene is not None and self.watch.model is not None:
            self._adapt(slow, request, request.scene, self.watch.model)
        else:
            reason = "there is no model yet: it is learned first"
            self._answer(request.what, {}, error=reason, transaction=request.transaction)

    def _adapt(self, slow: SlowLoop, request: Request, said: Scene, incumbent: Model) -> None:
        home, now, source = self.home(), self.now(), self.scenery.scene
        target = said.over(source)

        def job() -> Outcome:
            writer = self._generator = compose.writer(self.settings.llm, self.settings.data.directory / "states")
            return slow.adapt(
                home, incumbent, writer, source=source, target=target, now=now, on_progress=self._on_progress
            )

        self._begin(Request("adapt", target, request.transaction), job)

    def _begin(self, request: Request, job: Callable[[], Outcome]) -> None:
        """Run a job beside the fast loop; its outcome is taken in by a later tick."""
        self._cancel.clear()
        self._job = (request, self._worker.submit(job))

    def _tick(self) -> None:
        """Take in a finished job, decide on a probation, notice what has changed."""
        if self._job is not None and self._job[1].done():
            (request, job), self._job = self._job, None
            try:
                self._take_in(request, job.result())
            except EdgeError as error:  # anything else ends the process: the supervisor restarts it
                self._take_in(request, Outcome(None, {"abandoned": str(error)}))
        if self.slow is None or self._job is not None:
            return
        if self.watch.shadow is not None and (decision := self.probation.decide(self.watch.trials, self.now())):
            self.watch.shadow = None
            self.watch.trials.clear()
            if not decision.accepted:
                self._roll_back(self.slow, Request("rollback"), {"probation": decision.reasons})
        if (noticed := self._noticed()) is not None:
            self.ask(noticed)

    def _noticed(self) -> Request | None:
        """Return what the agent asks of itself."""
        if self.watch.model is None:
            began = self.store.began()
            due = began is not None and self.now() - began >= self.settings.model.learn_after_days * 86400
            return Request("learn") if due and self.scenery.try_again(self.now()) else None
        if (changed := self.scenery.changed(self.now(), self.watch.take_fresh())) is not None:
            return Request("adapt", changed)
        drifting = self.settings.adapt.notice and self.watch.drifting()
        return Request("learn") if drifting and self.scenery.try_again(self.now()) else None

    def _take_in(self, request: Request, outcome: Outcome) -> None:
        """Swap the outcome's model in, if it has one; keep and tell the report."""
        report = outcome.report
        incumbent, swapped = self.watch.model, outcome.model
        if swapped is not None:
            started = time.perf_counter()
            self.watch.swap(swapped)
            report["swap"]["scoring_gap_ms"] = round((time.perf_counter() - started) * 1e3, 3)
            tried = request.what == "adapt" and incumbent is not None and "reused" not in report
            self.watch.shadow = incumbent if tried else None
            self.probation.begin(incumbent.slot if tried and incumbent else None, self.now())
            self.problem = ""
        if request.scene is not None:
            self.scenery.settle(request.scene)
        self.store.add_adaptation(self.now(), str(self.scenery.scene), report)
        self.slots.prune(keep=4)
        self.last_report = report
        self._announce()
        self.outcomes += 1
        why = str(report.get("abandoned") or "; ".join(report.get("gate", {}).get("reasons", ())))
        self._answer(request.what, report, error="" if swapped else why, transaction=request.transaction)

    def _roll_back(self, slow: SlowLoop, request: Request, why: dict[str, Any] | None = None) -> None:
        before = self.watch.model.slot if self.watch.model else None
        try:
            model = slow.open(self.slots.rollback())
        except ArtifactError as error:
            self._answer("rollback", why or {}, error=str(error), transaction=request.transaction)
            return
        self.watch.swap(model)
        self.watch.shadow = None
        self.probation.begin(None, self.now())
        report = {**(why or {}), "swap": {"from": before, "to": model.slot}}
        self.store.add_adaptation(self.now(), str(self.scenery.scene), report)
        self._announce()
        self._answer("rollback", report, transaction=request.transaction)

    def _answer(self, what: str, data: Mapping[str, Any], *, error: str = "", transaction: str = "") -> None:
        self.session.publish(*self.requests.answer(what, data, error=error, transaction=transaction))

    def _announce(self) -> None:
        """Tell what the agent is doing, retained; called at every connection and change."""
        self.publish("state", self.status(), retain=True)
        self.session.publish(f"{self.settings.broker.prefix}/scene/state", str(self.scenery.scene), retain=True)

    def status(self) -> dict[str, Any]:
        """Return what the agent is doing."""
        model = self.watch.model
        return {
            "slot": model.slot if model else None,
            "scene": str(self.scenery.scene),
            "scores": model is not None,
            "busy": self._job is not None,
            "probation": self.watch.shadow is not None,
            "problem": self.problem,
        }

    def home(self) -> Home:
        """Return the home as it was lived until now."""
        return gather(self.store, self.settings.home.zone, self._known)

    def now(self) -> float:
        """Return the home's now: the latest behavior's time, for replays live in another time than ours."""
        return self.watch.window.last if self.watch.window.steps else time.time()
