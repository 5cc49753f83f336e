"""What runs beside the fast loop: one job of the slow loop at a time, and how its outcome is taken in."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from edge import compose
from edge.adapt import Model, Outcome, SlowLoop
from edge.core.dictionary import Dictionary
from edge.core.errors import ArtifactError, EdgeError
from edge.core.scenes import Scene
from edge.generator import Generator
from edge.history import gather
from edge.probation import Probation
from edge.requests import Request
from edge.scenery import Scenery
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Store
from edge.synthesis import Home, Progress
from edge.watch import Watch

log = logging.getLogger(__name__)


class Telling(Protocol):
    """Who tells the home and its people what became of a job (edge/agent.py)."""

    def answer(self, what: str, data: Mapping[str, Any], *, error: str = ..., transaction: str = ...) -> None:
        """Answer a request."""
        ...

    def announce(self) -> None:
        """Tell what the agent is doing now."""
        ...


class Jobs:
    """The slow side of an agent: opens the models, does what is asked or noticed, and swaps.

    `tick` is called now and then from the thread of the fast loop, which alone touches `watch`.
    """

    def __init__(
        self, settings: Settings, store: Store, watch: Watch, telling: Telling, on_progress: Progress | None = None
    ) -> None:
        """Open slots and models; what is wrong with them is kept in `problem`."""
        self.settings = settings
        self.store = store
        self.watch = watch
        self.slots = Slots(settings.data.directory / "slots")
        self.scenery = Scenery(store, settings.home, notice=settings.adapt.notice)
        self.probation = Probation(store, settings.adapt.probation_days)
        self.known: Dictionary = compose.known_dictionary(settings.home.dictionary)
        self.problem = ""  # why nothing is scored, "" while all is well
        self.last_report: dict[str, Any] = {}
        self.outcomes = 0  # jobs that have ended
        self._telling = telling
        self._on_progress = on_progress
        self._worker = ThreadPoolExecutor(1, "slow")
        self._job: tuple[Request, Future[Outcome]] | None = None
        self._generator: Generator | None = None
        self._cancel = threading.Event()
        self.slow: SlowLoop | None = None
        try:
            self.slow = compose.slow_loop(settings, self.slots, self._cancel)
        except ArtifactError as error:
            self._say(f"no model to score with: {error}")
        self._load()

    @property
    def busy(self) -> bool:
        """Tell whether a job is under way."""
        return self._job is not None

    def close(self) -> None:
        """Stop children and threads."""
        self._cancel.set()
        if self._generator is not None:
            self._generator.stop()
        self._worker.shutdown(cancel_futures=True)

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

    def _say(self, problem: str) -> None:
        log.error("%s", problem)
        self.problem = problem

    def ask(self, request: Request) -> None:
        """Begin what is asked; it is answered when it is done."""
        slow = self.slow
        if slow is None:
            self._telling.answer(request.what, {}, error=self.problem, transaction=request.transaction)
        elif self._job is not None:
            self._telling.answer(request.what, {}, error="an adaptation is under way", transaction=request.transaction)
        elif request.what == "rollback":
            self._roll_back(slow, request)
        elif request.what == "learn":
            home, scene, now = self.home(), self.scenery.scene, self.now()
            self._begin(request, lambda: slow.learn(home, scene, now, self.watch.model, self._on_progress))
        elif request.scene is not None and self.watch.model is not None:
            self._adapt(slow, request, request.scene, self.watch.model)
        else:
            reason = "there is no model yet: it is learned first"
            self._telling.answer(request.what, {}, error=reason, transaction=request.transaction)

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

    def tick(self) -> None:
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
        self._telling.announce()
        self.outcomes += 1
        why = str(report.get("abandoned") or "; ".join(report.get("gate", {}).get("reasons", ())))
        self._telling.answer(request.what, report, error="" if swapped else why, transaction=request.transaction)

    def _roll_back(self, slow: SlowLoop, request: Request, why: dict[str, Any] | None = None) -> None:
        before = self.watch.model.slot if self.watch.model else None
        try:
            model = slow.open(self.slots.rollback())
        except ArtifactError as error:
            self._telling.answer("rollback", why or {}, error=str(error), transaction=request.transaction)
            return
        self.watch.swap(model)
        self.watch.shadow = None
        self.probation.begin(None, self.now())
        report = {**(why or {}), "swap": {"from": before, "to": model.slot}}
        self.store.add_adaptation(self.now(), str(self.scenery.scene), report)
        self._telling.announce()
        self._telling.answer("rollback", report, transaction=request.transaction)

    def home(self) -> Home:
        """Return the home as it was lived until now."""
        return gather(self.store, self.settings.home.zone, self.known)

    def now(self) -> float:
        """Return the home's now: the latest behavior's time, for replays live in another time than ours."""
        return self.watch.window.last if self.watch.window.steps else time.time()
