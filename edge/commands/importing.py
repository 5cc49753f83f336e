"""The command that takes in history that already exists, and learns from it at once."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, tzinfo
from enum import Enum
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.commands.terminal import SettingsFile, moment, say

if TYPE_CHECKING:
    from edge.importing import Tally, Tell
    from edge.settings import Settings

app = typer.Typer()


class Form(str, Enum):  # noqa: UP042 - typer shows a str's values
    """The forms that history comes in."""

    AUTO = "auto"
    RECORDER = "recorder"
    JSONL = "jsonl"
    CSV = "csv"
    CASAS = "casas"


class LeftOut(str, Enum):  # noqa: UP042
    """What can be left out by who did it."""

    AUTOMATIONS = "automations"


@app.command("import")
def bring(  # noqa: PLR0917 - a command's options are its arguments
    source: Annotated[
        str,
        typer.Argument(
            help="a file, or the recorder's database as mysql://USER@HOST/NAME or postgresql://USER@HOST/NAME; "
            "its password in SCENESHIFT_SOURCE_PASSWORD"
        ),
    ],
    settings: SettingsFile,
    form: Annotated[Form, typer.Option("--format", help="what the source is; auto looks at it")] = Form.AUTO,
    since: Annotated[str | None, typer.Option(help="first day, for example 2025-01-31")] = None,
    until: Annotated[str | None, typer.Option(help="day to stop before")] = None,
    columns: Annotated[str, typer.Option(help="of a table: time=...,device=...,control=...[,date=...,name=...]")] = "",
    time_zone: Annotated[str | None, typer.Option(help="of times without an offset; default is home.time_zone")] = None,
    registry: Annotated[
        Path | None,
        typer.Option(help="Home Assistant's .storage/core.entity_registry: devices of zigbee2mqtt by their addresses"),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="devices to leave out, a glob over id and name")] = None,
    leave_out: Annotated[
        LeftOut | None,
        typer.Option(help="what Home Assistant recorded as done by automations and scripts; live they cannot be told"),
    ] = None,
    learn: Annotated[bool, typer.Option("--learn/--no-learn", help="learn a model at once")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="read and count, write nothing")] = False,
) -> None:
    """Take in history that exists already: Home Assistant's recorder, JSON lines, CSV, CASAS text.

    A source is only read; Home Assistant may be running, the agent may not. What was taken in before is recognized,
    and an import that was stopped goes on where it was.
    """
    from edge.importers import Wanted  # noqa: PLC0415
    from edge.importers.table import parse_columns  # noqa: PLC0415
    from edge.importing import Rules  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    loaded = load(settings)
    zone = _zone(time_zone) if time_zone else loaded.home.zone
    first, end = moment(since or "", zone, float("-inf")), moment(until or "", zone, float("inf"))
    globs = tuple(dict.fromkeys([*(exclude or ()), *(glob for each in loaded.sources for glob in each.exclude)]))
    rules = Rules(first, end, globs, automations=leave_out is None)
    wanted = Wanted(zone, form.value, parse_columns(columns), registry, first, end)
    try:
        _run(source, wanted, loaded, rules, learn=learn, dry_run=dry_run)
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here", err=True)
        raise typer.Exit(130) from None


def _run(source: str, wanted: Any, settings: "Settings", rules: Any, *, learn: bool, dry_run: bool) -> None:
    import time  # noqa: PLC0415

    from edge.catchup import unlearned  # noqa: PLC0415
    from edge.importers import opened  # noqa: PLC0415
    from edge.importing import Importing  # noqa: PLC0415
    from edge.lock import alone  # noqa: PLC0415
    from edge.store import Store  # noqa: PLC0415

    now, directory = time.time(), settings.data.directory
    if dry_run:
        with closing(opened(source, wanted, settings, [])) as reader, _bar() as tell:
            tally = Importing(reader, None, rules, now).run(tell)
        _tell(tally, wanted.zone, dry_run=True)
        return
    with alone(directory):  # told before a long reading rather than after it
        store = Store.open(directory)
    with closing(store):
        with closing(opened(source, wanted, settings, store.pairs())) as reader, _bar() as tell:
            tally = Importing(reader, store, rules, now).run(tell)
        _tell(tally, wanted.zone, dry_run=False)
        if not learn:
            say("no model was learned: `sceneshift run` learns its own, or leave --no-learn out")
        elif tally.new or unlearned(settings, store):
            with alone(directory):
                _learn(settings, store, now)
        else:
            say("nothing new, and there is a model already: nothing to learn")


@contextmanager
def _bar() -> Iterator["Tell"]:
    """Show how far a reading is: rows, days of history, time left; yield the function to tell it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    counted = TextColumn("{task.fields[rows]:,} rows, {task.fields[days]:.0f} days")
    share = TextColumn("{task.percentage:>3.0f}%")
    with Progress(TextColumn("reading"), BarColumn(), share, counted, TimeRemainingColumn()) as bars:
        task = bars.add_task("reading", total=1.0, rows=0, days=0.0)
        yield lambda tally, done: bars.update(task, completed=done, rows=tally.rows, days=tally.days)
        bars.update(task, completed=1.0)  # also where there was nothing left to read


