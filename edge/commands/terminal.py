"""The terminal: the settings file as an option, and an agent's answer told there."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

SettingsFile = Annotated[Path, typer.Option("--settings", help="TOML file; see deploy/sceneshift.toml")]


def told(answer: dict[str, Any] | None) -> None:
    """Print an answer; leave with 1 where there is none, or an error."""
    if answer is None:
        typer.echo("no agent answers: is `sceneshift run` running, and on this broker?", err=True)
        raise typer.Exit(1)
    typer.echo(json.dumps(answer, indent=1))
    if answer.get("status") != "ok":
        sys.exit(1)
