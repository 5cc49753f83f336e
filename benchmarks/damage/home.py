"""A home's files as they lie on its disk, and one use of all of them as the agent and its commands make it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from edge.catalog import Models
from edge.compose import language_model
from edge.core.behaviors import Behavior, Entry
from edge.core.calibration import Limits
from edge.core.errors import EdgeError
from edge.core.events import Message
from edge.core.manifest import SlotManifest
from edge.core.verdicts import Alert
from edge.core.vocabulary import Vocabulary
from edge.listing import listed
from edge.report import status_of
from edge.salvage import mend
from edge.settings import load
from edge.slots import Slots, shipped, verify_model
from edge.store import Store

BEGIN = 1_780_000_000.0  # seconds since the epoch
COUNT = 4000  # behaviors
LOGGED = 600  # of them, those that are in the log alone, as a crash leaves them
SCENES = ("winter", "spring", "summer")
_SETTINGS = '[data]\ndirectory = "data"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n[web]\nenabled = false\n'


def lived(number: int) -> Behavior:
    """Return the behavior of a number."""
    return Behavior(BEGIN + 60.0 * number, f"device {number % 25}", f"state {number % 4}")


def build(folder: Path) -> None:
    """Write a home whole: its record with a log left by a crash, slots, an installed model, settings."""
    folder.mkdir(parents=True)
    (folder / "sceneshift.toml").write_text(_SETTINGS, encoding="utf-8")
    data = folder / "data"
    slots = Slots(data / "slots")
    vocabulary = Vocabulary().grown([("device 1", "state 1")])
    for number, scene in enumerate(SCENES):
        made = SlotManifest(
            scene=scene, created=BEGIN, model="detector", model_version=2, vocabulary=vocabulary,
            limits=Limits(7.5, 3.5, 4.5, 0.01, 10), origin="learned", steps=1, seconds=0.1,
        )  # fmt: skip
        slots.promote(slots.write(made, np.full(4096, number, np.float32)))
    installed = data / "models" / "detector" / shipped("detector").name
    shutil.copytree(shipped("detector"), installed)
    (data / "models" / "current.json").write_text(Models.beside(data).choosing({"detector": int(installed.name)}))
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.damage.home", str(data)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout as told:
        told.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def _write(data: Path) -> None:
    """Record a life; the last of it stays in the log, for this process is killed."""
    store = Store.open(data)
    for first in range(0, COUNT - LOGGED, 200):
        _record(store, range(first, min(first + 200, COUNT - LOGGED)))
    for number in range(20):
        store.add_alert(Alert(BEGIN + number, number + 1, 2.0, 1.0, f"odd {number}"))
    store.set_fact("scene", "winter")
    store.add_adaptation(BEGIN, "winter", {"swap": {"from": None, "to": "0001-winter"}})
    store.close()
    store = Store.open(data)
    for first in range(COUNT - LOGGED, COUNT, 20):
        _record(store, range(first, first + 20))
    sys.stdout.write("written\n")
    sys.stdout.flush()
    time.sleep(600)


def _record(store: Store, numbers: range) -> None:
    store.record(
        [
            Entry(Message("t", b"%d" % number, BEGIN, mid=number % 60_000 + 1), behaviors=(lived(number),))
            for number in numbers
        ]
    )


@contextmanager
def copied(whole: Path, to: Path) -> Iterator[Path]:
    """Yield a copy of a home, gone afterwards."""
    shutil.copytree(whole, to)
    try:
        yield to
    finally:
        shutil.rmtree(to)


def use(home: Path) -> dict[str, object]:
    """Use every file of a home; return what was told of what is wrong, the slot that scores and the behaviors by row.

    Raises what the code raises that is no EdgeError.
    """
    told: list[str] = []
    found: dict[str, object] = {"told": told, "slot": "", "values": None, "rows": {}, "salvaged": False}
    try:
        settings = load(home / "sceneshift.toml")
    except EdgeError as error:
        return found | {"told": [str(error)]}
    data = home / "data"
    try:
        salvaged = mend(data, BEGIN)
        if salvaged is not None:
            told.append(salvaged.told)
            found["salvaged"] = True
        with closing(Store.open(data)) as store:
            found["rows"] = dict(store.behaviors_with_ids())
            store.states(), store.devices(), store.pairs(), store.alerts(), store.adaptations(), store.counters()
            store.record([Entry(Message("t", b"new", BEGIN), behaviors=(Behavior(BEGIN, "new", "state 9"),))])
    except EdgeError as error:
        told.append(str(error))
    try:
        healthy = Slots(data / "slots").load_healthy()
        found["slot"], found["values"] = healthy.name, set(healthy.parameters.tolist())
        told += [healthy.reason] if healthy.reason else []
    except EdgeError as error:
        told.append(str(error))
    for look in (
        lambda: verify_model(Models.beside(data).used("detector")),
        lambda: language_model(Models.beside(data)),
        lambda: status_of(settings),
        lambda: listed(settings, "7d", every=True),
    ):
        try:
            look()
        except EdgeError as error:
            told.append(str(error))
    return found


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
