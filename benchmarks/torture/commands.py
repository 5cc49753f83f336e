"""Kills of commands that change a whole record: on a copy of the home's, which the command, done again, must finish."""

import json
import shutil
from collections import Counter
from pathlib import Path
from random import Random

from benchmarks.torture.home import PATIENCE, SETTINGS, Home
from benchmarks.torture.points import NONE
from benchmarks.torture.processes import Hub
from edge.core.behaviors import Behavior
from edge.core.errors import EdgeError
from edge.database import Database, migrations
from edge.slots import Slots
from edge.store import FILE, Store

FORGOTTEN = "fan"
PAST = 1200  # behaviors of an import


class Beside:
    """A data directory beside the home's, with settings of its own."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.folder / "beside"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.data = self.folder / "data"
        self._settings = self.folder / "sceneshift.toml"
        self._settings.write_text(SETTINGS.format(port=home.wire.port, data=self.data))

    def run(self, *words: str, point: str = NONE, nth: int = 1, seconds: float = PATIENCE) -> int:
        """Run a command; it is killed when the time is up. Return its exit status."""
        hub = Hub(self.folder, [*words, "--settings", str(self._settings)], point, nth)
        if not hub.wait(seconds):
            hub.kill()
        code = hub.code()
        self.home.findings.wrong("orphans", hub.orphans(), words)
        if code not in {0, -9}:
            self.home.findings.wrong("ended_by_itself", 1, f"{words}: exit {code}: {hub.last_words()}")
        return code

    def check(self, expected: list[Behavior], what: str) -> None:
        """Compare the record with what it must hold, in order."""
        store = Store.open(self.data, read_only=True)
        found = list(store.behaviors())
        store.close()
        missing, more = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
        findings = self.home.findings
        findings.wrong("lost", missing.total(), (what, sorted(each.time for each in missing)[:5]))
        findings.wrong("doubled", more.total(), (what, sorted(each.time for each in more)[:5]))
        findings.wrong("disordered", not missing and not more and found != expected, what)

    def loads(self, what: str) -> None:
        """Look whether a slot loads."""
        try:
            healthy = Slots(self.data / "slots").load_healthy()
            self.home.findings.wrong("slots_unloadable", healthy.reason is not None, (what, healthy.reason))
        except EdgeError as error:
            self.home.findings.wrong("slots_unloadable", 1, (what, error))

    def clean(self, what: str) -> None:
        """Look whether anything is left that nobody clears away."""
        here = [*self.data.glob(".*"), *(self.data / "slots").glob(".*"), *(self.folder / "scratch").iterdir()]
        left = [path.name for path in here]
        self.home.findings.wrong("scratch", len(left), (what, left))


def _copied(home: Home) -> tuple[Beside, list[Behavior]]:
    beside = Beside(home)
    shutil.copytree(home.data, beside.data)
    store = Store.open(beside.data)
    lived = list(store.behaviors())
    store.close()
    return beside, lived


def _killed(beside: Beside, points: dict[str, int], chance: Random, words: tuple[str, ...]) -> bool:
    """Run a command that dies at one of the points, or at any moment; tell whether it did."""
    point = chance.choice([*points, NONE])
    if point == NONE:
        return beside.run(*words, seconds=chance.uniform(0.5, 2)) == -9
    where = f"={beside.data}" if point == "disk" else ""
    return beside.run(*words, point=point + where, nth=chance.randint(1, points[point])) == -9


def importing(home: Home, chance: Random) -> bool:
    """Kill an import; done again it has brought everything, once."""
    beside = Beside(home)
    past = list(home.life[:PAST])
    source = beside.folder / "past.jsonl"
    lines = (json.dumps({"t": each.time, "device": each.device, "control": each.control}) for each in past)
    source.write_text("\n".join(lines) + "\n")
    words = ("import", str(source), "--no-learn")
    killed = _killed(beside, {"commit": 8, "page kept": 3}, chance, words)
    beside.run(*words)
    beside.check(past, "import")
    return killed


def forgetting(home: Home, chance: Random) -> bool:
    """Kill a forgetting; done again it is forgotten, and nothing else is."""
    beside, lived = _copied(home)
    words = ("forget", "--device", FORGOTTEN, "--yes", "--no-learn", "--keep-models")
    killed = _killed(beside, {"disk": 3, "commit": 1, "committed": 1}, chance, words)
    if any(each.device == FORGOTTEN for each in _stored(beside)):
        beside.run(*words)
    beside.check([each for each in lived if each.device != FORGOTTEN], "forget")
    home.findings.wrong("ended_by_itself", any(each.device == FORGOTTEN for each in _stored(beside)), "not forgotten")
    beside.loads("forget")
    return killed


def restoring(home: Home, chance: Random) -> bool:
    """Kill a restoring: the record is there at every moment; done again, all that the backup holds is."""
    beside, lived = _copied(home)
    backup = beside.folder / "home.tar"
    beside.run("backup", str(backup))
    words = ("restore", str(backup), "--replace")
    killed = _killed(beside, {"disk": 30}, chance, words)
    beside.check(lived, "restore, killed")
    beside.run(*words)
    beside.check(lived, "restore")
    beside.loads("restore")
    beside.clean("restore")
    return killed


def backing_up(home: Home, chance: Random) -> bool:
    """Kill a backup: there is none, or a whole one; and none of it stays behind the next."""
    beside, lived = _copied(home)
    folder = beside.folder / "backups"
    folder.mkdir()
    words = ("backup", str(folder / "home.tar"))
    killed = _killed(beside, {"disk": 6}, chance, words)
    if (folder / "home.tar").exists():
        beside.run("restore", str(folder / "home.tar"), "--replace")
        beside.check(lived, "backup, killed")
    beside.run(*words)
    left = [path.name for path in folder.iterdir() if path.name != "home.tar"]
    home.findings.wrong("scratch", len(left), ("backup", left))
    return killed


def migrating(home: Home, chance: Random) -> bool:
    """Kill the agent while it brings a record of the first version up to date; the next start ends that."""
    beside = Beside(home)
    beside.data.mkdir()
    past = list(home.life[:PAST])
    _first_version(beside.data / FILE, past)
    (beside.folder / "nothing").touch()
    words = (
        "import",
        str(beside.folder / "nothing"),
        "--format",
        "jsonl",
        "--no-learn",
    )  # whatever opens the record brings it up to date
    killed = beside.run(*words, point="migration", nth=chance.randint(1, 8)) == -9
    beside.run(*words)
    beside.check(past, "migration")
    return killed


def _first_version(path: Path, past: list[Behavior]) -> None:
    database = Database.open(path, {1: migrations()[1]})
    with database.transaction():
        pairs: dict[tuple[str, str], int] = {}
        for each in past:
            database.write("INSERT OR IGNORE INTO devices VALUES (?, ?, '')", each.device, each.device)
            pair = (each.device, each.control)
            if pair not in pairs:
                pairs[pair] = database.write("INSERT INTO pairs (device, control) VALUES (?, ?)", *pair)
            database.write("INSERT INTO behaviors (time, pair) VALUES (?, ?)", each.time, pairs[pair])
    database.close()


def _stored(beside: Beside) -> list[Behavior]:
    store = Store.open(beside.data, read_only=True)
    try:
        return list(store.behaviors())
    finally:
        store.close()
