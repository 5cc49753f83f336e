"""Simulated homes: each physical claim, and that a scene changes only what it says."""

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.devices import KINDS, kind_of
from edge.core.prompts import Labels
from edge.core.replies import read_reply, reply_text
from edge.core.scenes import COOLING, DAYTIME, HEATING, UNATTENDED, Scene
from edge.core.sequences import LENGTH
from trainer.homes import sun
from trainer.homes.climate import CLIMATES, Weather, anomalies, day_mean
from trainer.homes.export import export
from trainer.homes.home import Home
from trainer.homes.life import live, pairs, variants
from trainer.homes.ontology import CLASSES

WINTER, SPRING = Scene.parse("winter"), Scene.parse("spring")
MONDAY = date(2026, 1, 5)
SEEDS = range(40)


def kinds(home, behaviors):
    return [home.dictionary.kind(behavior.device) for behavior in behaviors]


def hour(home, behavior):
    return datetime.fromtimestamp(behavior.time, home.clock).hour


@given(st.floats(24.0, 65.0))
def test_days_are_longer_in_summer_north_of_the_tropics(latitude):
    assert sun.half_day(latitude, 172) > sun.half_day(latitude, 80) > sun.half_day(latitude, 355)
    assert sun.half_day(-latitude, 172) < sun.half_day(-latitude, 355)


def test_the_sun_stands_where_almanacs_say():
    assert sun.elevation(48.9, 172, 12.0) == pytest.approx(90 - 48.9 + 23.44, abs=0.1)
    assert 2 * sun.half_day(48.9, 172, -0.833) == pytest.approx(16.2, abs=0.15)  # Paris, 21 June: 16 h 10 min
    assert 2 * sun.half_day(48.9, 355, -0.833) == pytest.approx(8.25, abs=0.15)  # 21 December: 8 h 15 min
    assert sun.half_day(69.0, 355, -0.833) == 0.0


def test_noon_follows_the_clock_of_the_zone():
    paris = ZoneInfo("Europe/Paris")
    assert sun.noon(date(2026, 1, 15), 2.3, paris) == pytest.approx(12.85, abs=0.01)
    assert sun.noon(date(2026, 7, 15), 2.3, paris) == pytest.approx(13.85, abs=0.01)


@pytest.mark.parametrize("climate", CLIMATES, ids=lambda climate: climate.name)
def test_a_climate_has_its_seasons(climate):
    january, july = day_mean(climate, date(2026, 1, 20)), day_mean(climate, date(2026, 7, 20))
    assert (january < july) == (climate.latitude > 0)
    weather = Weather.of(climate, MONDAY, 20, np.random.default_rng(0))
    assert all(weather.at(day, 15.0) > weather.at(day, 4.0) for day in range(20))


def test_weather_is_remembered_from_day_to_day():
    found = anomalies(4000, CLIMATES[0], np.random.default_rng(1))
    assert np.corrcoef(found[1:], found[:-1])[0, 1] == pytest.approx(0.7, abs=0.05)
    assert found.std() == pytest.approx(CLIMATES[0].noise, rel=0.15)


def test_the_ontology_speaks_the_core_s_classes():
    for each in CLASSES:
        assert each.kind in KINDS
        assert {kind_of(name) for name in (each.title, *each.nouns)} == {each.kind}


def test_a_seed_is_a_home():
    first, again = Home.draw(5), Home.draw(5)
    assert first == again
    assert live(first, WINTER, MONDAY, 10, 3) == live(again, WINTER, MONDAY, 10, 3)
    assert first != Home.draw(6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["winter", "summer", "night", "multiple", "away", "guests+autumn"]))
def test_what_is_lived_is_in_order_and_in_the_dictionary(seed, name):
    home = Home.draw(seed)
    behaviors = live(home, Scene.parse(name), MONDAY, 7, seed)
    times = [behavior.time for behavior in behaviors]
    assert times == sorted(times)
    assert {(behavior.device, behavior.control) for behavior in behaviors} <= home.dictionary.pairs
    start = datetime(2026, 1, 5, tzinfo=home.clock).astimezone(UTC).timestamp()
    assert all(start <= time < start + 9 * 86400 for time in times)
    if name == "away":
        assert set(kinds(home, behaviors)) <= UNATTENDED


