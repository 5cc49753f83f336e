"""Outdoor temperature: an annual and a daily cosine over a small table of climates, with weather noise."""

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

COLDEST_DAY = 20  # day of the year in the north; half a year later in the south
WARMEST_HOUR = 15.0  # clock hour
MEMORY = 0.7  # day-to-day autocorrelation of the anomaly


@dataclass(frozen=True, slots=True)
class Climate:
    """A place, and its temperatures in degrees Celsius.

    `mean` of the year, `swing` half the range of the monthly means, `daily` half the range of a day,
    `noise` standard deviation of a day's anomaly. Rounded from public 1991-2020 monthly normals (WMO).
    """

    name: str
    zone: str
    latitude: float
    longitude: float
    mean: float
    swing: float
    daily: float
    noise: float


CLIMATES = (
    Climate("Paris", "Europe/Paris", 48.9, 2.3, 12.5, 8.0, 4.0, 3.2),
    Climate("Nice", "Europe/Paris", 43.7, 7.3, 16.0, 7.5, 4.0, 2.2),
    Climate("Madrid", "Europe/Madrid", 40.4, -3.7, 15.0, 10.0, 6.0, 3.0),
    Climate("Seville", "Europe/Madrid", 37.4, -6.0, 19.0, 8.5, 7.0, 2.8),
    Climate("Berlin", "Europe/Berlin", 52.5, 13.4, 10.0, 9.5, 4.5, 3.6),
    Climate("Stockholm", "Europe/Stockholm", 59.3, 18.1, 7.5, 10.0, 4.0, 3.6),
    Climate("Athens", "Europe/Athens", 38.0, 23.7, 18.5, 9.5, 4.5, 2.6),
    Climate("Seoul", "Asia/Seoul", 37.6, 127.0, 12.8, 14.0, 5.0, 3.2),
    Climate("Tokyo", "Asia/Tokyo", 35.7, 139.7, 15.8, 10.7, 4.0, 2.8),
    Climate("Chicago", "America/Chicago", 41.9, -87.6, 10.5, 13.8, 5.0, 4.5),
    Climate("Austin", "America/Chicago", 30.3, -97.7, 20.8, 9.8, 6.5, 4.0),
    Climate("Sydney", "Australia/Sydney", -33.9, 151.2, 18.2, 5.2, 4.0, 2.4),
    Climate("Buenos Aires", "America/Argentina/Buenos_Aires", -34.6, -58.4, 18.0, 7.0, 5.0, 3.0),
)


def day_mean(climate: Climate, day: date) -> float:
    """Return the mean temperature the climate gives a date, without weather."""
    coldest = COLDEST_DAY + (0.0 if climate.latitude >= 0 else 182.5)
    return climate.mean - climate.swing * math.cos(2 * math.pi * (day.timetuple().tm_yday - coldest) / 365.25)


def anomalies(days: int, climate: Climate, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return `days` daily anomalies in degrees: a first-order autoregression."""
    shocks = rng.normal(0.0, climate.noise, days)
    out = np.empty(days)
    before = float(shocks[0]) if days else 0.0
    for place in range(days):
        before = MEMORY * before + math.sqrt(1 - MEMORY**2) * float(shocks[place])
        out[place] = before
    return out


@dataclass(frozen=True)
class Weather:
    """Some days of outdoor temperature; `means` one a day from `start`, `clear` the share of sunshine each has."""

    climate: Climate
    means: NDArray[np.float64]
    clear: NDArray[np.float64]

    @classmethod
    def of(cls, climate: Climate, start: date, days: int, rng: np.random.Generator) -> "Weather":
        """Draw the weather of `days` days."""
        base = np.array([day_mean(climate, start + timedelta(days=place)) for place in range(days)])
        return cls(climate, base + anomalies(days, climate, rng), rng.beta(1.2, 0.9, days))

    def at(self, day: int, hour: float) -> float:
        """Return the temperature outdoors on a day (counted from the start) at a clock hour."""
        mean = float(self.means[min(max(day, 0), len(self.means) - 1)])
        return mean + self.climate.daily * math.cos(2 * math.pi * (hour - WARMEST_HOUR) / 24.0)

    def hourly(self) -> NDArray[np.float64]:
        """Return the temperature outdoors at every full hour, 24 a day."""
        swing = self.climate.daily * np.cos(2 * math.pi * (np.arange(24) - WARMEST_HOUR) / 24.0)
        return np.asarray(self.means[:, None] + swing, float).ravel()
