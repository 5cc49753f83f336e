"""Simulated homes: the temperature indoors and what heat, cold, darkness and the sun make people do."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from edge.core.scenes import COOLING, HEATING, Scene
from trainer.homes.climate import CLIMATES, Weather
from trainer.homes.comfort import LIFT, Comfort, adapted, free_running
from trainer.homes.home import Home
from trainer.homes.life import variants
from trainer.homes.living import Stretch, lived
from trainer.homes.noise import SILENT

SEASONS = ("winter", "spring", "summer", "autumn")
DARK = ((8.0, 17.0),) * 40
YEAR = date(2026, 1, 5)


def climate(name):
    return next(each for each in CLIMATES if each.name == name)


def owners(kinds, seeds=range(120)):
    """Return homes with a device of some kinds that is in use, and those devices."""
    for home in map(Home.draw, seeds):
        devices = home.dictionary.devices.values()
        found = {each.id for each in devices if each.kind in kinds and each.id != home.newcomer}
        if found:
            yield home, found


def steady(mean, days=10):
    return Weather(climate("Paris"), np.full(days, mean), np.zeros(days))


def comfort(weather, heats=14.5, cools=19.0):
    light = DARK[: len(weather.means)]
    return Comfort.of(weather, light, heats, cools)


def test_indoors_follows_outdoors_late_and_less():
    weather = steady(20.0)
    indoors, outdoors = np.array(free_running(weather, DARK[:10]))[48:72], weather.hourly()[48:72]
    assert indoors.max() - indoors.min() < 0.6 * (outdoors.max() - outdoors.min())
    assert 2 <= int(indoors.argmax()) - int(outdoors.argmax()) <= 6  # a warm evening after a warm afternoon
    assert indoors.mean() > outdoors.mean()


def test_the_sun_warms_a_home():
    cloudy, clear = steady(20.0), Weather(climate("Paris"), np.full(10, 20.0), np.ones(10))
    assert np.mean(free_running(clear, DARK[:10])) > np.mean(free_running(cloudy, DARK[:10])) + 0.3


@pytest.mark.parametrize("need", ["cold", "hot"])
def test_worse_weather_is_felt_more(need):
    urges = [comfort(steady(mean)).urge(need, 8, 20.0) for mean in range(-10, 36)]
    assert urges == sorted(urges, reverse=need == "cold")
    assert urges[0 if need == "hot" else -1] == 0.0
    assert urges[-1 if need == "hot" else 0] > 1.0


def test_people_are_used_to_their_summers():
    assert adapted(19.0, 28.0) > adapted(19.0, 21.0) == 19.0 > adapted(19.0, 17.0)


def days_of(home, start, days, seed=1):
    return lived(home, Scene(), start, days, seed)


def test_heating_follows_degree_days():
    """Degree days: 18 C less the day's mean where that is at most 15 C, else 0 (Eurostat and JRC)."""
    degree, uses = [], []
    for home, devices in owners(HEATING, range(250)):
        if home.climate.name not in {"Paris", "Madrid", "Nice", "Seville"}:
            continue
        for month in range(1, 13):
            start = date(2026, month, 1)
            stretch = Stretch.of(home, Scene(), start, 28, 5)
            means = stretch.weather.means
            degree.append(float(np.where(means <= 15.0, 18.0 - means, 0.0).mean()))
            uses.append(sum(each.device in devices for each in days_of(home, start, 28, 5)) / len(devices))
    assert len(degree) > 200
    assert np.corrcoef(degree, uses)[0, 1] > 0.5


def test_heaters_run_longer_on_colder_days():
    cold, mild = [], []
    for home, devices in owners(HEATING, range(200)):
        habits = [each for each in home.habits if any(act.stop for use in each.uses for act in use.acts)]
        for heats, runs in ((14.0, mild), (40.0, cold)):  # the same winter felt as mild and as hard
            colder = replace(home, habits=tuple(habits), noise=SILENT, heats_below=heats)
            found = [each for each in lived(colder, Scene.parse("winter"), YEAR, 14, 1) if each.device in devices]
            by_use = {}
            for each in found:
                by_use.setdefault(each.origin[:3], []).append(each.hour)
            runs += [max(hours) - min(hours) for hours in by_use.values() if len(hours) > 1]
    assert len(mild) > 50
    assert np.mean(cold) > 1.3 * np.mean(mild)


def test_nobody_heats_in_a_warm_summer_or_cools_in_the_cold():
    for home in map(Home.draw, range(40)):
        warm, cold = Weather(home.climate, np.full(10, 26.0), np.ones(10)), steady(5.0)
        feels = Comfort.of(warm, DARK[:10], home.heats_below, home.cools_above)
        assert all(feels.urge("cold", day, hour) == 0.0 for day in range(10) for hour in range(24))
        feels = Comfort.of(cold, DARK[:10], home.heats_below, home.cools_above)
        assert all(feels.urge("hot", day, hour) == 0.0 for day in range(10) for hour in range(24))


