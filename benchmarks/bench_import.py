"""How long a year of history takes to come in and to be learned: Home Assistant's recorder, by the command itself.

    python -m benchmarks.bench_import [--days 365] [--sensors 40] [--seed 1] [--json FILE]

A simulated lively home is written as a recorder of the present schema, with so many rows of sensors for every behavior;
`sceneshift import` reads it without learning, and, into another record, learns at once.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console

from tests.recorders import sqlite
from trainer.homes import timeline

SENSORS = 80  # different ones
FLUSH = 20_000  # rows in one transaction of the recorder
_CLASSES = {"motion": ("detected", "motion"), "contact": ("open", "door")}
_SETTINGS = """
[data]
directory = "{name}"
[[sources]]
dialect = "statestream"
"""


def entity(device: str, control: str) -> tuple[str, str, dict[str, str]]:
    """Return what a behavior is in Home Assistant: entity id, state, attributes."""
    slug = re.sub(r"[^a-z0-9]+", "_", device.lower()).strip("_")
    prop, _, value = control.partition(" ")
    if prop in _CLASSES:
        on, kind = _CLASSES[prop]
        return f"binary_sensor.{slug}", "on" if value == on else "off", {"device_class": kind}
    if prop == "state":
        return f"{'light' if 'lamp' in slug or 'light' in slug else 'switch'}.{slug}", value.lower(), {}
    return f"input_select.{slug}", control, {}


def recorded(path: Path, days: int, sensors: int, seed: int) -> dict[str, int]:
    """Write a home's recorder; return its rows and behaviors."""
    rng = np.random.default_rng(seed)
    recorder = sqlite(path)
    rows = lived = waiting = 0
    for each in timeline.behaviors(timeline.Wanted(seed, days)):
        name, state, attributes = entity(each.device, each.control)
        recorder.state(each.time, name, state, {**attributes, "friendly_name": each.device})
        for place, value in enumerate(rng.uniform(0, 30, sensors)):
            recorder.state(each.time + place / 100, f"sensor.s{rng.integers(SENSORS)}", f"{value:.2f}", {"unit": "W"})
        lived, rows, waiting = lived + 1, rows + 1 + sensors, waiting + 1 + sensors
        if waiting >= FLUSH:
            recorder.flush()
            waiting = 0
    recorder.flush()
    return {"rows": rows, "behaviors_lived": lived, "bytes": path.stat().st_size}


def timed(database: Path, name: str, *more: str) -> dict[str, float]:
    """Run the command on a new record; return wall and CPU seconds, and the peak of its memory in MB."""
    settings = database.with_name(f"{name}.toml")
    settings.write_text(_SETTINGS.format(name=name), encoding="utf-8")
    command = [sys.executable, "-m", "edge", "import", str(database), "--settings", str(settings), *more]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(after.ru_utime - before.ru_utime, 1),
        "peak_mb": round(after.ru_maxrss / 1024),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for key, default in (("days", 365), ("sensors", 40), ("seed", 1)):
        parser.add_argument(f"--{key}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    console = Console()
    with TemporaryDirectory(prefix="sceneshift-import-") as folder:
        database = Path(folder) / "home-assistant_v2.db"
        told: dict[str, Any] = {"load": os.getloadavg()[0]}
        with console.status("a home is lived"):
            told |= recorded(database, asked.days, asked.sensors, asked.seed)
        with console.status("it is imported"):
            told["imported"] = timed(database, "read", "--no-learn")
        with console.status("it is imported and learned"):
            told["learned"] = timed(database, "learned")
    console.print_json(data=told)
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
