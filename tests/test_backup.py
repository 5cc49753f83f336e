"""A backup is consistent while a home is lived; whatever is wrong with it is noticed before anything is touched."""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from edge.backup import END, END_SIZE, back_up
from edge.core.errors import StoreError
from edge.database import Database, migrations
from edge.restore import restore, unpacked
from edge.slots import Slots
from edge.store import FILE, Store
from tests.test_forget import behaviors, fill, raw, slot

ROOT = Path(__file__).parent.parent
NOW = 1.78e9


@pytest.fixture
def home(tmp_path):
    fill(tmp_path / "data", days=4)
    (tmp_path / "data" / "web-token").write_text("hush-hush-0815")
    return tmp_path / "data"


@pytest.fixture
def backup(home, tmp_path):
    back_up(home, tmp_path / "b.tar", NOW)
    return tmp_path / "b.tar"


def tree(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_a_backup_is_restored_elsewhere_as_it_was(home, backup, tmp_path):
    other = tmp_path / "other"
    (other / "slots").mkdir(parents=True)  # as a command leaves it where nothing was learned
    done, aside = restore(backup, other, NOW)
    assert aside is None
    assert behaviors(other) == behaviors(home)
    assert done.behaviors == len(behaviors(home))
    mine, theirs = Store.open(home), Store.open(other)
    for what in ("alerts", "scores", "states", "devices", "pairs", "counters", "adaptations"):
        assert getattr(mine, what)() == getattr(theirs, what)()
    assert theirs.fact("mutes") == mine.fact("mutes")
    mine.close()
    theirs.close()
    assert Slots(other / "slots").names() == Slots(home / "slots").names()
    assert Slots(other / "slots").current() == Slots(home / "slots").current()
    assert tree(other / "slots") == tree(home / "slots")
    assert sorted(path.name for path in other.iterdir()) == [FILE, "slots"]


def test_it_is_for_its_owner_alone_and_holds_no_secret_and_nothing_deleted(home, backup):
    assert backup.stat().st_mode & 0o777 == 0o600
    assert b"hush-hush" not in backup.read_bytes()
    assert b"Lamp of old" not in backup.read_bytes()  # a name that was replaced
    with tarfile.open(backup) as tar:  # an ordinary tar
        names = tar.getnames()
    assert names[:2] == ["manifest.json", FILE]
    assert all(name.startswith("slots/") for name in names[2:])
    assert [path.name for path in backup.parent.iterdir() if path.name.startswith(".")] == []


def test_while_a_home_is_lived_at_full_speed_a_backup_is_one_moment_of_it(tmp_path):
    code = (
        "import sys; from pathlib import Path; from test_store import act; from edge.store import Store\n"
        "store = Store.open(Path(sys.argv[1])); n = 0\n"
        "while True:\n"
        "    store.record([act(str(n + k), (n + k) % 60000 + 1) for k in range(7)]); n += 7\n"
        "    store.add_scores({n: n / 7}); print(n, flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        for number in range(4):
            promised = [int(child.stdout.readline()) for _ in range(20)][-1]
            back_up(tmp_path / "data", tmp_path / f"{number}.tar", NOW)
            target = tmp_path / f"restored{number}"
            target.mkdir()
            restore(tmp_path / f"{number}.tar", target, NOW)
            controls = [each.control for each in behaviors(target)]
            assert controls == [str(n) for n in range(len(controls))]
            assert len(controls) >= promised
            assert len(controls) % 7 == 0
        assert child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.stdout.read()


def test_slots_that_come_and_go_meanwhile_are_each_whole(home, tmp_path, monkeypatch):
    real, calls = Slots.load, []

    def load(slots, name):
        found = real(slots, name)
        calls.append(name)
        if len(calls) == 2:  # the agent learns, and prunes, between two reads
            shutil.rmtree(slots.directory / name)
            slots.promote(slots.write(slot("autumn", ("lamp1",), NOW), found[1]))
        return found

    monkeypatch.setattr(Slots, "load", load)
    back_up(home, tmp_path / "b.tar", NOW)
    monkeypatch.undo()
    target = tmp_path / "target"
    target.mkdir()
    restore(tmp_path / "b.tar", target, NOW)
    slots = Slots(target / "slots")
    assert slots.current() == "0005-autumn"
    assert slots.names() == Slots(home / "slots").names()


def test_every_truncation_and_every_kind_of_flip_is_refused_and_nothing_touched(home, backup, tmp_path):
    whole = backup.read_bytes()
    before = tree(home)
    broken = tmp_path / "broken.tar"
    step = max(1, len(whole) // 60)
    ends = {*range(0, len(whole), step), 1, 511, 512, 513, END_SIZE, len(whole) - END_SIZE, len(whole) - 1}
    places = {*range(0, len(whole), step), 0, 100, 512, len(whole) - END_SIZE, len(whole) - 1, len(whole) - 3}
    cases = [whole[:end] for end in ends]
    cases += [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in places]
    cases += [whole + b"\n", b"", b"no backup", whole * 2]
    for content in cases:
        broken.write_bytes(content)
        with pytest.raises(StoreError):
            restore(broken, home, NOW, replace=True)
    with pytest.raises(StoreError, match="No such file"):
        restore(tmp_path / "nowhere.tar", home, NOW, replace=True)
    assert tree(home) == before


def forged(backup, path, change):
    """Write a backup anew with other entries, and a last line that fits them."""
    with tarfile.open(backup) as tar:
        entries = [(entry, tar.extractfile(entry).read()) for entry in tar]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry, content in change(entries):
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    content = out.getvalue()
    path.write_bytes(content + END % hashlib.sha256(content).hexdigest().encode())
    return path


def _link(entries):
    link = tarfile.TarInfo(FILE)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return [entries[0], (link, b""), *entries[2:]]


def _renamed(name):
    def change(entries):
        entries[1][0].name = name
        manifest = entries[0][1].replace(b'"sceneshift.db"', f'"{name}"'.encode())
        return [(entries[0][0], manifest), *entries[1:]]

    return change


def _manifest(old, new):
    return lambda entries: [(entries[0][0], re.sub(old, new, entries[0][1])), *entries[1:]]


@pytest.mark.parametrize(
    "change",
    [
        _link, _renamed("../escaped"), _renamed("/tmp/escaped"), _renamed("slots/../../escaped"), _renamed("web-token"),
        lambda entries: entries[:-1], lambda entries: [*entries, entries[-1]], lambda entries: entries[1:],
        lambda entries: entries[:1], lambda entries: [entries[0], *reversed(entries[1:])],
        lambda entries: [entries[0], (entries[1][0], b"x" * len(entries[1][1])), *entries[2:]],
        _manifest(rb'"database": *\d+', b'"database": 99'), _manifest(rb'"format": *1', b'"format": 2'),
        _manifest(rb'"format": *1', b'"format": ' + b"9" * 5000),
        _manifest(rb'"behaviors"', b'"secrets"'), _manifest(rb"\{", b"["),
    ],
)  # fmt: skip
def test_what_was_put_together_by_somebody_else_is_refused(home, backup, tmp_path, change):
    before, around = tree(home), tree(tmp_path)
    bad = forged(backup, tmp_path / "forged.tar", change)
    with pytest.raises(StoreError):
        restore(bad, home, NOW, replace=True)
    bad.unlink()
    assert tree(home) == before
    assert tree(tmp_path) == around
    assert not Path("/tmp/escaped").exists()


def test_a_forgery_of_nothing_is_taken(home, backup, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    assert unpacked(forged(backup, tmp_path / "f.tar", lambda entries: entries), folder).behaviors == 17


def test_a_newer_versions_backup_says_so(home, tmp_path):
    newest = max(migrations())
    Database.open(home / FILE, migrations() | {newest + 1: "CREATE TABLE later (x);"}).close()
    with pytest.raises(StoreError, match="newer version"):
        back_up(home, tmp_path / "b.tar", NOW)


def test_a_record_that_is_there_is_refused_or_set_aside(home, backup, tmp_path):
    store = Store.open(home)
    store.record([])
    store.set_fact("scene", "summer")
    store.close()
    with pytest.raises(StoreError, match="--replace"):
        restore(backup, home, NOW)
    _, aside = restore(backup, home, NOW, replace=True)
    assert aside.parent == home
    for directory, scene in ((home, "winter"), (aside, "summer")):
        store = Store.open(directory)
        assert store.fact("scene").startswith(scene)
        store.close()
        assert len(Slots(directory / "slots").names()) == 4
    assert not (home / "states").exists()
    assert (home / "web-token").exists()
    restore(tmp_path / "b.tar", home, NOW + 1, replace=True)


def test_broken_off_between_any_two_steps_one_database_is_there_and_again_restores(tmp_path, monkeypatch):
    real = {name: getattr(Path, name) for name in ("rename", "replace")}
    for step in range(8):
        folder = tmp_path / str(step)
        fill(folder / "data", days=2)
        lived = behaviors(folder / "data")
        back_up(folder / "data", folder / "b.tar", NOW)
        count = iter(range(100))

        def broken(path, target, name, count=count, step=step):
            if next(count) == step:
                raise KeyboardInterrupt
            return real[name](path, target)

        for name in real:
            monkeypatch.setattr(Path, name, lambda path, target, name=name, broken=broken: broken(path, target, name))
        try:
            restore(folder / "b.tar", folder / "data", NOW, replace=True)
            ended = True
        except KeyboardInterrupt:
            ended = False
        monkeypatch.undo()
        assert behaviors(folder / "data") == lived
        restore(folder / "b.tar", folder / "data", NOW + 1, replace=True)
        assert behaviors(folder / "data") == lived
        assert len(Slots(folder / "data" / "slots").names()) == 4
        if ended:
            assert step > 2
            return
    pytest.fail("it never ends")


def test_a_corrupt_record_is_set_aside_as_it_is(home, backup):
    (home / FILE).write_bytes(b"no database" * 100)
    _, aside = restore(backup, home, NOW, replace=True)
    assert (aside / FILE).read_bytes() == b"no database" * 100
    assert len(behaviors(home)) == 17


def test_without_a_model_a_backup_is_the_record(tmp_path):
    with pytest.raises(StoreError, match="nothing has been recorded"):
        back_up(tmp_path, tmp_path / "b.tar", NOW)
    Store.open(tmp_path / "data").close()
    back_up(tmp_path / "data", tmp_path / "b.tar", time.time())
    (tmp_path / "other").mkdir()
    restore(tmp_path / "b.tar", tmp_path / "other", NOW)
    assert behaviors(tmp_path / "other") == []
    assert raw(tmp_path / "other")


def test_a_log_left_of_a_record_that_is_gone_changes_nothing_of_what_is_restored(home, backup, tmp_path):
    before = behaviors(home)
    fill(tmp_path / "other", days=2)
    store = Store.open(tmp_path / "other")
    store.set_fact("mutes", {"stray": 1.0})
    for end in ("-wal", "-shm"):  # while it is open: closing empties the log
        shutil.copyfile(tmp_path / "other" / f"{FILE}{end}", home / f"{FILE}{end}")
    store.close()
    (home / FILE).unlink()
    shutil.rmtree(home / "slots")
    restore(backup, home, NOW)
    assert not (home / f"{FILE}-wal").exists()
    assert behaviors(home) == before
    store = Store.open(home)
    assert "stray" not in (store.fact("mutes") or {})
    store.close()


def test_a_backup_never_takes_the_place_of_the_record_or_of_a_folder(home, tmp_path):
    before = behaviors(home)
    for out in (home / FILE, home / "slots", tmp_path):
        with pytest.raises(StoreError, match="name another file"):
            back_up(home, out, NOW)
    assert behaviors(home) == before


def test_a_file_that_says_it_is_larger_than_it_is_is_refused_and_not_written(home, tmp_path):
    """A sparse entry of a few bytes can claim a size that fills a disk."""
    large = 50_000_000
    part = {"size": large, "sha256": "a" * 64}
    told = {"format": 1, "version": "0.1.0", "created": 1.0, "database": 1, "behaviors": 1, "files": {FILE: part}}
    sparse = tarfile.TarInfo("GNUSparseFile.0/x")
    sparse.pax_headers = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": FILE, "GNU.sparse.realsize": str(large),
    }  # fmt: skip
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        body = (b"1\n%d\n1\n" % (large - 1)).ljust(512, b"\0") + b"x"
        for entry, content in ((tarfile.TarInfo("manifest.json"), json.dumps(told).encode()), (sparse, body)):
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    content = out.getvalue()
    path = tmp_path / "sparse.tar"
    path.write_bytes(content + END % hashlib.sha256(content).hexdigest().encode())
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(StoreError):
        unpacked(path, folder)
    assert not any(folder.iterdir())


def test_what_two_restorings_of_one_second_set_aside_lies_apart(home, backup):
    asides = [restore(backup, home, NOW, replace=True)[1] for _ in range(3)]
    assert len({aside.name for aside in asides}) == 3
    assert all((aside / FILE).exists() for aside in asides)