def _tell(tally: "Tally", zone: tzinfo, *, dry_run: bool) -> None:
    """Say what became of a source."""
    if tally.resumed:
        say("went on where the last import of it stopped")
    found = f"are new, {tally.duplicates:,} were there already"
    said = "would be taken in, as far as they are not there already" if dry_run else found
    say(f"{tally.rows:,} rows read: {tally.new:,} behaviors {said}")
    if tally.devices:
        days = [f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d}" for moment in (tally.first, tally.last)]
        say(f"from {days[0]} to {days[1]} ({tally.days:.0f} days), {len(tally.devices)} devices")
    for title, counts in (
        ("devices", tally.kinds()),
        ("caused by", Counter({cause: n for cause, n in tally.causes.items() if cause})),
        ("left out", tally.left_out),
    ):
        said = ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in counts.most_common() if number)
        if said:
            say(f"{title}: {said}")


def _learn(settings: "Settings", store: Any, now: float) -> None:
    """Learn what is recorded, and say what scores and alerts from now on."""
    from edge.catchup import MOST_CONTROLS, MOST_DEVICES, catch_up, crowded  # noqa: PLC0415
    from edge.demo.show import progress  # noqa: PLC0415
    from edge.history import anchor  # noqa: PLC0415

    recent = [each for _, each in store.behaviors_with_ids(after=anchor(store.newest()))]
    if left := crowded((each.device, each.control) for each in recent):
        names = ", ".join(json.dumps(escape(device), ensure_ascii=False) for device in left)
        say(
            f"a model names {MOST_DEVICES} devices and {MOST_CONTROLS} controls at most, this home has more: no model "
            f"was learned. The least used are left out by\n  exclude = [{names}]\nin the source of the settings; then "
            "`sceneshift forget --device ID` for each, and this command again with --exclude for each"
        )
        raise typer.Exit(1)
    with progress("learning from what is recorded") as tell:
        caught = catch_up(settings, store, now, tell)
    reasons = caught.report.get("abandoned") or "; ".join(caught.report.get("gate", {}).get("reasons", ()))
    if "swap" not in caught.report:
        say(f"no new model: {reasons or 'nothing was learned'}")
    if not caught.slot:
        return
    trained = caught.report.get("retrain", {})
    if "swap" in caught.report:
        say(f"model {caught.slot} learned in {trained.get('seconds', 0):.0f} s; it scores from the first minute")
    if caught.calibrating is None:
        say("alerts are on: start the agent with `sceneshift run`")
    else:
        told = caught.calibrating
        say(f"alerts begin when its limits hold: {told['sequences']} of {told['needed']} sequences seen so far")


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415

    from edge.core.errors import SettingsError  # noqa: PLC0415

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(f"--time-zone: no such time zone: {name}") from error
