"""What a person sees: progress while it goes on, and a table at the end."""

import contextlib
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from edge.synthesis import Progress as Tell

_ROWS = (
    ("AUROC", "auroc", "higher is better"),
    ("false-positive rate", "false_positive_rate", "lower is better"),
    ("recall", "recall", "higher is better"),
    ("F1", "f1", "higher is better"),
    ("hit rate at 10", "hit_rate_at_10", "higher is better"),
)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Tell]:
    """Show a bar for each thing that goes on; yield the function to tell it."""
    console = Console(markup=False, emoji=False)
    console.rule(title)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.completed}/{task.total}"),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in tasks or bars.tasks[tasks[what]].finished:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done, total=of)

        yield tell


def table(report: dict[str, Any]) -> None:
    """Print what came of a demo."""
    console = Console(markup=False, emoji=False)
    shown = Table(title=report["home"])
    for heading in ("", "before", "after", ""):
        shown.add_column(heading, justify="right" if heading else "left")
    for name, key, wish in _ROWS:
        shown.add_row(name, f"{report['before'][key]:.3f}", f"{report['after'][key]:.3f}", wish)
    equal = report["equal_recall"]
    rates = (f"{equal[f'false_positive_rate_{when}']:.3f}" for when in ("before", "after"))
    shown.add_row(f"false-positive rate at recall {equal['recall']:.2f}", *rates, "lower is better")
    console.print(shown)
    for line in _story(report):
        console.print(line, markup=False, highlight=False)


def _story(report: dict[str, Any]) -> Iterator[str]:
    published, stored, alerts = (report[key] for key in ("events_published", "events_stored", "alerts"))
    yield f"{published} behaviors published, {stored} stored, {alerts} alerts."
    if "llm" in report:
        llm, written = report["llm"], report["synthetic"]
        yield (
            f"The language model {llm['file']} wrote {written['generated']} sequences at {llm['tokens_per_second']} "
            f"tokens/s; {written['kept']} were kept, rejected: {written['rejected'] or 'none'}."
        )
        yield from (f"  what it changed: {reason}" for reason in written["why"])
    if "retrain" in report:
        made = report["retrain"]
        yield f"Retrained {made['steps']} steps in {made['seconds']} s, {made['peak_rss_mb']} MB, {made['engine']}."
    if report.get("gate"):
        word = "accepted" if report["gate"]["accepted"] else "refused"
        yield f"The gate {word} it: {'; '.join(report['gate']['reasons'])}."
    if "swap" in report:
        swap = report["swap"]
        yield f"Swapped from {swap['from']} to {swap['to']} in {swap['scoring_gap_ms']} ms."
    if "abandoned" in report:
        yield f"The adaptation was abandoned: {report['abandoned']}."
    if report.get("probation"):
        yield f"Probation: {'; '.join(report['probation']['reasons'])}."
