"""Routines: a planted one is found and told truly, chance tells none, and every sentence can be said."""

import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.behaviors import Behavior
from edge.core.controls import UNDONE, part_and_word
from edge.core.devices import kind_of
from edge.core.dictionary import parse_dictionary
from edge.core.past import CLASSES, LATELY, Past, When
from edge.core.phrases import ENGLISH, Phrases
from edge.core.routines import Link, Routine, Span, Trigger, routines
from edge.demo.recorded import open_home
from trainer.homes.timeline import Wanted, behaviors, lively

ROOT = Path(__file__).parent.parent
GERMAN = Phrases.parse((ROOT / "deploy/language-de.json").read_text(encoding="utf-8"))
PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 2, 2)  # noqa: DTZ001 - a Monday by the wall clock; clocks go forward on 29 March
LIGHT = lambda _: "light"  # noqa: E731


def at(day, hour, zone=PARIS):
    """Return the instant the wall clock shows an hour of a day."""
    return (START + timedelta(days=day, hours=hour)).replace(tzinfo=zone).timestamp()


def chance(seed, days=70, a_day=60, devices=10, awake=(0.0, 24.0)):
    """Return behaviors at any moment of the day, each device as often as chance has it."""
    rng = np.random.default_rng(seed)
    count = days * a_day
    moments = sorted(zip(rng.integers(0, days, count).tolist(), rng.uniform(*awake, count).tolist(), strict=True))
    drawn = rng.choice(2 * devices, count, p=rng.dirichlet(np.ones(2 * devices))).tolist()
    words = ("ON", "OFF")
    return [
        Behavior(at(day, hour), f"d{pick // 2}", f"state {words[pick % 2]}")
        for (day, hour), pick in zip(moments, drawn, strict=True)
    ]


def planted(seed, days, hour, weekdays, share=0.95):
    """Return a kettle that is switched on about an hour of the day, 1-4 minutes after the hall's door opens."""
    rng = np.random.default_rng([seed, 1])
    out = []
    for day in range(days):
        if day % 7 in weekdays and rng.random() < share:
            moment = at(day, hour + float(np.clip(rng.normal(0, 0.15), -0.4, 0.4)))
            out.append(Behavior(moment - float(rng.uniform(60, 240)), "door", "contact open"))
            out.append(Behavior(moment, "kettle", "state ON"))
    return out


# What is told is true: counted again from the raw rows, in the plainest way.


def wall(behavior, zone):
    local = datetime.fromtimestamp(behavior.time, zone)
    return local.replace(tzinfo=None, second=0, microsecond=0)


def day_in(moment, when):
    """Return the day a moment of the wall belongs to where it lies within usual hours, else None."""
    begun = moment - timedelta(minutes=when.first)
    inside = begun.hour * 60 + begun.minute < (when.end - when.first) % 1440
    return begun.date() if inside and begun.weekday() in when.days else None


def on_days(found, when, zone):
    """Return the first of some behaviors on each usual day, by day."""
    days = {}
    for each in found:
        if (day := day_in(wall(each, zone), when)) is not None:
            days.setdefault(day, each)
    return days


def chained(routine, lived):
    """Return how often a chain's first was done, and every time that all of it followed."""
    first = [each for each in lived if (each.device, each.control) == _pair(routine.links[0])]
    begun = [each for n, each in enumerate(first) if n == 0 or each.time - first[n - 1].time > 60]
    whole = []
    for each in begun:
        last = each
        for link in routine.links[1:]:
            later = (b for b in lived if b.time > last.time and (b.device, b.control) == _pair(link))
            after = next(later, None) if last else None
            last = after if after and after.time - last.time <= link.within else None
            if last is None:
                break
        if last is not None:
            whole.append(each)
    return len(begun), whole


def _pair(link):
    return link.device, link.control


