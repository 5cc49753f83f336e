"""Which unusual behavior is learned after all: what people say of an alert, and what has become a habit.

Score and learn are two verbs: what was unusual is no training data. Left at that, a new habit would be told and left
out for ever. So what was told on DAYS days at a like time, with nobody saying that it was wrong, is a habit and goes
to the gate with the rest. What poisoning could do is bounded: somebody who acts in the home on three days, each time
told to the household, teaches one control within an hour of one time of day, at most HABITS of those at once, never
one of the GUARDED classes, and only while as much is found of injected anomalies as before (edge/core/gate.py). One
"wrong" undoes it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from edge.core.behaviors import Behavior
from edge.core.quiet import BUDGET, CLEANER, COOLDOWN, MUTED, OFF
from edge.core.verdicts import FINE, SENT, WRONG

# Unusual by limits that held; what was in shadow mode was not.
UNCLEARED = (SENT, MUTED, CLEANER, OFF, COOLDOWN, BUDGET)
DAYS = 3  # different days on which a habit was told
NEAR = 1  # hours its times may differ by, around the clock
HABITS = 8  # at once: what was told longest ago leaves the record in about three months
GUARDED = frozenset({"door_lock", "garage_door", "siren"})  # who lets somebody in must be asked


@dataclass(frozen=True, slots=True)
class Unusual:
    """A behavior that was unusual: its row in the record, and the state its alert is in."""

    row: int
    behavior: Behavior
    state: str


@dataclass(frozen=True, slots=True)
class Admission:
    """Rows of the record: `out` is not learned, `fine` is and counts more, `wrong` is a known anomaly.

    `habits`: (device id, control, hour) of what is learned because it was told again and again.
    """

    out: frozenset[int] = frozenset()
    fine: frozenset[int] = frozenset()
    wrong: frozenset[int] = frozenset()
    habits: tuple[tuple[str, str, int], ...] = ()

    def figures(self) -> dict[str, int]:
        """Return how much of each there is."""
        return {
            "left_out": len(self.out),
            "cleared": len(self.fine),
            "known_anomalies": len(self.wrong),
            "habits": len(self.habits),
        }


def admit(found: Iterable[Unusual], zone: tzinfo, kind: Callable[[str], str]) -> Admission:
    """Decide on every unusual behavior, by the home's local time. `kind`: a device's class."""
    unusual = list(found)
    at = {each.row: datetime.fromtimestamp(each.behavior.time, zone) for each in unusual}
    groups: dict[tuple[str, str], list[Unusual]] = defaultdict(list)
    for each in unusual:
        groups[each.behavior.device, each.behavior.control].append(each)
    habits: list[tuple[int, tuple[str, str, int]]] = []
    for (device, control), members in groups.items():
        if kind(device) not in GUARDED:
            hours = _habitual([(at[each.row].date(), at[each.row].hour, each.state) for each in members])
            habits += [(days, (device, control, hour)) for hour, days in hours.items()]
    kept = tuple(habit for _, habit in sorted(habits, key=lambda each: (-each[0], each[1]))[:HABITS])
    learned = {
        each.row
        for each in unusual
        for device, control, hour in kept
        if (device, control) == (each.behavior.device, each.behavior.control) and _near(at[each.row].hour, hour)
    }
    wrong = frozenset(each.row for each in unusual if each.state == WRONG)
    out = frozenset(each.row for each in unusual if each.state in UNCLEARED and each.row not in learned) | wrong
    return Admission(out, frozenset(each.row for each in unusual if each.state == FINE), wrong, kept)


def _habitual(told: list[tuple[date, int, str]]) -> dict[int, int]:
    """Return the hours around which a control was told on DAYS days or more and never called wrong; days by hour."""
    found: dict[int, int] = {}
    for hour in sorted({hour for _, hour, state in told if state == SENT}):
        around = [(day, state) for day, other, state in told if _near(other, hour)]
        days = {day for day, state in around if state in {SENT, FINE}}
        if len(days) >= DAYS and all(state != WRONG for _, state in around):
            found[hour] = len(days)
    return found


def _near(hour: int, other: int) -> bool:
    return min((hour - other) % 24, (other - hour) % 24) <= NEAR