def cooling_share(season, months, seeds):
    shares = []
    for home, devices in owners(COOLING, seeds):
        for month in months:
            start = date(2026, month if home.latitude > 0 else (month + 5) % 12 + 1, 10)
            found = variants_at(home, start, season)
            if found:
                shares.append(np.mean([any(step.device in devices for step in sequence) for sequence in found]))
    return float(np.mean(shares))


def variants_at(home, start, season):
    """Return the sequences of ten days lived as the same home's winter and rewritten for a season's own month."""
    seed = next(seed for seed in range(4000) if abs((begins(home, seed, season) - start).days) % 365 < 12)
    found = variants(home, Scene.parse("winter"), (Scene.parse(season),), 10, seed)
    return [change.reply() for _, (change,) in found if change.reply()]


def begins(home, seed, season):
    rng = np.random.default_rng([seed, home.seed, 3])
    start = date(2025, 1, 1) + timedelta(days=int(rng.integers(365)))
    found = home.season_start(home.season_start(start, 10, "winter"), 10, season)
    return date(2026, found.month, min(found.day, 28))


def test_homes_that_own_cooling_use_it_when_it_is_warm():
    summer, may = cooling_share("summer", (7,), range(40)), cooling_share("spring", (5,), range(40))
    assert 0.2 < summer < 0.55
    assert 0.05 < may < 0.35
    assert cooling_share("spring", (3,), range(40)) < 0.1 < summer


def test_cooling_acts_in_afternoons_and_evenings_with_several_chains():
    hours, chains = [], set()
    for home, devices in owners(COOLING, range(60)):
        spoken = {}
        for each in lived(home, Scene.parse("summer"), date(2026, 7, 6), 20, 1):
            if each.device in devices:
                hours.append(each.hour % 24)
                spoken.setdefault(each.origin[:3], []).append(each.control)
        for said in spoken.values():
            kinds = ["on" if "switch on" in each else "off" if "switch off" in each else "adjusted" for each in said]
            chains.add(tuple(dict.fromkeys(kinds)))
    assert np.mean([each >= 12 or each < 1 for each in hours]) > 0.8
    assert {("on",), ("adjusted",), ("on", "off"), ("on", "adjusted"), ("on", "adjusted", "off")} <= chains


def uses_of(kind, season, start, days=20):
    for home, devices in owners({kind}, range(60)):
        stretch = Stretch.of(home, Scene(season=season), start, days, 1)
        for each in lived(home, Scene(season=season), start, days, 1):
            if each.device in devices and each.origin[0] >= 0:
                yield home, stretch.comfort, each, home.habits[each.origin[0]].uses[each.origin[2]]


@pytest.mark.parametrize(("season", "start"), [("winter", YEAR), ("summer", date(2026, 7, 6))])
def test_blinds_open_by_day_and_close_at_dusk(season, start):
    opened, closed = [], []
    for _, feels, each, use in uses_of("blind", season, start):
        dawn, dusk = feels.light[int(each.hour // 24) % len(feels.light)]
        if use.need == "sun up" and each.origin[3] == 0:
            opened.append(dawn - 0.5 <= each.hour % 24 <= dusk + 0.5)
        if use.need == "sun down" and each.origin[3] == 0:
            closed.append(not dawn + 0.2 < each.hour % 24 < dusk - 1.1)
    assert len(opened) > 40
    assert len(closed) > 40
    assert np.mean(opened) > 0.97
    assert np.mean(closed) > 0.97


def test_blinds_shade_on_hot_sunny_days_only():
    shading = {
        season: sum(use.need == "glare" for *_, use in uses_of("blind", season, start))
        for season, start in (("winter", YEAR), ("summer", date(2026, 7, 6)))
    }
    assert shading["winter"] == 0
    assert shading["summer"] > 30
    for _, feels, each, use in uses_of("blind", "summer", date(2026, 7, 6)):
        if use.need == "glare" and each.origin[3] == 0:
            day = int(each.hour // 24)
            assert feels.clear[day] > 0.5
            assert feels.felt(day, each.hour % 24) > feels.cools_above + LIFT - 3.0


def test_lights_are_for_the_dark():
    for _, feels, each, _ in uses_of("light", "winter", YEAR):
        if each.origin[3] == 0 and each.origin[4] == 0:
            dawn, dusk = feels.light[int(each.hour // 24) % len(feels.light)]
            assert not dawn + 0.5 < each.hour % 24 < dusk - 0.1
