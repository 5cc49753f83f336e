"""Keeps the limits of each slot up to date as days pass, and says when there are enough days to alert on.

Slots are never changed once written: what was held out of a slot's training, and its limits since, are one small fact
beside it, written whole in one transaction. Where such a fact is lost or corrupt, the slot's own limits hold.
"""

import math
from collections.abc import Collection
from collections.abc import Sequence as Items
from dataclasses import asdict, replace
from typing import Any

from numpy.typing import NDArray

from edge.core.calibration import PARTS, Limits, alpha_for
from edge.core.errors import EdgeError
from edge.core.gate import inject, lowering
from edge.core.metrics import measure
from edge.core.recalibration import Held, censored, needed, refitted, rising
from edge.core.sequences import SET_BACK, Sequence
from edge.core.verdicts import UNUSUAL
from edge.history import Lived
from edge.learning import Model, Outcome
from edge.scenery import Facts

ENOUGH_DAYS = 7.0  # real days never trained on; after them limits hold even where the tail is continued
FEWEST = 40  # sequences lived from which on limits are fitted on them alone, where what was held out is lost
_SLOTS, _HELD, _PHASE = "calibrations", "held_out", "calibrating"  # facts
_OVER = "over"
_FIRST = "first"  # limits of a slot that were fitted on enough