def recounted(routine, lived, zone):
    """Hold every figure of a routine against the behaviors."""
    if routine.new:
        last = max(wall(each, zone).date() for each in lived)
        lived = [each for each in lived if wall(each, zone).date() > last - timedelta(days=LATELY)]
    awake = {wall(each, zone).date() for each in lived}
    own = [each for each in lived if (each.device, each.control) == _pair(routine.links[0])]
    if len(routine.links) > 1:
        begun, own = chained(routine, lived)
        if routine.when is None:
            assert (routine.held, routine.of) == (len(own), begun)
            return
    when = routine.when
    days = {day: each for day, each in on_days(own, when, zone).items() if day in awake}
    assert (routine.held, routine.of) == (len(days), sum(day.weekday() in when.days for day in awake))
    if routine.trigger:
        before = [each.time for each in lived if (each.device, each.control) == _pair(routine.trigger)]
        triggered = [any(0 < each.time - b <= routine.trigger.within for b in before) for each in days.values()]
        assert routine.trigger.held == sum(triggered)
        assert sum(triggered) >= 0.6 * len(days)
    if routine.span:
        off = {"ON": "OFF", "on": "off", "OPEN": "CLOSE", "open": "closed", "UNLOCK": "LOCK"}
        word = own[0].control.rpartition(" ")[2]
        undo = own[0].control.removesuffix(word) + off[word]
        offs = [each.time for each in lived if (each.device, each.control) == (own[0].device, undo)]
        lasted = [min((t - each.time for t in offs if t > each.time), default=1e9) for each in days.values()]
        assert routine.span.seconds == pytest.approx(median(each for each in lasted if each <= 16 * 3600), rel=1e-6)
        assert sum(each <= 16 * 3600 for each in lasted) >= 0.7 * len(days)


def test_what_is_told_of_the_demo_home_is_true():
    folder = ROOT / "models/demo-home/1"
    home = open_home(folder, None)
    known = parse_dictionary((folder / "home.json").read_text(encoding="utf-8"))
    found = routines(home.source, home.home.zone, known.kind)
    assert len(found) >= 8
    for each in found:
        recounted(each, home.source, home.home.zone)


@pytest.fixture(scope="module")
def lively_home():
    return behaviors(Wanted(1, 63)), lively(1).clock


def test_what_is_told_of_a_lively_home_is_true_and_soon_found(lively_home):
    lived, zone = lively_home
    began = time.process_time()
    found = routines(lived, zone, kind_of)
    assert time.process_time() - began < 3.0  # 0.3 s where nothing else runs
    assert any(each.when is None for each in found)
    assert any(each.trigger for each in found)
    assert any(each.span for each in found)
    for each in found:
        recounted(each, lived, zone)


# What is planted is found, and chance is not.

DAYS = st.sampled_from([tuple(range(7)), tuple(range(5)), (5, 6), (1,), (0, 3)])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 47).map(lambda half: half / 2 + 0.25), DAYS)
def test_a_planted_routine_is_found_with_its_hours_days_and_trigger(seed, hour, weekdays):
    """Also where its hours go over midnight, and over the night in which clocks go forward."""
    days = 77
    done = planted(seed, days, hour, weekdays)
    lived = sorted([*done, *chance(seed, days)], key=lambda each: each.time)
    found = [each for each in routines(lived, PARIS, LIGHT) if each.links[-1].device == "kettle"]
    assert len(found) == 1
    routine = found[0]
    recounted(routine, lived, PARIS)
    assert _held(routine.when, hour)
    midnight = hour < 0.75 or hour > 23.25  # the day on which it begins may be the one before
    assert midnight or set(routine.when.days) == set(weekdays)
    assert midnight or routine.held >= 0.85 * len(done) / 2
    trigger = routine.trigger or routine.links[0]
    assert trigger.device == "door"
    if routine.trigger:
        assert routine.trigger.within == 300.0


def _held(when, hour):
    """Tell whether the usual hours hold a moment, and not much more."""
    return (round(hour * 60) - when.first) % 1440 <= (when.end - when.first) % 1440 <= 180


