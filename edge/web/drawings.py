"""Small drawings as plain numbers: a template makes SVG of them, without a script and without a style."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 10, 100  # of one bar's place and of the longest bar, in the drawing's own units
_GAP = 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its hour and count, where it stands, and whether it is the hour that is meant."""

    hour: int
    count: int
    x: float
    y: float
    width: float
    height: float
    here: bool


def bars(counts: Sequence[int], here: int) -> tuple[Bar, ...]:
    """Return the bars of counts by hour; what is there at all can be seen."""
    most = max([*counts, 1])
    tall = [max(3.0, HEIGHT * count / most) if count else 0.0 for count in counts]
    return tuple(
        Bar(hour, count, hour * WIDTH + _GAP / 2, HEIGHT - tall[hour], WIDTH - _GAP, tall[hour], hour == here)
        for hour, count in enumerate(counts)
    )