class Calibrator:
    """The limits of a home's models over restarts, and the phase at the start in which nobody is told anything.

    That phase counts what was lived, never the clock: a clock that jumps ends nothing.
    """

    def __init__(self, facts: Facts) -> None:
        """Take up what was kept."""
        self._facts = facts
        self.wanted: float | None = None  # false alarms a week, None: as many as a model was fitted for
        self._changed: str | None = None  # the slot whose home has changed, by the last refit

    def keep(self, outcome: Outcome, slots: Collection[str]) -> Model:
        """Keep what a new model's limits were fitted on, and return it with the limits it had last, if it had any.

        What is not among `slots` any more is forgotten.
        """
        assert outcome.model is not None
        name = outcome.model.slot
        held, kept = (
            {slot: each for slot, each in self._kept(key).items() if slot in slots} for key in (_HELD, _SLOTS)
        )
        if outcome.held is not None:
            held[name] = {"parts": list(PARTS), "rows": outcome.held.rows()}
            limits = asdict(outcome.model.limits)
            kept[name] = {"limits": limits, _FIRST: limits, "a_day": outcome.a_day}
        self._facts.set_fact(_HELD, held)
        self._facts.set_fact(_SLOTS, kept)
        return self.taken_up(outcome.model)

    def taken_up(self, model: Model) -> Model:
        """Return a model just opened with the limits it had last."""
        return self._judged(replace(model, limits=self._limits(model.slot) or model.limits))

    def refit(self, model: Model, lived: Lived) -> Limits | None:
        """Return the model's limits by what was held out and lived since its training; None where nothing was.

        Scores every behavior since: for a job beside the fast loop. Nothing is kept before `hold`.
        """
        held = self._held(model.slot)
        if not held.share and len(lived.sequences) < FEWEST:
            return None
        surprise = model.scorer.surprise(lived.sequences)
        most = rising(lived.days, lived.known, self.alpha(model))
        self._changed = model.slot if most > 1 else None
        cut = [censored(*each, model.limits, most) for each in zip(surprise, lived.known, strict=True)]
        try:
            found = refitted(held, cut, replace(model.limits, alpha=self.alpha(model)))
        except EdgeError:
            return None
        return found.times(self._lowering(model, found, lived.sequences, surprise if most > 1 else []))

    def _lowering(self, model: Model, found: Limits, lived: Items[Sequence], usual: Items[NDArray[Any]]) -> float:
        """Return what limits are to be multiplied by, so that no less is found than by the first that held.

        That is of anomalies injected into what was lived, however many nights ago those limits were fitted. Where they
        were fitted on too little, or for another number of alarms, they say nothing. `usual`: what the model is
        surprised by in a home where too much is told: there they find more than they should.
        """
        first = self._limits(model.slot, _FIRST)
        if first is None or not self._holds(model, first, found.alpha):
            return 1.0
        odd = model.scorer.surprise(inject(lived, model.scorer.vocabulary.controls, 0))
        if not odd:
            return 1.0
        return lowering(found.scores(odd), measure(first.scores(usual), first.scores(odd), UNUSUAL).recall_within)

    def _holds(self, model: Model, limits: Limits, alpha: float) -> bool:
        """Tell whether limits are for a share of alarms, and fitted on enough."""
        same = math.isclose(limits.alpha, alpha, rel_tol=1e-6)
        return same and (limits.n >= needed(alpha) or self._days(replace(model, limits=limits)) >= ENOUGH_DAYS)

    def since(self, model: Model, now: float) -> float:
        """Return since when what is lived was not trained on: since the model was made, by a clock that was right.

        Where it was made ahead of `now` (seconds since the epoch), since that was noticed.
        """
        if model.created <= now + SET_BACK:
            return model.created
        kept = self._kept(_SLOTS)
        noticed = kept.get(model.slot, {}).get("since")
        if not isinstance(noticed, int | float) or noticed > now + SET_BACK:
            noticed = now
            kept[model.slot] = {**kept.get(model.slot, {}), "since": now}
            self._facts.set_fact(_SLOTS, kept)
        return float(noticed)

    def alpha(self, model: Model) -> float:
        """Return the share of sequences that may alarm, for as many alarms as are wanted in this home."""
        a_day = self._a_day(model)
        return model.limits.alpha if self.wanted is None or a_day is None else alpha_for(self.wanted, 7 * a_day)

    def outdated(self, model: Model) -> bool:
        """Tell whether its limits are for another number of alarms than is wanted now."""
        return not math.isclose(self.alpha(model), model.limits.alpha, rel_tol=1e-6)

    def hold(self, model: Model, limits: Limits) -> Model:
        """Return the model with limits from now on, over restarts; those of a home that has changed are its first."""
        kept = self._kept(_SLOTS)
        first = None if self._changed == model.slot else self._limits(model.slot, _FIRST)
        lasting = first if first is not None and self._holds(model, first, limits.alpha) else limits
        kept[model.slot] = {**kept.get(model.slot, {}), "limits": asdict(limits), _FIRST: asdict(lasting)}
        self._facts.set_fact(_SLOTS, kept)
        return self._judged(replace(model, limits=limits, lent=0.0))

    def progress(self, model: Model) -> dict[str, Any] | None:
        """Return how far the phase without alerts is, None once it is over."""
        if self._facts.fact(_PHASE, "") == _OVER:
            return None
        told = {"sequences": model.limits.n, "needed": needed(model.limits.alpha)}
        return {**told, "days": round(self._days(model), 1), "needed_days": ENOUGH_DAYS}

    def _judged(self, model: Model) -> Model:
        """End the phase for good where the limits were fitted on enough: sequences never trained on, or days."""
        if self._holds(model, model.limits, model.limits.alpha):
            self._facts.set_fact(_PHASE, _OVER)
        return model

    def _days(self, model: Model) -> float:
        """Return on how many days of the home's usual life the limits were fitted."""
        a_day = self._a_day(model)
        return model.limits.n / a_day if a_day is not None else 7 * model.limits.n * model.limits.alpha

    def _a_day(self, model: Model) -> float | None:
        """Return how many sequences the home lived in a day when the model learned, None where that is lost."""
        kept = self._kept(_SLOTS).get(model.slot, {}).get("a_day")
        return float(kept) if isinstance(kept, int | float) and kept > 0 else None

    def _kept(self, key: str) -> dict[str, Any]:
        kept = self._facts.fact(key, {})
        whole = kept.items() if isinstance(kept, dict) else ()
        return {str(name): each for name, each in whole if isinstance(each, dict)}

    def _held(self, slot: str) -> Held:
        try:
            kept = self._kept(_HELD)[slot]
            return Held.parse(kept["rows"]) if kept["parts"] == list(PARTS) else Held()
        except (KeyError, EdgeError):
            return Held()

    def _limits(self, slot: str, which: str = "limits") -> Limits | None:
        try:
            limits = Limits(**self._kept(_SLOTS)[slot][which])
            sane = min(limits.parts) > 0 and 0 < limits.alpha < 1 and limits.n >= 0
        except (KeyError, TypeError):
            return None
        return limits if sane else None
