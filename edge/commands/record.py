"""The commands about what was recorded: written out, and lived again. Each imports what it needs when it runs."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from edge.commands.terminal import SettingsFile, moment, say

app = typer.Typer()
Since = Annotated[str, typer.Option(help="first day or moment, for example 2026-01-31 or 2026-01-31T12:00")]
Until = Annotated[str, typer.Option(help="day or moment to stop before")]


class Form(StrEnum):
    """How behaviors are written."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command()
def export(
    settings: SettingsFile,
    out: Annotated[Path, typer.Option(help="file to write")],
    form: Annotated[Form, typer.Option("--format", help="JSON lines, or a table with a header")] = Form.JSONL,
    since: Since = "",
    until: Until = "",
) -> None:
    """Write every behavior, one a line, in order of arrival: t (seconds since the epoch), device, control."""
    from edge.settings import load  # noqa: PLC0415
    from edge.store import FILE, Store  # noqa: PLC0415

    loaded = load(settings)
    zone = loaded.home.zone
    between = (moment(since, zone, float("-inf")), moment(until, zone, float("inf")))
    count = 0
    with (
        closing(Store.open(loaded.data.directory, read_only=True)) as store,
        _written(out, loaded.data.directory / FILE) as file,
    ):
        table = csv.DictWriter(file, ("t", "device", "control"), lineterminator="\n")
        if form == Form.CSV:
            table.writeheader()
        for each in store.behaviors(*between):
            row = {"t": each.time, "device": each.device, "control": each.control}
            if form == Form.CSV:
                table.writerow(row)
            else:
                file.write(json.dumps(row) + "\n")
            count += 1
    say(f"{count} behaviors: {out}")


@app.command()
def replay(
    source: Annotated[str, typer.Argument(help="a file as `export` writes it, or any that `import` reads")],
    settings: SettingsFile,
    slot: Annotated[str, typer.Option(help="the model to judge with; default is the one in use")] = "",
    every: Annotated[bool, typer.Option("--all", help="also what was unusual and kept quiet, with the reason")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Say what would have been alerted, had this been lived with the model of now; nothing is sent, nothing written."""
    from edge.replay import Replayed  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    loaded = load(settings)
    found: Replayed = _replayed(source, loaded, slot)
    if as_json:
        say(json.dumps(found.as_json()))
        return
    from edge.listing import lines  # noqa: PLC0415

    for line in lines(found.alerts if every else found.told(), loaded.home.zone):
        say(line)
    for line in found.summary():
        say(line)


def _replayed(source: str, settings: Any, slot: str) -> Any:
    """Read a source and live it, with a bar where somebody looks."""
    import time  # noqa: PLC0415

    from edge.importers import Wanted, opened  # noqa: PLC0415
    from edge.replay import Scratch, read  # noqa: PLC0415
    from edge.replay import replay as live  # noqa: PLC0415

    with closing(Scratch.open(settings.data.directory, read_only=True)) as scratch:
        with closing(opened(source, Wanted(settings.home.zone), settings, scratch.pairs())) as reader:
            left_out = read(scratch, reader, settings, time.time())
        if left_out:
            say(f"left out: {', '.join(f'{reason} {n}' for reason, n in left_out.items())}", err=True)
        with typer.progressbar(length=len(scratch.past), label="living it", file=sys.stderr) as bar:
            return live(settings, scratch, slot, lambda done: bar.update(done - bar.pos))


@contextmanager
def _written(path: Path, record: Path) -> Iterator[IO[str]]:
    """Yield a file to write, a new one for its owner alone; raises SettingsError, also for the record itself."""
    from edge.core.errors import SettingsError  # noqa: PLC0415
    from edge.durable import why  # noqa: PLC0415

    if path.resolve() == record.resolve():
        raise SettingsError(f"{path} is the record itself: name another file")
    try:
        path.touch(mode=0o600)
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {why(error)}") from error
