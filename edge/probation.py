"""After a swap: the incumbent goes on scoring in shadow, and real days of the new scene decide."""

from collections.abc import Sequence as Items
from dataclasses import asdict
from typing import Any

from edge.core.gate import Decision, Trial, probation
from edge.core.sequences import SET_BACK
from edge.scenery import Facts

DAY = 86400.0


class Probation:
    """Remembers over restarts which slot is in shadow and since when."""

    def __init__(self, facts: Facts, days: float) -> None:
        """Take up a probation that was under way; without a verdict after `days` the new model stays."""
        self._facts = facts
        self._days = days
        kept: Any = facts.fact("probation", {})
        kept = kept if isinstance(kept, dict) else {}
        slot, since = kept.get("incumbent"), kept.get("since")
        self.incumbent = slot if isinstance(slot, str) else None
        self._since = float(since) if isinstance(since, int | float) else 0.0

    def begin(self, incumbent: str | None, now: float) -> None:
        """Put a slot in shadow from `now` (seconds since the epoch) on; None ends any probation."""
        self.incumbent, self._since = incumbent, now
        self._facts.set_fact("probation", {"incumbent": incumbent, "since": now})

    def decide(self, trials: Items[Trial], now: float) -> Decision | None:
        """Decide from real sequences of the new scene; None while it goes on. A decision ends it."""
        decision = probation(trials)
        if now < self._since - SET_BACK:  # it began by a clock that was wrong
            self.begin(self.incumbent, now)
        if decision is None and now - self._since > self._days * DAY:
            told = f"stays: {len(trials)} sequences in {self._days:g} days say nothing against it"
            decision = Decision(True, (told,))
        if decision is not None:
            self._facts.set_fact("last_probation", asdict(decision))
            self.begin(None, now)
        return decision