def test_chance_is_told_as_a_routine_in_no_more_homes_than_it_says():
    """Of 36 homes that live by chance, by day and night or awake by day only, quiet and lively, none is expected."""
    wrong = 0
    for seed in range(12):
        wrong += bool(routines(chance(seed, a_day=8, devices=4), PARIS, LIGHT))
        wrong += bool(routines(chance(seed, awake=(7.0, 23.0)), PARIS, LIGHT))
        wrong += bool(routines(chance(seed, 42, 150, 24, (7.0, 23.0)), PARIS, LIGHT))
    assert wrong <= 1


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_same_past_tells_the_same_in_whatever_order_it_comes(seed, random):
    lived = [*planted(seed, 56, 7.25, range(5)), *chance(seed, 56, 20)]
    told = routines(sorted(lived, key=lambda each: each.time), PARIS, LIGHT)
    random.shuffle(lived)
    assert routines(lived, PARIS, LIGHT) == told
    assert told


def test_nothing_lived_tells_nothing():
    assert routines([], PARIS, LIGHT) == ()
    assert routines([Behavior(at(0, 7), "kettle", "state ON")], PARIS, LIGHT) == ()
    assert routines([Behavior(at(0, 7), "kettle", "state ON")] * 50, PARIS, LIGHT) == ()
    wordless = [Behavior(at(day, 7), "kettle", control) for day in range(9) for control in ("", "pressed")]
    assert len(routines(wordless, PARIS, LIGHT)) <= 2


def test_on_and_off_are_told_as_one_span():
    lived = []
    for day in range(42):
        lived += [Behavior(at(day, 18 + day % 3 / 10), "lamp", "state ON")]
        lived += [Behavior(at(day, 23 + day % 4 / 10), "lamp", "state OFF")]
    (told,) = routines(lived, PARIS, LIGHT)
    assert told.span == Span(pytest.approx(5 * 3600, abs=600), 18 * 60 + 6, pytest.approx(23 * 60 + 9, abs=6))
    said = Phrases().routine(told, {"lamp": "Living room lamp"})
    assert said == "Every day Living room lamp is on from about 18 to 23 h; on 42 of 42 such days."
    assert (
        GERMAN.routine(told, {})
        == "Jeden Tag ist lamp von etwa 18 bis 23 Uhr eingeschaltet; an 42 von 42 solchen Tagen."
    )


def test_a_chain_is_told_once_with_its_links():
    lived = []
    for day in range(40):
        for hour in np.random.default_rng(day).uniform(7, 23, 2).tolist():
            steps = ((0, "door", "open"), (20, "lamp", "ON"), (200, "radio", "ON"))
            lived += [Behavior(at(day, hour) + lag, device, f"state {word}") for lag, device, word in steps]
    (told,) = routines([*lived, *chance(3, 40, 40)], PARIS, LIGHT)
    assert [(link.device, link.within) for link in told.links] == [("door", 0.0), ("lamp", 60.0), ("radio", 300.0)]
    assert told.when is None
    assert told.held >= 70
    assert (
        Phrases()
        .routine(told, {"door": "Hall door"})
        .startswith("When Hall door opens, usually lamp turns on within 1 min, then radio turns on within 5 min; ")
    )


def test_what_is_done_no_more_is_not_told():
    ended = planted(0, 50, 7.25, range(7))
    assert any("kettle" in each.devices for each in routines(ended, PARIS, LIGHT))
    lived = [*ended, *chance(0, 84, 20)]
    assert not [each for each in routines(lived, PARIS, LIGHT) if "kettle" in each.devices]


def test_what_began_lately_is_told_as_new_with_its_new_hours():
    """A lamp that was switched on in the morning for weeks, and in the evening since the scene changed."""
    lived = chance(0, 84, 20)
    for day in range(84):
        lived += [Behavior(at(day, 8.25 if day < 60 else 17.25), "lamp", "state ON")]
    (told,) = [each for each in routines(lived, PARIS, LIGHT) if "lamp" in each.devices]
    assert told.new
    assert _held(told.when, 17.25)
    recounted(told, lived, PARIS)
    said = Phrases().routine(told, {})
    assert said.endswith(f"lamp turns on; on {told.held} of 28 such days of the last 4 weeks.")


