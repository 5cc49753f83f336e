"""The model that scores now: opened at the start, calibrated as days pass, grown by what joins the home."""

import logging
import re
import time
from typing import Any

from edge.calibrator import Calibrator
from edge.core.bucket import Bucket
from edge.core.calibration import Limits
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.errors import ArtifactError
from edge.learning import Learning, Model, Outcome
from edge.slots import Slots
from edge.store import Store
from edge.watch import Watch

log = logging.getLogger(__name__)

JOINS, AGAIN = 10.0, 10.0  # a model takes in who has come so often at once, and once more after so many seconds
_SLOT = re.compile(r"\b(\d{4,})(-[a-z0-9]+)+")  # a slot is called by its scene, and that by a device that joined


class Incumbent:
    """Puts models into the fast loop; only the thread of that loop may call it."""

    def __init__(self, watch: Watch, store: Store, slots: Slots) -> None:
        """Nothing scores yet."""
        self.watch = watch
        self.slow: Learning | None = None  # what opens models, once there is a base model to open them with
        self.slots = slots
        self.calibrator = Calibrator(store)
        self.problem = ""  # why nothing is scored, "" while all is well
        self.calibrating: dict[str, Any] | None = None  # how far the phase without alerts is, None once it is over
        self._store = store
        self._refitted: tuple[str, float] | None = None  # the slot and share of alarms that a refit was asked for last
        self._strange: set[Device] = set()  # devices that are like nothing the model names
        self._joins = Bucket.full(JOINS, AGAIN, time.monotonic())
        watch.meet = self.join

    def say(self, problem: str) -> None:
        """Log a problem, slots by their numbers alone, and show it whole until a model is swapped in."""
        log.error("%s", _SLOT.sub(r"\1", problem))
        self.problem = problem

    def load(self, shadow: str | None) -> None:
        """Load the current slot, or the newest healthy one, and what is in shadow beside it."""
        self.slots.clear()
        if self.slow is None or not self.slots.names():
            return
        try:
            healthy = self.slots.load_healthy()
            self.watch.model = self.calibrator.taken_up(self.slow.open(healthy.name))
            if healthy.reason:
                self.say(f"scoring with slot {healthy.name}: {healthy.reason}")
            self.watch.shadow = self.slow.open(shadow) if shadow else None
        except ArtifactError as error:
            self.say(f"no model to score with: {error}")
        self.judge()

    def swap(self, outcome: Outcome) -> None:
        """Score with an outcome's model from the next behavior on; its report says how long that took."""
        model = self.calibrator.keep(outcome, self.slots.names())
        started = time.perf_counter()
        self.watch.swap(model)
        outcome.report["swap"]["scoring_gap_ms"] = round((time.perf_counter() - started) * 1e3, 3)
        self.problem = ""
        self._strange.clear()
        self.judge()

    def roll_back(self) -> Model:
        """Score with the slot used before; raises ArtifactError, and changes nothing, where there is none."""
        if self.slow is None:
            raise ArtifactError(self.problem)
        model = self.calibrator.taken_up(self.slow.open(self.slots.rollback()))
        self.watch.swap(model)
        self._strange.clear()
        self.judge()
        return model

    def hold(self, limits: Limits | None) -> None:
        """Alarm beyond these limits from now on, over restarts; None: beyond those that hold."""
        if self.watch.model is not None and limits is not None:
            self.watch.model = self.calibrator.hold(self.watch.model, limits)
        self.judge()

    def outdated(self) -> bool:
        """Tell, once for a model and a wanted number of alarms, that its limits are for another number."""
        model = self.watch.model
        if model is None or not self.calibrator.outdated(model):
            return False
        asked, self._refitted = self._refitted, (model.slot, self.calibrator.alpha(model))
        return asked != self._refitted

    def judge(self) -> None:
        """Tell nobody anything while the limits were seen on too few days."""
        model = self.watch.model
        self.calibrating = told = None if model is None else self.calibrator.progress(model)
        self.watch.alerts.shadow_mode = "" if told is None else f"{told['sequences']} of {told['needed']} sequences"

    def join(self) -> None:
        """Let the model name devices that joined the home since it learned, as their class is."""
        model = self.watch.model
        if model is None or self.slow is None:
            return
        known = set(model.scorer.vocabulary.devices)
        strange = {device for device in self.watch.devices.values() if device.id not in known}
        if strange <= self._strange or not self._joins.take(time.monotonic()):
            return
        try:
            self.watch.model = self.slow.joined(model, self.dictionary())
        except ArtifactError as error:
            self.say(f"scoring without what joined: {error}")
        self._strange = strange

    def dictionary(self) -> Dictionary:
        """Return the home's devices and what each has done."""
        return Dictionary.of(self._store.pairs(), self.watch.devices.values())
