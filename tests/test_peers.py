"""Peers: each learns a tiny regular home and finds a foreign sequence odder than a normal one; the n-gram by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.core.metrics import auroc
from edge.core.sequences import Step
from edge.core.vocabulary import Vocabulary
from trainer.evaluate import published
from trainer.peers import ngram, smartguard
from trainer.peers.catalog import PEERS
from trainer.peers.ngram import NOTHING, ORDER, Counts, NGram, contexts, standardized
from trainer.peers.peer import Given, Windows

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


# ---- all peers on a tiny home


def morning(seed, count=60):
    """A regular home: lamp, kettle and radio in the morning, lamp and television in the evening; its order wavers."""
    rng = np.random.default_rng(seed)
    days = [("lamp", 6), ("kettle", 6), ("radio", 9)], [("lamp", 18), ("television", 21), ("lamp", 21)]
    out = []
    for number in range(count):
        acts = days[number % 2] * 3
        steps = [Step(number % 7, hour, device, f"{rng.choice(['on', 'off'])}") for device, hour in acts]
        out.append(tuple(steps[: int(rng.integers(7, 10))]))
    return out


def foreign(seed, count=30):
    """What this home never does: the television on and off, and a drill, in the middle of the night."""
    rng = np.random.default_rng(seed)
    acts = [("television", "on"), ("television", "off"), ("drill", "on")]
    return [
        tuple(Step(2, int(rng.choice([0, 3])), *acts[row]) for row in rng.integers(3, size=9)) for _ in range(count)
    ]


@pytest.fixture
def tiny(monkeypatch):
    """What a peer is given; the two large networks are made small, which changes how well they learn, not how."""
    monkeypatch.setattr(smartguard, "WIDTH", 32)
    monkeypatch.setattr(smartguard, "INNER", 32)
    monkeypatch.setattr(published, "WIDTH", 32)
    devices = ("lamp", "kettle", "radio", "television", "drill")
    vocabulary = Vocabulary(slots=8).grown([(device, act) for device in devices for act in ("on", "off")])
    return Given(tuple(morning(0, 120)), tuple(morning(1)), vocabulary, seed=3, epochs=15)


# A batch of SmartGuard holds all of a tiny home: its epochs are steps.
EPOCHS = {"smartguard": 60, "transformer_autoencoder": 6, "gru_autoencoder": 25}


@pytest.mark.parametrize("name", PEERS)
def test_what_a_home_never_does_is_odder_than_what_it_does(name, tiny):
    peer = PEERS[name](replace(tiny, epochs=EPOCHS.get(name, tiny.epochs)))
    normal, odd = peer.scores(morning(2)), peer.scores(foreign(0))
    assert normal.shape == (60,)
    assert np.isfinite([*normal, *odd]).all()
    assert auroc(normal, odd) > 0.9
    assert peer.parameters >= 0


# ---- SmartGuard

acts = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 7), st.integers(0, 2)), min_size=1, max_size=10)


@given(acts)
def test_a_duration_lasts_until_the_devices_next_behavior_or_the_windows_end(window):
    steps = [Step(day, slot * 3, f"d{device}", "on") for day, slot, device in window]
    windows = Windows.of([tuple(steps)], Vocabulary(slots=8).grown([(f"d{row}", "on") for row in range(3)]))
    clock = [0]
    for before, after in itertools.pairwise(steps):
        clock.append(clock[-1] + ((after.day - before.day) * 24 + after.hour - before.hour) % 168)
    told = smartguard.durations(windows, 3.0)[0]
    for place, step in enumerate(steps):
        later = [at for at in range(place + 1, len(steps)) if steps[at].device == step.device]
        assert told[place] == clock[later[0] if later else -1] - clock[place]
    assert not told[len(steps) :].any()


def test_the_guide_hides_what_was_learned_worst():
    guide = smartguard.Guide(6)
    control = torch.tensor([[2, 3, 4, 5, 2, 2, 2, 2, 0, 0], [3, 3, 0, 0, 0, 0, 0, 0, 0, 0]])
    losses = torch.where(control == 4, 9.0, torch.where(control == 5, 5.0, 0.1)) * (control != 0)
    guide.record(control, losses)
    guide.turn()
    hidden = guide.hidden(control)
    assert hidden[0].nonzero().flatten().tolist() == [2, 3]
    assert not hidden[1].any()  # of two behaviors, none could be rebuilt from the other


def test_noise_weighs_little_and_what_is_usual_half():
    control = torch.tensor([[2, 3, 4, 4, 0]])
    weight = smartguard.noise_weights(control, torch.tensor([[0.1, 0.2, 9.0, 8.0, 7.0]]), 6)
    assert weight[[2, 3, 5]].tolist() == [0.5, 0.5, smartguard.UNSEEN_WEIGHT]
    assert weight[4] < 1e-6
