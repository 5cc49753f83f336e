"""Peers: each learns a tiny regular home and finds a foreign sequence odder than a normal one; the n-gram by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.peers import ngram
from trainer.peers.ngram import NOTHING, ORDER, Counts, NGram, contexts, standardized

# ---- n-gram

SIZE = 5
runs = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 23)), min_size=1, max_size=30)


def fitted(*timelines):
    """Count timelines of (control, hour)."""
    return NGram.fit(
        [np.array([control for control, _ in each]) for each in timelines],
        [np.array([hour for _, hour in each]) for each in timelines],
        SIZE,
    )


@given(runs, st.lists(st.tuples(st.lists(st.integers(-3, SIZE + 2), min_size=3, max_size=3), st.integers(0, 23))))
def test_probabilities_sum_to_one_after_anything(run, asked):
    before = np.array([each for each, _ in asked], np.int64).reshape(-1, ORDER - 1)
    told = fitted(run).log_probabilities(before, np.array([hour for _, hour in asked], np.int64))
    assert told.shape == (len(asked), SIZE)
    assert np.isfinite(told).all()
    assert np.exp(told).sum(1) == pytest.approx(np.ones(len(asked)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, SIZE - 1)), min_size=1, max_size=40), st.integers(0, 4))
def test_a_level_equals_brute_force_counts(pairs, asked):
    keys, controls = np.array(pairs).T
    times = {pair: pairs.count(pair) for pair in pairs}
    once, twice = (sum(each == wanted for each in times.values()) for wanted in (1, 2))
    discount = min(max(once / max(once + 2 * twice, 1), 0.1), 0.9)
    shorter = np.linspace(1, 2, SIZE) / np.linspace(1, 2, SIZE).sum()
    here = {control: count for (key, control), count in times.items() if key == asked}
    total, strength = sum(here.values()), 1.5
    wanted = [
        (max(here.get(control, 0) - discount, 0) + (strength + discount * len(here)) * shorter[control])
        / (total + strength)
        for control in range(SIZE)
    ]
    told = Counts.of(keys, controls, SIZE).smoothed(np.array([asked]), shorter[None], strength)
    assert told[0] == pytest.approx(wanted if here else shorter)


def test_order_and_hour_are_both_learned():
    """0 is followed by 1 in the morning and by 2 in the evening; 3 by 4 at any time."""
    day = [(0, 7), (1, 7), (3, 8), (4, 8), (0, 20), (2, 20)]
    model = fitted(day * 30)
    nothing = [NOTHING, NOTHING]
    best = model.log_probabilities(np.array([[*nothing, 0], [*nothing, 0], [*nothing, 3]]), np.array([7, 20, 12]))
    assert best.argmax(1).tolist() == [1, 2, 4]
    # What the hour alone says: nothing of the morning in the evening.
    assert model.log_probabilities(np.full((1, 3), 99), np.array([20])).argmax() in {0, 2}


def test_a_longer_context_decides():
    """After 0 comes 1, unless 2 was before it: then 3."""
    model = fitted([(4, 9), (0, 9), (1, 9), (2, 9), (0, 9), (3, 9)] * 20)
    told = model.log_probabilities(np.array([[NOTHING, 4, 0], [NOTHING, 2, 0]]), np.array([9, 9]))
    assert told.argmax(1).tolist() == [1, 3]


@given(st.lists(runs, min_size=1, max_size=4))
def test_surprise_is_the_probability_of_what_came(timelines):
    model = fitted(*timelines)
    controls = [np.array([control for control, _ in each]) for each in timelines]
    hours = [np.array([hour for _, hour in each]) for each in timelines]
    for run, times, told in zip(controls, hours, model.surprise(controls, hours), strict=True):
        logs = model.log_probabilities(contexts(run), times)
        assert told == pytest.approx(-logs[np.arange(len(run)), run])


def test_unknown_controls_have_the_stated_price_and_leave_no_trace():
    known = [(0, 7), (1, 8), (2, 9)] * 5
    model, strange = fitted(known), fitted([*known, (SIZE, 9), (-7, 9)])
    told = model.surprise([np.array([0, SIZE, -7, 1])], [np.array([7, 7, 7, 8])])[0]
    assert told[1:3].tolist() == [ngram.UNKNOWN_SURPRISE] * 2
    assert model.parameters == strange.parameters
    before = contexts(np.array([0, 1, SIZE, 2]))
    assert before.tolist() == [[-1, -1, -1], [-1, -1, 0], [-1, 0, 1], [0, 1, SIZE]]


def test_a_run_without_its_hours_is_refused():
    with pytest.raises(ValueError, match="as many hours"):
        NGram.fit([np.array([1, 2])], [np.array([1])], SIZE)


def test_surprise_is_told_in_deviations_of_what_is_normal():
    assert standardized(np.array([2.0, 5.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx([0, 3 / 1.4826])
    assert np.isfinite(standardized(np.array([1.0]), np.array([2.0, 2.0]))).all()
