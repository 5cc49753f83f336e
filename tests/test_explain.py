"""The why of an alert: habits, the odd field, one sentence that no name can break, and its way to disk and back."""

import json
import math
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import compose
from edge.core import habits as counted
from edge.core.behaviors import Behavior
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.errors import SettingsError
from edge.core.explanations import (
    DEVICE,
    DURATION,
    ORDER,
    TIME,
    Explanation,
    explain,
    likeliest,
    odd_field,
    parse_explanation,
)
from edge.core.habits import Habit, Habits, usual_hours
from edge.core.phrases import ENGLISH, Phrases
from edge.core.sequences import Window
from edge.core.vocabulary import CONTROL_ROWS, FIRST, Vocabulary
from edge.settings import load
from tests import homes

ROOT = Path(__file__).parent.parent
DAYS = 28
EXPECTED = [(homes.PAIRS[0], 0.7), (homes.PAIRS[1], 0.2), (homes.PAIRS[2], 0.06)]
LIMITS = (4.0, 4.0, 4.0)
END = homes.MONDAY + DAYS * 86400


def lived():
    """Return habits of four weeks: kettle at seven on weekdays, bath heater on Sundays, lamp morning and evening."""
    found = Habits(UTC)
    for day in range(DAYS):
        midnight = homes.MONDAY + day * 86400
        found.add(Behavior(midnight + 7 * 3600, "lamp1", "state ON"))
        if day % 7 < 5:
            found.add(Behavior(midnight + 7.5 * 3600, "kettle1", "state ON"))
        if day % 7 == 6:
            found.add(Behavior(midnight + 10 * 3600, "heat1", "state ON"))
        found.add(Behavior(midnight + 19 * 3600, "lamp1", "state ON"))
    return found


def why(time, device, surprise, *, control="state ON", before=(), known=None):
    """Explain a behavior at `time` after those `before` it, each (time, device)."""
    habits = known or lived()
    window = Window()
    for at, name in before:
        window = window.extended(Behavior(at, name, "state ON"), UTC)
        habits.add(Behavior(at, name, "state ON"))
    behavior = Behavior(time, device, control)
    window = window.extended(behavior, UTC)
    return explain(
        behavior, window.steps, surprise, LIMITS,
        habits=habits, dictionary=homes.HOME, expected=EXPECTED, model="0001-winter",
    )  # fmt: skip


def said(*args, **more):
    found = why(*args, **more)
    return found.odd, Phrases().sentence(found)


def test_at_an_hour_it_is_never_done_the_time_is_odd_and_its_usual_time_is_named():
    odd, sentence = said(END + 3 * 3600, "kettle1", (1.0, 9.0, 1.0))
    assert odd == TIME
    assert sentence == (
        "On Monday at 03 h Kettle turned on, which never happens at this hour; usually on weekdays between 07 and "
        "08 h, 5 times a week; expected rather: Hall lamp turned on (70%), Hall lamp turned off (20%)."
    )


def test_on_a_day_it_is_never_done_the_day_is_named():
    odd, sentence = said(END + 10 * 3600, "heat1", (1.0, 9.0, 1.0))
    assert odd == TIME
    assert "Bath heater turned on, which never happens on a Monday at this hour" in sentence
    assert "usually on Sundays between 10 and 11 h, once a week" in sentence


def test_a_device_that_never_acts_at_this_hour_is_the_odd_field():
    odd, sentence = said(END + 2 * 3600, "heat1", (9.0, 1.0, 1.0))
    assert odd == DEVICE
    assert "Bath heater turned on, a device that never acts at this hour;" in sentence


def test_a_device_that_acts_now_but_not_after_this_is_odd_in_its_order():
    odd, sentence = said(END + 7.6 * 3600, "lamp1", (9.0, 1.0, 1.0), before=[(END + 7.5 * 3600, "kettle1")])
    assert odd == ORDER
    assert 'Hall lamp turned on, which does not usually follow "Kettle turned on";' in sentence
    assert "usually between 07 and 08 h and between 19 and 20 h, 2 times a day" in sentence


