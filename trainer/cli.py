"""The host's commands; what a command needs is imported inside it, so that one command does not wait for another's."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from trainer.evaluate.cli import Cluster, Done
from trainer.evaluate.cli import app as evaluate

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Simulate homes, train and export models.")
app.add_typer(evaluate, name="evaluate")
keys = typer.Typer(no_args_is_help=True, help="The keys that bundles are signed with.")
app.add_typer(keys, name="keys")


@app.command("simulate")
def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("models/demo-home/1"),
    seed: Annotated[int, typer.Option(help="The home; a home is one seed.")] = 51821,
) -> None:
    """Write a simulated home as the small data set the demo lives."""
    from trainer.homes.export import export  # noqa: PLC0415

    for name, count in export(out, seed).items():
        typer.echo(f"{out / name}.jsonl: {count} behaviors")


@app.command("timeline")
def timeline(
    out: Annotated[Path, typer.Option(help="File of JSON lines to write.")],
    seed: Annotated[int, typer.Option(help="The home; a home is one seed.")] = 1,
    days: Annotated[int, typer.Option(min=1, help="How long it is lived in.")] = 900,
    motion: Annotated[float, typer.Option(min=0, max=0.9, help="Share of motion; 0: no sensors of rooms.")] = 0.6,
) -> None:
    """Write years of a simulated home of 40 devices, one behavior a line: t, device, control."""
    from trainer.homes.timeline import Wanted, write  # noqa: PLC0415

    typer.echo(f"{out}: {write(out, Wanted(seed, days, motion=motion))} behaviors")


@app.command("behavior-lm")
def behavior_lm(
    out: Annotated[Path, typer.Option(help="Folder of the model to write.")] = Path("models/behavior-lm/2"),
    size: Annotated[str, typer.Option(help="nano or small.")] = "nano",
    steps: Annotated[int, typer.Option(help="Training steps, of about 4,000 tokens each.")] = 3000,
    seed: Annotated[int, typer.Option(help="Chance.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train the behavior language model on simulated homes and export it as GGUF."""
    from trainer.behavior_lm import build  # noqa: PLC0415

    build(out, size, steps, seed, resume=resume)


@app.command("export-detector")
def export_detector(
    out: Annotated[Path, typer.Option(help="Folder of the model to write.")] = Path("models/detector/2"),
    seed: Annotated[int, typer.Option(help="Chance: the parameters every home starts from.")] = 0,
) -> None:
    """Export the compact network as ONNX graphs; fails where ONNX and torch disagree."""
    from trainer.export import export  # noqa: PLC0415
    from trainer.parity import ExportError  # noqa: PLC0415

    try:
        manifest, differences = export(out, seed)
    except ExportError as error:
        typer.echo(f"not exported: {error}", err=True)
        raise typer.Exit(1) from error
    worst = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    typer.echo(f"{out}: {manifest.parameters} parameters; greatest differences from torch: {worst}")


