"""SPPC: many autoencoders at once, importance by leave-one-out, its estimates, and what goes wrong on the way."""

import json

import numpy as np
import pytest

from edge.core.errors import RetrainError
from tests import homes
from trainer.sppc import autoencoder, importance
from trainer.sppc.autoencoder import Recipe
from trainer.sppc.windows import Windows

SHORT = Recipe(epochs=6, batch=16)
LONGER = Recipe(epochs=40, batch=16)
ODD = (homes.step(2, 3, 6), homes.step(2, 3, 7), homes.step(2, 4, 6), homes.step(2, 4, 7))  # the fan at night


@pytest.fixture(scope="module")
def windows() -> Windows:
    return Windows.of(homes.sequences(40))


# ---- windows


def test_windows_say_what_the_sequences_say(windows):
    for row, sequence in enumerate(homes.sequences(40)):
        assert windows.length[row] == len(sequence)
        told = [windows.controls[number] for number in windows.control[row, : len(sequence)]]
        assert told == [(step.device, step.control) for step in sequence]
        assert windows.time[row, : len(sequence)].tolist() == [step.hour for step in sequence]


def test_alike_but_for_the_weekday_is_one_pattern():
    monday, tuesday = ((homes.step(day, 7, 0), homes.step(day, 8, 1)) for day in (0, 1))
    found = Windows.of([monday, tuesday, monday[:1], (homes.step(0, 9, 0), homes.step(0, 10, 1))]).patterns
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 3


def test_times_three_hours_apart_are_slots():
    assert Windows.of([(homes.step(0, 21, 0),)]).slots == 8
    assert Windows.of([(homes.step(0, 22, 0),)]).slots == 24


def test_an_empty_sequence_is_refused_in_words():
    with pytest.raises(RetrainError, match="leave it out"):
        Windows.of([(), (homes.step(0, 7, 0),)])


# ---- many networks at once


def test_a_network_in_a_stack_is_the_network_alone(windows):
    weights = np.ones((3, len(windows)))
    weights[0, 0] = weights[1, 7] = 0
    together = autoencoder.losses(autoencoder.train(windows, weights, 3, SHORT), windows)
    for network in (0, 1, 2):
        # The same batches: those of a stack are drawn from what any of its networks sees.
        pair = np.vstack([weights[network], np.ones(len(windows))])
        alone = autoencoder.losses(autoencoder.train(windows, pair, 3, SHORT), windows)
        assert together[network] == pytest.approx(alone[0], abs=1e-3)


def test_what_weighs_nothing_is_never_seen(windows):
    changed = Windows.of([ODD, *homes.sequences(40)[1:], *homes.sequences(40)[:1]])
    plain = Windows.of([ODD, *homes.sequences(40)[1:], ODD])
    weights = np.ones((1, len(changed)))
    weights[0, -1] = 0
    one, other = (autoencoder.train(each, weights, 1, SHORT)["read"] for each in (changed, plain))
    assert np.array_equal(one.numpy(), other.numpy())


def test_networks_apart_learn_their_own_few(windows):
    mornings, evenings = (np.arange(len(windows)) % 2 == half for half in (0, 1))
    weights = np.vstack([mornings, evenings]).astype(float)
    found = autoencoder.losses(autoencoder.train(windows, weights, 0, steps=60, apart=True), windows)
    assert found[0, mornings].mean() < 0.5 * found[0, evenings].mean()
    assert found[1, evenings].mean() < 0.5 * found[1, mornings].mean()


def test_a_network_that_sees_nothing_is_refused(windows):
    weights = np.vstack([np.ones(len(windows)), np.zeros(len(windows))])
    with pytest.raises(RetrainError, match="nothing to learn"):
        autoencoder.train(windows, weights, 0, SHORT, apart=True)