def test_what_does_not_come_first_is_odd_in_its_order():
    odd, sentence = said(END + 19 * 3600, "lamp1", (9.0, 1.0, 1.0))
    assert odd == ORDER
    assert "which is not what usually comes first after hours of quiet" in sentence


@pytest.mark.parametrize(("passed", "told"), [(20, "only 20 s after"), (5 * 86400, "5 days after")])
def test_too_soon_and_too_late_are_a_duration(passed, told):
    start = END + 19 * 3600
    odd, sentence = said(start + passed, "lamp1", (1.0, 1.0, 9.0), before=[(start, "lamp1")])
    assert odd == DURATION
    assert f"Hall lamp turned on, {told} its last use, where 12 h is usual;" in sentence


def test_a_device_nobody_saw_before_is_said_to_be_new():
    odd, sentence = said(END, "fan1", (9.0, 1.0, 1.0))
    assert odd == DEVICE
    assert "Desk fan turned on, a device that was never seen to act before; expected rather:" in sentence
    assert said(END, "fan1", (1.0, 1.0, 9.0))[0] == DEVICE  # no duration to speak of


def test_what_was_done_once_or_twice_is_told_with_its_date():
    known = lived()
    known.add(Behavior(END - 86400 + 2 * 3600, "fan1", "state ON"))
    assert "; seen once before, on 2025-02-02; " in said(END + 3600, "fan1", (9.0, 1.0, 1.0), known=known)[1]
    known.add(Behavior(END - 3600, "fan1", "state ON"))
    assert "; seen twice before, last on 2025-02-02; " in said(END + 3600, "fan1", (9.0, 1.0, 1.0), known=known)[1]


@given(st.tuples(*[st.floats(0.01, 50)] * 3), st.integers(0, 50), st.floats(0, 20), st.booleans())
def test_the_odd_field_is_that_of_the_part_farthest_beyond_its_limit(ratios, near, weeks, known):
    odd = odd_field(ratios, Habit(near=near, weeks=weeks), known=known)
    part = int(np.argmax(ratios))
    assert odd in ([DEVICE, ORDER], [TIME], [DURATION] if known else [DEVICE, ORDER])[part]


@given(
    st.sampled_from([pair for pair, _ in EXPECTED]),
    st.tuples(*[st.floats(0, 50)] * 3),
    st.floats(0, 7 * 86400),
)
def test_what_happened_is_never_expected_instead_and_three_at_most_are(pair, surprise, offset):
    found = why(END + offset, pair[0], surprise, control=pair[1])
    assert len(found.expected) == 2
    assert pair not in [(each.device, each.control) for each in found.expected]


names = st.text(max_size=200)


@given(names, names, st.tuples(*[st.floats(0, 50)] * 3), names)
def test_no_name_and_no_control_breaks_a_sentence(name, control, surprise, other):
    devices = [Device("x", name, "light"), Device("y", other, "light")]
    behavior = Behavior(END, "x", control)
    window = Window().extended(Behavior(END - 60, "y", control), UTC).extended(behavior, UTC)
    found = explain(
        behavior, window.steps, surprise, LIMITS, habits=lived(),
        dictionary=Dictionary.of([("x", control), ("y", other)], devices),
        expected=[(("y", other), 0.5)], model="m",
    )  # fmt: skip
    sentence = Phrases().sentence(found)
    assert len(sentence) < 700
    assert sentence.isprintable()
    assert sentence.startswith("On Monday at 00 h ")
    assert sentence.endswith("(50%).")
    assert sentence.count(";") == (1 if found.odd == DEVICE else 2)  # ours: no name brings its own
    assert not set(sentence) & set("{}<>\\$`\n\r")


@given(names, st.floats(-1e12, 1e12), st.integers(0, 6), st.floats(0, 1))
def test_an_explanation_goes_to_disk_and_back_unchanged(name, since, day, share):
    found = why(END + 3 * 3600, "kettle1", (share, 9.0, 1.0))
    found = replace(found, name=name, since=since, day=day)
    assert parse_explanation(json.dumps(found.as_json())) == found


