"""Backup, restore and forget as a person types them, in fresh processes."""

import json

import pytest

from edge.lock import alone
from edge.slots import Slots
from edge.store import Store
from tests.test_cli import sceneshift
from tests.test_forget import FORMS, NAME, SECRET, behaviors, fill, raw


@pytest.fixture
def home(tmp_path):
    fill(tmp_path / "data", days=4)
    (tmp_path / "s.toml").write_text('[broker]\nurl = "mqtt://127.0.0.1:1"\n[data]\ndirectory = "data"\n')
    return tmp_path / "data"


def run(home, *words, answer=""):
    return sceneshift(*words, "--settings", home.parent / "s.toml", stdin=answer)


def test_backup_forget_and_restore(home):
    before = behaviors(home)
    done = run(home, "backup", home.parent / "b.tar")
    assert done.returncode == 0, done.stderr
    assert "17 behaviors, 4 model slots" in done.stdout
    refused = run(home, "restore", home.parent / "b.tar")
    assert (refused.returncode, "--replace" in refused.stderr, "Traceback" in refused.stderr) == (1, True, False)

    unsure = run(home, "forget", "--device", SECRET.id, answer="n\n")
    assert unsure.returncode == 1
    assert NAME in unsure.stdout
    assert behaviors(home) == before
    done = run(home, "forget", "--device", SECRET.id, answer="y\n")
    assert done.returncode == 0, done.stderr
    assert "No model was learned: " in done.stdout  # what is left of slots here is no model of any version
    assert "no byte of" in done.stdout
    assert not [form for form in FORMS if form in raw(home)]

    done = run(home, "restore", home.parent / "b.tar", "--replace")
    assert done.returncode == 0, done.stderr
    assert "before-" in done.stdout
    assert behaviors(home) == before


def test_forget_all_and_before(home):
    done = run(home, "forget", "--before", "2025-06-16T12:00", "--yes", "--no-learn")
    assert done.returncode == 0, done.stderr
    assert "learned:" not in done.stdout
    assert 0 < len(behaviors(home)) < 17
    assert run(home, "forget", "--all", answer="\n").returncode == 1
    assert run(home, "forget", "--all", "--yes").returncode == 0
    assert not (home / "sceneshift.db").exists()
    done = run(home, "forget", "--all", "--yes")
    assert done.returncode == 0, "a second time is no failure"
    assert Slots(home / "slots").names() == []


def test_what_cannot_be_forgotten_is_said(home):
    for words in ((), ("--device", "x", "--all"), ("--before", "lately"), ("--device", "nobody")):
        done = run(home, "forget", *words, "--yes")
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_while_an_agent_runs_nothing_is_restored_or_forgotten(home):
    assert run(home, "backup", home.parent / "b.tar").returncode == 0
    with alone(home):
        assert run(home, "backup", home.parent / "b.tar").returncode == 0
        for words in (("restore", home.parent / "b.tar", "--replace"), ("forget", "--all", "--yes"), ("rollback",)):
            done = run(home, *words)
            assert (done.returncode, "stop it first" in done.stderr) == (1, True)
    store = Store.open(home)
    assert store.count() == 17
    store.close()


def test_status_says_what_is_there(home):
    found = json.loads(run(home, "status", "--json").stdout)
    expected = {"behaviors": 17, "devices": 3, "slot": "0004-new-device-grandma-s-k-c", "slots": 4, "agent": "silent"}
    assert {key: found[key] for key in expected} == expected
    assert (found["first_behavior"], found["last_behavior"]) == ("2025-06-15 15:06", "2025-06-21 00:06")
    assert 4 < found["days"] < 6
    assert "no model yet" not in found["silence"]
    store = Store.open(home)
    store.set_fact("choices", {"alerts": False, "mode": "cleaner"})
    store.close()
    found = json.loads(run(home, "status", "--json").stdout)
    assert (found["alerts"], found["mode"], "switched off" in found["silence"]) == ("off", "cleaner", True)


def test_a_mute_without_a_time_asks_for_one_all_the_same(home):
    done = run(home, "mute", "Kettle")
    assert (done.returncode, "no agent answers" in done.stderr) == (1, True)


def test_what_is_said_of_an_alert_makes_no_record_where_there_is_none(home):
    (home / "sceneshift.db").unlink()
    done = run(home, "feedback", "1", "fine")
    assert (done.returncode, "nothing has been recorded" in done.stderr) == (1, True)
    assert not (home / "sceneshift.db").exists()


def test_an_export_that_cannot_be_written_is_said_and_the_record_is_never_its_place(home):
    before = behaviors(home)
    for out, said in (("/dev/full", "No space left"), (home / "sceneshift.db", "the record itself")):
        done = run(home, "export", "--out", out)
        assert (done.returncode, "Traceback" in done.stderr, said in done.stderr) == (2, False, True)
    assert behaviors(home) == before
