"""The table of attacks: reading a home, limits, figures, one run on a tiny home, and going on from its file."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge.core.dictionary import DatasetNames
from edge.core.errors import MessageError, SettingsError
from edge.core.sequences import Step
from trainer.cli import app
from trainer.evaluate import attack_runs, attacks, published
from trainer.evaluate.attack_runs import Wanted, epochs_of, evaluate
from trainer.evaluate.attack_sets import dataset_names, read
from trainer.evaluate.attacks import LEVELS, NAMES, OURS
from trainer.peers import smartguard
from trainer.peers.catalog import NETWORKS, PEERS

DICTIONARY = {
    "dayofweek_dict": {"day:Mon": 0},
    "hour_dict": {"time:(0~3)": 0},
    "device_dict": {"Light": 0, "Fan": 1, "Lock": 2, "Oven": 3},
    "device_control_dict": {
        "Light:on": 0, "Light:off": 1, "Fan:on": 2, "Fan:off": 3, "Lock:lock": 4, "Lock:unlock": 5, "Oven:on": 6,
    },
}  # fmt: skip
FIGURE = {"mean", "std", "seeds"}


def lived(seed, count):
    """Windows of ten: the light and the lock in the morning, the fan in the afternoon."""
    rng = np.random.default_rng(seed)
    habits = [(2, 2, 5), (2, 0, 0), (2, 0, 1), (5, 1, 2), (5, 1, 3)]
    return [
        [[(start + place // 5) % 7, *habits[(start + place) % 5]] for place in range(10)]
        for start in rng.integers(7, size=count).tolist()
    ]


def attacked(windows, rows):
    """Put rows into the middle of each window."""
    return [[*window[:4], *rows, *window[4 + len(rows) :]] for window in windows]


def save(path, windows):
    path.write_text("".join(json.dumps(each) + "\n" for each in windows))


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    (folder / "dictionary.json").write_text(json.dumps(DICTIONARY))
    for place, (name, count) in enumerate({"train": 90, "validation": 40, "normal": 30}.items()):
        save(folder / f"{name}.jsonl", lived(place, count))
    flicker = [[4, 0, 0, 0], [4, 0, 0, 1]] * 2
    save(folder / "attack_light.jsonl", attacked(lived(7, 20), flicker))
    save(folder / "attack_camera.jsonl", attacked(lived(8, 10), flicker))
    save(folder / "attack_drill.jsonl", attacked(lived(9, 12), [[4, 0, 99, 6]]))
    return folder


# ---- reading


def test_files_of_a_kind_are_pooled_and_an_unknown_one_is_its_own(home):
    told = read(home)
    assert {kind: len(part) for kind, part in told.attacks.items()} == {"SD": 30, "drill": 12}
    assert [len(part) for part in (told.train, told.validation, told.normal)] == [90, 40, 30]
    assert ("Oven", "on") in told.dictionary.pairs


def test_a_device_nobody_knows_is_that_of_its_control(home):
    assert Step(4, 0, "Oven", "on") in read(home).attacks["drill"][0]


@pytest.mark.parametrize("missing", ["dictionary.json", "normal.jsonl", "attack_*.jsonl"])
def test_what_is_missing_is_named(home, missing):
    for path in home.glob(missing):
        path.unlink()
    with pytest.raises(SettingsError, match="attack_NAME" if "*" in missing else missing):
        read(home)


@pytest.mark.parametrize("line", ["[[1, 2, 3]]", "nonsense", "[[0, 9, 0, 0]]", "[[0, 0, 0, 77]]", "[1]", "{}[]"])
def test_a_malformed_line_names_its_file(home, line):
    (home / "normal.jsonl").write_text(line + "\n")
    with pytest.raises(SettingsError, match="normal.jsonl"):
        read(home)


def test_both_published_dictionaries_are_read():
    theirs = dataset_names(json.dumps(DICTIONARY))
    other = {"devices": DICTIONARY["device_dict"], "controls": DICTIONARY["device_control_dict"]}
    assert vars(theirs) == vars(dataset_names(json.dumps(other))) == vars(DatasetNames(other))


@given(st.text() | st.just("[]") | st.just('{"device_dict": 1}') | st.just("null"))
def test_no_dictionary_is_a_clear_error(text):
    with pytest.raises(MessageError):
        dataset_names(text)


# ---- limits and figures


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.sampled_from(sorted(LEVELS.values())))
def test_a_limit_is_the_conformal_quantile(held_out, alpha):
    told = attacks.limit(np.array(held_out, float), alpha)
    rank = math.ceil((len(held_out) + 1) * (1 - alpha) - 1e-9)
    assert told == sorted(held_out)[min(rank, len(held_out)) - 1]
    # Of the held-out windows and one more above them all, no more than alpha are beyond it, if there are enough.
    if rank <= len(held_out):
        assert (sum(each > told for each in held_out) + 1) / (len(held_out) + 1) <= alpha + 1e-9


def test_merged_runs_have_a_figure_for_every_number():
    told = attacks.merged([{"a": 1.0, "kinds": {"SD": {"f1": 0.5}}}, {"a": 3.0, "kinds": {"SD": {"f1": 0.7}}}])
    assert told["a"] == {"mean": 2.0, "std": pytest.approx(2**0.5, abs=1e-4), "seeds": 2}
    assert told["kinds"]["SD"]["f1"]["mean"] == pytest.approx(0.6)


def test_epochs_are_told_by_name():
    assert epochs_of(["smartguard=3", "sasrec=1"]) == {"smartguard": 3, "sasrec": 1}
    for wrong in ("smartguard", "smartguard=0", "ngram=2", "sasrec=x", "=1"):
        with pytest.raises(SettingsError, match="NAME=COUNT"):
            epochs_of([wrong])


# ---- one run


@pytest.fixture
def small(monkeypatch):
    """Make the two large networks small: how well they find attacks is not what these tests are about."""
    monkeypatch.setattr(smartguard, "WIDTH", 16)
    monkeypatch.setattr(smartguard, "INNER", 16)
    monkeypatch.setattr(published, "WIDTH", 16)
    monkeypatch.setattr(attacks, "TIMED", 10)
    monkeypatch.setattr(attacks, "ours", quick)


OURS_FIT = attacks.ours


def quick(home, given_):
    """Ours, on a few windows: as few training steps as there can be."""
    return OURS_FIT(home, replace(given_, train=given_.train[:2]))


def asked(home, **other):
    return Wanted(home.parent, home.name, epochs=dict.fromkeys(NETWORKS, 1), **other)


def command(home):
    return ["evaluate", "attacks", "--home", home.name, "--data", str(home.parent), "--seeds", "1"]


def test_every_model_is_in_the_report_in_the_promised_form(home, small):
    path = home.parent / "report.json"
    told = evaluate(asked(home, json=path, seeds=1))
    report = json.loads(path.read_text())
    assert report == told
    assert report["home"] == "tiny"
    assert list(report["models"]) == list(NAMES) == [OURS, *PEERS]
    for model in report["models"].values():
        assert set(model) == {"parameters", "train_seconds", "latency_ms", "kinds"}
        assert list(model["kinds"]) == ["SD", "drill"]
        for kind in model["kinds"].values():
            assert set(kind) == {"95", "99", "auroc", "ap"}
            leaves = [kind["auroc"], kind["ap"], *kind["95"].values(), *kind["99"].values()]
            assert set(kind["95"]) == set(kind["99"]) == {"f1", "fpr", "recall"}
            assert all(set(each) == FIGURE and each["seeds"] == 1 for each in leaves)
            assert all(0 <= each["mean"] <= 1 for each in leaves)
            assert kind["95"]["fpr"]["mean"] >= kind["99"]["fpr"]["mean"]
        assert model["latency_ms"]["mean"] > 0
        assert model["train_seconds"]["mean"] >= 0
    # What nobody ever did is found by whoever counts.
    assert report["models"]["frequency"]["kinds"]["drill"]["95"]["recall"]["mean"] == 1.0


def test_a_run_that_is_in_the_file_is_not_made_again(home, small, monkeypatch):
    path = home.parent / "report.json"
    made = []
    monkeypatch.setattr(attack_runs, "run", lambda name, *rest: made.append(name) or attacks.run(name, *rest))
    first = evaluate(asked(home, json=path, seeds=1, only=("frequency", "sasrec")))
    again = evaluate(asked(home, json=path, seeds=2, only=("frequency", "sasrec")))
    assert made == ["frequency", "sasrec"] * 2
    assert again["runs"]["sasrec"]["0"] == first["runs"]["sasrec"]["0"]
    assert again["models"]["sasrec"]["latency_ms"]["seeds"] == 2
    # Other epochs are another run; a model that was not asked for stays in the report.
    more = Wanted(home.parent, "tiny", path, 1, ("sasrec",), {"sasrec": 2})
    assert list(evaluate(more)["models"]) == ["frequency", "sasrec"]
    assert made[4:] == ["sasrec"]


def test_a_run_that_stops_keeps_what_was_done(home, small, monkeypatch):
    path = home.parent / "report.json"

    def stopped(name, *rest):
        if name == "lof":
            raise KeyboardInterrupt
        return attacks.run(name, *rest)

    monkeypatch.setattr(attack_runs, "run", stopped)
    arguments = [
        "evaluate",
        "attacks",
        "--home",
        "tiny",
        "--data",
        str(home.parent),
        "--json",
        str(path),
        "--seeds",
        "1",
    ]
    told = CliRunner().invoke(app, [*arguments, "--only", "frequency", "--only", "lof"])
    assert told.exit_code == 130
    assert "goes on from" in told.stderr
    assert list(json.loads(path.read_text())["models"]) == ["frequency"]


def test_the_same_seed_is_the_same_figures(home, small):
    only = ("isolation_forest", "gru_autoencoder", "smartguard")
    one, other = (evaluate(asked(home, seeds=1, only=only))["models"] for _ in range(2))
    assert {name: told["kinds"] for name, told in one.items()} == {name: told["kinds"] for name, told in other.items()}


@pytest.mark.parametrize("text", ["", "[]", '{"home": "tiny"}', '{"home": "tiny", "runs": {"lof": {"0": {}}}}'])
def test_a_file_that_is_no_report_is_not_overwritten(home, text):
    path = home.parent / "report.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match="no report"):
        evaluate(asked(home, json=path))
    assert path.read_text() == text


def test_another_homes_report_and_an_unknown_model_are_refused(home):
    path = home.parent / "report.json"
    path.write_text('{"home": "fr", "runs": {}}')
    with pytest.raises(SettingsError, match="fr"):
        evaluate(asked(home, json=path))
    told = CliRunner().invoke(
        app, ["evaluate", "attacks", "--home", "tiny", "--data", str(home.parent), "--only", "gpt"]
    )
    assert told.exit_code == 1
    assert "no model is called 'gpt'" in told.stderr
