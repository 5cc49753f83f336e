"""Progress on the terminal: what is going on, how far it is, how long it takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Tell = Callable[[str, int, int], None]  # (what is going on, done, of how many)


@contextmanager
def progress(console: Console, what: str) -> Iterator[Tell]:
    """Show a bar while something is done; what is yielded is told how far it is."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console,
    ) as bar:  # fmt: skip
        task = bar.add_task(what)

        def tell(stage: str, done: int, of: int) -> None:
            bar.update(task, description=f"{what}: {stage}", completed=done, total=of)

        yield tell
