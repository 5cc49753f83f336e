"""Whether a time is to be believed: a hub without a clock battery starts years away, and is set right later.

A clock that was wrong is known by what came after it: time went back. What such a clock has stamped is kept in its
order of arrival, and nothing is learned from it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from edge.core.sequences import SET_BACK

DAY = 86400.0


def believed(times: Sequence[float]) -> list[bool]:
    """Tell of times (seconds), in order of arrival, which were told by a clock that was right.

    These are the most that only go forward; and what lies no more than SET_BACK beyond its neighbors among them: two
    devices' clocks apart.
    """
    latest, ahead = float("-inf"), False
    for time in times:
        latest, ahead = max(latest, time), ahead or time < latest - SET_BACK
    if not ahead:
        return [True] * len(times)
    forward = set(_forward(times))
    after, bounds = float("inf"), [0.0] * len(times)
    for place in reversed(range(len(times))):
        after = times[place] if place in forward else after
        bounds[place] = after + SET_BACK
    before, out = float("-inf"), []
    for place, time in enumerate(times):
        before = time if place in forward else before
        out.append(before - SET_BACK <= time <= bounds[place])
    return out


def lived_days(times: Sequence[float]) -> float:
    """Return how many days were lived between ascending times (seconds): a silence is one at most, however long."""
    return sum(min(after - before, DAY) for before, after in pairwise(times)) / DAY


def _forward(times: Sequence[float]) -> list[int]:
    """Return the places of the most times that never go back, in order (the longest such subsequence)."""
    ends: list[float] = []  # the earliest time that so many can end with
    places: list[int] = []
    previous: list[int] = []
    for place, time in enumerate(times):
        length = bisect_right(ends, time)
        previous.append(places[length - 1] if length else -1)
        if length == len(ends):
            ends.append(time)
            places.append(place)
        else:
            ends[length], places[length] = time, place
    found = []
    place = places[-1] if places else -1
    while place >= 0:
        found.append(place)
        place = previous[place]
    return found[::-1]
