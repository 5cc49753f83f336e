"""What runs beside the fast loop: one job of the slow loop at a time, and how its outcome is taken in."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from edge import compose
from edge.adapt import Model, Outcome, SlowLoop
from edge.choices import Choices
from edge.core.dictionary import Dictionary
from edge.core.errors import ArtifactError
from edge.core.scenes import Scene
from edge.generator import Generator
from edge.history import gather, lived_since
from edge.incumbent import Incumbent
from edge.initiative import NIGHTLY, REFIT, Initiative
from edge.nightly import CLEARED, Clearing, Nightly
from edge.probation import Probation
from edge.requests import Request
from edge.resuming import resume, taken_in
from edge.scenery import Scenery
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Room, Store
from edge.synthesis import Home, Progress
from edge.watch import Watch
from edge.work import MOST_WAITING, Work, give_back

REPLAYED = 30 * 86400.0  # seconds that the newest behavior lies back where it is no home of today


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
        self.choices = Choices(store, settings.model.alarms_per_week, self.scenery.scene)
        self.probation = Probation(store, settings.adapt.probation_days)
        self.incumbent = Incumbent(watch, store, self.slots)
        self._initiative = Initiative(settings, store, watch, self.scenery, self.incumbent)
        self.nightly, self.drift = self._initiative.nightly, self._initiative.drift
        room, hour = Room(settings.data.keep_days, settings.data.max_mb * 1e6), settings.learn.hour
        clearings = Nightly(store, store, settings.home.zone, hour, CLEARED)
        self._clearing = Clearing(clearings, lambda: store.release(room))
        self.known: Dictionary = compose.known_dictionary(settings.home.dictionary)
        self.last_report: dict[str, Any] = {}
        self.outcomes = 0  # jobs that have ended
        self._telling = telling
        self._work = Work(on_progress)
        self._generator: Generator | None = None
        self._cancel = threading.Event()
        self.slow: SlowLoop | None = None
        with suppress(ArtifactError):  # another start does it
            compose.forget_models(settings, self.slots)
        try:
            self.slow = self.incumbent.slow = compose.slow_loop(settings, self.slots, self._cancel)
        except ArtifactError as error:
            self.incumbent.say(f"no model to score with: {error}")
        self.incumbent.load(self.probation.incumbent)
        self.heed_choices()

    def resume(self) -> None:
        """End a swap that the end of the process has broken off; called once the record is taken up."""
        if self.slow is not None:
            where, slow, now = (self.watch, self.slots, self.store), self.slow, self.now()
            resume(*where, probation=self.probation, scenery=self.scenery, slow=slow, now=now)

    @property
    def problem(self) -> str:
        """Why nothing is scored, "" while all is well."""
        return self.incumbent.problem

    def status(self) -> dict[str, Any]:
        """Return what is under way."""
        return {
            "training": self._training(),
            "busy": self._work.busy,
            "progress": self._work.progress,
            "probation": self.watch.shadow is not None,
            "problem": self.problem,
            "calibrating": self.incumbent.calibrating,
            "drift": self.drift.since is not None,
            "drift_since": self.drift.since,
        }

    def _training(self) -> str:
        """Say in one of TRAINING where the home stands with its model."""
        doing = self._work.progress["job"] if self._work.progress is not None else ""
        phases = {
            "learning": doing == "learn",
            "adapting": doing == "adapt",
            "recording": self.watch.model is None,
            "probation": self.watch.shadow is not None,
            "calibrating": self.incumbent.calibrating is not None,
        }
        return next((phase for phase, holds in phases.items() if holds), "idle")

    def heed_choices(self) -> None:
        """Let what was chosen act: on who is told, on the limits, and on every fit to come."""
        self.watch.alerts.quiet.silent = self.choices.silent
        self.incumbent.calibrator.wanted = self.choices.alarms_per_week
        if self.slow is not None:
            self.slow.plan = replace(self.slow.plan, alarms_per_week=self.choices.alarms_per_week)

    def close(self) -> None:
        """Stop children and threads."""
        self._cancel.set()
        if self._generator is not None:
            self._generator.stop()
        self._work.close()

    def ask(self, request: Request, *, own: bool = False) -> None:
        """Begin what is asked, at once or after what the agent does of its own; it is answered when it is done."""
        slow, model = self.slow, self.watch.model
        if request.what == "mode":
            self._ask_mode(request)
        elif slow is None:
            self._refuse(request, self.problem)
        elif self._work.busy and self._work.own:
            self._wait(request)
        elif self._work.busy:
            self._refuse(request, "an adaptation is under way")
        elif request.what == "rollback":
            self._roll_back(request)
        elif request.what in {NIGHTLY, REFIT} and model is not None:
            dictionary = self.incumbent.dictionary()
            self._begin(request, lambda: self._recalibrated(model, dictionary), own=own)
        else:
            self._ask_scene(slow, request, model, own=own)

    def _ask_scene(self, slow: SlowLoop, request: Request, model: Model | None, *, own: bool) -> None:
        """Learn, or adapt to the scene that was told; where none was, to the one that is noticed."""
        told = request.scene.over(self.scenery.scene) if request.scene else None
        target = told or (self.scenery.noticed(self.now(), []) if request.what == "adapt" else None)
        if model is not None and target is not None:
            if request.scene is not None and not own:
                self.choices.follow(request.scene)
                self.heed_choices()
            self._adapt(slow, request, target, model, own=own)
        elif request.scene is not None:
            self._refuse(request, "there is no model yet: it is learned first")
        else:
            home, scene, now = self.home(), self.scenery.scene, self.now()
            self.nightly.learned(self.nightly.marks())
            self._begin(request, lambda: slow.learn(home, scene, now, model, self._work.tell), own=own, doing="learn")

    def _ask_mode(self, request: Request) -> None:
        """Adapt to the mode the house is in, after what is under way; by then it may be another."""
        target, model = self._housed(), self.watch.model
        if self._work.busy:
            self._wait(request)
        elif target is None:
            self._telling.answer("mode", self.choices.status(), transaction=request.transaction)
        elif self.slow is None or model is None:
            self.scenery.settle(target, self.now())  # what is lived from now on is of this scene, whoever learns it
            self._telling.announce()
            self._telling.answer("mode", self.choices.status(), transaction=request.transaction)
        else:
            self._adapt(self.slow, request, target, model, own=False)

    def _housed(self) -> Scene | None:
        """Return the scene that the house's mode asks for, None where the home is in it."""
        scene = self.scenery.scene
        target = scene.housed(self.choices.mode)
        return None if (target.mode or "home") == (scene.mode or "home") else target

    def _wait(self, request: Request) -> None:
        """Keep a request for when what is under way has ended, as far as there is room."""
        if len(self._work.waiting) < MOST_WAITING:
            self._work.waiting.append(request)
        else:
            self._refuse(request, f"busy, and {MOST_WAITING} requests wait already: ask again later")

    def _refuse(self, request: Request, why: str) -> None:
        self._telling.answer(request.what, {}, error=why, transaction=request.transaction)

    def _recalibrated(self, model: Model, dictionary: Dictionary) -> Outcome:
        """Refit a model's limits on what was lived since its training, in the scene it is for."""
        since = max(self.incumbent.calibrator.since(model, self.now()), self.scenery.since)
        lived = lived_since(self.store, self.settings.home.zone, since, dictionary)
        return Outcome(None, limits=self.incumbent.calibrator.refit(model, lived))

    def _adapt(self, slow: SlowLoop, request: Request, target: Scene, incumbent: Model, *, own: bool) -> None:
        home, now, source = self.home(), self.now(), self.scenery.scene

        def job() -> Outcome:
            writer = self._generator = compose.home_writer(self.settings)
            return slow.adapt(
                home, incumbent, writer, source=source, target=target, now=now, on_progress=self._work.tell
            )

        self._begin(replace(request, scene=target), job, own=own, doing="adapt")

    def _begin(self, request: Request, job: Callable[[], Outcome], *, own: bool = False, doing: str = "") -> None:
        """Run a job beside the fast loop; its outcome is taken in by a later tick."""
        self._cancel.clear()
        self._work.begin(request, job, own=own, doing=doing)

    def tick(self) -> None:
        """Clear a little of the past, take in a finished job, decide on a probation, notice what has changed."""
        self._clearing.look(self.now())
        if (ended := self._work.ended()) is not None:
            self._take_in(*ended)
            del ended  # the last to hold what the job worked on
            give_back()
        if self.slow is None or self._work.busy:
            return
        if self._work.waiting:
            self.ask(self._work.waiting.popleft())
            return
        self.incumbent.join()
        if self.drift.look(self.now(), drifting=self.watch.drifting()):
            self._telling.announce()
        if self.watch.shadow is not None and (decision := self.probation.decide(self.watch.trials, self.now())):
            self.watch.shadow = None
            self.watch.trials.clear()
            if not decision.accepted:
                self._roll_back(Request("rollback"), {"probation": decision.reasons})
        if self._housed() is not None:  # it was told just before the process ended
            self.ask(Request("mode"))
        elif (due := self._initiative.asks(self.now())) is not None:
            self.ask(due, own=True)

    def _take_in(self, request: Request, outcome: Outcome) -> None:
        """Swap the outcome's model in, if it has one; keep and tell the report."""
        report = outcome.report
        incumbent, swapped = self.watch.model, outcome.model
        if request.what in {NIGHTLY, REFIT}:
            self.incumbent.hold(outcome.limits)
            self._telling.announce()
            if request.what == NIGHTLY and self._initiative.night_learns(self.now()):
                self.ask(Request("learn"), own=True)
            return
        if request.scene is None and self.drift.since is not None:
            report["drift"] = {"since": self.drift.since}
        if swapped is not None:
            self.incumbent.swap(outcome)
            self.watch.shadow = incumbent if outcome.trial else None
            self.probation.begin(incumbent.slot if outcome.trial and incumbent else None, self.now())
        if request.scene is not None:
            self.scenery.settle(request.scene, self.now())
        self.store.add_adaptation(self.now(), str(self.scenery.scene), report)
        taken_in(self.store, self.watch.model)
        self.slots.prune(keep=4)
        self.last_report = report
        self._telling.announce()
        self.outcomes += 1
        why = str(report.get("abandoned") or "; ".join(report.get("gate", {}).get("reasons", ())))
        done = swapped is not None or request.what == "mode"  # the house is in its mode, whichever model scores
        self._telling.answer(request.what, report, error="" if done else why, transaction=request.transaction)

    def _roll_back(self, request: Request, why: dict[str, Any] | None = None) -> None:
        before = self.watch.model.slot if self.watch.model else None
        try:
            model = self.incumbent.roll_back()
        except ArtifactError as error:
            self._telling.answer("rollback", why or {}, error=str(error), transaction=request.transaction)
            return
        self.watch.shadow = None
        self.probation.begin(None, self.now())
        report = {**(why or {}), "swap": {"from": before, "to": model.slot}}
        self.store.add_adaptation(self.now(), str(self.scenery.scene), report)
        taken_in(self.store, model)
        self._telling.announce()
        self._telling.answer("rollback", report, transaction=request.transaction)

    def home(self) -> Home:
        """Return the home as it was lived until now."""
        return gather(self.store, self.settings.home.zone, self.known, self.scenery.since)

    def now(self) -> float:
        """Return the home's now: the clock's, or the newest behavior's where a replay lives in another time."""
        wall, last = time.time(), self.watch.window.last
        return wall if not self.watch.window.steps or 0 <= wall - last < REPLAYED else last
