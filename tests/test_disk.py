"""A full disk, and one that can only be read: what was is whole, the mend is named, and it goes on by itself."""

import json
import shutil
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest

from edge import doctor
from edge.backup import back_up
from edge.commands import record as commands
from edge.core.behaviors import Behavior, Entry
from edge.core.errors import EdgeError, StoreError
from edge.core.events import Message
from edge.database import Database, migrations
from edge.lock import alone
from edge.mqtt import Session
from edge.restore import restore
from edge.salvage import mend
from edge.sections import Web
from edge.slots import Slots
from edge.store import FILE, Store
from edge.web.access import read_token
from tests.test_cli import ROOT
from tests.test_slots import filled, manifest, parameters

NOW = 1_790_000_000.0
SIZE = 3 << 20


def mounted(folder):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "sceneshift-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("NO RIGHT TO MOUNT: what a full disk and one that can only be read do is NOT tested")


@pytest.fixture
def disk(tmp_path):
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    mounted(folder)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk, left=0):
    """Leave so many bytes of a disk."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 4096, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:  # a smaller piece may fit
                continue
        if left:
            file.truncate(max(0, file.tell() - left))


@contextmanager
def read_only(disk):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def act(number):
    behavior = Behavior(NOW + number, f"dev{number % 9}", f"state {number}")
    return Entry(Message("t", b"%d" % number, NOW, mid=number % 60000 + 1), behaviors=(behavior,))


def lived(directory, count):
    with closing(Store.open(directory)) as store:
        for number in range(count):
            store.record([act(number)])
        store.set_fact("scene", "winter")


def test_recording_stops_at_a_full_disk_loses_nothing_and_goes_on(disk):
    store, number = Store.open(disk / "data"), 0
    fill(disk, left=200_000)
    told = ""
    while not told:
        try:
            store.record([act(number)])
            number += 1
        except StoreError as error:
            told = str(error)
    assert "make room" in told
    assert "nothing that was acknowledged is lost" in told
    with pytest.raises(StoreError):
        store.record([act(number)])
    (disk / "filler").unlink()
    for each in range(number, number + 5):
        store.record([act(each)])
    store.close()
    with closing(Store.open(disk / "data")) as again:
        assert [each.control for each in again.behaviors()] == [f"state {each}" for each in range(number + 5)]


def slot(disk):
    return Slots(disk / "data" / "slots").write(manifest("spring"), parameters(2))


def promote(disk):
    Slots(disk / "data" / "slots").promote("0001-winter")


def settings(disk):
    (disk / "s.toml").write_text('[data]\ndirectory = "data"\n')


def export(disk):
    commands.export(disk / "s.toml", disk / "out.jsonl")


def migrate(disk):
    Database.open(disk / "data" / FILE, migrations()).close()


def old(disk):
    shutil.rmtree(disk / "data")
    Database.open(disk / "data" / FILE, {1: migrations()[1]}).close()


def damaged(disk):
    content = bytearray((disk / "data" / FILE).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 600] = bytes(600)
    (disk / "data" / FILE).write_bytes(content)


def kept(disk):
    back_up(disk / "data", disk / "b.tar", NOW)


def nothing(disk):
    """Prepare nothing."""


PHASES = {
    "slot": (slot, nothing),
    "pointer": (promote, nothing),
    "backup": (kept, nothing),
    "restore": (lambda disk: restore(disk / "b.tar", disk / "data", NOW, replace=True), kept),
    "migration": (migrate, old),
    "salvage": (lambda disk: mend(disk / "data", NOW), damaged),
    "token": (lambda disk: read_token(Web(address="0.0.0.0"), disk / "data"), nothing),
    "export": (export, settings),
    "first": (lambda disk: Store.open(disk / "fresh").close(), nothing),
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("refuses", ["full", "read-only"])
def test_a_disk_that_refuses_in_any_phase_is_told_and_what_was_is_whole(disk, phase, refuses):
    do, prepare = PHASES[phase]
    lived(disk / "data", 300)
    filled(disk / "data" / "slots", "winter", "summer")
    prepare(disk)
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file() and path.suffix != ".db-shm"}
    told = []
    lefts = [0, 512, 8192, 40_000] if refuses == "full" else [0]
    for left in lefts:
        if refuses == "full":
            fill(disk, left)
            try:
                do(disk)
            except EdgeError as error:
                told.append(str(error))
            (disk / "filler").unlink()
        else:
            with read_only(disk):
                try:
                    do(disk)
                except EdgeError as error:
                    told.append(str(error))
    assert told or phase == "pointer"
    assert all("room" in each or "full" in each or "mount" in each for each in told), told
    if len(told) == len(lefts):
        after = {path: path.read_bytes() for path in before if path.exists()}
        assert {path for path in before if after.get(path) != before[path]} <= {disk / "data" / "lock"}
    do(disk)  # with room


def test_a_directory_is_locked_on_a_full_disk_and_named_on_one_that_is_read_only(disk):
    (disk / "data").mkdir()
    fill(disk)
    with alone(disk / "data"):
        pass
    (disk / "filler").unlink()
    (disk / "data" / "lock").unlink(missing_ok=True)
    with read_only(disk), pytest.raises(StoreError, match="mount"), alone(disk / "data"):
        pass


def test_a_disk_that_can_only_be_read_is_told_by_each_command(disk):
    lived(disk / "data", 5)
    (disk / "s.toml").write_text(
        '[data]\ndirectory = "data"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n[web]\nenabled = false\n'
    )
    with read_only(disk):
        for words in (["run"], ["alerts"], ["status"]):
            command = [sys.executable, "-m", "edge", *words, "--settings", str(disk / "s.toml")]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
            assert "Traceback" not in done.stderr, words
            assert "mount" in done.stdout + done.stderr, words
            assert done.returncode == (0 if words == ["status"] else 1)
        check = doctor.directory(disk / "data")
        assert (check.ok, f"remount,rw {disk}" in check.mend) == (False, True)


def test_a_limit_of_a_process_is_told_as_a_full_disk_is(tmp_path):
    """What anybody may try, root or not: no file may grow beyond a limit."""
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from tests.test_disk import act; from edge.store import Store; from edge.core.errors import StoreError\n"
        "store = Store.open(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    for number in range(100_000): store.record([act(number)]); print(number, flush=True)\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    *recorded, told = done.stdout.splitlines()
    assert ("full" in told, done.stderr) == (True, "")
    with closing(Store.open(tmp_path)) as store:
        assert store.count() == len(recorded)


def test_an_agent_on_a_full_disk_ends_with_the_mend_and_goes_on_where_it_was(disk, broker):
    (disk / "s.toml").write_text(
        f'[data]\ndirectory = "data"\ncommit_seconds = 0.05\n[broker]\nurl = "{broker.url}"\n[web]\nenabled = false\n'
        '[[sources]]\ndialect = "generic"\ntopic = "home/{device}"\n'
    )
    lived(disk / "data", 3)

    def started():
        command = [sys.executable, "-m", "edge", "run", "--settings", str(disk / "s.toml")]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    sender = Session(broker.address("sender"), lasting=False)
    sender.subscribe(["sceneshift/availability"])
    sender.open()
    assert sender.wait(30)
    agent, number = started(), 0
    while b"online" not in (said := [each.payload for each in sender.take(1, 120)]):
        assert said
    fill(disk, left=30_000)
    while agent.poll() is None:
        body = {"t": NOW + 1000 + 10 * number, "control": f"press {number}"}
        assert sender.publish(f"home/dev{number % 50}", json.dumps(body))
        number += 1
        time.sleep(0.005)
    _, told = agent.communicate(timeout=60)
    assert (agent.returncode, "Traceback" in told) == (1, False)
    assert "room" in told or "full" in told
    again = started()
    assert again.wait(120) == 1  # as long as there is no room
    assert "Traceback" not in again.communicate()[1]
    (disk / "filler").unlink()
    last = started()
    deadline = time.monotonic() + 120
    expected = [f"press {each}" for each in range(number)]
    found = []
    while found != expected and time.monotonic() < deadline:
        assert last.poll() is None, last.communicate()[1]
        time.sleep(0.2)
        with closing(Store.open(disk / "data", read_only=True)) as store:
            found = [each.control for each in store.behaviors() if each.control.startswith("press")]
    last.terminate()
    last.communicate(timeout=60)
    sender.close()
    assert found == expected
