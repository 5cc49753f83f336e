"""The command about what a home has learned. It imports what it needs when it runs."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from edge.commands.terminal import SettingsFile, say

app = typer.Typer()


@app.command()
def routines(
    settings: SettingsFile,
    device: Annotated[str | None, typer.Option(help="only what tells of this device: its name or id")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Say what this home does again and again: usual days and hours, what comes before, how often."""
    from edge import compose  # noqa: PLC0415
    from edge.core import routines as found  # noqa: PLC0415
    from edge.core.errors import SettingsError  # noqa: PLC0415
    from edge.core.habits import MOST  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415
    from edge.store import Store  # noqa: PLC0415

    loaded = load(settings)
    phrases = compose.phrases(loaded.alerts.language)
    known = compose.known_dictionary(loaded.home.dictionary).devices
    store = Store.open(loaded.data.directory, read_only=True)
    try:
        devices = {each.id: known.get(each.id, each) for each in store.devices()}
        recent = store.behaviors_with_ids(after=max(0, store.newest() - MOST))
        kinds = {each.id: each.kind for each in devices.values()}
        told = found.routines(
            (behavior for _, behavior in recent), loaded.home.zone, lambda each: kinds.get(each, "other")
        )
    finally:
        store.close()
    names = {each.id: each.name for each in devices.values()}
    wanted = {each.id for each in devices.values() if device in {None, each.id, each.name}}
    if device is not None and not wanted:
        raise SettingsError(f"no device is called {device!r}; there are {', '.join(sorted(names.values()))}")
    shown = [each for each in told if each.devices & wanted]
    for each in shown:
        sentence = phrases.routine(each, names)
        say(json.dumps({"sentence": sentence, **asdict(each)}) if as_json else sentence)
    if not shown and not as_json:
        say("no routine yet: one is told once chance would not tell it, after two to four weeks as a rule")
