"""Daylight: where the sun stands over a place, by date and clock."""

import math
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

DARK_BELOW = -1.0  # degrees of elevation at which people put lights on; civil twilight ends at -6


def declination(day_of_year: float) -> float:
    """Return the sun's declination in degrees (Cooper, Solar Energy 12, 1969)."""
    return 23.45 * math.sin(math.radians(360.0 * (284.0 + day_of_year) / 365.0))


def elevation(latitude: float, day_of_year: float, solar_hour: float) -> float:
    """Return the sun's elevation in degrees at a latitude (degrees north) and solar time (12 = noon)."""
    tilt, place = math.radians(declination(day_of_year)), math.radians(latitude)
    angle = math.radians(15.0 * (solar_hour - 12.0))
    height = math.sin(place) * math.sin(tilt) + math.cos(place) * math.cos(tilt) * math.cos(angle)
    return math.degrees(math.asin(max(-1.0, min(1.0, height))))


def half_day(latitude: float, day_of_year: float, threshold: float = DARK_BELOW) -> float:
    """Return the hours from solar noon until the sun sinks below `threshold` degrees (0-12)."""
    tilt, place = math.radians(declination(day_of_year)), math.radians(latitude)
    cosine = (math.sin(math.radians(threshold)) - math.sin(place) * math.sin(tilt)) / (math.cos(place) * math.cos(tilt))
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) / 15.0


def noon(day: date, longitude: float, zone: ZoneInfo) -> float:
    """Return the clock hour of solar noon, DST included (the equation of time, at most 16 min, is left out)."""
    offset = datetime.combine(day, time(12), zone).utcoffset()
    assert offset is not None
    return 12.0 + offset.total_seconds() / 3600.0 - longitude / 15.0


def daylight(day: date, latitude: float, longitude: float, zone: ZoneInfo) -> tuple[float, float]:
    """Return the clock hours between which lights are not needed."""
    middle = noon(day, longitude, zone)
    half = half_day(latitude, day.timetuple().tm_yday)
    return middle - half, middle + half
