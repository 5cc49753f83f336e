"""Once a night: limits are refitted, and what was lived is learned, at a quiet hour of the home's own day."""

from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from typing import Any, Protocol

from edge.history import RECENT
from edge.scenery import Facts

LEAST = 50  # new behaviors under which learning again would only repeat the night before
SHARE = 0.01  # and so large a share of what is learned from
APART = 12 * 3600.0  # seconds between two nights, however a clock jumps
CLEARED = "cleared"  # the fact that keeps when the record was cleared last
_NIGHT, _LEARNED, _DRIFT = "night", "learned", "drift"  # facts


class Counts(Protocol):
    """What of the store is counted here (edge/store.py)."""

    def newest(self) -> int:
        """Return the row of the newest behavior."""
        ...

    def alert_states(self) -> dict[str, int]:
        """Return how many alerts are in each state."""
        ...


class Nightly:
    """Remembers over restarts which night was the last, and what was learned from."""

    def __init__(self, facts: Facts, counts: Counts, zone: tzinfo, hour: int, fact: str = _NIGHT) -> None:
        """`hour`: of the home's local day from which on it is night's work; `fact`: where the last one is kept."""
        self._night = fact
        self._facts = facts
        self._counts = counts
        self._zone = zone
        self._hour = hour

    def due(self, now: float) -> bool:
        """Tell whether this day's night work is still to be done, and say that it is done.

        It is told before the work begins: work that kills the process must not be taken up at every restart. A day
        whose hour was slept through is caught up with when the agent runs again; a clock set back or forward is
        another day once.
        """
        local = datetime.fromtimestamp(now, self._zone)
        today, last = local.date().isoformat(), self._fact(self._night)
        at = last.get("at")
        near = isinstance(at, int | float) and abs(now - at) < APART
        if local.hour < self._hour or today == last.get("date") or near:
            return False
        self._facts.set_fact(self._night, {"date": today, "at": now})
        return True

    def worth(self) -> bool:
        """Tell whether enough was lived, or anything said of an alert, since the last time that was learned from."""
        now, last = self.marks(), self._fact(_LEARNED)
        behaviors = last.get("behaviors")
        if not isinstance(behaviors, int) or last.get("said") != now["said"]:
            return True
        return bool(now["behaviors"] - behaviors >= max(LEAST, SHARE * min(behaviors, RECENT)))

    def marks(self) -> dict[str, Any]:
        """Return what tells whether there is something new."""
        states = self._counts.alert_states()
        return {"behaviors": self._counts.newest(), "said": [states.get("fine", 0), states.get("wrong", 0)]}

    def learned(self, marks: dict[str, Any]) -> None:
        """Keep what was learned from, whether the gate took it or not."""
        self._facts.set_fact(_LEARNED, marks)

    def _fact(self, key: str) -> dict[str, Any]:
        kept = self._facts.fact(key, {})
        return kept if isinstance(kept, dict) else {}


class Clearing:
    """The night's clearing of the record: a step at each look, so that nothing waits for it."""

    def __init__(self, nights: Nightly, begin: Callable[[], Iterator[int]]) -> None:
        """`begin` a night's clearing; each step of it says how much it took."""
        self._nights = nights
        self._begin = begin
        self._steps: Iterator[int] = iter(())

    def look(self, now: float) -> None:
        """Do the next step of a clearing, and begin one where a night's is due. What is broken off is not lost."""
        if self._nights.due(now):
            self._steps = self._begin()
        next(self._steps, None)


class Drift:
    """Since when a home alarms far more often than its limits allow for."""

    def __init__(self, facts: Facts) -> None:
        """Take up a drift that was under way."""
        self._facts = facts
        kept = facts.fact(_DRIFT, None)
        self.since: float | None = float(kept) if isinstance(kept, int | float) else None

    def look(self, now: float, *, drifting: bool) -> bool:
        """Take in whether it drifts; tell whether that is news."""
        if drifting == (self.since is not None):
            return False
        self.since = now if drifting else None
        self._facts.set_fact(_DRIFT, self.since)
        return True
