"""The commands as a person types them, in fresh processes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.core.behaviors import Behavior, Entry
from edge.core.events import Event, Message
from edge.store import Store
from tests.hearing import bodies, message, watching

ROOT = Path(__file__).parent.parent


def sceneshift(*words, timeout=60, stdin="", **environment):
    return subprocess.run(
        [sys.executable, "-m", "edge", *map(str, words)],
        input=stdin, capture_output=True, text=True, timeout=timeout, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "sceneshift.toml"
    path.write_text(f'[broker]\nurl = "mqtt://127.0.0.1:1"\n[data]\ndirectory = "{tmp_path / "data"}"\n')
    return path


def fill(directory, count=5):
    store = Store.open(directory)
    entries = []
    for n in range(count):
        event = Event(1.75e9 + n, "lamp", "Hall lamp", "", f"press {n}", momentary=True)
        entries.append(Entry(Message("x", b"", event.time), (event,), (Behavior(event.time, "lamp", f"press {n}"),)))
    store.record([*entries, Entry(Message("y", b"", 1.0), rejected="malformed")])
    store.close()


def test_an_unknown_key_ends_with_2_and_names_key_and_file(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('[broker]\nulr = "mqtt://127.0.0.1"\n')
    for command in ("run", "status", "doctor"):
        done = sceneshift(command, "--settings", path)
        assert done.returncode == 2
        assert "broker.ulr" in done.stderr
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr


def test_status_and_export_tell_what_is_stored(settings, tmp_path):
    fill(tmp_path / "data")
    done = sceneshift("status", "--settings", settings, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["behaviors"] == 5
    assert found["set_aside"] == {"malformed": 1}
    assert found["agent"] == "silent"
    assert sceneshift("status", "--settings", settings, "--check").returncode == 1
    assert "malformed 1" in sceneshift("status", "--settings", settings).stdout
    out = tmp_path / "behaviors.jsonl"
    assert sceneshift("export", "--settings", settings, "--out", out).returncode == 0
    assert out.stat().st_mode & 0o777 == 0o600  # what a home did is its owner's alone
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows == [{"t": 1.75e9 + n, "device": "lamp", "control": f"press {n}"} for n in range(5)]


@pytest.fixture
def told(tmp_path):
    """Put a home of a week with a night's kettle into the store: one alert sent, one muted."""
    store = Store.open(tmp_path / "data")
    published = []
    watch = watching(store, published, odd="kettle1")
    watch.alerts.mute("kettle1", 5, time.time() - 54 * 3600)
    start = time.time() - 9 * 86400
    watch.handle([message(start + day * 86400, "lamp1") for day in range(6)])
    watch.handle([message(time.time() - 54 * 3600 + 60, "kettle1"), message(time.time() - 60, "kettle1")])
    number = bodies(published)[0]["alert"]
    yield number, bodies(published)[0]["sentence"]
    store.close()


def test_alerts_are_listed_with_what_became_of_them(settings, told):
    number, sentence = told
    done = sceneshift("alerts", "--settings", settings)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.split()[0] == str(number)
    assert "sent" in line
    assert sentence in line
    every = sceneshift("alerts", "--settings", settings, "--all", "--json")
    rows = [json.loads(line) for line in every.stdout.splitlines()]
    assert [row["state"] for row in rows] == ["muted", "sent"]
    assert all(row["sentence"] and row["explanation"]["odd"] == "device" for row in rows)
    assert sentence not in sceneshift("alerts", "--settings", settings, "--since", "0h").stdout
    refused = sceneshift("alerts", "--settings", settings, "--since", "lately")
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)


