"""Evaluation: figures on hand examples, the quality of text, the published protocol, and one small run."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from edge.core.calibration import Limits
from edge.core.filters import Sieve
from edge.core.metrics import Foretold
from edge.core.vocabulary import Vocabulary
from tests import changes, homes
from trainer.evaluate import figures, run, scene_shift, text
from trainer.evaluate.shifts import Shift


@pytest.fixture(scope="module")
def small() -> Shift:
    return changes.small()


class Oracle:
    """A scorer that knows the truth: surprise and ranks are what it is told."""

    def __init__(self, scores, ranks, pairs=homes.PAIRS):
        self.vocabulary = Vocabulary().grown(pairs)
        self._scores, self._ranks = scores, ranks

    def surprise(self, sequences):
        return [np.full((len(each), 3), self._scores(each), np.float64) for each in sequences]

    def foretold(self, sequences):
        ranks = np.array([self._ranks(step) for each in sequences for step in each[1:]])
        return Foretold(ranks, np.zeros(len(ranks), np.float32))


# ---- figures


def test_average_precision_by_hand():
    # By falling score: anomaly, normal, anomaly. Precision 1/1 at recall 1/2, 2/3 at 1.
    assert figures.average_precision(np.array([2.0]), np.array([3.0, 1.0])) == pytest.approx((1 + 2 / 3) / 2)
    assert figures.average_precision(np.array([1.0, 1.0]), np.array([1.0])) == pytest.approx(1 / 3)
    assert figures.average_precision(np.array([1.0]), np.array([])) == 0.0


scores = st.lists(st.integers(0, 6), min_size=1, max_size=12)


@given(scores, scores)
def test_average_precision_is_the_area_under_every_threshold(normal, anomalous):
    found, before = 0.0, 0.0
    for level in sorted({*normal, *anomalous}, reverse=True):
        true = sum(each >= level for each in anomalous)
        flagged = true + sum(each >= level for each in normal)
        recall = true / len(anomalous)
        found, before = found + (recall - before) * true / flagged, recall
    assert figures.average_precision(np.array(normal), np.array(anomalous)) == pytest.approx(found)


def test_the_truth_scores_one(small):
    oracle = Oracle(lambda each: float(any(step.device == "heat1" for step in each)), lambda _: 1)
    heated = [each for each in small.attack if any(step.device == "heat1" for step in each)]
    told = figures.system(oracle, Limits(0.5, 0.5, 0.5, 0.05, 9), small.normal, heated)
    assert told == {"auroc": 1.0, "ap": 1.0, "f1": 1.0, "fpr": 0.0, "recall": 1.0}
    assert set(figures.prediction(oracle, small.normal).values()) == {1.0}


def test_a_control_the_model_does_not_know_is_a_miss(small):
    blind = Oracle(len, lambda _: 1, pairs=[pair for pair in homes.PAIRS if pair[0] != "fan1"])
    told = figures.prediction(blind, small.normal)
    truth = [step.device == "fan1" for each in small.normal for step in each[1:]]
    assert told["hr10"] == pytest.approx(1 - np.mean(truth))
    assert figures.prediction(blind, [each[:1] for each in small.normal])["hr1"] == 0.0  # nothing follows


def test_macro_recall_counts_controls_alike(small):
    # Right about the lamp alone; kettle, heater's two and the lamp's off are each a control of their own.
    oracle = Oracle(len, lambda step: 1 if step.device == "lamp1" else 2)
    normal = [(homes.step(0, 7, 2), *[homes.step(0, 7, 0)] * 8, homes.step(0, 8, 3))]
    told = figures.prediction(oracle, normal)
    assert told["hr1"] == pytest.approx(8 / 9)
    assert told["macro_recall"] == pytest.approx(1 / 2)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9))
def test_a_figure_has_mean_spread_and_count(values):
    told = figures.figure(values)
    assert set(told) == {"mean", "std", "seeds"}
    assert told["seeds"] == len(values)
    assert told["mean"] == pytest.approx(np.mean(values), abs=1e-4)
    assert told["std"] >= 0


def test_the_ceiling_closes_the_gap_and_none_nothing():
    runs = {
        "none": {0: {"auroc": 0.2}, 1: {"auroc": 0.4}},
        "half": {0: {"auroc": 0.5}, 1: {"auroc": 0.7}},
        "ceiling": {0: {"auroc": 0.9}, 1: {"auroc": 0.9}},
    }
    told = {name: each["gap_closed"]["mean"] for name, each in figures.table(runs, "auroc").items()}
    assert told == {"none": 0.0, "half": pytest.approx(0.5), "ceiling": pytest.approx(1.0)}
    perfect = figures.table({**runs, "perfect": runs["ceiling"]}, "auroc")["perfect"]["gap_closed"]
    assert perfect["mean"] == pytest.approx(1.0)
    flat = figures.table({"none": runs["none"], "ceiling": runs["none"]}, "auroc")
    assert flat["ceiling"]["gap_closed"] == {"mean": None, "std": None, "seeds": 0}
    without = figures.table({"none": runs["none"]}, "auroc")
    assert without["none"]["gap_closed"]["mean"] is None


# ---- text


def test_text_by_hand(small):
    kept = [*small.home.sequences[:3], (homes.step(0, 7, 6),)]
    sieve = Sieve(kept=kept, rejected=[((), "not readable"), (kept[0], "outlying transitions")])
    told = text.quality(small, sieve)
    assert told["valid"] == pytest.approx(5 / 6)
    assert told["kept"] == pytest.approx(4 / 6)
    assert told["copied"] == pytest.approx(3 / 4)
    assert told["edit_distance"] == pytest.approx(1 / 4)  # the fan alone shares nothing with what was lived
    assert all(0.0 <= value <= 1.0 for value in told.values())
    assert set(text.quality(small, Sieve(rejected=[((), "empty")]))) == {"valid", "kept"}


def test_coverage_asks_only_for_what_the_scene_allows(small):
    every = [tuple(homes.step(0, 7, pair) for pair in (0, 2, 6))]
    assert text.coverage(small, every) == 1.0  # the heater is not missed in spring
    assert text.coverage(small, [every[0][:1]]) == pytest.approx(1 / 3)


def test_divergence_of_the_same_and_of_strangers():
    counts = [text.Counter(part) for part in ("aab", "aabaab", "cc")]
    assert text.divergence(counts[0], counts[1]) == pytest.approx(0.0)
    assert text.divergence(counts[0], counts[2]) == pytest.approx(1.0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_the_nearest_distance_is_levenshteins(one, other):
    row = list(range(len(other) + 1))
    for place, each in enumerate(one):
        now = [place + 1]
        for at, there in enumerate(other):
            now.append(min(row[at] + (each != there), row[at + 1] + 1, now[at] + 1))
        row = now
    written, lived = (tuple(homes.step(0, 1, pair) for pair in part) for part in (one, other))
    assert text.nearest([written], [lived]) == pytest.approx(row[-1] / max(len(one), len(other)))


# ---- the published protocol, and a whole run


def test_the_published_protocol_tells_day_from_night(small, monkeypatch):
    pytest.importorskip("torch", reason="torch is not installed: the published protocol is NOT tested")
    from trainer.evaluate import published

    monkeypatch.setattr(published, "WIDTH", 32)
    monkeypatch.setattr(published, "EPOCHS", 40)

    def at(hour, count):
        return tuple(tuple(homes.step(day % 7, hour, pair) for pair in (0, 2)) for day in range(count))

    night = replace(small, name="night", normal=at(21, 7), attack=at(12, 7))
    assert published.judge(night, [*at(21, 60), *at(3, 12)], 0) == {"f1": 1.0, "fpr": 0.0}
    with pytest.raises(published.EdgeError, match="too few"):
        published.judge(night, at(21, 1), 0)


def test_halves_share_nothing(small):
    one, other = scene_shift.halves(small.normal, 0)
    assert sorted(map(hash, (*one, *other))) == sorted(map(hash, small.normal))
    assert abs(len(one) - len(other)) <= 1
    assert (one, other) != scene_shift.halves(small.normal, 1)


@pytest.mark.slow
def test_a_small_run_writes_every_figure(small, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "opened", lambda *_: [small])
    monkeypatch.setattr(run, "Console", lambda: Console(quiet=True))
    file = tmp_path / "figures.json"
    names = ("none", "rules", "gpt4o", "ceiling")
    told = run.run(run.Wanted(tmp_path, "small", None, None, file, 1, 20, names, 0))
    assert json.loads(file.read_text(encoding="utf-8")) == told
    assert told["home"] == "small"
    (scene,) = told["scenes"].values()
    assert list(scene["system"]) == list(scene["prediction"]) == ["none", "rules", "ceiling"]  # GPT-4o wrote nothing
    assert list(scene["text"]) == ["rules"]
    assert set(scene["system"]["rules"]) == set(figures.SYSTEM)
    assert set(scene["prediction"]["none"]) == set(figures.PREDICTION)
    for each in itertools.chain.from_iterable(kind.values() for kind in scene.values()):
        assert all(set(figure) == {"mean", "std", "seeds"} for figure in each.values())
    # The rules know that a fan takes the heater's place; what was learned in winter does not.
    assert scene["prediction"]["rules"]["hr1"]["mean"] > scene["prediction"]["none"]["hr1"]["mean"]


def test_the_command_names_what_is_wrong(tmp_path):
    from trainer.cli import app

    asked = ["evaluate", "scene-shift", "--data", str(tmp_path), "--home", "nobody"]
    ended = CliRunner().invoke(app, asked)
    assert ended.exit_code == 1
    assert "no recorded home" in ended.stderr


def test_stopping_is_no_error_and_keeps_what_is_done(tmp_path, monkeypatch):
    from trainer.cli import app

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run", stop)
    ended = CliRunner().invoke(app, ["evaluate", "scene-shift", "--home", "fr"])
    assert ended.exit_code == 130
    assert "stopped" in ended.stderr
