"""Simulated homes: who is there on which days, and the noise of what they and their networks do."""

from collections import Counter
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from edge.core.scenes import Scene
from trainer.homes.calendars import AWAY, FREE, ILL, LATE, WORK, Calendar
from trainer.homes.drawing import CLEANER, GUEST
from trainer.homes.habits import AUTOMATION
from trainer.homes.home import Home
from trainer.homes.life import live
from trainer.homes.living import Stretch, lived
from trainer.homes.noise import SENSING, SILENT, Noise
from trainer.homes.people import MEANS, ROLES, Person

MONDAY = date(2026, 1, 5)
WINTER = Scene.parse("winter")


def year(home, seed=1):
    return Calendar.draw(home.people, MONDAY, 364, (seed, home.seed))


def by(home, person, scene=WINTER, days=28, seed=1):
    found = [each for each in lived(home, scene, MONDAY, days, seed) if each.origin[0] >= 0]
    return [each for each in found if home.habits[each.origin[0]].person == person]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_its_day(role):
    rng = np.random.default_rng(3)
    people = [Person.draw(role, rng) for _ in range(200)]
    assert np.mean([who.wake for who in people]) == pytest.approx(MEANS[role][0], abs=0.15)
    assert all(who.wake < who.sleep for who in people)
    assert {who.goes_out for who in people} == {role in {"worker", "shift worker", "child", "student", "guest"}}


def test_the_population_has_every_role():
    roles = {who.role for home in map(Home.draw, range(300)) for who in home.people.values()}
    assert roles == set(ROLES)


def test_a_cleaner_comes_on_one_or_two_mornings_a_week():
    homes = [home for home in map(Home.draw, range(200)) if CLEANER in home.people]
    assert 20 < len(homes) < 70
    came = 0
    for home in homes:
        done = by(home, CLEANER)
        weekdays = {int(each.origin[1]) % 7 for each in done}
        came += len(weekdays) > 0
        assert weekdays <= set(range(5))
        assert len(weekdays) <= 2
        assert all(6.5 <= each.hour % 24 <= 17.5 for each in done)
        assert not by(home, CLEANER, Scene.parse("away"))
    assert came > 0.8 * len(homes)


def test_guests_and_more_people_do_more_and_nobody_acts_while_away():
    more = {"guests": 0, "multiple": 0}
    for home in map(Home.draw, range(40)):
        plain = len(live(home, Scene.parse("single"), MONDAY, 14, 1))
        for name in more:
            more[name] += len(live(home, Scene.parse(f"single+{name}" if name == "guests" else name), MONDAY, 14, 1))
            more[name] -= plain
        assert by(home, GUEST) == []
        gone = lived(home, Scene.parse("away"), MONDAY, 14, 1)
        assert all(each.origin[0] < 0 or home.habits[each.origin[0]].person == AUTOMATION for each in gone)
    assert all(count > 0 for count in more.values())


def test_a_calendar_has_its_holidays_illness_trips_and_evenings():
    kinds = Counter(
        calendar.kind(person, day)
        for home in map(Home.draw, range(80))
        for calendar in [year(home)]
        for person in range(home.residents)
        if not home.people[person].off
        for day in range(364)
        if day % 7 < 5
    )
    days = {kind: 260 * count / kinds.total() for kind, count in kinds.items()}
    assert 7 < days[FREE] < 16  # public holidays: 9 to 15 a year in European countries
    assert 3 < days[ILL] < 12  # days of sick leave a year
    assert 4 < days[AWAY] < 16
    assert 6 < days[LATE] < 20
    assert days[WORK] > 200


def test_whoever_travels_does_nothing_and_the_ill_are_at_home():
    ill = 0
    for home in map(Home.draw, range(25)):
        calendar = year(home)
        gone = {day for day in range(364) if calendar.kind(0, day) == AWAY}
        assert not [each for each in by(home, 0, Scene(), 364) if each.origin[1] in gone]
        who = home.people[0]
        for day in range(364):
            if calendar.kind(0, day) == ILL:
                ill += 1
                assert all(calendar.at_home(0, day, hour) for hour in np.arange(0.5, 24))
                assert calendar.week_day(0, day) >= 5 or day % 7 in who.off
            elif calendar.kind(0, day) == WORK and who.goes_out:
                assert not calendar.at_home(0, day, (who.leave + who.back) / 2)
    assert ill > 30