def test_an_alert_is_explained_in_full(settings, told):
    number, sentence = told
    done = sceneshift("explain", number, "--settings", settings)
    assert done.returncode == 0, done.stderr
    page = done.stdout
    for part in (sentence, "Odd: device.", "70.0%  lamp1 turned on", "<- this time", "Model 0001", "<- beyond", "####"):
        assert part in page
    assert json.loads(sceneshift("explain", number, "--settings", settings, "--json").stdout)["id"] == number
    missing = sceneshift("explain", 999, "--settings", settings)
    assert missing.returncode == 2
    assert "there is no alert 999" in missing.stderr
    assert sceneshift("explain", 10**30, "--settings", settings).returncode == 2


def test_feedback_without_an_agent_is_kept_on_disk_and_a_mute_says_that_none_answers(settings, told, tmp_path):
    number, _ = told
    done = sceneshift("feedback", number, "fine", "--settings", settings)
    assert done.returncode == 0, done.stderr
    store = Store.open(tmp_path / "data", read_only=True)
    assert store.alert(number).state == "fine"
    store.close()
    assert sceneshift("feedback", number, "perhaps", "--settings", settings).returncode == 2
    done = sceneshift("mute", "Kettle", "--for", "2h", "--settings", settings)
    assert done.returncode == 1
    assert "no agent answers" in done.stderr
    assert sceneshift("mute", "Kettle", "--for", "long", "--settings", settings).returncode == 2


def test_status_says_why_there_is_nothing_to_show(settings, told):
    found = json.loads(sceneshift("status", "--settings", settings, "--json").stdout)
    assert found["alerts_this_week"] == 1
    assert found["kept_quiet_this_week"] == {"muted": 1}
    assert found["mutes"] == {}  # that of two days ago is over
    for part in ("no agent runs", "no model yet", "kept quiet: muted 1"):
        assert part in found["silence"]


def test_before_the_first_behavior_status_says_so(settings):
    done = sceneshift("status", "--settings", settings, "--json")
    assert done.returncode == 0
    assert "nothing has been recorded" in json.loads(done.stdout)["problem"]


def test_a_scene_that_does_not_exist_lists_those_that_do(settings, tmp_path):
    files = ("--dictionary", "d", "--sequences", "s", "--out", tmp_path / "o")
    for words in (
        ("adapt", "monsoon", "--settings", settings),
        ("synthesize", *files, "--from", "winter", "--to", "monsoon"),
    ):
        done = sceneshift(*words)
        assert done.returncode == 2
        assert "winter, spring" in done.stderr


def test_doctor_names_what_is_wrong_and_its_mend(settings):
    done = sceneshift("doctor", "--settings", settings)
    assert done.returncode == 1
    assert "FAIL" in done.stdout
    assert "mend:" in done.stdout


def test_a_home_that_is_none(tmp_path):
    done = sceneshift("demo", "--home", tmp_path)
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr


def test_synthesize_writes_sequences_of_the_home(tmp_path, shipped_llm):
    names = {
        "Light": ("switch on", "switch off"),
        "Heater": ("switch on", "switch off"),
        "Fan": ("switch on", "switch off"),
    }
    controls = [f"{device}:{control}" for device, each in names.items() for control in each]
    dictionary = {
        "devices": {name: row for row, name in enumerate(names)},
        "controls": {name: row for row, name in enumerate(controls)},
    }
    (tmp_path / "d.json").write_text(json.dumps(dictionary))
    lived = [[[n % 7, 2, 0, 0], [n % 7, 2, 1, 2], [n % 7, 6, 0, 1]] for n in range(80)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lived))
    done = sceneshift(
        "synthesize", "--dictionary", tmp_path / "d.json", "--sequences", tmp_path / "s.jsonl", "--from", "winter",
        "--to", "spring", "--count", 30, "--seed", 1, "--out", tmp_path / "o.jsonl", "--report", tmp_path / "r.json",
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["synthetic"]["generated"] == 30
    written = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert len(written) == report["synthetic"]["kept"] > 0
    assert all(control not in (2, 3) for sequence in written for *_, control in sequence)  # no heating in spring
    assert all(0 <= d < 7 and 0 <= h < 8 and 0 <= dev < 3 and 0 <= c < 6 for s in written for d, h, dev, c in s)
