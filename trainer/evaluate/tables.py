"""Tables on the terminal: one a kind of figure, columns of the benchmark as rows."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from trainer.evaluate.columns import NAMES


def show(console: Console, home: str, scene: str, tables: Mapping[str, Any]) -> None:
    """Print a scene's tables, mean and spread over the seeds."""
    for kind, columns in tables.items():
        names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
        table = Table("column", *names, title=f"{home} {scene}: {kind}")
        order = [*(name for name in NAMES if name in columns), *(name for name in columns if name not in NAMES)]
        for name in order:
            table.add_row(name, *(_cell(columns[name].get(each)) for each in names))
        console.print(table)


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None or figure["mean"] is None:
        return "-"
    spread = f" ±{figure['std']:.3f}" if figure["seeds"] > 1 else ""
    return f"{figure['mean']:.3f}{spread}"
