"""`make bench`: every figure of the README's table, all pairs in one run, into benchmarks/results.json."""

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.progress import track

from benchmarks import bench_detector, bench_hub, bench_llm

RESULTS = Path(__file__).parent / "results.json"
PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "score": bench_detector.score_latency,
    "train_step": bench_detector.train_step,
    "language_model": bench_llm.llm,
    "language_model_needs": bench_llm.table,
    "throughput": bench_hub.throughput,
    "disk": bench_hub.written,
    "start": bench_hub.start,
    "install": bench_hub.installed,
}


def main() -> None:
    """Run every part and write the results."""
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    found: dict[str, Any] = {"machine": machine}
    for name in track(PARTS, description="measuring"):
        found[name] = PARTS[name]()
        print(name, json.dumps(found[name]))
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
