"""`make torture`: a home is killed again and again, at any moment and at the worst; then what it kept is counted.

    python -m benchmarks.torture --kills 1000 --seed 0 --json benchmarks/torture.json

Two homes run side by side, each with a mosquitto of its own; a home ends after HOME kills and another begins, so that
beginnings and endings are many, too. Ctrl-C ends it with the report so far.
"""

import argparse
import json
import platform
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence as Items
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from random import Random

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.torture import commands
from benchmarks.torture.home import Findings, Home
from benchmarks.torture.kills import (
    ADAPT,
    GENERATE,
    LEARN,
    RETRAIN,
    Kind,
    at_point,
    at_random,
    at_work,
    broker_dies,
    network_fails,
)  # fmt: skip
from benchmarks.torture.living import life
from benchmarks.torture.processes import mosquitto
from edge.core.errors import EdgeError
from edge.slots import Slots

HOME = 60  # kills of one home, at most
TELL = 30.0  # seconds between two lines of progress, where nobody sees a bar
LIFE = 12_000  # behaviors of a life, more than a home lives
LEARNED = 420  # behaviors from which its first model is learned: about eleven weeks
KINDS = (
    Kind("at any moment", 24, at_random(3.0)),
    Kind("while it starts", 8, at_random(1.2)),
    Kind("before a commit", 6, at_point("commit", 30)),
    Kind("after a commit, before it is acknowledged", 6, at_point("acknowledge", 20)),
    Kind("after it was acknowledged, before it is scored", 6, at_point("acknowledged", 20)),
    Kind("within a batch, between two scores", 4, at_point("score", 40)),
    Kind("between an alert's keeping and its telling", 6, at_point("alert kept", 2)),
    Kind("after an alert's telling", 4, at_point("alert sent", 2)),
    Kind("while a slot is written or pointed to", 6, at_point("disk", 12, LEARN)),
    Kind("between the pointer and the swap", 2, at_point("swap", 1, LEARN)),
    Kind("between the swap and its probation", 2, at_point("probation", 1, LEARN)),
    Kind("between the swap and its scene", 2, at_point("scene", 1, ADAPT)),
    Kind("between the swap and its report", 1, at_point("report", 1, LEARN)),
    Kind("while it retrains", 3, at_work(RETRAIN, LEARN, parent=True)),
    Kind("the retraining child", 2, at_work(RETRAIN, LEARN, parent=False)),
    Kind("while it generates", 3, at_work(GENERATE, ADAPT, parent=True)),
    Kind("the generating child", 2, at_work(GENERATE, ADAPT, parent=False)),
    Kind("with its network failing", 5, network_fails),
    Kind("with its broker killed", 4, broker_dies(kill=True)),
    Kind("with its broker restarted", 2, broker_dies(kill=False)),
    Kind("within a migration", 2, commands.migrating),
    Kind("within an import", 2, commands.importing),
    Kind("within a forgetting", 2, commands.forgetting),
    Kind("within a restoring", 3, commands.restoring),
    Kind("within a backup", 1, commands.backing_up),
)


