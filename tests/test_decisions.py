"""Compression, calibration, metrics, the gate and the filters: the pure decisions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.calibration import MAX_ALPHA, MIN_ALPHA, alpha_for, calibrate, drifting
from edge.core.compress import compress
from edge.core.errors import EdgeError
from edge.core.filters import impossible, sift
from edge.core.gate import CALIBRATE, KINDS, MEASURE, PROBATION_SEQUENCES, Trial, decide, inject, probation, roles
from edge.core.metrics import auroc, measure, rate_at_recall
from edge.core.scenes import Scene
from edge.core.sequences import LENGTH
from tests import homes

lived = st.lists(st.sampled_from(homes.sequences(60)), min_size=1, max_size=80)
scores = st.lists(st.floats(0, 50), min_size=1, max_size=200).map(np.array)
nats = st.lists(st.tuples(*[st.floats(1, 50)] * 3), min_size=1, max_size=100).map(np.array)


def surprises(values):
    """Return the surprise of as many sequences of one step."""
    return [row[None] for row in values]


@given(lived, st.integers(1, 30))
def test_compression_keeps_distinct_sequences_within_its_budget(sequences, budget):
    importance = np.arange(len(sequences), dtype=np.float64)
    kept = compress(sequences, importance, budget)
    assert 0 < len(kept) <= budget
    assert len({each.sequence for each in kept}) == len(kept)
    assert all(sequences.count(each.sequence) == each.count for each in kept)
    if budget >= len(set(sequences)):
        assert sum(each.count for each in kept) == len(sequences)


def test_compression_covers_every_control_before_it_repeats_the_usual():
    sequences = homes.sequences(60)
    kept = compress(sequences, np.zeros(len(sequences)), 8)
    pairs = {(s.device, s.control) for each in kept for s in each.sequence}
    assert pairs == {(s.device, s.control) for sequence in sequences for s in sequence}


def test_compression_of_unlike_lengths_is_refused():
    with pytest.raises(EdgeError):
        compress(homes.sequences(3), np.zeros(2), 2)


def test_the_conformal_promise_holds_on_fresh_days():
    rng = np.random.default_rng(0)
    over = []
    for _ in range(400):
        limits = calibrate(surprises(rng.gamma(2.0, size=(120, 3))), 0.05)
        over.append(float((limits.scores(surprises(rng.gamma(2.0, size=(200, 3)))) > 1.0).mean()))
    # Expected: 6/121, and a little for the scales, which are fitted on the same sequences.
    assert 0.04 < np.mean(over) <= 0.056


@given(nats, st.floats(MIN_ALPHA, MAX_ALPHA))
def test_one_of_the_sequences_lies_on_a_limit_or_none_beyond(values, alpha):
    found = calibrate(surprises(values), alpha)
    assert found.n == len(values)
    scores = found.scores(surprises(values))
    if (len(values) + 1) * alpha >= 1:
        assert min(np.abs(scores - 1.0)) < 1e-9
    else:
        assert scores.max() <= 1.0 + 1e-9


@pytest.mark.parametrize("draw", ["exponential", "gumbel", "uniform"])
def test_the_tail_is_continued_where_too_few_were_seen(draw):
    """One in a thousand, told from 200: near enough in the mean, where the highest seen alone gives one in 200."""
    rng = np.random.default_rng(1)
    alone, continued = [], []
    fresh = np.abs(getattr(rng, draw)(size=200_000))
    for _ in range(200):
        seen = np.abs(getattr(rng, draw)(size=200))
        limit = calibrate([np.array([[each, 0.01, 0.01]]) for each in seen], 0.001).what
        alone.append(float((fresh > seen.max()).mean()))
        continued.append(float((fresh > limit).mean()))
    assert np.mean(alone) > 0.003
    assert np.median(continued) < 0.0015


@given(nats)
def test_fewer_alarms_are_asked_by_higher_limits(values):
    asked = [calibrate(surprises(values), alpha) for alpha in (0.05, 0.01, 0.001, 0.0001)]
    assert all(b.what >= a.what - 1e-9 and b.when >= a.when - 1e-9 for a, b in zip(asked, asked[1:], strict=False))


@given(nats, st.floats(MIN_ALPHA, MAX_ALPHA), st.integers(1, 5))
def test_a_weight_is_as_many_equal_sequences(values, alpha, times):
    weighted = calibrate(surprises(values), alpha, np.full(len(values), float(times)))
    assert weighted == calibrate(surprises(values), alpha)
    few = np.concatenate([values, np.full((3, 3), 99.0)])
    half = np.concatenate([np.full(len(values), 1 / len(values)), np.full(3, 1 / 3)])
    assert calibrate(surprises(few), alpha, half).what >= 99.0


@given(nats, st.floats(0.1, 10))
def test_each_field_is_on_its_own_scale(values, factor):
    scaled = values * np.array([1.0, factor, 1.0])
    before, after = calibrate(surprises(values), 0.05), calibrate(surprises(scaled), 0.05)
    assert after.scores(surprises(scaled)) == pytest.approx(before.scores(surprises(values)))


def test_nothing_to_calibrate_on():
    with pytest.raises(EdgeError):
        calibrate(surprises(np.full((2, 3), np.nan)), 0.05)


@given(st.floats(0.01, 100), st.floats(0, 1000))
def test_alpha_stays_in_its_bounds(alarms, sequences):
    assert MIN_ALPHA <= alpha_for(alarms, sequences) <= MAX_ALPHA


def test_drift_is_more_than_bad_luck():
    assert not drifting(4, 100, 0.05)
    assert drifting(40, 100, 0.05)
    assert not drifting(10, 10, 0.05)


@given(scores, scores)
def test_auroc_by_counting_pairs(normal, anomalous):
    pairs = (anomalous[:, None] > normal[None]).mean() + (anomalous[:, None] == normal[None]).mean() / 2
    assert auroc(normal, anomalous) == pytest.approx(pairs)


@given(scores, scores, st.floats(0.05, 1))
def test_the_rate_at_a_recall_is_reached_by_its_threshold(normal, anomalous, recall):
    rate = rate_at_recall(normal, anomalous, recall)
    found = min(
        (float((normal >= t).mean()) for t in anomalous if (anomalous >= t).mean() >= recall - 1e-9), default=1.0
    )
    assert rate == pytest.approx(found)


def metrics(auroc_value=0.9, rate=0.05, normals=50):
    found = measure(np.zeros(normals), np.ones(5), 0.5)
    return type(found)(auroc_value, rate, 1.0, 0.9, 1.0, normals, 5)


def test_a_model_that_foretells_nothing_never_passes_the_gate():
    normal, odd = np.zeros(40), np.ones(40)
    good, poor = (measure(normal, odd, 0.5, np.full(9, nats)) for nats in (1.0, 2.5))
    assert decide(good, good).accepted
    assert decide(poor, good).accepted
    assert any("next behavior" in reason for reason in decide(good, poor).reasons)
    assert not decide(good, poor).accepted


def test_a_worse_model_never_passes_the_gate():
    good = metrics()
    assert decide(good, metrics()).accepted
    assert not decide(good, metrics(auroc_value=0.7)).accepted
    assert not decide(good, metrics(rate=0.3)).accepted
    refused = decide(good, metrics(auroc_value=0.7, rate=0.3))
    assert len(refused.reasons) == 2


def test_with_nothing_real_left_to_measure_on_probation_decides():
    decision = decide(metrics(normals=3), metrics(auroc_value=0.1, normals=3))
    assert decision.accepted
    assert "probation" in decision.reasons[0]


def trials(difference, count=60, noise=1.0):
    rng = np.random.default_rng(0)
    return [Trial(i * 43200.0, 5.0 + difference + noise * rng.normal(), 5.0) for i in range(count)]


def test_probation_sends_a_worse_model_back_and_keeps_a_better_one():
    assert not probation(trials(+2.0)).accepted
    assert probation(trials(-2.0)).accepted
    assert probation(trials(0.0)).accepted
    assert probation(trials(+2.0, count=PROBATION_SEQUENCES - 1)) is None
    assert probation([Trial(float(i), 9.0, 1.0) for i in range(99)]) is None  # all within two minutes


def test_every_anomaly_differs_from_what_was_lived():
    sequences = homes.sequences(80)
    wrong = inject(sequences, homes.PAIRS, seed=1)
    assert len(wrong) == KINDS * len(sequences)
    lived = [each for each in sequences for _ in range(KINDS)]
    assert sum(a != b for a, b in zip(lived, wrong, strict=True)) >= 0.9 * len(lived)
    assert all(1 <= len(each) <= LENGTH for each in wrong)
    assert inject(sequences, homes.PAIRS, seed=1) == wrong


def runs(count, each=1):
    """So many sequences, `each` of them in one run."""
    step = homes.step(0, 7, 0)
    return [(replace(step, carried=place % each > 0), step) for place in range(count)]


def test_a_run_is_held_out_whole():
    marks = roles(runs(400, 4)).reshape(-1, 4)
    assert (marks == marks[:, :1]).all()
    assert set(marks[:, 0]) == {0, CALIBRATE, MEASURE}


@given(st.integers(0, 400))
def test_what_is_held_out_is_an_eighth_each_and_never_changes(count):
    marks = roles(runs(count))
    assert len(marks) == count
    assert (roles(runs(count + 50))[:count] == marks).all()
    for role in (CALIBRATE, MEASURE):
        assert abs((marks == role).sum() - count / 8) <= 1


def test_what_is_held_out_falls_on_every_habit_of_a_regular_day():
    marks = roles(runs(400))
    for role in (CALIBRATE, MEASURE):
        shares = [((np.flatnonzero(marks == role) % period) == 0).mean() for period in (2, 4, 7)]
        assert shares == pytest.approx([1 / 2, 1 / 4, 1 / 7], abs=0.12)


SPRING = Scene.parse("spring")


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        ((), "empty"),
        ((homes.step(0, 7, 4),), "heating in spring"),
        ((homes.step(0, 18, 0), homes.step(0, 7, 1)), "backwards"),
        ((type(homes.step(0, 7, 0))(0, 7, "lamp1", "explode"),), "dictionary"),
    ],
)
def test_what_cannot_be_is_dropped_with_its_reason(sequence, reason):
    assert reason in impossible(sequence, homes.HOME, SPRING)


def test_the_sieve_loses_nothing_and_keeps_the_homes_habits():
    habits = [each for each in homes.sequences(60) if len(each) < 5 and each[0].hour == 7]
    stray = (homes.step(0, 7, 1), homes.step(0, 7, 6), homes.step(0, 7, 3), homes.step(0, 7, 0), homes.step(0, 7, 7))
    asked = [*habits, stray, (homes.step(0, 7, 4),)]
    sieve = sift(asked, homes.HOME, SPRING, homes.sequences(60), lambda _: False)
    assert sieve.kept == habits
    assert sieve.reasons() == {"outlying transitions": 1, "heating in spring": 1}
    sieve = sift(asked, homes.HOME, SPRING, homes.sequences(60), lambda _: True)
    assert not sieve.kept
    assert len(sieve.rejected) == len(asked)


def test_a_forgotten_heater_is_cut_out_and_a_heated_day_is_refused():
    lamp, heater = homes.step(0, 7, 0), homes.step(0, 7, 4)
    sieve = sift([(lamp, heater), (lamp, heater, heater), (lamp,)], homes.HOME, SPRING, [], lambda _: False)
    assert sieve.kept == [(lamp,), (lamp,)]
    assert sieve.mended == 1
    assert sieve.reasons() == {"heating in spring": 1}
