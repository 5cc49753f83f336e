"""The commands about what was recorded: out, in, kept, forgotten. Each imports what it needs when it runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge.commands.terminal import SettingsFile

app = typer.Typer()


@app.command()
def export(settings: SettingsFile, out: Annotated[Path, typer.Option(help="JSON lines to write")]) -> None:
    """Write every behavior as one JSON object a line, in order of arrival."""
    from edge.settings import load  # noqa: PLC0415
    from edge.store import Store  # noqa: PLC0415

    store = Store.open(load(settings).data.directory, read_only=True)
    count = 0
    with out.open("w", encoding="utf-8") as file:
        for each in store.behaviors():
            file.write(json.dumps({"t": each.time, "device": each.device, "control": each.control}) + "\n")
            count += 1
    store.close()
    typer.echo(f"{count} behaviors: {out}")
