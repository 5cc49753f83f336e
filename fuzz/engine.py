"""One target in this process: by coverage with atheris until its time is over, or given inputs once each."""

import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fuzz.limits import RESIDENT, watched
from fuzz.targets import TARGETS, seeds, tokens

# Tables of words, and what only writes: many branches that say nothing about an input, half of all the time.
UNWATCHED = ("edge.core.devices", "edge.core.grammar")
WALL = 300  # seconds after which one case counts as endless: no machine is busy enough for that


@dataclass(frozen=True, slots=True)
class Wanted:
    """How long to fuzz: `seconds` or `runs`, 0 for no limit. `keep`: folder of what was found, None for nowhere."""

    seconds: int = 0
    runs: int = 0
    seed: int = 0
    keep: Path | None = None


def fuzz(name: str, wanted: Wanted) -> None:
    """Fuzz by coverage from the corpus on; never returns. An input that fails is written into `keep` and named."""
    import atheris  # noqa: PLC0415 - giving inputs again needs no atheris

    target = TARGETS[name]
    with atheris.instrument_imports(include=["edge", *target.beside], exclude=list(UNWATCHED)):
        case = watched(target.case(name))
    folder = wanted.keep or Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    found, failing, given = (folder / each for each in ("found", "failing", "given"))
    for each in (found, failing, given):
        each.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(seeds(name)):
        (given / str(place)).write_bytes(seed)
    words = tokens(name)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_len={target.longest}",
            f"-max_total_time={wanted.seconds}",
            f"-runs={wanted.runs or -1}",
            f"-seed={wanted.seed}",
            f"-timeout={WALL}",
            f"-rss_limit_mb={RESIDENT}",
            f"-artifact_prefix={failing}/",
            "-print_final_stats=1",
            "-reload=0",
            *([f"-dict={words}"] if words else []),
            str(found),
            str(given),
        ],
        case,
    )
    atheris.Fuzz()


def again(name: str, inputs: Iterable[Path]) -> int:
    """Give inputs once each, without atheris; return how many there were. Raises what a case raises."""
    case = watched(TARGETS[name].case(name))
    count = 0
    for path in inputs:
        count += 1
        try:
            case(path.read_bytes())
        except BaseException as error:
            error.add_note(f"the input is {path}; again: python -m fuzz {name} {path}")
            raise
    return count
