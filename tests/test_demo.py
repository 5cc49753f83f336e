"""The demo, whole: the README's own command on the shipped home, and a recorded home where it is at hand."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.core.sequences import split, step_of
from edge.demo.recorded import START, open_home, timeline
from edge.slots import shipped
from tests import homes
from tests.test_cli import sceneshift

SHARED = Path(__file__).parent.parent.parent / "shared/data"


def test_dating_undated_sequences_keeps_their_weekdays_and_hours():
    sequences = homes.sequences(40)
    lived = timeline(sequences, START)
    assert [step_of(each, UTC) for each in lived] == [step for sequence in sequences for step in sequence]
    assert all(a.time < b.time for a, b in zip(lived, lived[1:], strict=False))
    begins = {datetime.fromtimestamp(lived[0].time, UTC).weekday()}
    assert begins == {sequences[0][0].day}
    assert len(split(lived, UTC)) >= len(sequences)


def test_the_shipped_home_is_whole():
    home = open_home(shipped("demo-home"), None)
    assert len(home.source) > 500
    assert home.normal
    assert home.attack
    assert home.home.latitude is not None


def test_the_demo_on_the_shipped_home(tmp_path, shipped_llm):
    rates = {"before": 0.0, "after": 0.0}
    for seed in range(3):  # one seed alone may be lucky
        report = tmp_path / f"{seed}.json"
        done = sceneshift("demo", "--seed", seed, "--report", report, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "behaviors published" in done.stdout
        found = json.loads(report.read_text())
        assert found["events_published"] == found["events_stored"]
        assert found["gate"]["accepted"]
        assert found["swap"]["scoring_gap_ms"] < 100
        assert found["retrain"]["engine"] == "onnxruntime"
        for when in rates:
            rates[when] += found["equal_recall"][f"false_positive_rate_{when}"] / 3
    assert rates["after"] <= rates["before"] / 2, rates


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded homes are not beside the project")
@pytest.mark.parametrize("llm", [None, "stories260Ktok512.gguf"])
def test_the_demo_on_a_recorded_home(tmp_path, shipped_llm, llm):
    report = tmp_path / "r.json"
    words = ["--llm", SHARED / llm] if llm else []
    home = SHARED / "scene_shift/fr"
    done = sceneshift("demo", "--home", home, "--scene", "spring", "--report", report, *words, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    assert found["events_published"] == found["events_stored"] == 3523
    assert found["before"]["normals"] == 88
    if llm:
        assert "context holds" in found["abandoned"]
        return
    assert found["after"]["auroc"] > found["before"]["auroc"]
    assert found["after"]["false_positive_rate"] < found["before"]["false_positive_rate"]