def test_heating_is_for_the_cold_and_cooling_for_the_heat():
    heated = cooled = 0
    for seed in SEEDS:
        home = Home.draw(seed)
        winter, spring = live(home, WINTER, MONDAY, 20, 1), live(home, SPRING, date(2026, 5, 4), 20, 1)
        heated += len(set(kinds(home, winter)) & HEATING)
        cooled += len(set(kinds(home, spring)) & COOLING)
        assert not set(kinds(home, winter)) & COOLING
        assert not set(kinds(home, spring)) & HEATING
    assert heated > 10
    assert cooled > 10


def test_nobody_heats_in_a_warm_winter():
    for seed in SEEDS:
        home = Home.draw(seed)
        mild = type(home)(**{**vars(home), "heats_below": -60.0})
        assert not set(kinds(mild, live(mild, WINTER, MONDAY, 10, 1))) & HEATING


def test_a_home_active_at_night_lives_at_night():
    for seed in SEEDS:
        home = Home.draw(seed)
        assert not [each for each in live(home, Scene.parse("night"), MONDAY, 7, 1) if hour(home, each) in DAYTIME]
        assert not [
            each for each in live(home, Scene.parse("daytime"), MONDAY, 7, 1) if hour(home, each) not in DAYTIME
        ]


def test_two_people_do_more_than_one():
    more = [
        len(live(home, Scene.parse("multiple"), MONDAY, 7, 1)) - len(live(home, Scene.parse("single"), MONDAY, 7, 1))
        for home in map(Home.draw, SEEDS)
    ]
    assert min(more) >= 0
    assert sum(more) > 0


def test_a_new_device_is_used_only_once_a_scene_names_it():
    used = 0
    for home in map(Home.draw, SEEDS):
        if home.newcomer:
            scene = Scene(season="summer", new_device=home.dictionary.devices[home.newcomer].name)
            assert home.newcomer not in {each.device for each in live(home, Scene(season="summer"), MONDAY, 10, 1)}
            used += home.newcomer in {each.device for each in live(home, scene, MONDAY, 10, 1)}
    assert used > 10


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([("winter", "spring"), ("daytime", "night"), ("single", "multiple")]))
def test_pairs_are_sequences_of_the_home(seed, names):
    home = Home.draw(seed)
    source, target = (Scene.parse(name) for name in names)
    labels = Labels.of(home.dictionary.controls, home.dictionary)
    for before, after in pairs(home, source, target, 10, seed):
        assert 1 <= len(before) <= LENGTH
        assert len(after) <= LENGTH
        for sequence in (before, after):
            assert read_reply(reply_text(sequence, (), labels), (), labels) == sequence


def test_a_scene_changes_only_what_it_says():
    for seed in SEEDS:
        home = Home.draw(seed)
        for sequence, (same, night) in variants(
            home, Scene.parse("daytime"), (Scene.parse("daytime"), Scene.parse("night")), 7, 2
        ):
            assert sequence == same.reply()
            assert {step.hour for step in night.reply()}.isdisjoint(DAYTIME)


def test_the_demo_home_is_small_and_changes(tmp_path):
    counts = export(tmp_path)
    home = json.loads((tmp_path / "home.json").read_text())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 400_000
    known = {(device, control) for device, control in home["controls"]}
    kind = {device["id"]: device["kind"] for device in home["devices"]}
    lines = {
        name: [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()] for name in counts
    }
    for name, rows in lines.items():
        assert len(rows) == counts[name]
        assert {(row["device"], row["control"]) for row in rows} <= known
        assert [row["t"] for row in rows] == sorted(row["t"] for row in rows)
    share = {name: np.mean([kind[row["device"]] in HEATING for row in rows]) for name, rows in lines.items()}
    assert share["source_train"] > 0.15
    assert share["target_normal"] == 0.0
    assert {row["anomaly"] for row in lines["target_attack"]} == {True, False}
