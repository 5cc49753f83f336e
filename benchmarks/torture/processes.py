"""The processes of a home: its broker, and the hub's own commands, started, killed and looked after."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.torture.points import NONE

ROOT = Path(__file__).parents[2]
GOODBYE = 120.0  # seconds a process may take to end that was asked to
ORPHAN = 10.0  # seconds a child may outlive its parent


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mosquitto() -> str | None:
    """Return where mosquitto is, None where it is missing."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class Broker:
    """A mosquitto with persistence and no limit to what it queues, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 5\nmax_queued_messages 0\nmax_queued_bytes 0\n"
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = mosquitto()
        assert program is not None
        with (self._folder / "log").open("ab") as log:
            command = [program, "-c", str(self._folder / "mosquitto.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + GOODBYE
        while not _listens(self.port):
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)

    def stop(self, *, kill: bool = False) -> None:
        """End it: asked to, it saves all it holds; killed, it knows what it saved last."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self._process.wait(GOODBYE)
            self._process = None


class Hub:
    """One run of a command of the hub, with a fault point in it or none."""

    def __init__(self, folder: Path, command: list[str], point: str = NONE, nth: int = 1) -> None:
        self._log = folder / "hub.log"
        scratch = folder / "scratch"
        scratch.mkdir(exist_ok=True)
        here = {"TMPDIR": str(scratch), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with self._log.open("wb") as log:
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.torture.points", point, str(nth), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, **here},
            )  # fmt: skip
        self._children: set[int] = set()

    @property
    def ended(self) -> bool:
        """Tell whether it has ended, however."""
        return self.process.poll() is not None

    def wait(self, seconds: float) -> bool:
        """Wait for its end; tell whether it came."""
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            self.look()
            time.sleep(0.02)
        return self.ended

    def look(self) -> dict[int, str]:
        """Return its children now, by process id, with their command lines."""
        found = children(self.process.pid)
        self._children |= set(found)
        return found

    def kill(self) -> None:
        """Kill it by SIGKILL; its children are nobody's then."""
        self.look()
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end; return its exit status, that of a kill where it does not."""
        self.process.terminate()
        if not self.wait(GOODBYE):
            self.kill()
        return self.process.wait()

    def orphans(self) -> int:
        """Return how many of its children go on ORPHAN seconds after its end; they are ended then."""
        deadline = time.monotonic() + ORPHAN
        while left := {pid for pid in self._children if command_line(pid)}:
            if time.monotonic() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                return len(left)
            time.sleep(0.02)
        return 0

    def last_words(self) -> str:
        """Return the end of what it said."""
        return self._log.read_text(errors="replace")[-2000:]


def children(parent: int) -> dict[int, str]:
    """Return the children of a process, by process id, with their command lines."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            found |= {int(pid): command_line(int(pid)) for pid in task.read_text().split()}
    return found


def command_line(pid: int) -> str:
    """Return a process's command line, "" where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
