"""The commands that keep a record, or do away with it: backup, restore, forget. Imports happen when they run."""

from contextlib import closing
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.commands.terminal import SettingsFile, moment, say

app = typer.Typer()
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]


@app.command()
def backup(out: Annotated[Path, typer.Argument(help="file to write", metavar="FILE")], settings: SettingsFile) -> None:
    """Write all that was lived and learned into one file; the agent may go on running."""
    import time  # noqa: PLC0415

    from edge.backup import back_up  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    done = back_up(load(settings).data.directory, out, time.time())
    slots = sum(name.endswith("/manifest.json") for name in done.files)
    say(f"{done.behaviors} behaviors, {slots} model slots: {out}")
    say("It tells when you are at home: keep it where only you can read it. No password is in it.")


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="a file that `backup` wrote", metavar="FILE")],
    settings: SettingsFile,
    replace: Annotated[bool, typer.Option("--replace", help="set aside what is there, and restore")] = False,
) -> None:
    """Put a backup back, verified first to the last byte; the agent must not run."""
    import time  # noqa: PLC0415

    from edge.lock import alone  # noqa: PLC0415
    from edge.restore import restore as put_back  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    loaded = load(settings)
    with alone(loaded.data.directory):
        done, aside = put_back(backup, loaded.data.directory, time.time(), replace=replace)
    say(f"{done.behaviors} behaviors as of {_local(done.created, loaded.home.zone)}: {loaded.data.directory}")
    if aside is not None:
        say(f"What was there before is in {aside}; delete it when you do not need it any more.")


@app.command()
def forget(  # noqa: PLR0917  a command's options are its arguments
    settings: SettingsFile,
    device: Annotated[str, typer.Option(help="a device's name or id, or a glob of them")] = "",
    before: Annotated[str, typer.Option(help="all that was before a day or time: 2026-05-01, 2026-05-01T12:00")] = "",
    everything: Annotated[bool, typer.Option("--all", help="all that was lived and learned")] = False,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="keep models that learned from it")] = False,
    learn: Annotated[bool, typer.Option("--learn/--no-learn", help="learn anew from what is left, at once")] = True,
    yes: Yes = False,
) -> None:
    """Forget a device, what came before a day, or everything: rows, reports, models; the agent must not run."""
    from edge.core.errors import SettingsError  # noqa: PLC0415
    from edge.forget import Forgetting, forget_all  # noqa: PLC0415
    from edge.lock import alone  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415

    loaded = load(settings)
    directory = loaded.data.directory
    if sum(map(bool, (device, before, everything))) != 1:
        raise SettingsError("say what to forget: --device NAME, --before DAY or --all, one of them")
    day = moment(before, loaded.home.zone, float("-inf"))
    with alone(directory):
        if everything:
            _sure(f"all that was lived and learned in {directory}", yes=yes)
            left = forget_all(directory)
            say(f"{directory} is empty" + (f", but for {', '.join(left)}: delete that by hand" if left else ""))
            return
        forgetting = Forgetting(directory, device=device, before=day)
        try:
            _sure(forgetting.found.summary(keep_models=keep_models), yes=yes)
            files = forgetting.do(keep_models=keep_models)
        finally:
            forgetting.close()
        _forgotten(files if forgetting.found.forms else 0, device, keep_models=keep_models)
        if learn and forgetting.found.slots and not keep_models:
            _learn_anew(loaded)


def _forgotten(files: int, device: str, *, keep_models: bool) -> None:
    """Say what was forgotten, and where it still is; `files`: how many were searched for its names."""
    if files:
        say(f"Forgotten; no byte of {files} files names it.")
    else:
        say("Forgotten; models that were kept still hold what they learned." if keep_models else "Forgotten.")
    if device:
        say("It is recorded again when it is heard again; `alerts.exclude` in the settings only stops alerts.")
    say("Backups you made are as they were.")


def _learn_anew(settings: Any) -> None:
    """Learn a model from what is left, as `import` does, and say what came of it."""
    import time  # noqa: PLC0415

    from edge.catchup import catch_up  # noqa: PLC0415
    from edge.core.errors import ArtifactError  # noqa: PLC0415
    from edge.demo.show import progress  # noqa: PLC0415
    from edge.store import Store  # noqa: PLC0415

    try:
        with closing(Store.open(settings.data.directory)) as store, progress("learning from what is left") as tell:
            caught = catch_up(settings, store, time.time(), tell)
        why = caught.report.get("abandoned") or "; ".join(caught.report.get("gate", {}).get("reasons", ()))
    except ArtifactError as error:
        say(f"No model was learned: {error}")
        return
    say(f"Model {caught.slot} was learned." if "swap" in caught.report else f"No model was learned: {why}")


def _sure(what: str, *, yes: bool) -> None:
    """Ask whether it is meant, unless that was said."""
    say(f"To be forgotten: {what}.")
    if not yes:
        typer.confirm("It cannot be undone, but from a backup. Forget it?", abort=True)


def _local(moment: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M}"