def test_padding_in_a_batch_changes_no_loss(windows):
    """Rows of different lengths for different networks are packed with padding; the same rows without it agree."""
    networks = autoencoder.begin(windows, 2, 0)
    rows = np.array([[0, 1, 2], [1, 3, 5]])  # mornings beside evenings
    packed = windows.packed(rows)
    assert not bool(packed.real.all())
    each = autoencoder.nats(networks, packed, len(windows.controls))
    for network in (0, 1):
        alone = windows.packed(rows[network][None])
        single = {name: value[network][None] for name, value in networks.items()}
        wanted = autoencoder.nats(single, alone, len(windows.controls))
        assert each[network][packed.real[network]].sum().item() == pytest.approx(wanted.sum().item(), rel=1e-4)


# ---- how important each is


def test_copies_are_dealt_to_different_folds(windows):
    fold = importance.folds(windows, 10, 0)
    assert np.ptp(np.bincount(fold, minlength=10)) <= 1
    for pattern in set(windows.patterns.tolist()):
        dealt = fold[windows.patterns == pattern]
        assert np.bincount(dealt, minlength=10).max() == -(-len(dealt) // 10)


@pytest.mark.parametrize("method", [importance.crossfit, importance.exact])
def test_what_is_done_once_at_night_is_the_most_important(method):
    sequences = [*homes.sequences(30), ODD]
    found = method(Windows.of(sequences), 0, recipe=LONGER)
    assert found.argmax() == len(sequences) - 1
    assert np.isfinite(found).all()


def test_the_same_seed_is_the_same_importance(windows):
    one, same, other = (importance.crossfit(windows, seed, recipe=SHORT) for seed in (4, 4, 5))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_one_sequence_cannot_be_left_out_of_itself():
    with pytest.raises(RetrainError, match="at least two"):
        importance.crossfit(Windows.of(homes.sequences(1)), 0)


# ---- an exact run goes on


class Stopped(Exception):  # noqa: N818  # no error of ours
    pass


def test_an_exact_run_that_was_stopped_goes_on_and_finds_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(importance, "TOGETHER", 8)
    some = Windows.of(homes.sequences(20))
    whole = importance.exact(some, 0, recipe=SHORT)
    kept, told = tmp_path / "exact.json", []

    def stop(done, of):
        told.append((done, of))
        if len(told) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        importance.exact(some, 0, recipe=SHORT, kept=kept, tell=stop)
    assert told == [(8, 20), (16, 20)]
    begun = json.loads(kept.read_text())["importance"]
    assert begun[:16] == pytest.approx(whole[:16].tolist())
    assert begun[16:] == [None] * 4
    trained = []
    monkeypatch.setattr(importance, "train", lambda *given: trained.append(given) or autoencoder.train(*given))
    assert importance.exact(some, 0, recipe=SHORT, kept=kept) == pytest.approx(whole)
    assert len(trained) == 1
    assert importance.seconds_of(kept) > 0


@pytest.mark.parametrize("place", range(0, 200, 9))
def test_a_cut_file_of_an_exact_run_is_refused_in_words(tmp_path, place):
    some = Windows.of(homes.sequences(3))
    kept = tmp_path / "exact.json"
    importance._write(kept, importance._fingerprint(some, 0, SHORT), np.array([1.0, np.nan, 2.0]), 1.0)
    raw = kept.read_bytes()
    kept.write_bytes(raw[: min(place, len(raw) - 3)])
    with pytest.raises(RetrainError, match="delete it"):
        importance.exact(some, 0, recipe=SHORT, kept=kept)


def test_the_file_of_another_run_is_not_gone_on_from(tmp_path, windows):
    kept = tmp_path / "exact.json"
    some = Windows.of(homes.sequences(4))
    importance.exact(some, 0, recipe=SHORT, kept=kept)
    for given, seed, recipe in ((windows, 0, SHORT), (some, 1, SHORT), (some, 0, LONGER)):
        with pytest.raises(RetrainError, match="other sequences"):
            importance.exact(given, seed, recipe=recipe, kept=kept)
