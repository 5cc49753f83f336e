"""Comfort: the temperature indoors, and how strongly heat, cold, darkness and glare make people act."""

import math
from dataclasses import dataclass

import numpy as np

from trainer.homes.climate import Weather

GAIN = 3.0  # kelvins indoors above outdoors from people and appliances
SUN_GAIN = 2.5  # kelvins more while the sun shines through the windows all day
LAG = 9.0  # hours: the time constant of a lightly built home
LIFT = GAIN + SUN_GAIN / 4  # kelvins indoors above outdoors on an average day
HEATS_IN_FULL = 5.0  # kelvins below the balance point at which everybody heats
COOLS_IN_FULL = 2.5  # kelvins above the comfort limit at which everybody cools
GLARE_FROM, GLARE_CLEAR = 2.0, 0.55  # kelvins below the comfort limit and share of sunshine from which blinds shade
DUSK_NEAR = 1.0  # hours before dusk at which blinds may close
ADAPTS, MILD_SUMMER = 0.33, 21.0  # slope of adaptive comfort (EN 16798-1) and the summer it counts from


@dataclass(frozen=True)
class Comfort:
    """What some days feel like. `heats_below` and `cools_above` are degrees outdoors that a home feels indoors."""

    heats_below: float
    cools_above: float
    indoors: tuple[float, ...]
    light: tuple[tuple[float, float], ...]
    clear: tuple[float, ...]

    @classmethod
    def of(
        cls, weather: Weather, light: tuple[tuple[float, float], ...], heats_below: float, cools_above: float
    ) -> "Comfort":
        """Let the home follow the weather without heating or cooling."""
        clear = tuple(weather.clear.tolist())
        return cls(heats_below, cools_above, tuple(free_running(weather, light)), light, clear)

    def felt(self, day: int, hour: float) -> float:
        """Return degrees indoors without heating or cooling; an hour above 24 is the next morning."""
        place = day * 24 + int(hour)
        return self.indoors[place if place < len(self.indoors) else -1]

    def lacking(self, day: int, hour: float) -> float:
        """Return kelvins of warmth that are lacking."""
        return self.heats_below + LIFT - self.felt(day, hour)

    def urge(self, need: str, day: int, hour: float) -> float:
        """Return how strongly a need is felt: 0 not at all, 1 by everybody, more where it is worse."""
        if not need:
            return 1.0
        if need == "cold":
            return max(0.0, self.lacking(day, hour) / HEATS_IN_FULL)
        if need == "hot":
            return max(0.0, (self.felt(day, hour) - self.cools_above - LIFT) / COOLS_IN_FULL)
        return float(self._sunlit(need, day, hour))

    def _sunlit(self, need: str, day: int, hour: float) -> bool:
        dawn, dusk = self.light[day]
        clock = hour % 24.0
        if need == "sun up":
            return dawn <= clock < dusk
        if need == "sun down":
            return not dawn < clock < dusk - DUSK_NEAR
        if need == "glare":
            warm = self.felt(day, hour) > self.cools_above + LIFT - GLARE_FROM
            return warm and self.clear[day] > GLARE_CLEAR and dawn + 2.0 < clock < dusk - DUSK_NEAR
        return not dawn < clock < dusk


def free_running(weather: Weather, light: tuple[tuple[float, float], ...]) -> list[float]:
    """Return the temperature indoors at every hour: one resistance, one capacity (a first-order RC model)."""
    hours = np.arange(24)
    shines = np.array([(dawn + 1 < hours) & (hours < dusk - 1) for dawn, dusk in light])
    drive = weather.hourly() + GAIN + SUN_GAIN * (weather.clear[: len(light), None] * shines).ravel()
    share = 1.0 - math.exp(-1.0 / LAG)
    now = float(drive[:24].mean())
    out: list[float] = []
    for toward in drive.tolist():
        now += share * (toward - now)
        out.append(now)
    return out


def adapted(limit: float, warmest_month: float) -> float:
    """Return a comfort limit moved toward the summers people are used to (EN 16798-1: 0.33 K a kelvin)."""
    return limit + ADAPTS * (warmest_month - MILD_SUMMER)
