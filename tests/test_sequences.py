"""Behaviors, sequences and their arrays."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.behaviors import Behavior, States
from edge.core.errors import ArtifactError
from edge.core.events import Event
from edge.core.sequences import (
    CARRIED,
    DURATIONS,
    LENGTH,
    MAX_GAP,
    MAX_SPAN,
    NO_DURATION,
    PAD_DURATION,
    WITHIN_HOUR,
    Step,
    duration_id,
    gap_id,
    hours_between,
    own,
    split,
    step_of,
    tokens,
)
from edge.core.vocabulary import CONTROL_ROWS, FIRST, PAD, UNKNOWN, Vocabulary
from tests import homes

times = st.lists(st.floats(0, 3e6), min_size=1, max_size=60).map(sorted)


@given(times)
def test_splitting_loses_nothing_and_keeps_its_bounds(moments):
    lived = [Behavior(homes.MONDAY + t, "lamp1", "state ON") for t in moments]
    parts = split(lived, UTC)
    assert [part[place] for part in parts for place in own(part)] == [step_of(each, UTC) for each in lived]
    ends = 0
    for part in parts:
        ends += len(own(part))
        inside = lived[ends - len(part) : ends]
        assert 1 <= len(part) <= LENGTH
        assert inside[-1].time - inside[0].time <= MAX_SPAN
        assert all(b.time - a.time <= MAX_GAP for a, b in zip(inside, inside[1:], strict=False))
        assert [each.gap for each in part][1:] == [b.time - a.time for a, b in zip(inside, inside[1:], strict=False)]


@given(st.integers(1, 60))
def test_a_long_run_goes_on_with_what_came_before(count):
    lived = [Behavior(homes.MONDAY + 60.0 * n, f"lamp{n % 3}", "state ON") for n in range(count)]
    parts = split(lived, UTC)
    for former, later in zip(parts, parts[1:], strict=False):
        assert later[:CARRIED] == former[-CARRIED:]
        assert [step.carried for step in later] == [True] * CARRIED + [False] * (len(later) - CARRIED)
    assert not any(step.carried for step in parts[0])
    assert {step.since for part in parts for step in part} <= {None, 180.0}


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_a_longer_duration_has_no_smaller_id(one, other):
    one, other = sorted((one, other))
    assert 0 <= duration_id(one) <= duration_id(other) < WITHIN_HOUR


def test_what_a_step_is_does_not_hang_on_how_it_was_reached():
    assert Step(0, 7, "a", "b", 3.0, 9.0, carried=True) == Step(0, 7, "a", "b")
    assert hash(Step(0, 7, "a", "b", 3.0)) == hash(Step(0, 7, "a", "b"))


def test_a_step_lies_in_the_homes_own_week_over_a_change_of_clocks():
    zone = ZoneInfo("Europe/Paris")
    before = step_of(Behavior(1_743_296_400.0, "a", "b"), zone)  # 2025-03-30 01:00 UTC, the clocks go forward
    after = step_of(Behavior(1_743_296_400.0 - 3600, "a", "b"), zone)
    assert (after.hour, before.hour) == (1, 3)


@given(st.integers(0, 6), st.integers(0, 23), st.integers(0, 6), st.integers(0, 23))
def test_hours_go_forward_through_the_week(day, hour, then_day, then_hour):
    a, b = Step(day, hour, "x", "y"), Step(then_day, then_hour, "x", "y")
    assert 0 <= hours_between(a, b) < 168
    assert (hours_between(a, b) + hours_between(b, a)) % 168 == 0
    assert 0 <= gap_id(a, b) < NO_DURATION == gap_id(None, b) < DURATIONS


def test_tokens_name_what_is_known_and_pad_the_rest():
    vocabulary = Vocabulary().grown(homes.PAIRS[:4])
    ids = tokens([(homes.step(2, 7, 0), homes.step(2, 7, 4))], vocabulary)
    assert ids.shape == (1, LENGTH, 6)
    assert ids[0, 0].tolist() == [2, 7, FIRST, FIRST, NO_DURATION, NO_DURATION]
    assert ids[0, 1, 2:4].tolist() == [UNKNOWN, UNKNOWN]
    assert (ids[0, 2:, 3] == PAD).all()
    assert (ids[0, 2:, 4:] == PAD_DURATION).all()


def test_seconds_are_read_only_where_hours_are_told_apart():
    timed = (Step(0, 6, "a", "x", None, None), Step(0, 6, "a", "y", 4.0, 4.0), Step(0, 9, "b", "z", 9000.0, None))
    fine, coarse = (tokens([timed], Vocabulary(slots=slots))[0, :3, 4:].tolist() for slots in (24, 8))
    assert fine == [[NO_DURATION] * 2, [duration_id(4)] * 2, [duration_id(9000), NO_DURATION]]
    assert coarse == [[NO_DURATION] * 2, [WITHIN_HOUR] * 2, [duration_id(3 * 3600), NO_DURATION]]


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=40), st.integers(1, 39))
def test_growing_a_vocabulary_moves_no_id(pairs, place):
    small = Vocabulary().grown(pairs[:place])
    large = small.grown(pairs)
    assert all(large.control_id(*pair) == small.control_id(*pair) for pair in pairs[:place])
    assert all(large.control_at(large.control_id(*pair)) == pair for pair in pairs)
    assert all(large.device_id(device) >= FIRST for device, _ in pairs)


def test_a_home_too_large_is_told_what_to_do():
    with pytest.raises(ArtifactError, match="exclude"):
        Vocabulary().grown([("d", str(n)) for n in range(CONTROL_ROWS)])


def event(value, *, live=True, momentary=False):
    return Event(1.0, "lamp1", "Hall lamp", "state", value, momentary=momentary, live=live)


def test_only_a_live_change_is_a_behavior():
    states = States()
    assert states.behavior(event("ON")) is None  # nothing says that it just changed
    assert states.behavior(event("ON")) is None
    assert states.behavior(event("OFF")).control == "state OFF"
    assert states.behavior(event("ON", live=False)) is None
    assert states.behavior(event("ON")) is None  # the replay told the state
    assert states.behavior(event("single", momentary=True)).control == "state single"
    assert states.behavior(event("single", momentary=True)).control == "state single"
    assert states.behavior(event("single", momentary=True, live=False)) is None
