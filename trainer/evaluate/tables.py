"""Tables on the terminal: one a kind of figure, the benchmark's columns side by side."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from trainer.evaluate.columns import NAMES


def show(console: Console, home: str, scene: str, tables: Mapping[str, Any]) -> None:
    """Print a scene's tables, mean and spread over the seeds."""
    for kind, columns in tables.items():
        names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
        order = [*(name for name in NAMES if name in columns), *(name for name in columns if name not in NAMES)]
        table = Table("", *order, title=f"{home} {scene}: {kind}")
        for each in names:
            table.add_row(each, *(cell(columns[name].get(each)) for name in order))
        console.print(table)


def cell(figure: Mapping[str, Any] | None) -> str:
    """Return a figure as a table shows it: its mean, and its spread where there are several runs."""
    if figure is None or figure["mean"] is None:
        return "-"
    spread = f" ±{figure['std']:.3f}" if figure["seeds"] > 1 else ""
    return f"{figure['mean']:.3f}{spread}"
