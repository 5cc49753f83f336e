"""The processes of a home: its broker, and the hub's own commands, started, killed and looked after."""

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.torture.points import NONE, run

FORKS = multiprocessing.get_context("forkserver")
COMMANDS = ("backup", "catchup", "cli", "forget", "importers", "importing", "restore", "web.server")
FORKS.set_forkserver_preload(["benchmarks.torture.points", "edge.agent", *(f"edge.{name}" for name in COMMANDS)])

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
    """One run of a command of the hub, with a fault point in it or none: a process of its own.

    It is forked from a server that has imported the hub's modules: a start costs a tenth, and nothing else is shared.
    """

    def __init__(self, folder: Path, command: list[str], point: str = NONE, nth: int = 1) -> None:
        self._log = folder / "hub.log"
        scratch = folder / "scratch"
        scratch.mkdir(exist_ok=True)
        self._log.write_bytes(b"")
        self._children: set[int] = set()
        self.started = time.monotonic()
        self._process = FORKS.Process(target=run, args=(point, nth, command, self._log, scratch))
        self._process.start()

    @property
    def ended(self) -> bool:
        """Tell whether it has ended, however."""
        return self._process.exitcode is not None

    def code(self) -> int:
        """Wait for its end; return its exit status, a signal's number below 0."""
        self._process.join(GOODBYE)
        assert self._process.exitcode is not None, "it goes on"
        return self._process.exitcode

    def wait(self, seconds: float) -> bool:
        """Wait for its end; tell whether it came."""
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            self.look()
            time.sleep(0.02)
        return self.ended

    def look(self) -> dict[int, str]:
        """Return its children now, by process id, with their command lines."""
        found = children(self._process.pid or 0)
        self._children |= set(found)
        return found

    def kill(self) -> None:
        """Kill it by SIGKILL; its children are nobody's then."""
        self.look()
        self._process.kill()
        self._process.join()

    def stop(self) -> int:
        """Ask it to end; return its exit status, that of a kill where it does not."""
        self._process.terminate()
        if not self.wait(GOODBYE):
            self.kill()
        return self.code()

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
