"""The targets by name: which function reads the bytes, and what of it is watched for coverage.

A case is a function of bytes that returns where all is well, an error of the contract included, and raises otherwise.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

Case = Callable[[bytes], None]
CORPUS = Path(__file__).parent / "corpus"
PAGE = "page"  # the one target that is driven over HTTP, not by bytes


@dataclass(frozen=True, slots=True)
class Target:
    """Where a case is. `longest`: bytes of an input; `beside`: pure Python parsers whose branches guide it too."""

    module: str
    longest: int = 4096
    beside: tuple[str, ...] = ()

    def case(self, name: str) -> Case:
        """Import the case; what it imports is watched where the caller has begun to watch."""
        found: Case = getattr(import_module(f"fuzz.{self.module}"), name)
        return found


TARGETS = {
    "bridges": Target("messages", longest=1024),
    "devices": Target("messages", longest=512),
    "requests": Target("messages", longest=512),
    "settings": Target("settings", beside=("tomllib",)),
    "documents": Target("documents", longest=2048),
    "bundles": Target("archives", longest=2048),
    "backups": Target("archives", beside=("tarfile",)),
    "history": Target("history", longest=1024),
    "recorder": Target("history", longest=1024),
    "replies": Target("replies", longest=512),
    "weights": Target("weights", longest=2048),
}
NAMES = (*TARGETS, PAGE)


def seeds(name: str) -> list[bytes]:
    """Return a target's inputs of the repository, in their order: a line each, escaped as in Python."""
    path = CORPUS / f"{name}.txt"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines]


def keep(name: str, inputs: Iterable[bytes]) -> None:
    """Make these the target's inputs of the repository."""
    lines = (each.decode("latin-1").encode("unicode_escape").decode("ascii") for each in inputs)
    (CORPUS / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def tokens(name: str) -> Path | None:
    """Return the words that help a target along, in libFuzzer's form; None where there are none."""
    found = CORPUS / f"{name}.dict"
    return found if found.exists() else None