@app.command("bundle")
def bundle(  # noqa: PLR0917  # a command's options are its arguments
    key: Annotated[Path, typer.Option(help="Key to sign with; `keys new` makes one.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    detector: Annotated[Path | None, typer.Option(help="Folder of the compact network.")] = None,
    behavior_lm: Annotated[Path | None, typer.Option("--behavior-lm", help="Folder of the language model.")] = None,
    created: Annotated[float | None, typer.Option(help="Seconds since the epoch; by default now.")] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day (UTC) from which no hub installs it.")
    ] = None,
) -> None:
    """Pack models into one signed file for hubs: `sceneshift install FILE`."""
    from edge.core.errors import EdgeError  # noqa: PLC0415
    from trainer.bundle import pack, signing_key  # noqa: PLC0415

    folders = [folder for folder in (detector, behavior_lm) if folder is not None]
    until = None if expires is None else expires.replace(tzinfo=UTC).timestamp()
    try:
        manifest = pack(folders, signing_key(key), out, created=created or time.time(), expires=until)
    except (EdgeError, OSError) as error:
        typer.echo(f"not packed: {error}", err=True)
        raise typer.Exit(1) from error
    held = ", ".join(f"{model.name} {model.version}" for model in manifest.models)
    typer.echo(f"{out}: {held}; {out.stat().st_size} bytes")


@keys.callback()
def _keys() -> None:
    """Make the keys that bundles are signed with."""


@keys.command("new")
def new(folder: Annotated[Path, typer.Argument(help="Folder to write the two files into.")]) -> None:
    """Make a key to sign with and the public one that hubs trust."""
    from edge.core.errors import EdgeError  # noqa: PLC0415
    from trainer.bundle import new_keys  # noqa: PLC0415

    try:
        secret, public = new_keys(folder)
    except EdgeError as error:
        typer.echo(f"no key made: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{secret}: signs; keep it, and keep it secret\n{public}: for the hubs, in their model.trusted_keys")


@app.command("compress")
def compress(  # noqa: PLR0917  # a command's options are its arguments
    dictionary: Annotated[Path, typer.Option(help="dictionary.json of the published data sets' form.")],
    sequences: Annotated[Path, typer.Option(help="JSON lines, a sequence of [day, slot, device, control] a line.")],
    out: Annotated[Path, typer.Option(help="File of the sequences to keep.")],
    method: Annotated[
        str, typer.Option(help="crossfit, exact or trained; similarity, random or medoids.")
    ] = "crossfit",
    budget_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens that may be kept.")] = None,
    keep: Annotated[float | None, typer.Option(min=0, max=1, help="Or which share of them.")] = None,
    rule: Annotated[str, typer.Option(help="coverage, or paper: the most important alone.")] = "coverage",
    scores: Annotated[Path | None, typer.Option(help="File of importance, what was kept and why, tokens.")] = None,
    seed: Annotated[int, typer.Option(help="Chance.")] = 0,
) -> None:
    """Choose the few of a home's sequences that stand for all (SPPC); an exact run goes on where it was stopped."""
    from rich.console import Console  # noqa: PLC0415

    from edge.core.errors import EdgeError  # noqa: PLC0415
    from trainer.evaluate.progress import progress  # noqa: PLC0415
    from trainer.sppc.compression import Asked, compress_files  # noqa: PLC0415

    asked = Asked(method, rule, budget_tokens, keep, seed, out.with_name(f"{out.name}.exact.json"))
    try:
        with progress(Console(stderr=True), "compress") as tell:
            found = compress_files(
                dictionary, sequences, asked, out=out, scores=scores, tell=lambda done, of: tell(method, done, of)
            )
    except (EdgeError, OSError) as error:
        typer.echo(f"not compressed: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{out}: {len(found.kept)} of {len(found.importance)} sequences, "
               f"{found.after} of {found.before} tokens")  # fmt: skip


@app.command("compress-homes")
def compress_homes(  # noqa: PLR0917  # a command's options are its arguments
    homes: Annotated[list[Path], typer.Argument(help="Files of sequences; dictionary.json beside each, or above.")],
    out: Annotated[Path, typer.Option(help="Folder of what is kept of each, with its scores.")],
    method: Annotated[str, typer.Option(help="As of `compress`.")] = "crossfit",
    budget_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens that may be kept of each.")] = None,
    keep: Annotated[float | None, typer.Option(min=0, max=1, help="Or which share of them.")] = None,
    rule: Annotated[str, typer.Option(help="As of `compress`.")] = "coverage",
    seed: Annotated[int, typer.Option(help="Chance.")] = 0,
    cluster: Cluster = None,
    done: Done = None,
) -> None:
    """Compress many homes, here in turn or on a cluster; the results are the same."""
    from rich.console import Console  # noqa: PLC0415

    from edge.core.errors import EdgeError  # noqa: PLC0415
    from trainer.cluster import Where  # noqa: PLC0415
    from trainer.evaluate.progress import progress  # noqa: PLC0415
    from trainer.sppc.compression import Asked  # noqa: PLC0415
    from trainer.sppc.homes import compress_homes as compressed  # noqa: PLC0415

    asked = Asked(method, rule, budget_tokens, keep, seed)
    try:
        with progress(Console(stderr=True), "compress") as tell:
            found = compressed(homes, asked, out, Where(cluster, done), tell)
    except (EdgeError, OSError) as error:
        typer.echo(f"not compressed: {error}", err=True)
        raise typer.Exit(1) from error
    for each in found:
        typer.echo(f"{each.file}: {each.kept} of {each.of} sequences, {each.after} of {each.before} tokens")
