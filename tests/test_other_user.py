"""A data directory of another user: every command says so and whose it is to be run as, none with a traceback."""

import os
import shutil
import subprocess
import sys

import pytest

from edge.core.errors import StoreError
from edge.store import Store, recorded
from tests.test_cli import ROOT, fill

POWERS = "-dac_override,-dac_read_search"  # root without them is any other user
AS_ANYBODY = ["setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}"] if os.geteuid() == 0 else []
COMMANDS = (
    ("alerts",), ("explain", "1"), ("routines",), ("export", "--out", os.devnull), ("backup", "b.tar"),
    ("replay", __file__), ("import", __file__), ("forget", "--all", "--yes"), ("forget", "--device", "x", "--yes"),
    ("restore", __file__), ("run",),
)  # fmt: skip

pytestmark = pytest.mark.skipif(bool(AS_ANYBODY) and shutil.which("setpriv") is None, reason="root may read everything")


@pytest.fixture
def home(tmp_path):
    fill(tmp_path / "data")
    (tmp_path / "s.toml").write_text('[data]\ndirectory = "data"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n')
    yield tmp_path
    (tmp_path / "data").chmod(0o700)


def told(home, *words):
    command = [*AS_ANYBODY, sys.executable, "-m", "edge", *words, "--settings", str(home / "s.toml")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_what_nobody_else_may_look_into_is_said_with_the_mend(home):
    (home / "data").chmod(0)
    for words in COMMANDS:
        done = told(home, *words)
        assert (done.returncode, "Traceback" in done.stderr, "sudo -u" in done.stderr) == (1, False, True), words
    assert "sudo -u" in told(home, "status").stdout


def test_what_may_only_be_read_is_read_where_a_log_lies_beside_it_else_the_mend_is_said(home):
    (home / "data").chmod(0o500)
    (home / "data" / "sceneshift.db").chmod(0o400)
    done = told(home, "alerts")
    assert (done.returncode, "Traceback" in done.stderr, "sudo -u" in done.stderr) == (1, False, True)


def test_a_name_that_no_disk_can_hold_is_an_error_of_ours(tmp_path):
    for directory in (tmp_path / ("x" * 300), tmp_path / "file" / "inside"):
        (tmp_path / "file").touch()
        with pytest.raises(StoreError):
            recorded(directory)
        with pytest.raises(StoreError):
            Store.open(directory, read_only=True)
