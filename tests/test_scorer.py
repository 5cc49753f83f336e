"""The scorer: what it says against its definition, on the shipped graphs and a briefly trained home."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.calibration import PARTS as CALIBRATED
from edge.core.errors import ArtifactError
from edge.core.memory import Memory
from edge.core.sequences import DURATIONS, LENGTH, Sequence, Step, tokens
from edge.core.vocabulary import CONTROL_ROWS, FIRST, TIME_ROWS, Vocabulary
from edge.scorer import UNKNOWN_SURPRISE, Scorer, hit_rate
from edge.slots import shipped

PAIRS = [("lamp", "on"), ("lamp", "off"), ("kettle", "on"), ("kettle", "off"), ("door", "open"), ("door", "closed")]
VOCABULARY = Vocabulary().grown(PAIRS)
MODEL = shipped("detector")


def sequence(length: int, start: int = 0) -> Sequence:
    return tuple(
        Step(place // 5, (7 + 2 * place) % 24, *PAIRS[(start + place) % len(PAIRS)]) for place in range(length)
    )


def random_parameters(seed: int) -> NDArray[np.float32]:
    first = np.load(MODEL / "initial.npy")
    return first + np.random.default_rng(seed).normal(0, 0.1, first.shape).astype(np.float32)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(MODEL, random_parameters(0), VOCABULARY)


def test_surprise_is_the_nats_of_what_was_hidden(scorer: Scorer) -> None:
    sequences = [sequence(length, length) for length in (1, 3, 10, 2)]
    for row, steps in enumerate(scorer.surprise(sequences)):
        assert steps.shape == (len(sequences[row]), len(CALIBRATED))
        for place in range(len(steps)):
            ids = tokens([sequences[row][: place + 1]], VOCABULARY)
            parts = [(3, slice(FIRST, FIRST + len(PAIRS))), (1, slice(0, 24)), (5, slice(0, DURATIONS - 1))]
            for part, (field, known) in enumerate(parts):
                mask = np.zeros((1, LENGTH, 2), np.float32)
                mask[0, place, min(part, 1)] = 1
                said = scorer._score.run(None, {"tokens": ids, "mask": mask})[part][0, place]
                likely = np.exp(said[known]) / np.exp(said[known]).sum()
                assert steps[place, part] == pytest.approx(
                    -np.log(likely[ids[0, place, field] - known.start]), abs=1e-4
                )


def test_what_comes_later_changes_no_score(scorer: Scorer) -> None:
    whole = sequence(10, 5)
    steps = scorer.surprise([whole])[0]
    for length in range(1, 10):
        np.testing.assert_allclose(scorer.surprise([whole[:length]])[0], steps[:length], atol=1e-4)


def test_what_is_carried_is_read_and_not_scored_again(scorer: Scorer) -> None:
    whole = sequence(10, 5)
    carried = (*(replace(step, carried=True) for step in whole[:5]), *whole[5:])
    np.testing.assert_allclose(scorer.surprise([carried])[0], scorer.surprise([whole])[0][5:], atol=1e-4)
    assert scorer.foretold([carried]).ranks.tolist() == scorer.foretold([whole]).ranks[4:].tolist()
    assert [len(each) for each in scorer.surprise([whole, carried, whole[:3]])] == [10, 5, 3]


def test_many_at_once_are_as_one_by_one(scorer: Scorer) -> None:
    sequences = [sequence(1 + row % 10, row) for row in range(100)]
    together = scorer.surprise(sequences)
    assert len(together) == 100
    for one, steps in zip(sequences, together, strict=True):
        np.testing.assert_allclose(scorer.surprise([one])[0], steps, atol=1e-4)
    np.testing.assert_allclose(scorer.scores(sequences), [steps[:, :2].sum(1).max() for steps in together], atol=1e-5)
    assert scorer.surprise([]) == []
    assert scorer.scores([]).shape == scorer.foretold([]).ranks.shape == (0,)


def test_newest_is_the_last_step(scorer: Scorer) -> None:
    for length in (1, 4, 10, 13):
        steps = sequence(length)
        newest = scorer.newest(steps)
        np.testing.assert_allclose(newest.surprise, scorer.surprise([steps])[0][-1], atol=1e-4)
        assert newest.what_logprobs.shape == (CONTROL_ROWS,)
        assert newest.when_logprobs.shape == (TIME_ROWS,)
        assert np.exp(newest.what_logprobs).sum() == pytest.approx(1, abs=1e-5)
        assert np.exp(newest.when_logprobs).sum() == pytest.approx(1, abs=1e-5)
        assert np.isneginf(newest.what_logprobs[FIRST + len(PAIRS) :]).all()


def test_predictions_are_over_what_is_known(scorer: Scorer) -> None:
    said = scorer.predict(sequence(4))
    assert sorted(pair for pair, _ in said) == sorted(PAIRS)
    assert sum(probability for _, probability in said) == pytest.approx(1, abs=1e-5)
    assert [p for _, p in said] == sorted((p for _, p in said), reverse=True)
    assert scorer.predict(sequence(4), 2) == said[:2]


def test_ranks_agree_with_predictions_and_see_nothing_of_the_future(scorer: Scorer) -> None:
    sequences = [sequence(length, 3 * length) for length in range(1, 11)]
    expected = []
    for steps in sequences:
        for place in range(1, len(steps)):
            likely = [pair for pair, _ in scorer.predict(steps[:place])]
            expected.append(1 + likely.index((steps[place].device, steps[place].control)))
    assert scorer.foretold(sequences).ranks.tolist() == expected
    assert hit_rate(expected) == 1
    assert hit_rate([1, 2, 11, 12]) == 0.5
    assert hit_rate([]) == 0


def test_what_was_never_seen_is_surprising(scorer: Scorer) -> None:
    steps = (*sequence(3), Step(0, 13, "chainsaw", "on"))
    what, when, duration = scorer.surprise([steps])[0][-1, :3]
    assert what == pytest.approx(UNKNOWN_SURPRISE)
    assert np.isfinite([when, duration]).all()
    assert scorer.newest(steps).surprise[0] == pytest.approx(UNKNOWN_SURPRISE)
    assert scorer.foretold([steps]).ranks[-1] == len(PAIRS) + 1


def test_spare_rows_change_nothing() -> None:
    flat = random_parameters(1)
    before = Scorer(MODEL, flat, VOCABULARY)
    grown = VOCABULARY.grown([("fan", "on")])
    after = Scorer(MODEL, flat, grown)
    steps = sequence(6)
    ratio = [
        after.newest(steps).what_logprobs[FIRST + row] - before.newest(steps).what_logprobs[FIRST + row]
        for row in range(6)
    ]
    np.testing.assert_allclose(ratio, ratio[0], atol=1e-4)  # one new control takes the same share from each


def test_the_weights_given_are_the_weights_used() -> None:
    steps = [sequence(5)]
    one, other = (Scorer(MODEL, random_parameters(seed), VOCABULARY).surprise(steps)[0] for seed in (1, 2))
    assert np.abs(one - other).max() > 0.01
    blank = Scorer(MODEL, np.zeros_like(random_parameters(0)), VOCABULARY).surprise(steps)[0]
    np.testing.assert_allclose(blank[:, 0], np.log(len(PAIRS)), atol=1e-5)
    np.testing.assert_allclose(blank[:, 1], np.log(24), atol=1e-5)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"score\.onnx"):
        Scorer(MODEL, np.zeros(10, np.float32), VOCABULARY)
    with pytest.raises(ArtifactError, match="holds no model"):
        Scorer(tmp_path, random_parameters(0), VOCABULARY)
    with pytest.raises(ArtifactError, match="counts"):
        Scorer(MODEL, np.append(random_parameters(0), np.ones(7, np.float32)), VOCABULARY)
    (tmp_path / "manifest.json").write_bytes((MODEL / "manifest.json").read_bytes())
    whole = (MODEL / "score.onnx").read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "score.onnx").write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"score\.onnx"):
            Scorer(tmp_path, random_parameters(0), VOCABULARY)


def test_what_was_lived_is_counted_behind_the_network() -> None:
    lived = [sequence(10, start) for start in range(12)]
    flat = np.concatenate([random_parameters(0), Memory.of(lived, VOCABULARY).flat()])
    both, bare = Scorer(MODEL, flat, VOCABULARY), Scorer(MODEL, random_parameters(0), VOCABULARY)
    odd = (Step(0, 3, "lamp", "on"),)
    np.testing.assert_allclose(both.surprise([odd])[0][:, :3], bare.surprise([odd])[0][:, :3])
    assert bare.surprise([odd])[0][:, 3:].max() == 0
    assert both.surprise([odd])[0][:, 3:].max() > 3
    np.testing.assert_allclose(both.newest(odd).surprise, both.surprise([odd])[0][-1], atol=1e-4)


def test_the_probe_finds_what_is_not_finite() -> None:
    Scorer(MODEL, random_parameters(0), VOCABULARY).probe()
    flat = random_parameters(0)
    flat[:] = np.nan
    with pytest.raises(ArtifactError, match="finite"):
        Scorer(MODEL, flat, VOCABULARY).probe()
    with pytest.raises(ArtifactError, match="empty"):
        Scorer(MODEL, random_parameters(0), Vocabulary()).probe()


@pytest.mark.parametrize("name", ["edge.scorer", "edge.retrainer", "edge.slots"])
def test_the_hub_needs_no_torch(name: str) -> None:
    code = f"import {name}, sys; sys.exit(bool({{'torch', 'trainer', 'onnx', 'llama_cpp'}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=Path(__file__).parents[1], timeout=60)
