"""A long life in one process: events and adaptations by the hundred thousand, and what of memory and disk they keep.

`python -m benchmarks.long_life --events 1000000 --adaptations 300 --json FILE`: the real agent in this process, a real
mosquitto, a client in another that plays a home, real children that write and retrain. Most events are what a home
mostly says: states told again, and measurements; one in EVERY is a behavior. Their times are the home's own, so that
nights pass and the record is cleared. Ctrl-C gives the report so far.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.bench_hub import mosquitto
from edge.agent import Agent
from edge.core.events import CLOCK_SET
from edge.core.scenes import Scene
from edge.requests import Request
from edge.sections import Adapt, Broker, Data, Home, Learn, Llm, Model
from edge.settings import Settings
from edge.sources import GenericSource

ROOMS, EVERY = 8, 10
A_DAY = 500  # behaviors
DAY = 86400.0
KEPT = 30.0  # days: then the record is cleared for most of a run
FIRST = 40_000  # events before the first model is learned
WARM = 0.3  # of a run is not looked at for growth: caches fill, and the record comes to its size
ACTS = ("lamp", "plug", "tv", "fan")
SCENES = (
    "winter+daytime+single",
    "winter+night+single",
    "spring+daytime+multiple",
    "summer+night+multiple",
    "autumn+daytime+single",
)
ROOT = Path(__file__).parent.parent


def events(seed: int) -> Iterator[tuple[str, str]]:
    """Yield (topic, payload) of a home that does about the same every day, for ever."""
    rng = random.Random(seed)
    at = CLOCK_SET + DAY
    while True:
        room = rng.randrange(ROOMS)
        what = f"{ACTS[min(int(rng.expovariate(1.0)), len(ACTS) - 1)]}{room}"
        for state in ("ON", "OFF"):
            at += rng.expovariate(A_DAY / (DAY * 17 / 24))
            if at % DAY < DAY * 7 / 24:
                at += DAY * 7 / 24  # nobody is up at night
            yield f"home/{what}", json.dumps({"t": at, "control": f"state {state}"})
            for n in range(EVERY - 1):
                said = {"state": "ON"} if n % 2 else {"temperature": round(rng.gauss(20, 2), 1)}
                yield f"home/sensor{room}", json.dumps({"t": at + n, **said})


def play(url: str, seed: int) -> None:
    """Be the home: so many events more as each line of stdin says, each acknowledged by the broker."""
    host, port = url.removeprefix("mqtt://").split(":")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="home", protocol=paho.MQTTv5)
    client.max_inflight_messages_set(200)
    client.connect(host, int(port))
    client.loop_start()
    coming = events(seed)
    for line in sys.stdin:
        sent = [client.publish(*next(coming), qos=1) for _ in range(int(line))]
        for each in sent:
            each.wait_for_publish(600)
        print("sent", flush=True)
    client.disconnect()
    client.loop_stop()


class Life:
    """One run: the agent, the home beside it, samples, and the processor's seconds of every batch."""

    def __init__(self, agent: Agent, home: "subprocess.Popen[str]", folder: Path) -> None:
        """Listen to the agent's fast loop."""
        self.agent = agent
        self.samples: list[dict[str, float]] = []
        self.outcomes: Counter[str] = Counter()
        self._home = home
        self._folder = folder
        self._began = time.monotonic()
        self._asked = self._taken = self._lived = 0
        self._batches: list[tuple[int, float]] = []  # events so far, ms of the processor for each event of the batch
        self._handle = agent.watch.handle
        agent.watch.handle = self._timed  # type: ignore[method-assign]

    def _timed(self, messages: Any) -> int:
        began = time.thread_time()
        count = self._handle(messages)
        if messages:
            self._taken += len(messages)
            self._lived += count
            self._batches.append((self._taken, (time.thread_time() - began) * 1e3 / len(messages)))
        return count

    def send(self, count: int) -> None:
        """Have the home say so much, and wait until the agent has taken it."""
        assert self._home.stdin is not None
        assert self._home.stdout is not None
        wanted = self._taken + count
        print(count, file=self._home.stdin, flush=True)
        assert self._home.stdout.readline() == "sent\n", "the home has gone"
        deadline = time.monotonic() + 900
        while self._taken < wanted:
            assert time.monotonic() < deadline, f"{wanted - self._taken} events did not arrive"
            time.sleep(0.01)

    def ask(self, request: Request) -> None:
        """Ask for a model, and wait for what becomes of it."""
        answer = self.agent.ask(request).result(900)
        report = answer["data"]
        how = "swapped" if "swap" in report else str(report.get("abandoned") or answer.get("error") or "refused")
        self.outcomes["refused by the gate" if "gate" in report and how != "swapped" else how] += 1
        self._asked += 1

    def sample(self) -> None:
        """Look at the process and at its folder."""
        data = self._folder / "data"
        sizes = {path.relative_to(data).as_posix(): size for path, size in _sizes(data)}
        slots = sum(size for name, size in sizes.items() if name.startswith("slots/"))
        database, log = (sizes.get(name, 0) for name in ("sceneshift.db", "sceneshift.db-wal"))
        self.samples.append(
            {
                "seconds": round(time.monotonic() - self._began, 1),
                "events": self._taken,
                "behaviors": self._lived,
                "adaptations": self._asked,
                "rss_mb": round(_told("/proc/self/status", "VmRSS") / 1024, 2),
                "handles": sum(1 for _ in Path("/proc/self/fd").iterdir()),
                "threads": _told("/proc/self/status", "Threads"),
                "children": len(_children()),
                "rows": self.agent.store.count(),
                "database_mb": round(database / 1e6, 3),
                "log_mb": round(log / 1e6, 3),
                "slots": len(self.agent.jobs.slots.names()),
                "slots_mb": round(slots / 1e6, 3),
                "other_mb": round((sum(sizes.values()) - slots - database - log) / 1e6, 3),
            }
        )

    def report(self) -> dict[str, Any]:
        """Return what was seen, and how it grew after the warm-up."""
        late = [each for each in self.samples if each["events"] >= WARM * self._taken]
        return {
            "events": self._taken,
            "behaviors": self._lived,
            "adaptations": self._asked,
            "outcomes": dict(self.outcomes),
            "seconds": round(time.monotonic() - self._began),
            "load_of_the_machine": round(os.getloadavg()[1], 1),
            "cpu_ms_per_event": {"first_tenth": self._quantiles(0.02, 0.12), "last_tenth": self._quantiles(0.9, 1.0)},
            "after_warm_up": growth(late),
            "samples": self.samples,
        }

    def _quantiles(self, since: float, until: float) -> dict[str, float]:
        """Return what an event of a part of the run cost: of batches, the middle one and the hundredth worst."""
        found = [ms for taken, ms in self._batches if since * self._taken <= taken <= until * self._taken]
        return {"p50": round(float(np.median(found)), 3), "p99": round(float(np.quantile(found, 0.99)), 3)}


