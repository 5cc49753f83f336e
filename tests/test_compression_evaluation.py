"""The evaluation of compression: its figures by hand, its parts on a small home, and that it goes on."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from trainer.evaluate import compression_fidelity, compression_homes
from trainer.evaluate.cli import app
from trainer.sppc.windows import Windows

values = st.lists(st.integers(0, 9), min_size=3, max_size=30)


@given(values, st.integers(0, 99))
def test_ranks_and_their_correlation_are_scipys(numbers, seed):
    one = np.array(numbers, float)
    other = one + np.random.default_rng(seed).integers(0, 6, len(one))
    assert compression_fidelity.ranks(one).tolist() == stats.rankdata(one).tolist()
    found = compression_fidelity.spearman(one, other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(one, other)[0])


def test_the_overlap_of_the_topmost_by_hand():
    one = np.arange(10.0)
    other = np.array([0, 1, 2, 3, 4, 5, 9, 7, 6, 8.0])
    assert compression_fidelity.overlap(one, other, 0.2) == 0.5  # 9 and 8 against 9 and 6
    assert compression_fidelity.overlap(one, one, 0.05) == 1.0


def test_length_alone_agrees_with_nothing_within_a_length():
    length = np.repeat([1, 2, 3], 20)
    truth = np.random.default_rng(0).random(60) + 5 * length
    found = compression_fidelity.agreement(length.astype(float), truth, length)
    assert found["spearman"] > 0.9
    assert found["within length"] == 0.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A recorded home of the published form called fr: three habits, one of them rare."""
    home = tmp_path_factory.mktemp("data") / "scene_shift" / "fr"
    (home / "spring").mkdir(parents=True)
    names = {
        "devices": {"Lamp": 0, "Kettle": 1, "Heater": 2},
        "controls": {"Lamp:switch on": 0, "Lamp:switch off": 1, "Kettle:switch on": 2, "Heater:switch on": 3},
    }
    (home / "dictionary.json").write_text(json.dumps(names))
    rng = np.random.default_rng(0)
    rows = []
    for day in range(16):
        rows.append([[day % 7, 2, 0, 0], [day % 7, 2, 1, 2]] + ([[day % 7, 3, 2, 3]] if rng.random() < 0.3 else []))
        rows.append([[day % 7, 6, 0, 0], [day % 7, int(rng.integers(6, 8)), 0, 1]])
    for name in ("source_train", "target_normal", "target_attack"):
        (home / "spring" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return home.parent.parent


def test_every_rule_is_judged_at_every_ratio_within_its_tokens(folder):
    lived = compression_homes.opened(folder, "fr")
    found = compression_homes.selection(lived, 0)
    everything = found.pop(compression_homes.EVERYTHING)["loss"]
    assert set(found) == set(compression_homes.COMPARED)
    for rule in found.values():
        spent = [each["tokens"] for each in rule.values()]
        assert spent == sorted(spent)
        # One in a hundred of this home's tokens is less than a sequence: nothing to judge.
        assert [float(ratio) for ratio in rule] == [*compression_homes.RATIOS[-len(rule) :]]
        assert 3 <= len(rule) < len(compression_homes.RATIOS)
    least = next(iter(found["random"]))
    assert everything < found["random"][least]["loss"]
    assert found["coverage"]["0.5"]["loss"] < found["coverage"][least]["loss"]


def test_the_command_goes_on_where_it_was(folder, tmp_path):
    file = tmp_path / "figures.json"
    given = ["compression", "--data", str(folder), "--homes", "fr", "--seeds", "1", "--parts", "selection,fidelity",
             "--json", str(file), "--exact", str(tmp_path / "exact")]  # fmt: skip
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    told = json.loads(file.read_text())
    assert set(told["runs"]) == {"selection fr 0", "fidelity fr 0"}
    exact = told["fidelity"]["fr"]["0"]
    assert exact["exact"]["seconds"] > 0
    assert -1 <= exact["crossfit"]["spearman"] <= 1
    assert told["selection"]["fr"]["coverage"]["0.2"]["of everything"]["mean"] > 0
    assert {path.name for path in tmp_path.glob("*.png")} == {"figures-fr.png", "figures-fidelity.png"}

    # What is there is not measured again, what is missing is; the exact runs are kept beside.
    told["runs"]["selection fr 0"]["everything"]["loss"] = 123.0
    del told["runs"]["fidelity fr 0"]
    file.write_text(json.dumps(told))
    again = CliRunner().invoke(app, given)
    assert again.exit_code == 0, again.output
    after = json.loads(file.read_text())
    assert after["selection"]["fr"]["everything"]["mean"] == 123.0
    agreed = {key: value for key, value in after["fidelity"]["fr"]["0"]["crossfit"].items() if key != "seconds"}
    assert agreed == pytest.approx({key: exact["crossfit"][key] for key in agreed}, nan_ok=True)


def test_a_file_of_something_else_is_refused(folder, tmp_path):
    file = tmp_path / "figures.json"
    file.write_text("{}")
    done = CliRunner().invoke(app, ["compression", "--data", str(folder), "--parts", "selection", "--json", str(file)])
    assert done.exit_code == 1
    assert "name another" in done.output
    assert file.read_text() == "{}"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--parts", "guess"), "fidelity, growth"),
        (("--homes", "xx"), "no recorded home"),
        (("--homes", "simulated:x"), "whole number"),
    ],
)
def test_what_is_asked_wrongly_is_said(folder, more, said):
    parts = () if "--parts" in more else ("--parts", "selection")
    done = CliRunner().invoke(app, ["compression", "--data", str(folder), "--seeds", "1", *parts, *more])
    assert done.exit_code == 1
    assert said in done.output


def test_simulated_homes_are_as_the_real_logs_are():
    lived = compression_homes.opened(Path(), "simulated:1")
    lengths = {len(each) for each in lived.sequences}
    assert lengths == set(range(1, 11))
    assert len(set(Windows.of(lived.sequences).patterns.tolist())) < len(lived.sequences)
    assert lived == compression_homes.opened(Path(), "simulated:1")
