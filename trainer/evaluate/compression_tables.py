"""What compression is worth, printed and drawn: IoTGen's Figures 2 to 4 as a table and pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trainer.evaluate.compression_homes import EVERYTHING
from trainer.evaluate.tables import cell


def show(console: Console, told: Mapping[str, Any]) -> None:
    """Print every part there is."""
    for home, seeds in told.get("fidelity", {}).items():
        for found in seeds.values():
            _figures(console, f"{home}: estimates against two exact runs", found)
    for home, found in told.get("growth", {}).items():
        _figures(console, f"{home}: seconds by number of sequences", found)
    for home, seeds in told.get("light", {}).items():
        for seed, found in seeds.items():
            _figures(console, f"{home}: the light form against crossfit, seed {seed}", found)
    for home, rules in told.get("selection", {}).items():
        _rules(console, home, rules)
    for part in ("tokens", "synthesis"):
        for home, seeds in told.get(part, {}).items():
            for seed, found in seeds.items():
                flat = {key: each if isinstance(each, dict) else {"value": each} for key, each in found.items()}
                _figures(console, f"{part}: {home}, seed {seed}", flat)


def _figures(console: Console, title: str, rows: Mapping[str, Any]) -> None:
    """Print named rows of named figures."""
    named = {name: row for name, row in rows.items() if isinstance(row, Mapping)}
    columns = list(dict.fromkeys(key for row in named.values() for key in row))
    table = Table("", *columns, title=title)
    for name, row in named.items():
        table.add_row(name, *(f"{row[key]:.3f}" if key in row else "-" for key in columns))
    console.print(table)


def _rules(console: Console, home: str, rules: Mapping[str, Any]) -> None:
    """Print a home's held-out losses, a rule a row and a ratio a column."""
    ratios = [rule for name, rule in rules.items() if name != EVERYTHING]
    if not ratios:
        return
    for kind in ("loss", "variance", "of everything"):
        table = Table("share of tokens", *ratios[0], title=f"{home}: {kind}; {_everything(rules)}")
        for name, rule in rules.items():
            if name != EVERYTHING:
                table.add_row(name, *(cell(each[kind]) for each in rule.values()))
        console.print(table)


def _everything(rules: Mapping[str, Any]) -> str:
    return f"everything {cell(rules[EVERYTHING])} nats a behavior"


def draw(told: Mapping[str, Any], path: Path) -> None:
    """Draw loss and its variance by share of tokens, a picture a home, and what each estimate costs and is worth."""
    for home, rules in told.get("selection", {}).items():
        _draw_rules(home, rules, path.with_name(f"{path.stem}-{home.replace(':', '-')}.png"))
    for home, seeds in told.get("fidelity", {}).items():
        for found in seeds.values():
            _draw_fidelity(home, found, path.with_name(f"{path.stem}-fidelity.png"))


def _draw_rules(home: str, rules: Mapping[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415  # a second to import

    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    for axes, kind in zip(figure.subplots(1, 2), ("loss", "variance"), strict=True):
        for name, rule in rules.items():
            if name == EVERYTHING:
                continue
            ratios = [100 * float(ratio) for ratio in rule]
            told = [each[kind] for each in rule.values()]
            axes.errorbar(ratios, [each["mean"] for each in told], [each["std"] for each in told], label=name,
                          marker=".", capsize=2)  # fmt: skip
        if kind == "loss":
            axes.axhline(rules[EVERYTHING]["mean"], color="gray", linestyle="--", label=EVERYTHING)
        axes.set(xscale="log", yscale="log", xlabel="% of the tokens kept", ylabel=f"{kind} of held-out sequences",
                 title=f"{home}: {kind}")  # fmt: skip
        axes.legend()
    figure.savefig(path, dpi=120)


def _draw_fidelity(home: str, found: Mapping[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415  # a second to import

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, each in found.items():
        if isinstance(each, Mapping) and "seconds" in each and "spearman" in each:
            axes.plot(each["seconds"], each["spearman"], "o")
            axes.annotate(name, (each["seconds"], each["spearman"]), textcoords="offset points", xytext=(5, -10))
    axes.set(xscale="log", xlabel="seconds of one processor", ylabel="Spearman with an exact run",
             title=f"{home}: estimates of importance")  # fmt: skip
    figure.savefig(path, dpi=120)