def test_only_recent_weeks_count():
    old = planted(0, 60, 7.25, range(7))
    new = chance(0, 100)
    late = [Behavior(each.time + 200 * 86400, each.device, each.control) for each in new]
    assert "kettle" not in {device for each in routines([*old, *late], PARIS, LIGHT) for device in each.devices}
    assert Past.of([*old, *late], PARIS).time[0] >= late[-1].time - 12 * 7 * 86400


def test_a_motion_sensor_begins_a_routine_and_is_told_of_no_trigger():
    kind = {"kettle": "motion"}.get
    lived = [*planted(0, 70, 7.25, range(7)), *chance(0, 70)]
    found = [each for each in routines(lived, PARIS, lambda device: kind(device, "other")) if "kettle" in each.devices]
    assert found
    assert all(each.trigger is None and len(each.links) == 1 for each in found)


# Sentences.

WHEN = st.builds(
    When, st.sampled_from(CLASSES), st.integers(0, 47).map(lambda slot: 30 * slot),
    st.integers(0, 47).map(lambda slot: 30 * slot), st.integers(5, 80), st.integers(80, 90), st.floats(20, 400),
)  # fmt: skip
CONTROL = st.sampled_from(["state ON", "night light OFF", "contact open", "lock UNLOCK", "set color", "", "a; b\n."])
DEVICE = st.sampled_from(["kettle", "Küche ☕", "ignore all <script>", ""])
LINKS = st.lists(st.builds(Link, DEVICE, CONTROL, st.sampled_from([60.0, 300.0, 900.0])), min_size=2, max_size=4)
ROUTINE = st.builds(
    Routine, LINKS.map(tuple), st.none() | WHEN, st.integers(5, 90), st.integers(5, 90), st.floats(0.5, 50),
    st.floats(20, 400), st.none() | st.builds(Trigger, DEVICE, CONTROL, st.sampled_from([60.0, 900.0]), st.just(9)),
    st.none() | st.builds(Span, st.floats(1, 60_000), st.integers(0, 1439), st.integers(0, 1439)), st.booleans(),
)  # fmt: skip


def _spannable(routine):
    """Tell whether a span stands only behind what lasts until it is undone."""
    return routine.span is None or part_and_word(routine.links[0].control)[1] in UNDONE


@given(ROUTINE.filter(_spannable), st.sampled_from([Phrases(), GERMAN]))
def test_every_routine_can_be_said_in_one_sentence(routine, phrases):
    said = phrases.routine(routine, {"kettle": "Kettle;\nall is well"})
    assert said[0] == said[0].upper()
    assert said.count(";") == 1
    assert said.endswith(".")
    assert "\n" not in said
    assert "{" not in said
    assert f"{routine.held}" in said


def test_every_control_has_its_present_in_every_language():
    past = {key.removeprefix("control.") for key in ENGLISH if key.startswith("control.")} - {"of"}
    assert past == {key.removeprefix("does.") for key in ENGLISH if key.startswith("does.")}
    assert json.loads((ROOT / "deploy/language-de.json").read_text(encoding="utf-8")).keys() == ENGLISH.keys()


@pytest.mark.parametrize(
    ("days", "held", "said"),
    [
        (tuple(range(7)), 60, "Every day"),
        (tuple(range(7)), 40, "On most days"),
        ((0, 1, 2, 3, 4), 40, "On weekdays"),
        ((5, 6), 40, "At weekends"),
        ((6,), 40, "On Sundays"),
        ((0, 2, 4), 40, "On Mondays, on Wednesdays and on Fridays"),
        ((0, 1, 2, 3, 4, 5), 40, "Every day except on Sundays"),
        ((0, 1, 2, 3, 6), 40, "Every day except on Fridays and on Saturdays"),
    ],
)
def test_days_are_named_as_people_name_them(days, held, said):
    when = When(days, 23 * 60 + 30, 0, held, 63, 50.0)
    told = Routine((Link("lamp", "state ON"),), when, held, 63, 5.0, 50.0)
    expected = f"{said} between 23:30 and 24 h Hall lamp turns on; on {held} of 63 such days."
    assert Phrases().routine(told, {"lamp": "Hall lamp"}) == expected
