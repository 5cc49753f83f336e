"""`python -m benchmarks.overload`: too much of everything, against the real agent: what it costs, and what is shed.

Every scenario has an agent of its own, on a copy of one home that has learned. What is said of time is seen from
outside: from publishing a message until its behavior is heard with its score.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.overload.home import Client, Home, learned, opened, quantile
from benchmarks.overload.scenarios import SCENARIOS, Life, Load, Scenario
from benchmarks.overload.valve import Valve
from edge.core.behaviors import Behavior
from edge.demo.recorded import open_home
from edge.slots import shipped

CALM, PACE = 60, 10.0  # messages that say what is normal, and how many a second
PROBE = 0.5  # seconds between two probes while a home is loaded
LOST = 60.0  # seconds after which a probe does not come any more
WEEK = 7 * 86400.0


class Prober:
    """Sends an act of the home now and then, beside the load."""

    def __init__(self, home: Home, life: Life) -> None:
        self._home = home
        self._life = life
        self._client = Client(home.broker.port, "prober", hears=False)
        self._stop = threading.Event()
        self._keys: list[tuple[str, float]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> list[tuple[str, float]]:
        """End it; return what was sent."""
        self._stop.set()
        self._thread.join()
        return self._keys

    def recovers(self, normal: float, since: float) -> float:
        """Return seconds from `since` until an act was sent that was told within `normal` seconds."""
        while True:
            began = time.monotonic()
            key = self._send()
            while key not in self._home.client.told and time.monotonic() - began < LOST:
                time.sleep(0.01)
            if self._home.client.told.get(key, float("inf")) - began <= normal:
                return began - since

    def _send(self) -> tuple[str, float]:
        (letter,) = self._life.acts(1)
        assert letter.key is not None
        self._home.client.sent[letter.key] = time.monotonic()
        self._client.send([letter])
        return letter.key

    def _run(self) -> None:
        while not self._stop.wait(PROBE):
            self._keys.append(self._send())


def measured(scenario: Scenario, folder: Path, data: Path, lived: list[Behavior], scale: float) -> dict[str, Any]:
    """Load a home; return the figures."""
    copy = folder / "data"
    shutil.copytree(data, copy)
    count = max(1, round(scenario.count * scale))
    with opened(folder, copy, scenario.sources) as home:
        life = Life(lived)
        valve = Valve(home.broker.port) if scenario.through_valve else None
        if valve is not None:
            home.valve = valve
            home.point_at(valve.port, scenario.sources)
        try:
            return _loaded(scenario, home, life, count)
        finally:
            if valve is not None:
                home.stop()
                valve.close()


def _loaded(scenario: Scenario, home: Home, life: Life, count: int) -> dict[str, Any]:
    sent = scenario.before(home, count) if scenario.before else 0
    stored, aside = home.recorded()
    began = time.monotonic()
    home.start(**_environment(scenario, home.folder))
    calm = life.acts(CALM)
    if scenario.before is None:
        home.client.send(calm, pace=PACE)
        home.settle()
    normal = home.client.latencies(letter.key for letter in calm if letter.key)
    if scenario.before is None:
        stored, aside = home.recorded()
    idle, used = home.memory("VmRSS"), home.processor()
    home.forget_peak()
    prober = Prober(home, life)
    load: Load = scenario.run(home, life, count)
    end = began if scenario.before else time.monotonic()
    probes = prober.end()
    limit = max(0.5, 2 * (max(normal) if normal else 0.5))
    recovery = prober.recovers(limit, end)
    used = home.processor() - used
    home.settle()
    peak, status = home.memory("VmHWM"), home.client.status
    keys = [letter.key for letter in load.letters if letter.key] or probes
    took = home.client.latencies(keys)
    home.stop()
    now, left = home.recorded()
    return {
        "scenario": scenario.name,
        "sent": sent + load.sent,
        "stored": now - stored,
        "probes": len(probes),
        "set_aside": dict(sorted((Counter(left) - Counter(aside)).items())),
        "shed": status.get("shed", {}),
        "answers": dict(home.client.answers),
        "alerts": len(home.client.alerts),
        "idle_mb": round(idle, 1),
        "peak_above_idle_mb": round(peak - idle, 1),
        "calm_ms": {"p50": quantile(normal, 0.5), "p99": quantile(normal, 0.99)},
        "told_ms": {"of": "all" if load.letters else "probes", "p50": quantile(took, 0.5), "p99": quantile(took, 0.99)},
        "recovery_seconds": round(recovery, 2),
        "processor_seconds": round(used, 2),
    }


def _environment(scenario: Scenario, folder: Path) -> dict[str, str]:
    """Return what the agent's process gets; a slow disk is made where one is asked for."""
    found = dict(scenario.environment)
    if found:
        library = folder / "slow_disk.so"
        source = Path(__file__).with_name("slow_disk.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
        found["LD_PRELOAD"] = str(library)
    return found


def overload(names: list[str], scale: float, console: Console, file: Path | None = None) -> dict[str, Any]:
    """Run the scenarios named, all where none is; return the report, which is in a file after each of them."""
    recorded = open_home(shipped("demo-home"), None)
    weeks = (time.time() - recorded.source[-1].time - WEEK) // WEEK * WEEK
    lived = [Behavior(each.time + weeks, each.device, each.control) for each in recorded.source]
    chosen = [each for each in SCENARIOS if not names or each.name in names]
    found: dict[str, Any] = {"cores": os.cpu_count(), "load_at_start": os.getloadavg()[0], "scenarios": []}
    with tempfile.TemporaryDirectory(prefix="overload-") as name:
        console.print("learning a home", style="dim")
        data = learned(Path(name) / "learned", lived)
        for number, scenario in enumerate(chosen):
            console.print(f"{number + 1} of {len(chosen)}: {scenario.name}", style="dim")
            try:
                row = measured(scenario, Path(name) / str(number), data, lived, scale)
            except KeyboardInterrupt:
                break
            found["scenarios"].append({**row, "load": round(os.getloadavg()[0], 1)})
            console.print(json.dumps(found["scenarios"][-1]), style="dim")
            if file is not None:
                file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def table(found: dict[str, Any]) -> Table:
    """Return the report as a table."""
    out = Table("scenario", "sent", "stored", "set aside, shed", "peak MB", "p50 ms", "p99 ms", "recovery s", "CPU s")
    for row in found["scenarios"]:
        shed = ", ".join(f"{what} {n}" for what, n in {**row["set_aside"], **row["shed"]}.items())
        told = row["told_ms"]
        figures = (
            row["peak_above_idle_mb"],
            told["p50"],
            told["p99"],
            row["recovery_seconds"],
            row["processor_seconds"],
        )
        out.add_row(row["scenario"], str(row["sent"]), str(row["stored"]), shed, *map(str, figures))
    return out


def main() -> None:
    """Run it, show the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="of the counts")
    parser.add_argument("scenario", nargs="*", help="names; all by default")
    told = parser.parse_args()
    console = Console(stderr=True)
    Console().print(table(overload(told.scenario, told.scale, console, told.json)))


if __name__ == "__main__":
    main()
