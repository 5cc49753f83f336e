"""What a day writes: bytes that reach the disk for behaviors that come one at a time, for signs of life, for a night.

`python -m benchmarks.long_life_day --json FILE`: the real agent on a real broker, with what else a home says between
its behaviors, scores and alerts; a night is one learning on what was lived that changes the model. Bytes are the
kernel's (`write_bytes` of /proc/self/io, in whole pages, those of ended children among them), not the file system's.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.long_life import A_DAY, EVERY, ROOT, Life, running
from edge.agent import BEAT
from edge.requests import Request

DAY = 86400.0
LEARNED = 40_000  # events lived before


def written() -> int:
    """Return the bytes this process and its ended children have written."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


def settled(life: Life) -> int:
    """Wait until nothing is under way and all is in its place; return what was written until then."""
    while life.agent.jobs.status()["busy"]:
        time.sleep(0.1)
    life.agent.store.flush()
    return written()


def day(folder: Path, behaviors: int) -> dict[str, Any]:
    """Return the megabytes of a day of so many behaviors, by what writes them."""
    with running(folder, 0) as life:
        for _ in range(4):
            life.send(LEARNED // 4)
        life.ask(Request("learn"))
        began = settled(life)
        for _ in range(behaviors):
            life.send(EVERY)
        lived = settled(life)
        for number in range(round(DAY / BEAT)):
            life.agent.store.set_fact("heartbeat", {"time": number, **life.agent.status()})
        alive = settled(life)
        life.ask(Request("learn"))
        learned = settled(life)
        outcome = dict(life.outcomes)
    parts = {"behaviors": lived - began, "signs_of_life": alive - lived, "night": learned - alive}
    told = {name: round(count / 1e6, 3) for name, count in parts.items()}
    return {"behaviors_lived": behaviors, "megabytes": told | {"day": round(sum(told.values()), 3)}, "learned": outcome}


def main() -> None:
    """Run, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--behaviors", type=int, default=2 * A_DAY)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/long_life_day.json", help="where they go")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report = day(Path(name), asked.behaviors)
    asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
