"""What of the unusual is learned: what people say, what has become a habit, and what poisoning cannot do."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.admission import DAYS, GUARDED, HABITS, UNCLEARED, Unusual, admit
from edge.core.behaviors import Behavior
from edge.core.quiet import SHADOW
from edge.core.verdicts import FINE, SENT, WRONG
from tests.homes import MONDAY

DAY, HOUR = 86400.0, 3600.0
UTC = ZoneInfo("UTC")


def told(row, day, hour, device="lamp1", state=SENT):
    return Unusual(row, Behavior(MONDAY + day * DAY + hour * HOUR, device, "state ON"), state)


def light(_):
    return "light"


def test_what_was_told_on_three_days_at_a_like_time_is_a_habit():
    found = [told(0, 0, 5), told(1, 1, 6), told(2, 3, 5)]
    assert admit(found, UTC, light).out == frozenset()
    assert {hour for _, _, hour in admit(found, UTC, light).habits} == {5, 6}


def test_midnight_lies_within_a_like_time():
    found = [told(0, 0, 23), told(1, 2, 0), told(2, 3, 23)]
    assert admit(found, UTC, light).out == frozenset()


@pytest.mark.parametrize(
    "found",
    [
        [told(0, 0, 5), told(1, 0, 6), told(2, 0, 5)],  # three times on one day
        [told(0, 0, 5), told(1, 1, 5)],  # two days
        [told(0, 0, 5), told(1, 1, 12), told(2, 2, 20)],  # three days, each at another time
        [told(0, 0, 5), told(1, 1, 5, "lamp2"), told(2, 2, 5, "lamp3")],  # another device each
        [told(0, 0, 5), told(1, 1, 5), told(2, 2, 5, state="muted")],  # nobody was told of the third
    ],
    ids=["one day", "two days", "other times", "other devices", "not told"],
)
def test_what_is_no_habit_is_left_out(found):
    assert admit(found, UTC, light).out == {each.row for each in found}


def test_one_wrong_undoes_a_habit_and_is_a_known_anomaly():
    found = [told(n, n, 5) for n in range(5)]
    wrong = [*found, told(9, 6, 5, state=WRONG)]
    admission = admit(wrong, UTC, light)
    assert admission.habits == ()
    assert admission.out == {0, 1, 2, 3, 4, 9}
    assert admission.wrong == {9}


def test_what_was_fine_is_learned_and_what_was_in_shadow_mode_was_never_left_out():
    admission = admit([told(0, 0, 5, state=FINE), told(1, 1, 5, state=SHADOW)], UTC, light)
    assert admission.fine == {0}
    assert admission.out == frozenset()


@pytest.mark.parametrize("guarded", sorted(GUARDED))
def test_who_lets_somebody_in_is_never_a_habit_by_itself(guarded):
    found = [told(n, n, 3) for n in range(20)]
    assert admit(found, UTC, lambda _: guarded).out == set(range(20))


def test_no_more_than_a_few_habits_at_once():
    found = [told(100 * n + day, day, 5, f"lamp{n}") for n in range(2 * HABITS) for day in range(DAYS + n)]
    admission = admit(found, UTC, light)
    assert len(admission.habits) == HABITS
    assert not any(100 * n in admission.out for n in range(HABITS, 2 * HABITS)), "the most told go first"


STATES = st.sampled_from([*UNCLEARED, SHADOW, FINE, WRONG])
FOUND = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 23), st.sampled_from(["lamp1", "lock1"]), STATES), max_size=30
)


@given(FOUND)
def test_rows_are_learned_or_left_out_by_what_is_known_of_them(found):
    unusual = [told(row, *each) for row, each in enumerate(found)]
    admission = admit(unusual, UTC, lambda device: "door_lock" if device == "lock1" else "light")
    by_state = {state: {each.row for each in unusual if each.state == state} for _, _, _, state in found}
    assert admission.wrong == by_state.get(WRONG, set())
    assert admission.fine == by_state.get(FINE, set())
    assert admission.wrong <= admission.out
    assert not admission.out & (by_state.get(FINE, set()) | by_state.get(SHADOW, set()))
    for each in unusual:
        days = {
            round((other.behavior.time - MONDAY) // DAY) for other in unusual
            if other.behavior.device == each.behavior.device and other.state in {SENT, FINE}
        }  # fmt: skip
        if each.state in UNCLEARED and (each.behavior.device == "lock1" or len(days) < DAYS):
            assert each.row in admission.out


@given(st.sampled_from(["UTC", "Europe/Paris", "Pacific/Auckland"]), st.integers(0, 364))
def test_a_like_time_is_one_of_the_homes_clock(zone, day):
    """A habit at one hour of the wall clock stays one when the clocks are changed."""
    from datetime import datetime, timedelta

    first = datetime(2025, 1, 1, 12, tzinfo=ZoneInfo(zone)) + timedelta(days=day)
    found = [
        Unusual(n, Behavior((first + timedelta(days=n)).timestamp(), "lamp1", "state ON"), SENT) for n in range(DAYS)
    ]
    assert admit(found, ZoneInfo(zone), light).habits == (("lamp1", "state ON", 12),)