@given(st.text(max_size=60))
def test_what_is_no_explanation_is_none(text):
    assert parse_explanation(text) is None
    assert parse_explanation(json.dumps({"time": 1, "odd": text})) is None


@pytest.mark.parametrize("wrong", [{"day": 7}, {"hour": -1}, {"since": math.inf}, {"time": math.nan}])
def test_an_explanation_of_no_day_is_none(wrong):
    whole = why(END + 3 * 3600, "kettle1", (1.0, 9.0, 1.0)).as_json()
    assert parse_explanation(json.dumps(whole)) is not None
    assert parse_explanation(json.dumps(whole | wrong)) is None


def test_the_likeliest_are_named_rows_only_in_order():
    vocabulary = Vocabulary().grown(homes.PAIRS)
    row = np.full(CONTROL_ROWS, -np.inf, np.float32)
    row[[0, FIRST + 2, FIRST + 5, CONTROL_ROWS - 1]] = np.log([0.3, 0.4, 0.2, 0.1])
    assert [pair for pair, _ in likeliest(row, vocabulary, 4)] == [homes.PAIRS[2], homes.PAIRS[5]]


# Habits.

hours = st.lists(st.integers(0, 60), min_size=24, max_size=24)


@given(hours)
def test_usual_hours_hold_their_share_in_few_spans(by_hour):
    spans = usual_hours(by_hour)
    inside = [hour for first, end in spans for hour in range(first, end if end > first else end + 24)]
    assert len(spans) <= 3
    assert len(inside) == len({hour % 24 for hour in inside}) <= counted.LONGEST
    if spans:
        assert sum(by_hour[hour % 24] for hour in inside) >= counted.USUAL * sum(by_hour)


@given(hours, st.integers(0, 23))
def test_usual_hours_turn_with_the_clock(by_hour, shift):
    spread = [1000 * count + hour for hour, count in enumerate(by_hour)]  # no ties
    turned = spread[-shift:] + spread[:-shift] if shift else spread
    spans = {((first + shift) % 24, (end + shift) % 24) for first, end in usual_hours(spread)}
    assert set(usual_hours(turned)) == spans


def test_an_evening_past_midnight_is_one_span():
    counts = [0] * 24
    counts[23], counts[0], counts[1] = 5, 4, 5
    assert usual_hours(counts) == ((23, 2),)


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from(homes.PAIRS)), max_size=150), st.integers(1, 60))
def test_habits_count_the_newest_and_forget_the_rest(lived_at, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counted, "MOST", most)
        patch.setattr(counted, "WEEKS", 10_000)
        found = Habits(UTC)
        found.extend(Behavior(homes.MONDAY + hour * 3600, *pair) for hour, pair in lived_at)
    newest = Counter(pair for _, pair in lived_at[-most:])
    assert len(found) == min(most, len(lived_at))
    for pair in homes.PAIRS:
        habit = found.of(*pair, homes.MONDAY)
        assert habit.count == newest[pair] == sum(habit.by_hour)


def test_what_is_older_than_the_weeks_is_forgotten_and_one_wild_clock_is_not_time():
    found = Habits(UTC)
    for day in range(counted.WEEKS * 14):
        found.add(Behavior(homes.MONDAY + day * 86400, "lamp1", "state ON"))
    assert counted.WEEKS * 7 <= len(found) <= counted.WEEKS * 7 + 1
    found.add(Behavior(homes.MONDAY + 1e9, "lamp1", "state ON"))
    assert len(found) >= counted.WEEKS * 7 - 1


def test_hours_are_the_homes_own_and_bounded_in_what_is_usual():
    found = Habits(ZoneInfo("Europe/Paris"))
    found.extend(Behavior(homes.MONDAY + day * 86400 + 6 * 3600, "lamp1", "state ON") for day in range(10))
    assert found.of("lamp1", "state ON", homes.MONDAY).hours == ((7, 8),)
    assert found.of("lamp1", None, homes.MONDAY).last == "2025-01-15T07:00+01:00"


