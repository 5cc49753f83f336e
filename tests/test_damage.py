"""Damage: whatever a failing disk does to a home's files is told, and all that can be read of them is saved."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.damage.__main__ import run
from edge import doctor
from edge.core.behaviors import Behavior, Entry
from edge.core.errors import DamageError
from edge.core.events import Message
from edge.database import Database, migrations
from edge.salvage import ASIDE, mend, told_of
from edge.soundness import ROWS, damage
from edge.store import FILE, Store
from tests.test_cli import ROOT
from tests.test_slots import filled

NOW = 1_790_000_000.0
COUNT = 3000


def lived(count):
    return [Behavior(1.7e9 + 60 * n, f"dev{n % 20}", f"state {n % 3}") for n in range(count)]


def fill(directory, count=COUNT):
    store = Store.open(directory)
    entries = [
        Entry(Message("t", b"%d" % n, each.time, mid=n % 60000 + 1), behaviors=(each,))
        for n, each in enumerate(lived(count))
    ]
    for at in range(0, count, 100):
        store.record(entries[at : at + 100])
    store.set_fact("scene", "winter")
    store.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    fill(folder)
    return (folder / FILE).read_bytes()


def put(directory, content):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    (directory / FILE).write_bytes(content)


def kept(directory):
    with closing(Store.open(directory)) as store:
        return dict(store.behaviors_with_ids())


def damaged(rng, whole, kind):
    content = bytearray(whole)
    at = rng.randrange(len(content))
    if kind == "flip":
        content[at] ^= 1 << rng.randrange(8)
    elif kind == "header":
        content[rng.randrange(100)] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[at:]
    elif kind == "zero":
        content[at : at + 4096] = bytes(len(content[at : at + 4096]))
    else:
        content[at : at + 512] = rng.randbytes(len(content[at : at + 512]))
    return bytes(content)


def test_a_record_with_a_size_that_no_memory_has_room_for_is_salvaged(tmp_path, whole):
    place = whole.index(b"tabledevicesdevices") - 10  # the size of the row that says how the devices are kept
    put(tmp_path / "hub", whole[:place] + b"\xff\xff\xff\xff\x65" + whole[place + 5 :])
    with pytest.raises(DamageError, match="sets it aside"):
        Store.open(tmp_path / "hub")
    assert damage(tmp_path / "hub" / FILE)
    assert mend(tmp_path / "hub", NOW).behaviors == COUNT
    assert list(kept(tmp_path / "hub").values()) == lived(COUNT)


@pytest.mark.parametrize("kind", ["flip", "header", "cut", "zero", "noise"])
def test_a_record_damaged_anywhere_is_sound_or_salvaged_and_then_lives_on(tmp_path, whole, kind):
    rng, home = random.Random(kind), tmp_path / "home"
    true = {n + 1: each for n, each in enumerate(lived(COUNT))}
    best = 0
    for _ in range(6):
        put(home, damaged(rng, whole, kind))
        found = mend(home, NOW)
        rows = kept(home)
        assert mend(home, NOW) is None  # once is enough
        if found is None:
            assert len(rows) == COUNT
        else:
            assert (len(rows), told_of(home)) == (found.behaviors, found)
            assert "sceneshift restore" in found.told
            assert (home / found.aside / FILE).exists()
        wrong = [number for number, each in rows.items() if true.get(number) != each]
        assert len(wrong) <= {"flip": 1, "header": 0, "cut": 0, "zero": 60, "noise": 60}[kind]
        best = max(best, len(rows))
        with closing(Store.open(home)) as store:
            store.record([Entry(Message("t", b"x", NOW), behaviors=(Behavior(NOW, "dev1", "state 9"),))])
            number, newest = list(store.behaviors_with_ids())[-1]
            assert (newest.time, number > max(rows, default=0)) == (NOW, True)
    assert best > COUNT * 0.5


def test_where_the_tables_lie_is_known_though_the_schema_is_lost(tmp_path, whole):
    put(tmp_path / "home", bytes(512) + whole[512:])
    assert mend(tmp_path / "home", NOW).behaviors == COUNT


def test_what_makes_no_sense_is_damage_though_sqlite_reads_it(tmp_path, whole):
    for statement in (
        "UPDATE behaviors SET time = 1e200 WHERE id = 7",
        "UPDATE behaviors SET time = x'00' WHERE id = 7",
        "UPDATE behaviors SET pair = 12345 WHERE id = 7",
        "UPDATE facts SET value = '{'",
        "UPDATE devices SET name = x'ff' WHERE id = 'dev1'",
        "UPDATE devices SET name = CAST(x'ff41' AS TEXT) WHERE id = 'dev1'",
        "INSERT OR REPLACE INTO seen (slot, n, mid, digest) VALUES (3, 'x', 1, x'00')",
        "DELETE FROM devices WHERE id = 'dev2'",
        "PRAGMA user_version = 2",
        "PRAGMA user_version = 900",
    ):
        put(tmp_path / "home", whole)
        with closing(sqlite3.connect(tmp_path / "home" / FILE, isolation_level=None)) as raw:
            raw.execute(statement)
        assert damage(tmp_path / "home" / FILE), statement
        assert mend(tmp_path / "home", NOW).behaviors >= COUNT - 1, statement
        assert len(kept(tmp_path / "home")) >= COUNT - 1


def test_a_record_of_another_version_is_no_damage(tmp_path):
    for newest in (1, 2, max(migrations())):
        home = tmp_path / str(newest)
        home.mkdir()
        Database.open(home / FILE, {n: script for n, script in migrations().items() if n <= newest}).close()
        assert mend(home, NOW) is None
        Store.open(home).close()
    later = migrations() | {max(migrations()) + 1: "CREATE TABLE later (x);"}
    Database.open(tmp_path / "later.db", later).close()
    assert damage(tmp_path / "later.db") == ""
    assert mend(tmp_path / "nowhere", NOW) is None


def test_every_table_says_when_a_row_makes_sense(tmp_path):
    Store.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as raw:
        names = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names - {"sqlite_sequence"} == set(ROWS)


class PowerCut(BaseException):
    """Ends a salvage as a power cut does."""


def test_a_salvage_broken_off_between_any_two_steps_is_done_again(tmp_path, whole, monkeypatch):
    home, steps = tmp_path / "home", 0
    while True:
        put(home, whole[:40_000] + bytes(2048) + whole[42_048:])
        left = [steps]

        def step(function, left=left):
            def counted(*arguments, **options):
                if left[0] == 0:
                    raise PowerCut
                left[0] -= 1
                return function(*arguments, **options)

            return counted

        with monkeypatch.context() as patched:
            patched.setattr(os, "link", step(os.link))
            for name in ("rename", "replace", "unlink", "mkdir"):
                patched.setattr(Path, name, step(getattr(Path, name)))
            try:
                mend(home, NOW)
                done = True
            except PowerCut:
                done = False
        mend(home, NOW)
        assert 500 < len(kept(home)) < COUNT
        assert told_of(home) is not None
        if done:
            break
        steps += 1
    assert steps >= 5


def test_a_log_is_read_also_behind_what_is_damaged_and_one_cut_short_costs_its_end_only(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from tests.test_damage import fill\n"
        "from edge.store import Store; Store.close = lambda self: None\n"
        "fill(Path(sys.argv[1]), 400); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "crashed")], cwd=ROOT, timeout=60)
    log = (tmp_path / "crashed" / f"{FILE}-wal").read_bytes()
    true = lived(400)
    rng = random.Random(0)
    for number in range(16):
        home = tmp_path / "home"
        put(home, (tmp_path / "crashed" / FILE).read_bytes())
        content = bytearray(log)
        at = rng.randrange(len(content))
        if number % 2:
            del content[at:]
        else:
            content[at] ^= 1 << rng.randrange(8)
        (home / f"{FILE}-wal").write_bytes(content)
        found = mend(home, NOW)
        rows = kept(home)
        assert rows.items() <= dict(enumerate(true, 1)).items()
        if number % 2:  # as a crash leaves it
            assert found is None
            assert list(rows) == list(range(1, len(rows) + 1))
        else:
            assert found is not None or len(log) - at < 20_000
            assert len(rows) >= 200


def test_a_record_that_is_empty_or_gone_beside_what_it_had_is_told(tmp_path, whole):
    for gone in (True, False):
        put(tmp_path / "home", b"")
        filled(tmp_path / "home" / "slots", "winter")
        if gone:
            (tmp_path / "home" / FILE).unlink()
        assert "empty" in mend(tmp_path / "home", NOW).told
        assert kept(tmp_path / "home") == {}
        assert mend(tmp_path / "home", NOW) is None


def test_random_damages_to_any_file_of_a_home_crash_nothing_and_no_damaged_model_scores():
    report = run(12, seed=3)
    assert report["crashes"] == []
    assert sum(report["outcomes"].values()) == 12


def test_commands_say_what_is_damaged_and_what_mends_it(tmp_path, whole):
    put(tmp_path / "data", whole[: len(whole) // 2])
    (tmp_path / "s.toml").write_text('[data]\ndirectory = "data"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n')
    with pytest.raises(DamageError, match="sceneshift run"):
        Store.open(tmp_path / "data")
    check = doctor.record(tmp_path / "data")
    assert (check.ok, "sceneshift run" in check.mend) == (False, True)
    done = subprocess.run(
        [sys.executable, "-m", "edge", "alerts", "--settings", str(tmp_path / "s.toml")],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr, "sceneshift run" in done.stderr) == (1, False, True)
    mend(tmp_path / "data", NOW)
    check = doctor.record(tmp_path / "data")
    assert (check.ok, "were saved" in check.detail, ASIDE in check.mend) == (False, True, True)
    shutil.rmtree(told_of(tmp_path / "data").aside)
    assert doctor.record(tmp_path / "data").ok
