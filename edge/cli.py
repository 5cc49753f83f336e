"""The commands. Each imports what it needs when it runs, so that `--help` is instant."""

import contextlib
import json
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from edge import __version__
from edge.commands import alerts, importing, installing, keeping, learned, record
from edge.commands.terminal import SettingsFile, say, told

app = typer.Typer(
    help="A smart home's guard that adapts at once, at home, when the scene changes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Llm = Annotated[Path | None, typer.Option("--llm", help="any GGUF language model; default is the shipped one")]


app.add_typer(alerts.app)
app.add_typer(learned.app)
app.add_typer(importing.app)
app.add_typer(installing.app)
app.add_typer(record.app)
app.add_typer(keeping.app)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Say the version and leave.")] = False) -> None:
    if version:
        say(__version__)
        raise typer.Exit


@app.command()
def run(settings: SettingsFile, verbose: Annotated[bool, typer.Option("--verbose")] = False) -> None:
    """Run the agent: hear the home, score, alert, adapt. Ctrl-C stops it cleanly."""
    from edge.agent import Agent  # noqa: PLC0415
    from edge.lock import alone  # noqa: PLC0415
    from edge.salvage import mend  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415
    from edge.web.server import serve  # noqa: PLC0415

    logging.getLogger().setLevel(logging.INFO if verbose else logging.WARNING)
    loaded = load(settings)
    stop = threading.Event()
    with alone(loaded.data.directory):
        if (salvaged := mend(loaded.data.directory, time.time())) is not None:
            say(f"sceneshift: {salvaged.told}", err=True)
        agent = Agent(loaded)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        with contextlib.closing(serve(agent, loaded.web, settings)) as page:
            say(page.told)
            agent.run(stop)


@app.command()
def demo(
    home: Annotated[Path | None, typer.Option(help="folder of a recorded home; default is a simulated one")] = None,
    scene: Annotated[str | None, typer.Option(help="what the home changes to, for example spring")] = None,
    llm: Llm = None,
    seed: Annotated[int, typer.Option(help="draws everything")] = 0,
    report: Annotated[Path | None, typer.Option(help="write all figures to this JSON file")] = None,
) -> None:
    """Watch a home live through MQTT, change its scene and be adapted to. Needs nothing but this computer."""
    from edge.demo.recorded import open_home  # noqa: PLC0415
    from edge.demo.run import run as play  # noqa: PLC0415
    from edge.demo.show import progress, table  # noqa: PLC0415
    from edge.slots import shipped  # noqa: PLC0415

    logging.getLogger("edge.mqtt").setLevel(logging.ERROR)  # the demo's broker is known to refuse MQTT v5
    recorded = open_home(home or shipped("demo-home"), scene)
    with progress(f"{recorded.name}: {recorded.home.scene} to {recorded.scene}") as tell:
        found = play(recorded, llm, seed, tell)
    if report is not None:
        report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    table(found)


@app.command()
def synthesize(
    dictionary: Annotated[Path, typer.Option(help="dictionary.json of the home")],
    sequences: Annotated[Path, typer.Option(help="JSON lines of what the home does now")],
    source: Annotated[str, typer.Option("--from", help="scene it is in")],
    target: Annotated[str, typer.Option("--to", help="scene to write")],
    out: Annotated[Path, typer.Option(help="JSON lines to write")],
    count: Annotated[int, typer.Option(min=1, help="sequences asked of the language model")] = 200,
    seed: Annotated[int, typer.Option(help="draws everything")] = 0,
    llm: Llm = None,
    report: Annotated[Path | None, typer.Option(help="write all figures to this JSON file")] = None,
) -> None:
    """Write what a home will do in another scene: the slow loop's first half, on files."""
    from edge.batch import synthesize_files  # noqa: PLC0415
    from edge.core.scenes import Scene  # noqa: PLC0415
    from edge.demo.show import progress  # noqa: PLC0415

    scenes = (Scene.parse(source), Scene.parse(target))
    with progress(f"{source} to {target}") as tell:
        found = synthesize_files(dictionary, sequences, scenes, out=out, count=count, seed=seed, llm=llm, tell=tell)
    if report is not None:
        report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for reason in found["synthetic"]["why"]:
        say(f"  what it changed: {reason}")
    say(f"{found['synthetic']['kept']} of {found['synthetic']['generated']} sequences kept: {out}")


@app.command()
def status(
    settings: SettingsFile,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    check: Annotated[bool, typer.Option("--check", help="end with 1 where the agent gives no sign of life")] = False,
) -> None:
    """Say what the agent has stored, scores with, adapted to and set aside."""
    from edge.report import status_of  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    found = status_of(load(settings))
    if as_json:
        say(json.dumps(found))
    else:
        for key, value in found.items():
            text = ", ".join(f"{name} {number}" for name, number in value.items()) if isinstance(value, dict) else value
            say(f"{key.replace('_', ' '):22} {'-' if text in (None, '', {}) else text}")
    if check and not str(found.get("agent", "")).startswith("alive"):
        raise typer.Exit(1)


@app.command()
def adapt(
    scene: Annotated[str, typer.Argument(help="for example night; now: the one that is noticed")],
    settings: SettingsFile,
) -> None:
    """Ask the running agent to adapt to a scene, and wait for its answer."""
    from edge.core.scenes import Scene  # noqa: PLC0415
    from edge.requests import NOW  # noqa: PLC0415

    if scene != NOW:
        Scene.parse(scene)  # a scene that does not exist is told at once
    _ask("adapt", {"scene": scene}, settings)


@app.command()
def rollback(settings: SettingsFile) -> None:
    """Go back to the previous model slot, in the running agent or, where none runs, on disk."""
    from edge.report import ask, roll_back_on_disk  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    loaded = load(settings)
    answer = ask(loaded.broker, "rollback", {}, patience=5.0)
    if answer is None:
        say(f"no agent answers; on disk the slot is now {roll_back_on_disk(loaded)}")
        return
    told(answer)


@app.command()
def doctor(settings: SettingsFile) -> None:
    """Say what is missing or wrong, each with the command that mends it; ends with 1 where anything is."""
    from edge.doctor import checks  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    found = checks(load(settings))
    for check in found:
        say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}")
        if not check.ok and check.mend:
            say(f"     mend: {check.mend}")
    if not all(check.ok for check in found):
        raise typer.Exit(1)


def _ask(what: str, body: dict[str, Any], settings: Path) -> None:
    from edge.report import ask  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    loaded = load(settings)
    told(ask(loaded.broker, what, body, patience=loaded.llm.seconds + loaded.adapt.seconds))
