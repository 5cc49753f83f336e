"""The commands about alerts: list, explain, mute, say what was fine. Each imports what it needs when it runs."""

from enum import StrEnum
from typing import Annotated

import typer

from edge.commands.terminal import SettingsFile, say, told

app = typer.Typer()


class Said(StrEnum):
    """What a person may say of an alert."""

    FINE = "fine"
    WRONG = "wrong"


Number = Annotated[int, typer.Argument(min=1, max=2**53, help="the alert's number")]


@app.command()
def alerts(
    settings: SettingsFile,
    since: Annotated[str, typer.Option(help="how far back: 24h, 7d")] = "7d",
    every: Annotated[bool, typer.Option("--all", help="also what was unusual and kept quiet, with the reason")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """List the alerts: number, time, what became of it, and why in a sentence."""
    from edge import listing  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    loaded = load(settings)
    found = listing.listed(loaded, since, every=every)
    for line in map(listing.as_json, found) if as_json else listing.lines(found, loaded.home.zone):
        say(line)
    if not found and not as_json:
        say(f"no alert within {since}; `sceneshift status` says why there may be none")


@app.command()
def explain(
    alert: Number,
    settings: SettingsFile,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Say in full why an alert was one: what was expected, the usual times, the model and its limits."""
    from edge import listing  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    loaded = load(settings)
    found = listing.found(loaded, alert)
    for line in [listing.as_json(found)] if as_json else listing.page(found, loaded):
        say(line)


@app.command()
def mute(
    device: Annotated[str, typer.Argument(help="name or id, or a glob of them; * is everything")],
    settings: SettingsFile,
    span: Annotated[str, typer.Option("--for", help="how long: 90m, 2h, 1d; 0 ends it")] = "2h",
) -> None:
    """Ask the running agent for no alerts of a device for some time."""
    from edge import listing  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    told(listing.mute(load(settings), device, span))


@app.command()
def feedback(
    alert: Number,
    said: Annotated[Said, typer.Argument(help="whether what the alert told of was fine or wrong")],
    settings: SettingsFile,
) -> None:
    """Say of an alert that it was fine, or wrong; the next fit learns the one and leaves out the other."""
    from edge import listing  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    answer = listing.feedback(load(settings), alert, said.value)
    if answer is None:
        say(f"no agent answers; on disk alert {alert} is now {said.value}")
    else:
        told(answer)
