"""One run of the table of attacks: from what was asked to progress, tables and the file, from which it goes on."""

import json
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from edge.core.errors import SettingsError
from trainer.evaluate.attack_sets import AttackSet, read
from trainer.evaluate.attacks import LEVELS, NAMES, given_to, merged, run
from trainer.evaluate.tables import cell
from trainer.peers.catalog import NETWORKS

# Seconds of one run on one thread, for two thousand windows: how much of the bar a run is.
COSTS = {"ours": 60, "gru_autoencoder": 60, "lstm_attention": 40, "sasrec": 60, "transformer_autoencoder": 600}
COSTS |= {"smartguard": 1000}
LITTLE = 2  # of every other


@dataclass(frozen=True)
class Wanted:
    """What was asked on the command line. `only`: names of models, all by default; `epochs`: by name of a network."""

    data: Path
    home: str
    json: Path | None = None
    seeds: int = 5
    only: tuple[str, ...] = ()
    epochs: Mapping[str, int] = field(default_factory=dict)
    threads: int = 1


def epochs_of(told: Items[str]) -> dict[str, int]:
    """Read NAME=COUNT of each network; raises SettingsError."""
    out: dict[str, int] = {}
    for each in told:
        name, _, count = each.partition("=")
        if name not in NETWORKS or not count.isdecimal() or int(count) < 1:
            raise SettingsError(f"{each[:40]!r} is not NAME=COUNT with a name of {', '.join(NETWORKS)}")
        out[name] = int(count)
    return out


def evaluate(wanted: Wanted, console: Console | None = None) -> dict[str, Any]:
    """Run every model with every seed, ours first; returns the report. Raises EdgeError.

    The file is written after each run; a run that is in it is not made again.
    """
    console = console or Console()
    if wrong := sorted(set(wanted.only) - set(NAMES)):
        raise SettingsError(f"no model is called {wrong[0][:40]!r}; there are {', '.join(NAMES)}")
    home = read(wanted.data / wanted.home)
    runs = _begun(wanted)
    _run(wanted, home, runs, console)
    report = _report(wanted.home, runs)
    show(console, report)
    return report


def _run(wanted: Wanted, home: AttackSet, runs: dict[str, Any], console: Console) -> None:
    names = [name for name in NAMES if not wanted.only or name in wanted.only]
    todo = [(name, seed) for name in names for seed in range(wanted.seeds)]
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console,
    ) as bar:  # fmt: skip
        left = [(name, seed) for name, seed in todo if not _made(runs, name, seed, wanted)]
        task = bar.add_task(wanted.home, total=sum(COSTS.get(name, LITTLE) for name, _ in left))
        done = 0
        for place, (name, seed) in enumerate(left, 1):
            cost = COSTS.get(name, LITTLE)
            bar.update(task, description=f"{wanted.home}: {name} {seed} ({place} of {len(left)})")

            def tell(share: float, done: int = done, cost: int = cost) -> None:
                bar.update(task, completed=done + share * cost)

            epochs = wanted.epochs.get(name)
            told = run(name, home, given_to(home, seed, wanted.threads, epochs, tell))
            runs.setdefault(name, {})[str(seed)] = {**told, "asked": _asked(name, wanted)}
            done += cost
            bar.update(task, completed=done)
            if wanted.json:
                write(wanted.json, _report(wanted.home, runs))


def _asked(name: str, wanted: Wanted) -> dict[str, int | None]:
    """Return what of the command line changes a run's figures."""
    return {"epochs": wanted.epochs.get(name), "threads": wanted.threads}


def _made(runs: Mapping[str, Any], name: str, seed: int, wanted: Wanted) -> bool:
    found = runs.get(name, {}).get(str(seed))
    return found is not None and found["asked"] == _asked(name, wanted)


def _begun(wanted: Wanted) -> dict[str, Any]:
    """Return the runs of an earlier report; raises SettingsError for a file that is none, or another home's."""
    if wanted.json is None or not wanted.json.is_file():
        return {}
    try:
        report = json.loads(wanted.json.read_text(encoding="utf-8"))
        home, runs = report["home"], report["runs"]
        if not all("asked" in each for seeds in runs.values() for each in seeds.values()):
            raise SettingsError(f"{wanted.json} is no report of attacks")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{wanted.json} is no report of attacks: {error}") from error
    if home != wanted.home:
        raise SettingsError(f"{wanted.json} is the report of {str(home)[:40]!r}")
    return dict(runs)


def _report(home: str, runs: Mapping[str, Any]) -> dict[str, Any]:
    def figures(name: str) -> Any:
        return merged([{key: told[key] for key in told if key != "asked"} for told in runs[name].values()])

    return {"home": home, "models": {name: figures(name) for name in NAMES if name in runs}, "runs": runs}


def write(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report whole, or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """Print what each model costs, how it ranks, and what it finds at each limit."""
    models: Mapping[str, Any] = report["models"]
    kinds = list(next(iter(models.values()))["kinds"]) if models else []
    table = Table("", "parameters", "training, s", "a score, ms", title=f"{report['home']}: cost")
    for name, told in models.items():
        parameters = f"{told['parameters']['mean']:,.0f}"
        table.add_row(name, parameters, cell(told["train_seconds"]), cell(told["latency_ms"]))
    console.print(table)
    table = Table("", *kinds, title=f"{report['home']}: AUROC")
    for name, told in models.items():
        table.add_row(name, *(cell(told["kinds"][kind]["auroc"]) for kind in kinds))
    console.print(table)
    for level in LEVELS:
        table = Table("", *(f"{kind} F1" for kind in kinds), "FPR", title=f"{report['home']}: limits at {level} %")
        for name, told in models.items():
            found = [told["kinds"][kind][level] for kind in kinds]
            table.add_row(name, *(cell(each["f1"]) for each in found), cell(found[0]["fpr"]) if found else "-")
        console.print(table)
