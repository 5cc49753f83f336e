"""When a cluster is worth it: what starting it costs, what a piece costs besides its work, and homes done both ways.

    python -m benchmarks.bench_cluster [--homes 1,2,4,8] [--weeks 1] [--cluster local] [--json FILE]

A run of n homes of m minutes takes n·m here, and start + n·m / cores + n·piece on a cluster whose cores are free.
"""

import argparse
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trainer.cluster import HERE, Tell, Where, run
from trainer.evaluate import alarms

EMPTY = 200  # pieces without work


def nothing(item: Any, _tell: Tell) -> Any:
    """Do no work."""
    return item


def quiet(*_: object) -> None:
    """Hear of no progress."""


def timed(function: Any, items: list[Any], where: Where) -> tuple[float, list[Any]]:
    """Return wall seconds and the results."""
    begun = time.perf_counter()
    found = run(function, items, where, quiet)
    return time.perf_counter() - begun, found


def measured(homes: list[int], weeks: int, cluster: str) -> dict[str, Any]:
    """Return the figures; seconds."""
    where = Where(cluster)
    timed(nothing, [0], where)  # files are in memory from here on
    start, _ = timed(nothing, [0], where)
    many, _ = timed(nothing, list(range(EMPTY)), where)
    wanted = asdict(alarms.Wanted(homes=1, weeks=weeks, history=14, steps=50, settings=(1.0,)))
    rows = []
    for count in homes:
        items = [{"number": number, "wanted": wanted} for number in range(count)]
        here, mine = timed(alarms.home, items, HERE)
        there, theirs = timed(alarms.home, items, where)
        rows.append({"homes": count, "here": here, "cluster": there, "identical": mine == theirs})
    return {
        "cores": os.cpu_count(), "load": os.getloadavg()[0], "start": start, "piece": max(0.0, many - start) / EMPTY,
        "weeks": weeks, "rows": rows,
    }  # fmt: skip


def show(told: dict[str, Any]) -> None:
    """Print them."""
    console = Console()
    console.print(f"start {told['start']:.1f} s, a piece {told['piece'] * 1e3:.1f} ms, {told['cores']} cores, "
                  f"load {told['load']:.1f}")  # fmt: skip
    table = Table("homes", "here, s", "cluster, s", "times faster", "identical")
    for row in told["rows"]:
        table.add_row(str(row["homes"]), f"{row['here']:.1f}", f"{row['cluster']:.1f}",
                      f"{row['here'] / row['cluster']:.2f}", str(row["identical"]))  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", default="1,2,4,8")
    parser.add_argument("--weeks", type=int, default=1)
    parser.add_argument("--cluster", default="local")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = measured([int(each) for each in given.homes.split(",")], given.weeks, given.cluster)
    show(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
