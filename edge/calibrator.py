"""Keeps the limits of each slot up to date as days pass, and says when there are enough days to alert on.

Slots are never changed once written: what was held out of a slot's training, and its limits since, are one small fact
beside it, written whole in one transaction. Where that fact is lost or corrupt, the slot's own limits hold.
"""

from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

from edge.core.calibration import Limits
from edge.core.errors import EdgeError
from edge.core.recalibration import Held, censored, needed, refitted
from edge.history import Lived
from edge.learning import Model, Outcome
from edge.scenery import Facts

DAY = 86400.0
ENOUGH_DAYS = 7.0  # real days never trained on; after them limits hold even where the tail is continued
_SLOTS, _PHASE = "calibrations", "calibrating"  # facts


class Calibrator:
    """The limits of a home's models over restarts, and the phase at the start in which nobody is told anything."""

    def __init__(self, facts: Facts) -> None:
        """Take up what was kept."""
        self._facts = facts

    def keep(self, outcome: Outcome, now: float, slots: Collection[str]) -> Model:
        """Keep what a new model's limits were fitted on, and return it with the limits it had last, if it had any.

        What is not among `slots` any more is forgotten.
        """
        assert outcome.model is not None
        kept = {name: each for name, each in self._kept().items() if name in slots}
        if outcome.held is not None:
            kept[outcome.model.slot] = {
                "held": outcome.held.rows(), "limits": asdict(outcome.model.limits), "a_day": outcome.a_day,
            }  # fmt: skip
        self._facts.set_fact(_SLOTS, kept)
        return self.taken_up(outcome.model, now)

    def taken_up(self, model: Model, now: float) -> Model:
        """Return a model just opened with the limits it had last."""
        taken = replace(model, limits=self._limits(model.slot) or model.limits)
        self._judge(taken, now)
        return taken

    def refit(self, model: Model, lived: Lived) -> Limits | None:
        """Return the model's limits by what was held out and lived since its training; None where nothing was.

        Scores every behavior since: for a job beside the fast loop. Changes nothing.
        """
        held = self._held(model.slot)
        surprise = model.scorer.surprise(lived.sequences)
        cut = [censored(*each, model.limits) for each in zip(surprise, lived.known, strict=True)]
        try:
            return refitted(held or Held(), cut, model.limits)
        except EdgeError:
            return None

    def hold(self, model: Model, limits: Limits, now: float) -> Model:
        """Return the model with limits from now on, over restarts."""
        kept = self._kept()
        kept[model.slot] = {**kept.get(model.slot, {}), "limits": asdict(limits)}
        self._facts.set_fact(_SLOTS, kept)
        held = replace(model, limits=limits)
        self._judge(held, now)
        return held

    def progress(self, model: Model, now: float) -> dict[str, Any] | None:
        """Return how far the phase without alerts is, None once it is over."""
        phase = self._phase()
        if phase.get("over"):
            return None
        told = {"sequences": model.limits.n, "needed": needed(model.limits.alpha)}
        return {**told, "days": round(self._days(model, now), 1), "needed_days": ENOUGH_DAYS}

    def _judge(self, model: Model, now: float) -> None:
        """End the phase for good where the limits were fitted on enough: sequences never trained on, or days."""
        phase = {"since": now, **self._phase()}
        self._facts.set_fact(_PHASE, phase)
        if model.limits.n >= needed(model.limits.alpha) or self._days(model, now) >= ENOUGH_DAYS:
            self._facts.set_fact(_PHASE, {**phase, "over": True})

    def _days(self, model: Model, now: float) -> float:
        """Return on how many real days the limits were fitted, or since when there is a model, if that is longer."""
        a_day = self._kept().get(model.slot, {}).get("a_day")
        seen = model.limits.n / a_day if isinstance(a_day, int | float) and a_day > 0 else 0.0
        return float(max(seen, abs(now - self._phase().get("since", now)) / DAY))

    def _phase(self) -> dict[str, Any]:
        kept = self._facts.fact(_PHASE, {})
        whole = isinstance(kept, dict) and isinstance(kept.get("since", 0.0), int | float)
        return dict(kept) if whole else {}

    def _kept(self) -> dict[str, Any]:
        kept = self._facts.fact(_SLOTS, {})
        return (
            {str(name): each for name, each in kept.items() if isinstance(each, dict)} if isinstance(kept, dict) else {}
        )

    def _held(self, slot: str) -> Held | None:
        try:
            return Held.parse(self._kept()[slot]["held"])
        except (KeyError, EdgeError):
            return None

    def _limits(self, slot: str) -> Limits | None:
        try:
            limits = Limits(**self._kept()[slot]["limits"])
            sane = min(limits.what, limits.when, limits.duration) > 0 and 0 < limits.alpha < 1 and limits.n >= 0
        except (KeyError, TypeError):
            return None
        return limits if sane else None
