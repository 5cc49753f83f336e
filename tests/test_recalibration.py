"""Limits that follow the days: what they may do, and what an intruder cannot make them do."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.calibration import PARTS, Limits, calibrate
from edge.core.errors import EdgeError
from edge.core.recalibration import NORMAL, RISE, UNCLEARED, WRONG, Held, censored, needed, refitted

ALPHA = 0.05


def days(count, seed, scale=1.0):
    """Return the surprise of `count` sequences of a home: exponential, as nats are."""
    rng = np.random.default_rng(seed)
    return [rng.exponential(scale, (int(rng.integers(1, 6)), len(PARTS))) for _ in range(count)]


def night(held, lived, limits, known=None):
    """Refit as the agent does: what is beyond the limits alerted, and nobody said anything of it."""
    cut = []
    for place, each in enumerate(lived):
        alerted = limits.scores([each])[0] > 1
        marks = [UNCLEARED if alerted else NORMAL] * len(each) if known is None else [known(place)] * len(each)
        cut.append(censored(each, marks, limits))
    return refitted(held, cut, limits)


def test_the_tail_is_not_cut_off_night_after_night():
    held = Held.of(days(200, 0))
    limits = first = calibrate(list(held.surprise), ALPHA)
    lived, left_out = [], first
    for number in range(30):
        lived += days(20, 100 + number)
        limits = night(held, lived, limits)
        usual = [each for each in lived if left_out.scores([each])[0] <= 1]
        left_out = calibrate([*held.surprise, *usual], ALPHA)
    fresh = days(5000, 7)
    assert (limits.scores(fresh) > 1).mean() == pytest.approx(ALPHA, rel=0.5)
    assert (left_out.scores(fresh) > 1).mean() > 1.5 * ALPHA, "what is left out creeps: the test can tell"


def test_an_intruder_who_is_not_cleared_widens_nothing_fast():
    held = Held.of(days(200, 0))
    first = limits = calibrate(list(held.surprise), ALPHA)
    lived = [*days(40, 1), *[np.full((3, len(PARTS)), 50.0)] * 20]
    for number in range(1, 6):
        limits = night(held, lived, limits)
        parts = limits.what * limits.when * limits.duration / (first.what * first.when * first.duration)
        assert parts ** (1 / 3) <= RISE**number * 1.02
    taken_as_it_was = refitted(held, lived, first)
    assert taken_as_it_was.what > 2 * first.what, "the test can tell"


def test_where_more_is_told_than_wanted_and_nobody_objects_the_limits_follow():
    held = Held.of(days(60, 0))
    limits = calibrate(list(held.surprise), ALPHA)
    lived = []
    for number in range(40):  # the home has become twice as lively
        lived += days(20, 200 + number, 2.0)
        limits = night(held, lived[-400:], limits)
    assert (limits.scores(days(3000, 9, 2.0)) > 1).mean() < 2 * ALPHA


def test_what_was_called_wrong_does_not_count():
    held = Held.of(days(100, 0))
    limits = calibrate(list(held.surprise), ALPHA)
    odd = [np.full((2, len(PARTS)), 50.0)] * 30
    assert night(held, odd, limits, known=lambda _: WRONG) == refitted(held, (), limits)


@given(st.lists(st.sampled_from([NORMAL, UNCLEARED, WRONG]), min_size=1, max_size=10), st.integers(0, 99))
def test_censoring_lowers_and_never_raises(marks, seed):
    limits = Limits(2.0, 1.0, 3.0, ALPHA, 10)
    surprise = np.random.default_rng(seed).exponential(2.0, (len(marks), len(PARTS)))
    out = censored(surprise, marks, limits)
    kept = surprise[np.array(marks) != WRONG]
    assert out.shape == kept.shape
    assert (out <= kept + 1e-12).all()
    if UNCLEARED in marks:
        assert limits.scores([out])[0] <= RISE + 1e-9
    else:
        assert (out == kept).all()


def test_what_was_written_gives_way_to_what_is_lived():
    real, written = days(100, 0), [each + 10.0 for each in days(100, 1)]
    share = [1.0] * 200
    held = Held.of([*real, *written], share, real=100)
    before = calibrate(list(held.surprise), ALPHA, np.array(share))
    some, enough = (refitted(held, days(count, 2), before) for count in (needed(ALPHA) // 2, needed(ALPHA)))
    assert before.what > some.what > enough.what
    assert enough.n == 100 + needed(ALPHA)


@given(st.floats(0.0001, 0.5))
def test_what_is_needed_is_what_split_conformal_prediction_needs(alpha):
    enough = needed(alpha)
    assert (enough + 1) * (1 - alpha) <= enough * (1 + 1e-9)
    assert enough == 1 or enough * (1 - alpha) > (enough - 1) * (1 - 1e-9)


NATS = st.lists(
    st.tuples(st.floats(0, 10), st.booleans(), st.lists(st.floats(0, 20), min_size=len(PARTS), max_size=len(PARTS))),
    max_size=8,
)


@given(NATS)
def test_what_is_kept_comes_back(rows):
    held = Held.of([np.array([nats]) for _, _, nats in rows], [share for share, _, _ in rows])
    again = Held.parse(json.loads(json.dumps(held.rows())))
    assert again.share == held.share
    assert again.written == held.written
    assert all(np.allclose(*pair, atol=0.006) for pair in zip(again.surprise, held.surprise, strict=True))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_what_is_corrupt_is_an_error_and_nothing_else(rows):
    try:
        held = Held.parse(rows)
    except EdgeError:
        return
    assert all(np.isfinite(each).all() and each.shape[1] == 3 for each in held.surprise)
