"""The lock of a data directory, between real processes: one holds it, the kernel lets go of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.core.errors import StoreError
from edge.lock import alone

ROOT = Path(__file__).parent.parent
HOLD = (
    "import sys, time; from pathlib import Path; from edge.lock import alone\n"
    "with alone(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)\n"
)


@pytest.fixture
def held(tmp_path):
    """Return a process that holds a directory."""
    child = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "data"], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout.readline() == b"held\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_held_directory_is_refused_with_the_holder_and_the_mend(held, tmp_path):
    with pytest.raises(StoreError, match=rf"process {held.pid}: .*systemctl stop"), alone(tmp_path / "data"):
        pytest.fail("held twice")


def test_a_killed_holder_holds_nothing(held, tmp_path):
    held.send_signal(signal.SIGKILL)
    held.wait()
    with alone(tmp_path / "data"):
        assert (tmp_path / "data" / "lock").read_text() == f"{os.getpid()}\n"


def fail_inside(directory):
    with alone(directory):
        with pytest.raises(StoreError), alone(directory):
            pytest.fail("held twice")
        raise ValueError("inside")


def test_it_is_let_go_of_at_the_end_and_where_something_fails(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"):
            fail_inside(tmp_path)


def test_what_cannot_be_a_directory_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file"), alone(tmp_path / "file"):
        pytest.fail("held a file")


def test_a_second_run_on_the_same_directory_ends_with_1_and_the_mend(tmp_path):
    settings = tmp_path / "s.toml"
    settings.write_text('[data]\ndirectory = "data"\n[web]\nenabled = false\n[broker]\nurl = "mqtt://127.0.0.1:1"\n')
    command = [sys.executable, "-m", "edge", "run", "--settings", settings]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as first:
        lock = tmp_path / "data" / "lock"
        deadline = time.monotonic() + 60
        while not (lock.exists() and lock.read_text()):
            assert first.poll() is None, first.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
        assert second.returncode == 1
        assert f"held by process {first.pid}" in second.stderr
        assert "Traceback" not in second.stderr
        assert first.poll() is None
        first.kill()
    with alone(tmp_path / "data"):
        pass
