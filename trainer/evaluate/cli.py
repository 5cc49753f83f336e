"""The commands that measure; what a command needs is imported inside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from edge.core.errors import EdgeError

DATES = ["%Y-%m-%d"]
Cluster = Annotated[str | None, typer.Option(help="`local`, or HOST:PORT of a Ray cluster; by default here, in turn.")]
Done = Annotated[Path | None, typer.Option(help="Folder of what is done; the same command goes on from it.")]
app = typer.Typer(no_args_is_help=True, help="Measure models on homes.")


@contextmanager
def _ending(kept: str, file: Path | None) -> Iterator[None]:
    """End a command in words: what is wrong, or that it was stopped and what is kept in a file, if it is there."""
    try:
        yield
    except (EdgeError, OSError) as error:
        typer.echo(f"not evaluated: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo("stopped" + (f"; {kept} {file}" if file and file.is_file() else ""), err=True)
        raise typer.Exit(130) from error


@app.callback()
def measure() -> None:
    """Measure models on homes."""


@app.command("scene-shift")
def scene_shift(  # noqa: PLR0917  # a command's options are its arguments
    home: Annotated[str, typer.Option(help="Folder of a recorded home, or simulated:SEED.")],
    data: Annotated[Path, typer.Option(help="Folder of the recorded homes.")] = Path("../shared/data/scene_shift"),
    scene: Annotated[str | None, typer.Option(help="One scene; by default all there are.")] = None,
    llm: Annotated[Path | None, typer.Option(help="GGUF that writes; by default the shipped model.")] = None,
    json: Annotated[Path | None, typer.Option(help="File of the figures, written after every seed.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each setting.")] = 5,
    count: Annotated[int, typer.Option(min=1, help="Sequences written for one setting.")] = 200,
    columns: Annotated[str, typer.Option(help="Names joined by commas.")] = "none,random,rules,gpt4o,ours,ceiling",
    published_seeds: Annotated[int, typer.Option(min=0, help="Seeds judged by the published protocol, too.")] = 1,
    skip_published: Annotated[bool, typer.Option(help="Leave the published protocol out.")] = False,
    cluster: Cluster = None,
    done: Done = None,
) -> None:
    """Judge what a model is worth in a scene it has not lived, by how it was adapted to it."""
    from trainer.cluster import Where  # noqa: PLC0415
    from trainer.evaluate.run import Wanted, run  # noqa: PLC0415

    published = 0 if skip_published else published_seeds
    names = tuple(each.strip() for each in columns.split(","))
    with _ending("the seeds that were done are in", json):
        run(Wanted(data, home, scene, llm, json, seeds, count, names, published), Where(cluster, done))


@app.command("attacks")
def attacks(  # noqa: PLR0917  # a command's options are its arguments
    home: Annotated[str, typer.Option(help="Folder of a home: train, validation, normal, attack_NAME, dictionary.")],
    data: Annotated[Path, typer.Option(help="Folder of the homes.")] = Path("../shared/data/attacks"),
    json: Annotated[Path | None, typer.Option(help="File of the figures, written after every run.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each model.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="Name of a model; may be given again.")] = None,
    epochs: Annotated[
        list[str] | None, typer.Option(help="smartguard=20: a network's epochs instead of its own; may be given again.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of training and scoring.")] = 1,
) -> None:
    """Judge what is found of attacks, ours beside its peers in the same run; goes on where it was."""
    from trainer.evaluate.attack_runs import Wanted, epochs_of, evaluate  # noqa: PLC0415

    with _ending("the same command goes on from", json):
        evaluate(Wanted(data, home, json, seeds, tuple(only or ()), epochs_of(epochs or ()), threads))


@app.command("training")
def training(
    steps: Annotated[int, typer.Option(min=1, help="Steps of every run.")] = 300,
    json: Annotated[Path | None, typer.Option(help="File of the figures, written after every run.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Name of a run; may be given again.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=9, help="Runs of each.")] = 1,
) -> None:
    """Compare language models by size, by number of homes, and trained plainly or robustly; goes on where it was."""
    from trainer.evaluate.training import Wanted, run  # noqa: PLC0415

    with _ending("the same command goes on; what was done is in", json):
        run(Wanted(steps, seeds, tuple(only or ()), json))


@app.command("history")
def history(  # noqa: PLR0917  # a command's options are its arguments
    file: Annotated[Path, typer.Argument(help="JSON lines: t (ISO 8601 with offset), device, control.")],
    train_from: Annotated[datetime, typer.Option(formats=DATES, help="First local day to learn.")],
    train_until: Annotated[datetime, typer.Option(formats=DATES, help="The day after the last one.")],
    test_from: Annotated[datetime, typer.Option(formats=DATES, help="First local day to judge.")],
    test_until: Annotated[datetime, typer.Option(formats=DATES, help="The day after the last one.")],
    adapt: Annotated[str | None, typer.Option(help="Judge also after adapting to this scene.")] = None,
    json: Annotated[Path | None, typer.Option(help="File of the figures, written as they come.")] = None,
    alarms_per_week: Annotated[float, typer.Option(min=0.01, help="False alarms accepted a week.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Chance.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; by default as many as suit.")] = None,
) -> None:
    """Judge what the hub foretells on days of a timeline it has not lived, and how often it alarms on them."""
    from trainer.evaluate.history import Wanted, run  # noqa: PLC0415

    train, test = (train_from.date(), train_until.date()), (test_from.date(), test_until.date())
    with _ending("what was done is in", json):
        run(Wanted(file, train, test, adapt, alarms_per_week, seed, steps), json)


@app.command("alarms")
def alarms(  # noqa: PLR0917  # a command's options are its arguments
    homes: Annotated[int, typer.Option(min=1, help="Simulated homes, with and without motion in turn.")] = 4,
    weeks: Annotated[int, typer.Option(min=1, help="Weeks that are judged.")] = 12,
    history: Annotated[int, typer.Option(min=14, help="Days before them, which are learned first.")] = 28,
    json: Annotated[Path | None, typer.Option(help="File of the figures.")] = None,
    picture: Annotated[Path | None, typer.Option(help="PNG of the trade-off to draw.")] = None,
    alarms_per_week: Annotated[float, typer.Option(min=0.01, help="False alarms accepted a week.")] = 1.0,
    learn_every: Annotated[int, typer.Option(min=1, help="Nights from one learning to the next.")] = 7,
    seed: Annotated[int, typer.Option(help="Chance: the first home's seed.")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; by default as many as suit.")] = None,
    cluster: Cluster = None,
    done: Done = None,
) -> None:
    """Count the false alarms of simulated homes lived day by day, and the injected anomalies that are found."""
    from trainer.cluster import Where  # noqa: PLC0415
    from trainer.evaluate.alarms import Wanted, run  # noqa: PLC0415

    with _ending("what was done is in", json):
        asked = Wanted(homes, weeks, history, alarms_per_week, learn_every, seed, steps)
        run(asked, json, picture, Where(cluster, done))


@app.command("compression")
def compression(  # noqa: PLR0917  # a command's options are its arguments
    data: Annotated[Path, typer.Option(help="Folder of the recorded homes.")] = Path("../shared/data"),
    homes: Annotated[
        str, typer.Option(help="Folders of recorded homes and simulated:SEED, joined by commas.")
    ] = "fr,sp,simulated:1,simulated:2,simulated:3",
    seeds: Annotated[int, typer.Option(min=1, help="Splits of each home.")] = 5,
    parts: Annotated[str, typer.Option(help="Joined by commas.")] = "fidelity,growth,light,selection,tokens,synthesis",
    json: Annotated[Path | None, typer.Option(help="File of the figures, written after every part.")] = None,
    exact: Annotated[Path, typer.Option(help="Folder where exact runs are kept.")] = Path("runs/exact"),
) -> None:
    """Judge estimates of importance, and which sequences stand for all at a budget of tokens; goes on where it was."""
    from trainer.evaluate.compression import Wanted, run  # noqa: PLC0415

    def named(joined: str) -> tuple[str, ...]:
        return tuple(each.strip() for each in joined.split(","))

    with _ending("the same command goes on from", json):
        run(Wanted(data, named(homes), seeds, named(parts), json, exact))


@app.command("poisoning")
def poisoning(  # noqa: PLR0917  # a command's options are its arguments
    data: Annotated[Path, typer.Option(help="Folder of the recorded homes.")] = Path("../shared/data"),
    homes: Annotated[
        str, typer.Option(help="Folders of recorded homes and simulated:SEED, joined by commas.")
    ] = "simulated:3,fr,sp",
    json: Annotated[Path | None, typer.Option(help="File of the figures, written after every life.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each home.")] = 1,
    shares: Annotated[str, typer.Option(help="Shares of the days, joined by commas.")] = "0,.05,.1,.15,.2,.25,.3",
    strategies: Annotated[str, typer.Option(help="Joined by commas.")] = "standard,habit,lock,flood,rising,unalerted",
    learn_every: Annotated[int, typer.Option(min=1, help="Nights from one learning to the next.")] = 14,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; by default as many as suit.")] = None,
) -> None:
    """Measure what is found after somebody lived anomalies on a share of the days learned; goes on where it was."""
    from trainer.evaluate.poisoning import Wanted, run  # noqa: PLC0415

    def named(joined: str) -> tuple[str, ...]:
        return tuple(each.strip() for each in joined.split(","))

    with _ending("the same command goes on from", json):
        some = tuple(float(each) for each in named(shares))
        run(Wanted(named(homes), data, seeds, some, named(strategies), learn_every, steps=steps), json)
