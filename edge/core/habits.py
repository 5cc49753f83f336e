"""When a home usually does what: behaviors counted by hour and weekday over its recent weeks."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from statistics import median

from edge.core.behaviors import Behavior

MOST = 20_000  # behaviors remembered at most: about three months of a lively home, 3 MB
WEEKS = 12  # and no longer than these
USUAL = 0.8  # the share of a behavior's occurrences that its usual hours hold
LONGEST = 12  # hours in all at most that may still be called usual hours
DURATIONS = 30  # of each device, the newest
_HOURS = 24
_EXPIRING = 2  # forgotten at most for one that comes: a single clock gone wild must not empty the memory


@dataclass(frozen=True, slots=True)
class Habit:
    """How often and when something was done before.

    `count` in `weeks` observed; `hours`: (first, end) of the usual spans of the day, end exclusive, () for any time;
    `days`: the weekdays it was ever done on (0: Monday); `by_hour` (24); `near`: times within an hour of this one,
    on any day; `near_day`: on this weekday; `last`: ISO 8601, local, None for never.
    """

    count: int = 0
    weeks: float = 0.0
    hours: tuple[tuple[int, int], ...] = ()
    days: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = (0,) * _HOURS
    near: int = 0
    near_day: int = 0
    last: str | None = None

    @property
    def per_week(self) -> float:
        """How often it is done in a week; what is watched for less than one counts as in a whole one."""
        return self.count / max(self.weeks, 1.0)


class Habits:
    """The table. Bounded in behaviors and in time; pairs that are done no more are forgotten with them."""

    def __init__(self, zone: tzinfo) -> None:
        """Count in the home's local time."""
        self._zone = zone
        self._lived: deque[tuple[float, int, tuple[str, str], int]] = deque()  # time, date, pair, hour of the week
        self._table: dict[str, dict[str, Counter[int]]] = {}  # by device and control
        self._dates: Counter[int] = Counter()
        self._last: dict[tuple[str, str], float] = {}
        self._acted: dict[str, float] = {}
        self._durations: dict[str, deque[float]] = {}

    def __len__(self) -> int:
        return len(self._lived)

    def extend(self, behaviors: Iterable[Behavior]) -> None:
        """Take in many, in order of time."""
        for behavior in behaviors:
            self.add(behavior)

    def add(self, behavior: Behavior) -> None:
        """Take a behavior in; forget what has become too old or too much."""
        local = datetime.fromtimestamp(behavior.time, self._zone)
        pair, date = (behavior.device, behavior.control), local.toordinal()
        place = local.weekday() * _HOURS + local.hour
        self._lived.append((behavior.time, date, pair, place))
        self._table.setdefault(behavior.device, {}).setdefault(behavior.control, Counter())[place] += 1
        self._dates[date] += 1
        self._last[pair] = behavior.time
        before = self._acted.get(behavior.device)
        if before is not None and behavior.time > before:
            self._durations.setdefault(behavior.device, deque(maxlen=DURATIONS)).append(behavior.time - before)
        self._acted[behavior.device] = behavior.time
        for _ in range(_EXPIRING):
            if len(self._lived) > MOST or behavior.time - self._lived[0][0] > WEEKS * 7 * 86400:
                self._forget()

    def of(self, device: str, control: str | None, time: float) -> Habit:
        """Return the habit of a control, or of all a device does, as seen from `time` (seconds since the epoch)."""
        acts = {each: table for each, table in self._table.get(device, {}).items() if control in (None, each)}
        counts = sum(acts.values(), Counter[int]())
        by_hour = [sum(counts[day * _HOURS + hour] for day in range(7)) for hour in range(_HOURS)]
        local = datetime.fromtimestamp(time, self._zone)
        last = max((self._last[device, each] for each in acts), default=None)
        around = [(local.hour + shift) % _HOURS for shift in (-1, 0, 1)]
        return Habit(
            count=counts.total(),
            weeks=len(self._dates) / 7,
            hours=usual_hours(by_hour),
            days=tuple(sorted({place // _HOURS for place, count in counts.items() if count})),
            by_hour=tuple(by_hour),
            near=sum(by_hour[hour] for hour in around),
            near_day=sum(counts[local.weekday() * _HOURS + hour] for hour in around),
            last=datetime.fromtimestamp(last, self._zone).isoformat(timespec="minutes") if last else None,
        )

    def since(self, device: str, time: float) -> float | None:
        """Return the seconds since a device's last behavior, None before the first."""
        before = self._acted.get(device)
        return None if before is None else max(0.0, time - before)

    def usual_since(self, device: str) -> float | None:
        """Return the median seconds between two behaviors of a device, None where too few were seen."""
        seen = self._durations.get(device, ())
        return median(seen) if len(seen) >= 3 else None

    def _forget(self) -> None:
        _, date, pair, place = self._lived.popleft()
        acts = self._table[pair[0]]
        for counter, key in ((acts[pair[1]], place), (self._dates, date)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        if not acts[pair[1]]:
            del acts[pair[1]], self._last[pair]
            if not acts:
                del self._table[pair[0]]
                self._acted.pop(pair[0], None)
                self._durations.pop(pair[0], None)


def usual_hours(by_hour: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return the spans (first hour, end) of the day that hold the share USUAL of the counts (24), the earliest first.

    The fullest hours are taken until the share is reached; a single hour between two of them belongs to them. () where
    that is at any time of day: more than LONGEST hours, or more than three spans.
    """
    counts = list(by_hour)
    total = sum(counts)
    taken: set[int] = set()
    for hour in sorted(range(_HOURS), key=lambda each: (-counts[each], each)):
        if not counts[hour] or sum(counts[each] for each in taken) >= USUAL * total:
            break
        taken.add(hour)
    taken |= {hour for hour in range(_HOURS) if {(hour - 1) % _HOURS, (hour + 1) % _HOURS} <= taken}
    starts = [hour for hour in sorted(taken) if (hour - 1) % _HOURS not in taken]
    if len(taken) > LONGEST or len(starts) > 3:
        return ()
    spans = []
    for start in starts:
        end = start
        while end % _HOURS in taken:
            end += 1
        spans.append((start, end % _HOURS))
    return tuple(spans)