def test_an_evening_out_is_an_evening_without_its_habits():
    for home in map(Home.draw, range(30)):
        calendar, who = year(home), home.people[0]
        for day in range(364):
            if calendar.kind(0, day) == LATE:
                assert not calendar.at_home(0, day, max(who.back, 17.5) + 1.0)
                assert not calendar.out(0, day, who.wake + 0.5)


def test_part_time_is_lived_at_home():
    found = [
        (home, number)
        for home in map(Home.draw, range(300))
        for number, who in home.people.items()
        if who.off and number < home.residents
    ]
    assert len(found) > 10
    for home, number in found:
        calendar = year(home)
        assert {calendar.kind(number, day) for day in range(364) if day % 7 in home.people[number].off} <= {
            FREE,
            ILL,
            AWAY,
        }


def test_weekends_start_later():
    mornings = {True: [], False: []}
    for home in map(Home.draw, range(80)):
        for each in by(home, 0, WINTER, 28):
            if 5.0 < each.hour % 24 < 11.5 and home.people[0].role == "worker":
                mornings[each.origin[1] % 7 > 4].append(each.hour % 24)
    assert np.mean(mornings[True]) > np.mean(mornings[False]) + 0.3


def count(home, noise, days=28):
    return lived(replace(home, noise=noise), WINTER, MONDAY, days, 1)


def test_each_kind_of_noise_does_what_it_says():
    total = Counter()
    for home in map(Home.draw, range(60)):
        plain = count(home, SILENT)
        total["plain"] += len(plain)
        stops = {act.control for habit in home.habits for use in habit.uses for act in use.acts if act.stop}
        forgot = count(home, replace(SILENT, forgets=0.5))
        total["stops"] += sum(each.control in stops for each in plain)
        total["forgot"] += len(plain) - len(forgot)
        assert set(forgot) <= set(plain)
        doubled = count(home, replace(SILENT, doubles=0.5))
        again = set(doubled) - set(plain)
        total["doubled"] += len(again)
        told = {(each.device, each.control) for each in plain}
        assert {(each.device, each.control) for each in again} <= told
        missed = count(home, replace(SILENT, misses=0.2))
        assert set(missed) <= set(plain)
        total["missed"] += len(plain) - len(missed)
        strays = set(count(home, replace(SILENT, strays=1.0))) - set(plain)
        assert {each.kind for each in strays} <= SENSING
        total["strays"] += len(strays)
    assert total["forgot"] > 100
    assert total["doubled"] > 500
    assert total["missed"] == pytest.approx(0.2 * total["plain"], rel=0.1)
    assert total["strays"] > 200


def test_the_same_noise_in_every_scene():
    shared = 0.0
    for home in map(Home.draw, range(20)):
        noisy = replace(home, noise=Noise(0.3, 0.3, 0.1, 0.5))
        day = {each.origin: each.control for each in lived(noisy, Scene.parse("daytime"), MONDAY, 7, 1)}
        night = {each.origin: each.control for each in lived(noisy, Scene.parse("night"), MONDAY, 7, 1)}
        both = day.keys() & night.keys()
        shared += len(both) / max(len(day), 1)
        assert all(day[origin] == night[origin] for origin in both)
    assert shared > 20 * 0.6


def test_automations_light_after_sunset_and_answer_to_presence():
    sunsets = welcomes = 0
    for home in map(Home.draw, range(80)):
        stretch = Stretch.of(home, WINTER, MONDAY, 14, 1)
        for each in lived(home, WINTER, MONDAY, 14, 1):
            habit = home.habits[each.origin[0]] if each.origin[0] >= 0 else None
            if habit and habit.anchor == "dusk" and habit.person == AUTOMATION and each.kind == "light":
                sunsets += 1
                assert each.hour % 24 > stretch.comfort.light[each.origin[1]][1] - 0.01
            if habit and habit.anchor == "back":
                welcomes += 1
                assert stretch.calendar.kind(habit.person, each.origin[1]) == WORK
    assert sunsets > 50
    assert welcomes > 50


def test_a_removed_device_is_never_used():
    gone = 0
    for home in map(Home.draw, range(40)):
        device = next(each for each in home.dictionary.devices.values() if each.id != home.newcomer)
        before, scene = lived(home, WINTER, MONDAY, 14, 1), Scene(season="winter", removed_device=device.name)
        after = lived(home, scene, MONDAY, 14, 1)
        assert after == [each for each in before if each.device != device.id]
        gone += len(before) - len(after)
    assert gone > 200
