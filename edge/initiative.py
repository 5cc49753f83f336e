"""What the agent asks of itself: a first model, another scene, the night's work, limits that no longer fit, a drift."""

from edge.core.chronology import DAY
from edge.history import lived
from edge.incumbent import Incumbent
from edge.nightly import Drift, Nightly
from edge.requests import Request
from edge.scenery import Scenery
from edge.settings import Settings
from edge.store import Store
from edge.watch import Watch

SETTLED = 7 * 86400.0  # seconds in a scene before its days are learned: fewer would take the place of what was written
NIGHTLY = "calibrate"  # what the agent asks of itself every night, and nobody else
REFIT = "refit"  # and where another number of alarms is wanted than the limits are for


class Initiative:
    """Looks at the home now and then; `now` is the home's own time, seconds since the epoch."""

    def __init__(self, settings: Settings, store: Store, watch: Watch, scenery: Scenery, incumbent: Incumbent) -> None:
        """Take up which night was the last, and a drift that was under way."""
        self._settings = settings
        self._store = store
        self._watch = watch
        self._scenery = scenery
        self._incumbent = incumbent
        self.nightly = Nightly(store, store, settings.home.zone, settings.learn.hour)
        self.drift = Drift(store)

    def asks(self, now: float) -> Request | None:
        """Return what is due, None where nothing is."""
        self._scenery.look(now)
        if self._watch.model is None:
            return Request("learn") if self._lived_enough(now) else None
        if (changed := self._scenery.changed(now, self._watch.take_fresh())) is not None:
            return Request("adapt", changed)
        if self._incumbent.outdated():
            return Request(REFIT)
        if self.nightly.due(now):
            return Request(NIGHTLY)
        if self._outgrown(now) and self._scenery.try_again(now):
            return Request("learn")
        drifting = self._settings.adapt.notice and self.drift.since is not None and not self._watch.alerts.shadow_mode
        return Request("learn") if drifting and self._scenery.try_again(now) else None

    def _lived_enough(self, now: float) -> bool:
        """Tell whether enough days were lived for a first model, whatever the clock said at the first of them."""
        began, wanted = self._store.began(), self._settings.model.learn_after_days
        due = began is not None and abs(now - began) >= wanted * DAY
        return due and self._scenery.try_again(now) and lived(self._store) >= wanted - 1

    def _outgrown(self, now: float) -> bool:
        """Tell whether another base model was installed than the incumbent's, and its days may be learned on it."""
        model, slow = self._watch.model, self._incumbent.slow
        if model is None or slow is None or not slow.outgrown(model):
            return False
        ready = self._watch.shadow is None and not self._watch.alerts.shadow_mode
        return ready and abs(now - self._scenery.since) >= SETTLED

    def night_learns(self, now: float) -> bool:
        """Tell whether the night goes on with learning: there is something new, and nothing stands against it."""
        if not self._settings.learn.nightly or self._watch.shadow is not None or self._watch.alerts.shadow_mode:
            return False
        return abs(now - self._scenery.since) >= SETTLED and self.nightly.worth()
