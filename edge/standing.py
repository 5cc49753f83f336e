"""How a home stands with its guard: days that were learned, and how often it was told of what was fine."""

from collections.abc import Mapping
from typing import Any, Protocol

from edge.core.verdicts import FINE, TOLD, WRONG

DAY = 86400.0
LOOKED_AT = 14  # days over which false alarms are counted


class Counting(Protocol):
    """What of the store is counted here (edge/store.py)."""

    def began(self) -> float | None:
        """Return the time of the first behavior."""
        ...

    def alert_states(self, since: float = ...) -> Mapping[str, int]:
        """Return how many unusual behaviors from a time on are in each state."""
        ...


def days(store: Counting, learned: float | None, now: float) -> dict[str, float]:
    """Return days recorded until `now`, and days until the model at work `learned` (seconds since the epoch)."""
    began = store.began()
    if began is None:
        return {"recorded": 0.0, "learned": 0.0}
    until = began if learned is None else min(learned, now)
    return {"recorded": round(max(0.0, now - began) / DAY, 1), "learned": round(max(0.0, until - began) / DAY, 1)}


def false_alarms(store: Counting, now: float) -> dict[str, Any]:
    """Return what became of the alerts of the last LOOKED_AT days, by the home's own time.

    `per_week`: those a person called fine, over the days that were recorded of these; `share`: of all that anybody said
    anything of, None where nobody did.
    """
    states = store.alert_states(now - LOOKED_AT * DAY)
    fine, wrong = states.get(FINE, 0), states.get(WRONG, 0)
    recorded = days(store, None, now)["recorded"]
    weeks = min(LOOKED_AT, max(1.0, recorded)) / 7
    return {
        "days": LOOKED_AT,
        "told": sum(states.get(state, 0) for state in TOLD),
        "fine": fine,
        "wrong": wrong,
        "per_week": round(fine / weeks, 2),
        "share": round(fine / (fine + wrong), 3) if fine + wrong else None,
    }
