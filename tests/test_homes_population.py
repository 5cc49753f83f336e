"""The simulated population: how homes and people differ, what there is, and public statistics."""

import json
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.devices import KINDS, kind_of
from edge.core.scenes import Scene
from trainer.homes.calendars import Calendar
from trainer.homes.export import export
from trainer.homes.home import Home
from trainer.homes.life import live, variants
from trainer.homes.measures import diversity, personality
from trainer.homes.ontology import CLASSES

DATA = Path(__file__).parents[2] / "shared/data/scene_shift"
MONDAY = date(2026, 1, 5)
WINTER = Scene.parse("winter")
KNOBS = (0.3, 1.0, 2.0)


def population(diverse=1.0, personal=1.0, count=120):
    return [Home.draw(seed, diversity=diverse, personality=personal) for seed in range(count)]


def test_more_diversity_makes_homes_differ_and_people_no_more():
    homes = [population(diverse=knob) for knob in KNOBS]
    found, people = [diversity(each) for each in homes], [personality(each) for each in homes]
    assert found[0] + 0.1 < found[1] < found[2]
    assert people == pytest.approx([people[1]] * 3, rel=0.12)


def test_more_personality_makes_people_differ_and_homes_no_more():
    homes = [population(personal=knob) for knob in KNOBS]
    found, apart = [personality(each) for each in homes], [diversity(each) for each in homes]
    assert found == pytest.approx([knob * found[1] for knob in KNOBS], rel=0.15)
    assert apart == pytest.approx([apart[1]] * 3, abs=0.01)


def test_personality_is_lived():
    """The hours at which a population does one thing spread more."""
    spreads = []
    for knob in KNOBS:
        hours = [
            habit.hour
            for home in population(personal=knob, count=150)
            for habit in home.habits
            if habit.anchor == "clock" and habit.uses[0].kind == "television" and habit.person in {0, 1}
        ]
        spreads.append(np.std([hour for hour in hours if hour > 18.0]))
    assert spreads[0] < spreads[2]


def test_at_least_forty_classes_are_simulated_and_seen_in_homes():
    kinds = {each.kind for each in CLASSES}
    assert len(kinds) >= 40
    assert kinds <= set(KINDS)
    owned = {each.kind for home in population(count=300) for each in home.dictionary.devices.values()}
    assert len(owned) >= 40


def test_published_classes_are_covered():
    files = sorted(DATA.glob("*/dictionary.json"))
    if not files:
        pytest.skip(f"no published dictionaries in {DATA}")
    titles = {each.title: each.kind for each in CLASSES}
    for file in files:
        for name in json.loads(file.read_text())["devices"]:
            assert name in titles
            assert kind_of(name) == titles[name]


@pytest.mark.parametrize("name", ["Zorbulator", "0x00158d0001", "", "Küche"])
def test_an_unknown_name_is_of_no_class(name):
    assert kind_of(name) == "other"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_any_seed_can_be_exported(tmp_path_factory, seed):
    counts = export(tmp_path_factory.mktemp("home"), seed)
    assert counts["target_attack"] > counts["target_normal"] > 0


def at_home(days):
    """Return the share of residents in the home by hour of the day on some days of the week."""
    found, count = np.zeros(24), 0
    for home in population(count=200):
        calendar = Calendar.draw(home.people, MONDAY, 28, (1, home.seed))
        for person in range(home.residents):
            for day in (day for day in range(28) if day % 7 in days):
                count += 1
                found += [calendar.at_home(person, day, hour + 0.5) for hour in range(24)]
    return found / count


def test_at_home_as_time_use_surveys_find_it():
    """Nearly everybody at night, about half or fewer at midday on working days, most again by evening.

    Shapes rounded from the European time-use surveys (Eurostat, HETUS 2000 and 2010 waves); the mean over all
    hours and days, about 69 %, is the share of time in a residence of NHAPS (Klepeis et al., 2001), for all ages.
    """
    weekday, weekend = at_home(range(5)), at_home((5, 6))
    assert weekday[1:6].min() > 0.9
    assert 0.25 < weekday[10:15].mean() < 0.6
    assert weekday[20:23].mean() > 0.75
    assert weekend[10:15].mean() > weekday[10:15].mean() + 0.15
    assert 0.6 < (5 * weekday.mean() + 2 * weekend.mean()) / 7 < 0.85


def test_sleep_as_time_use_surveys_find_it():
    """Adults sleep eight to nine hours on average in each country surveyed (Eurostat, HETUS 2000 wave)."""
    adults = [
        who
        for home in population(count=300)
        for number, who in home.people.items()
        if number < home.residents and who.role not in {"child", "student"}
    ]
    assert 7.5 < np.mean([24.0 - who.sleep + who.wake for who in adults]) < 9.0
    assert 6.0 < np.median([who.wake for who in adults]) < 8.0  # most are up between 6 and 8
    assert 22.0 < np.median([who.sleep for who in adults]) < 24.0  # and asleep between 22 and 24


def activity(days):
    hours = Counter()
    for home in population(count=80):
        for behavior in live(home, WINTER, MONDAY, 14, 1):
            then = datetime.fromtimestamp(behavior.time, home.clock)
            if then.weekday() in days and home.dictionary.kind(behavior.device) != "other":
                hours[then.hour] += 1
    return np.array([hours[hour] for hour in range(24)]) / hours.total()


def test_homes_are_busiest_in_the_evening():
    """Household use peaks between 18 and 22 h and is least at night (load profiles; HETUS)."""
    shares = activity(range(7))
    evening = shares[18:22].sum()
    assert evening > 0.3
    assert evening >= max(shares[hour : hour + 4].sum() for hour in (0, 4, 8, 12))
    assert shares[1:5].sum() < 0.06


def test_weekends_are_lived_more_by_day():
    weekday, weekend = activity(range(5)), activity((5, 6))
    assert weekend[10:16].sum() > 1.15 * weekday[10:16].sum()


def test_sequences_look_like_recorded_ones():
    """The shape of the public SmartThings logs (SmartSense): short, few controls in each, much of class other."""
    lengths, distinct, other, top = Counter(), [], [], []
    for home in population(count=120):
        found = [sequence for sequence, _ in variants(home, WINTER, (WINTER,), 10, 1)]
        steps = Counter((step.device, step.control) for sequence in found for step in sequence)
        if not steps:
            continue
        lengths.update(map(len, found))
        distinct.append(np.mean([len({(step.device, step.control) for step in sequence}) for sequence in found]))
        kinds = [home.dictionary.kind(device) == "other" for device, _ in steps.elements()]
        other.append(np.mean(kinds))
        top.append(sum(count for _, count in steps.most_common(2)) / steps.total())
    assert 0.2 < lengths[1] / lengths.total() < 0.5
    assert lengths[1] > lengths[2] > lengths[3] > lengths[4] > lengths[5]
    assert np.mean(distinct) < 2.1
    assert 0.1 < np.mean(other) < 0.5
    assert np.mean(top) > 0.35