# Languages.


def test_the_german_sentences_are_whole_and_say_the_same():
    text = (ROOT / "deploy/language-de.json").read_text(encoding="utf-8")
    german = Phrases.parse(text)
    assert json.loads(text).keys() == ENGLISH.keys()
    sentence = german.sentence(why(END + 3 * 3600, "kettle1", (1.0, 9.0, 1.0)))
    assert sentence.startswith("Montag, 03 Uhr: Kettle eingeschaltet, was um diese Zeit nie vorkommt; üblich an Werk")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "not an object"),
        ("{", "not JSON"),
        ('{"head": 1}', "not an object"),
        ('{"haed": "x"}', "no sentence 'haed'"),
        ('{"head": "{device.__class__}"}', "knows no"),
        ('{"head": "{day!r}"}', "only {name}"),
        ('{"head": "{day:>9999999}"}', "only {name}"),
        ('{"head": "{"}', "head"),
        ('{"head": "{}"}', "knows no"),
        ('{"head": "\\ud800"}', "not JSON"),
    ],
)
def test_a_language_that_does_not_fit_is_refused_by_key(text, fault):
    with pytest.raises(SettingsError, match=re.escape(fault)):
        Phrases.parse(text)


def test_the_language_of_the_settings_is_a_file_beside_them(tmp_path):
    (tmp_path / "fr.json").write_text('{"day.0": "Lundi"}', encoding="utf-8")
    (tmp_path / "sceneshift.toml").write_text('[alerts]\nlanguage = "fr.json"\n', encoding="utf-8")
    said = load(tmp_path / "sceneshift.toml").alerts.language
    assert compose.phrases(said).say("day.0") == "Lundi"
    (tmp_path / "fr.json").unlink()
    with pytest.raises(SettingsError, match="alerts.language: .*fr.json"):
        compose.phrases(said)
    (tmp_path / "sceneshift.toml").write_text('[alerts]\nlanguage = "en"\n', encoding="utf-8")
    assert compose.phrases(load(tmp_path / "sceneshift.toml").alerts.language).say("day.0") == "Monday"


def test_what_a_language_lacks_is_said_in_english():
    assert Phrases({"day.0": "Lundi"}).say("day.0") == "Lundi"
    assert Phrases({"day.0": "Lundi"}).say("day.1") == "Tuesday"


@given(st.builds(Habit, st.integers(0, 10_000), st.floats(0, 100), last=st.just("2025-01-01T07:00")))
def test_every_habit_can_be_said(habit):
    assert Phrases().usual(habit)


def test_every_odd_field_and_every_part_has_a_sentence():
    """Walk a grid of explanations: none lacks a phrase, and each of the field's phrases is reached."""
    texts = {key: text for key, text in ENGLISH.items() if key.split(".")[0] in {"device", "order", "time", "duration"}}
    base: Explanation = why(END + 3 * 3600, "kettle1", (1.0, 9.0, 1.0))
    grid = [
        replace(base, odd=odd, device_near=near, after=after, since=since, usual_since=usual, habit=habit)
        for odd in (DEVICE, ORDER, TIME, DURATION)
        for near in (0, 1)
        for after in (None, ("Hall lamp", "state ON"))
        for since in (None, 5.0, 1e6)
        for usual in (None, 3600.0)
        for habit in (
            Habit(),
            *(Habit(9, 4, near=near_hour, near_day=day) for near_hour, day in ((1, 0), (1, 1), (9, 9))),
        )
    ]
    sentences = [Phrases().sentence(each) for each in grid]
    marks = [re.split(r"\{\w+\}", text)[0] or re.split(r"\{\w+\}", text)[1] for text in texts.values()]
    assert all(any(mark in sentence for sentence in sentences) for mark in marks)
