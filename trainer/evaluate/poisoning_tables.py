"""The curve of poisoning as a table and as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Figures = Mapping[str, Any]


def show(console: Console, told: Figures) -> None:
    """Print by strategy and share what is live in the end: its recall and that of the model before."""
    table = Table(
        "planted", "of the days", "recall", "before", "fell at most", "FPR", "in whole days", "target", "accepted",
        title="Injected anomalies found by what is live afterwards, on clean days",
    )  # fmt: skip
    for row in told["curve"]:
        figures = (row[key] for key in ("recall", "recall_before", "most_fallen", "fpr", "found", "target", "accepted"))
        table.add_row(
            row["strategy"], f"{row['share']:.0%}", *("-" if each is None else f"{each:.2f}" for each in figures)
        )
    console.print(table)
    word = "held" if told["kept"] else "NOT held"
    console.print(
        f"Up to {told['promised_share']:.0%} of the days recall falls by {told['margin']:g} at most: {word} in "
        f"{sum(each['share'] <= told['promised_share'] for each in told['lives'])} lives."
    )


def draw(told: Figures, path: Path) -> None:
    """Draw recall against the share of poisoned days, a line a strategy; below, of each target."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # a second to import

    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for strategy in dict.fromkeys(row["strategy"] for row in told["curve"]):
        rows = [row for row in told["curve"] if row["strategy"] == strategy]
        shares = [100 * row["share"] for row in rows]
        left.plot(shares, [row["recall"] for row in rows], ".-", label=strategy)
        aimed = [row for row in rows if row["target"] is not None]
        if aimed:
            right.plot([100 * row["share"] for row in aimed], [row["target"] for row in aimed], ".-", label=strategy)
    if told["curve"]:
        left.axhline(told["curve"][0]["recall_before"], color="gray", linestyle=":", label="the model before")
    left.axvspan(0, 100 * told["promised_share"], alpha=0.1)
    left.set(xlabel="poisoned days, %", ylabel="recall", ylim=(0.0, 1.02), title="Standard anomalies")
    right.set(xlabel="poisoned days, %", title="The anomaly that was rehearsed")
    for axes in (left, right):
        if axes.get_lines():
            axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)
