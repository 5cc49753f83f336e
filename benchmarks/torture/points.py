"""A command of the hub with a fault point in it.

The Nth time the process comes past the point it kills itself with SIGKILL. Real functions are wrapped in this process
alone: what ships knows nothing of it.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NONE = "-"  # the point of a process that is killed from outside, or not at all
DISK = {"os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}  # audit events of a changed disk


class Countdown:
    """Kills this process at the Nth pass."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def passed(self) -> None:
        """Count a pass."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def before(
    owner: Any, name: str, passed: Callable[[], None], when: Callable[..., bool] = lambda *_, **__: True
) -> None:
    """Pass the point whenever a function is about to run, with arguments that `when` holds of."""
    real = getattr(owner, name)

    def watched(*args: Any, **more: Any) -> Any:
        if when(*args, **more):
            passed()
        return real(*args, **more)

    setattr(owner, name, watched)


def after(owner: Any, name: str, passed: Callable[[], None], when: Callable[..., bool] = lambda *_, **__: True) -> None:
    """Pass the point whenever a function has run."""
    real = getattr(owner, name)

    def watched(*args: Any, **more: Any) -> Any:
        result = real(*args, **more)
        if when(*args, **more):
            passed()
        return result

    setattr(owner, name, watched)


def commit(passed: Callable[[], None], *, done: bool) -> None:
    """Pass where a transaction has written all and is about to commit, or has just committed."""
    from edge.database import Database  # noqa: PLC0415

    real = Database.transaction

    @contextmanager
    def watched(self: Database) -> Iterator[None]:
        with real(self):
            yield
            if not done:
                passed()
        if done:
            passed()

    Database.transaction = watched  # type: ignore[method-assign]


def disk(passed: Callable[[], None], folder: str) -> None:
    """Pass before every step that the disk is asked for below a folder: a rename, a deletion, a wait for it."""
    inside = Path(folder).absolute()

    def ours(path: object) -> bool:
        return isinstance(path, str | os.PathLike) and Path(path).absolute().is_relative_to(inside)

    def heard(event: str, args: tuple[object, ...]) -> None:
        if event in DISK and any(map(ours, args[:2])):
            passed()

    sys.addaudithook(heard)
    before(os, "fsync", passed, lambda handle: ours(Path(f"/proc/self/fd/{handle}").readlink()))


def migration(passed: Callable[[], None]) -> None:
    """Pass before every statement that brings an old file up to date."""
    from edge.database import Database  # noqa: PLC0415

    real, within = Database.run, []

    def run(self: Database, script: str) -> None:
        within.append(script)
        real(self, script)
        passed()
        within.pop()

    Database.run = run  # type: ignore[method-assign]
    before(Database, "write", passed, lambda *_: bool(within))


def install(point: str, passed: Callable[[], None]) -> None:
    """Put a fault point in; raises KeyError for one that is none."""
    import edge.agent  # noqa: PLC0415
    from edge import importing, incumbent, mqtt, probation, scenery, store  # noqa: PLC0415

    within, _, folder = point.partition("=")
    importing.CHUNK = 400  # type: ignore[misc]  # so that a short history is many pages
    points: dict[str, Callable[[], None]] = {
        NONE: lambda: None,
        "commit": lambda: commit(passed, done=False),
        "committed": lambda: commit(passed, done=True),
        "acknowledge": lambda: before(mqtt.Session, "acknowledge", passed, lambda _, messages: bool(messages)),
        "acknowledged": lambda: after(mqtt.Session, "acknowledge", passed, lambda _, messages: bool(messages)),
        "score": lambda: before(store.Store, "add_scores", passed),
        "alert kept": lambda: after(store.Store, "add_alert", passed),
        "alert sent": lambda: after(edge.agent.Agent, "publish", passed, lambda _, topic, *__, **___: topic == "alert"),
        "swap": lambda: before(incumbent.Incumbent, "swap", passed),
        "probation": lambda: before(probation.Probation, "begin", passed),
        "scene": lambda: before(scenery.Scenery, "settle", passed, lambda _, __, now=None: now is not None),
        "report": lambda: before(store.Store, "add_adaptation", passed),
        "page kept": lambda: after(store.Store, "merge", passed),
        "migration": lambda: migration(passed),
        "disk": lambda: disk(passed, folder),
    }
    points[within]()


def run(point: str, nth: int, command: list[str], log: Path, scratch: Path) -> None:
    """Run a command with a fault point in it, in this process; `log`: what it says, `scratch`: its temporary files."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    os.environ.update({"TMPDIR": str(scratch), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    tempfile.tempdir = None  # it is asked for anew
    sys.argv = ["sceneshift", *command]
    install(point, Countdown(nth).passed)
    from edge.__main__ import main  # noqa: PLC0415

    sys.exit(main())
