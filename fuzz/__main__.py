"""The commands.

`python -m fuzz TARGET` fuzzes one target, `python -m fuzz all` each of them, two at a time; `--seconds` or `--runs` say
for how long, `--keep` where what was found stays. `python -m fuzz TARGET FILE...` gives inputs once each, as to
see again what failed. Exit status 1 (of atheris: 77): a case failed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from fuzz import pool
from fuzz.engine import Wanted, again, fuzz
from fuzz.shrink import shrink
from fuzz.targets import NAMES, PAGE, seeds


def main() -> int:
    """Do what the arguments say."""
    asked = _parser().parse_args()
    wanted = Wanted(asked.seconds or (0 if asked.runs else 60), asked.runs, asked.seed, asked.keep)
    if asked.target == "all":
        return _all(wanted, asked.at_once, asked.only.split(",") if asked.only else list(NAMES))
    if asked.target == PAGE:
        from fuzz.page import browse  # noqa: PLC0415 - only the page needs an HTTP client

        return browse(wanted)
    if asked.shrink:
        inputs = [*seeds(asked.target), *(path.read_bytes() for path in asked.shrink.rglob("*") if path.is_file())]
        print(f"{shrink(asked.target, inputs)} inputs")
        return 0
    if asked.files:
        print(f"{again(asked.target, asked.files)} inputs, none failed")
        return 0
    fuzz(asked.target, wanted)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=[*NAMES, "all"])
    parser.add_argument("files", nargs="*", type=Path, help="inputs to give once each")
    parser.add_argument("--seconds", type=int, default=0, help="of each target (60, unless --runs says)")
    parser.add_argument("--runs", type=int, default=0, help="cases of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for what is found, what fails, logs and counts.json")
    parser.add_argument("--shrink", type=Path, help="make the corpus anew, small, from it and this folder of inputs")
    parser.add_argument("--at-once", type=int, default=2, help="targets fuzzed at the same time")
    parser.add_argument("--only", default="", help="of all: these, parted by commas")
    return parser


def _all(wanted: Wanted, at_once: int, names: list[str]) -> int:
    """Fuzz every target; print a line each, and what failed."""
    folder = wanted.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    failed = 0
    for told in pool.run(names, wanted, folder, at_once):
        pool.count([told], folder / "counts.json")
        print(f"{told.name:10} {told.cases:9} cases {told.edges:5} edges {told.seconds:6.0f} s", flush=True)
        if told.failed:
            print(told.failed, flush=True)
            failed += 1
    print(f"kept in {folder}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
