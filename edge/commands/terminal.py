"""The terminal: the settings file as an option, a day that was typed, what is said there, an agent's answer."""

import json
import sys
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any
from unicodedata import category

import typer

SettingsFile = Annotated[Path, typer.Option("--settings", help="TOML file; see deploy/sceneshift.toml")]


def moment(text: str, zone: tzinfo, otherwise: float) -> float:
    """Return a day or moment as seconds since the epoch, `otherwise` where nothing is said; raises SettingsError."""
    from edge.core.errors import SettingsError  # noqa: PLC0415 - for `--help` to be instant

    if not text:
        return otherwise
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError) as error:
        raise SettingsError(f"{text!r:.40} is no day: write for example 2026-01-31") from error


def plain(text: object) -> str:
    """Return a text without what a terminal obeys: a device's name may hold escapes, or turn the line around."""
    return "".join(
        each if each in "\n\t" or category(each) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} else "\N{REPLACEMENT CHARACTER}"
        for each in str(text)
    )


def say(text: object, *, err: bool = False) -> None:
    """Print a line, plain; `err`: on standard error."""
    typer.echo(plain(text), err=err)


def told(answer: dict[str, Any] | None) -> None:
    """Print an answer; leave with 1 where there is none, or an error."""
    if answer is None:
        say("no agent answers: is `sceneshift run` running, and on this broker?", err=True)
        raise typer.Exit(1)
    say(json.dumps(answer, indent=1))
    if answer.get("status") != "ok":
        sys.exit(1)