class Torture:
    """All of a run: homes side by side, and what was found."""

    def __init__(self, kinds: Items[Kind], each: int, seed: int, folder: Path, stop: threading.Event) -> None:
        """Take the kinds of kills in their order, and how many one home lives through; `stop` ends it."""
        self._each = each
        self.findings = Findings()
        self.struck: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()  # seconds
        self.missed: Counter[str] = Counter()  # kills at another moment than was meant
        self.stop = stop
        self._folder = folder
        self._life = life(seed, LIFE)
        self._seed = seed
        self._plan = iter(kinds)
        self._lock = threading.Lock()
        self._homes = 0

    def prepare(self) -> None:
        """Live until a first model is learned: what every home begins with. Raises EdgeError where none is."""
        home = Home(self._folder / "first", self._life, 0, Findings())
        try:
            home.start()
            home.connected(1)
            home.publisher.pace = 2000.0
            home.publisher.start()
            home.until(lambda: len(home.publisher.taken) >= LEARNED)
            home.publisher.close()
            home.until(lambda: len(home.witness.acknowledged) == len(home.publisher.taken))
            home.ask(LEARN)
            if not home.until((home.data / "slots" / "current.json").exists):
                raise EdgeError(f"the first model was not learned: {home.hub and home.hub.last_words()}")
            home.until(lambda: False, 1.0)
            assert home.hub is not None
            home.hub.stop()
            Slots(home.data / "slots").load_healthy()
            shutil.copytree(home.data, self._folder / "learned")
            self._begun = len(home.publisher.taken)
        finally:
            home.close()

    def live(self) -> None:
        """Let homes live and be killed, one after another, until the plan is done."""
        while not self.stop.is_set():
            with self._lock:
                mine = [kind for _, kind in zip(range(self._each), self._plan, strict=False)]
                number = self._homes = self._homes + 1
            if not mine:
                return
            folder = self._folder / f"home-{number}"
            shutil.copytree(self._folder / "learned", folder / "data")
            home = Home(folder, self._life, self._begun, self.findings)
            try:
                home.begin()
                chance = Random(f"{self._seed} {number}")
                for kind in mine:
                    if self.stop.is_set():
                        break
                    self._strike(kind, home, chance)
                home.end()
            finally:
                home.close()

    def _strike(self, kind: Kind, home: Home, chance: Random) -> None:
        if home.hub is not None and not home.hub.ended:
            home.hub.kill()
        home.doing, began = kind.name, time.monotonic()
        struck = kind.strike(home, chance)
        with self._lock:
            self.spent[kind.name] += time.monotonic() - began
            self.struck[kind.name] += 1
            self.missed[kind.name] += not struck

    def report(self, seconds: float) -> dict[str, object]:
        """Return all figures."""
        restarts = self.findings.restarts or [float("nan")]
        found = {key: value for key, value in asdict(self.findings).items() if key not in {"restarts", "words"}}
        return {
            "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
            "kills": self.struck.total(),
            "homes": self._homes,
            "seconds": round(seconds),
            **found,
            "restart_seconds": {
                "median": round(float(np.median(restarts)), 2),
                "p99": round(float(np.quantile(restarts, 0.99)), 2),
            },
            "by_kind": {kind.name: self.struck[kind.name] for kind in KINDS if self.struck[kind.name]},
            "at_another_moment": dict(self.missed.most_common()),
            "spent": {key: round(value / self.struck[key], 1) for key, value in self.spent.most_common()},
            "words": self.findings.words,
        }


def planned(kills: int, seed: int) -> list[Kind]:
    """Return kinds of kills: each once where there is room, then by their shares, in no order."""
    chance = Random(seed)
    plan = [*KINDS, *chance.choices(KINDS, [kind.share for kind in KINDS], k=max(0, kills - len(KINDS)))][:kills]
    chance.shuffle(plan)
    return plan


def torture(
    kinds: Items[Kind], seed: int, stop: threading.Event, *, side_by_side: int = 2, out: Path | None = None
) -> dict[str, object]:
    """Run it; return the report, of all that was done before `stop`. `out` has it as far as it is, always."""
    began = time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory(prefix="torture-") as name, Progress(*columns) as shown:
        each = min(HOME, -(-len(kinds) // side_by_side))
        run = Torture(kinds, each, seed, Path(name), stop)
        run.prepare()
        task = shown.add_task("kills", total=len(kinds))
        with ThreadPoolExecutor(side_by_side) as pool:
            homes = [pool.submit(run.live) for _ in range(side_by_side)]
            told = time.monotonic()
            while not all(home.done() for home in homes):
                time.sleep(0.5)
                shown.update(task, completed=run.struck.total())
                if time.monotonic() - told > TELL:
                    told = time.monotonic()
                    _write(run.report(told - began), out)
                    left = (told - began) * (len(kinds) / max(1, run.struck.total()) - 1) / 60
                    if not shown.console.is_terminal:
                        print(f"{run.struck.total()} of {len(kinds)} kills, {left:.0f} minutes left", flush=True)
        for home in homes:
            home.result()
    found = run.report(time.monotonic() - began)
    _write(found, out)
    return found


def _write(found: dict[str, object], out: Path | None) -> None:
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Run it from the command line; 1 where anything was lost, doubled or broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--homes", type=int, default=2, help="side by side")
    asked = parser.parse_args()
    if mosquitto() is None:
        print("mosquitto is missing: apt-get install mosquitto")
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    plan = planned(asked.kills, asked.seed)
    found = torture(plan, asked.seed, stop, side_by_side=asked.homes, out=asked.json)
    print(json.dumps(found, indent=1))
    return 1 if found["words"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