def growth(samples: list[dict[str, float]]) -> dict[str, Any]:
    """Return of each figure its least, its most, and its slope per 100,000 events and per 100 adaptations."""
    grown: dict[str, Any] = {}
    for name in list(samples[0])[4:] if len(samples) > 2 else ():
        values = [each[name] for each in samples]
        grown[name] = {"least": min(values), "most": max(values)}
        for of, each in (("events", 1e5), ("adaptations", 100)):
            lived = [sample[of] for sample in samples]
            if len(set(lived)) > 1:
                grown[name][f"slope_per_{each:g}_{of}"] = round(float(np.polyfit(lived, values, 1)[0]) * each, 4)
    return grown


def live(
    count: int, adaptations: int, folder: Path, seed: int = 0, *, first: int = FIRST, out: Path | None = None
) -> dict[str, Any]:
    """Live so many events with so many adaptations between them; return the report, also where Ctrl-C ends it.

    `first`: events before the first model is learned. `out`: where the report is written as it goes.
    """
    with running(folder, seed) as life:
        steps = max(1, adaptations)
        chunk = (count - first) // steps
        columns = (TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, disable=out is None) as progress:
            task = progress.add_task("", total=count)
            try:
                life.send(first)
                life.ask(Request("learn"))
                for number in range(steps):
                    scene = SCENES[number % len(SCENES)]
                    life.send(chunk)
                    # A device that joins makes every scene one that was not lived yet: none is taken from its slot.
                    life.ask(Request("adapt", Scene.parse(f"{scene}+new-device:plug{number % ROOMS}")))
                    life.sample()
                    progress.update(task, completed=life.samples[-1]["events"])
                    if out and number % 10 == 0:
                        print(json.dumps(life.samples[-1]), flush=True)
                        out.write_text(json.dumps(life.report(), indent=1) + "\n", encoding="utf-8")
            except KeyboardInterrupt:
                print("ended early: the report so far")
        return life.report()


@contextmanager
def running(folder: Path, seed: int) -> Iterator[Life]:
    """Run a broker, the home's client, and the agent's loop in a thread of this process."""
    with mosquitto(folder) as url:
        agent = Agent(
            Settings(
                broker=Broker(url=url),
                data=Data(directory=folder / "data", commit_seconds=0.05, keep_days=KEPT),
                sources=(GenericSource(dialect="generic", topic="home/{device}"),),
                home=Home(scene="winter"),
                model=Model(learn_after_days=10_000.0),
                llm=Llm(count=8),
                adapt=Adapt(steps=8, notice=False),
                learn=Learn(nightly=False),
            )
        )
        stop = threading.Event()
        loop = threading.Thread(target=agent.run, args=(stop,))
        loop.start()
        command = [sys.executable, "-m", "benchmarks.long_life", "--play", url, "--seed", str(seed)]
        piped = subprocess.PIPE
        try:
            with subprocess.Popen(command, stdin=piped, stdout=piped, text=True, cwd=ROOT) as home:
                assert agent.session.wait(30)
                yield Life(agent, home, folder)  # the home ends with its stdin
        finally:
            stop.set()
            loop.join()


def _sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield path, path.stat().st_size
        except FileNotFoundError:
            continue  # it was only there for a moment


def _told(path: str, key: str) -> int:
    """Return a number of a file of /proc."""
    lines = Path(path).read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def _children() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found |= set((task / "children").read_text(encoding="ascii").split())
        except FileNotFoundError:
            continue  # a thread that has ended
    return found


def main() -> None:
    """Run, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--adaptations", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/long_life.json", help="where the report goes")
    parser.add_argument("--play", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.play:
        play(asked.play, asked.seed)
        return
    with tempfile.TemporaryDirectory() as name:
        report = live(asked.events, asked.adaptations, Path(name), asked.seed, out=asked.json)
    asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in report.items() if key != "samples"}, indent=1))


if __name__ == "__main__":
    main()
