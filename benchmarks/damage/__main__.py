"""Damages a home's files at random, thousands of times, and counts what became of each.

    python -m benchmarks.damage --rounds 3000 --seed 0 --json benchmarks/damage.json

An outcome is one of: whole (all is there, nothing was noticed), told (with what mends it; nothing lost), salvaged
(told, and what could be read was saved), cut (the log's end was lost, as a crash loses what was not yet on disk),
changed (a byte of a name or time is another: SQLite keeps no checksums), or crashed, which is a defect.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from rich.progress import track

from benchmarks.damage.home import COUNT, LOGGED, SCENES, build, copied, lived, use

KINDS: dict[str, Callable[[bytes, Random], bytes]] = {
    "bit": lambda whole, rng: _over(whole, at := rng.randrange(len(whole)), bytes([whole[at] ^ 1 << rng.randrange(8)])),
    "byte": lambda whole, rng: _over(whole, rng.randrange(len(whole)), rng.randbytes(1)),
    "sector of zeros": lambda whole, rng: _over(whole, rng.randrange(len(whole)) & ~511, bytes(512)),
    "sector of noise": lambda whole, rng: _over(whole, rng.randrange(len(whole)) & ~511, rng.randbytes(512)),
    "4 kB of zeros": lambda whole, rng: _over(whole, rng.randrange(len(whole)) & ~4095, bytes(4096)),
    "cut": lambda whole, rng: whole[: rng.randrange(len(whole))],
    "gone": lambda whole, rng: b"",  # noqa: ARG005
}
TARGETS = {  # how often each is damaged: the record most
    "data/sceneshift.db": 12, "data/sceneshift.db-wal": 4, "data/sceneshift.db-shm": 1, "sceneshift.toml": 2,
    "data/slots/current.json": 2, "data/slots/0003-summer/manifest.json": 2,
    "data/slots/0003-summer/parameters.npy": 2, "data/models/current.json": 1,
    "data/models/detector/*/manifest.json": 2, "data/models/detector/*/*.onnx": 2,
}  # fmt: skip


def main() -> None:
    """Run, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    report = run(asked.rounds, asked.seed)
    print(json.dumps(report, indent=1))
    if asked.json is not None:
        asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def run(rounds: int, seed: int) -> dict[str, object]:
    """Damage a home so many times, one file at a time; return the counts."""
    rng, began = Random(seed), time.monotonic()
    counts: dict[str, Counter[str]] = {}
    saved: list[int] = []
    crashes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        build(whole)
        names = list(TARGETS)
        for number in track(range(rounds), "damaging", transient=True):
            target = rng.choices(names, [*TARGETS.values()])[0]
            kind = rng.choice(list(KINDS))
            with copied(whole, Path(folder) / "home") as home:
                path = rng.choice(sorted(home.glob(target)))
                path.write_bytes(KINDS[kind](path.read_bytes(), rng))
                try:
                    found = use(home)
                    outcome = _outcome(found)
                except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
                    outcome = "crashed"
                    crashes.append(f"round {number}: {target}, {kind}: {error!r}")
                if outcome == "salvaged":
                    saved.append(len(found["rows"]))  # type: ignore[arg-type]
            counts.setdefault(Path(target).name if "model" not in target else target, Counter())[
                f"{kind}: {outcome}"
            ] += 1
    return {
        "rounds": rounds,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        "outcomes": dict(sorted(sum((_by_outcome(each) for each in counts.values()), Counter()).items())),
        "salvaged": {
            "records": len(saved),
            "behaviors": COUNT,
            "saved_mean": round(sum(saved) / max(len(saved), 1), 1),
            "saved_all_but_100": sum(each >= COUNT - 100 for each in saved),
            "saved_none": sum(each == 0 for each in saved),
        },
        "by_file": {name: dict(sorted(each.items())) for name, each in sorted(counts.items())},
        "crashes": crashes,
    }


def _by_outcome(counts: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, number in counts.items():
        found[name.partition(": ")[2]] += number
    return found


def _outcome(found: dict[str, object]) -> str:
    """Name what became of a damage; raises AssertionError where a damaged model scores, or nobody is told."""
    told, rows, values = found["told"], found["rows"], found["values"]
    assert isinstance(told, list)
    assert isinstance(rows, dict)
    if found["slot"]:
        number = SCENES.index(str(found["slot"]).partition("-")[2])
        assert values == {float(number)}, "a damaged model scores"
        assert told or number == len(SCENES) - 1, "another model scores, and nobody is told"
    true = {number + 1: lived(number) for number in range(COUNT)}
    if found["salvaged"]:
        return "salvaged"
    if any(true.get(number) != each for number, each in rows.items()):
        return "changed"
    if len(rows) < COUNT and not told:
        assert len(rows) >= COUNT - LOGGED, "more than the log is lost, and nobody is told"
        return "cut"
    return "told" if told else "whole"


def _over(whole: bytes, at: int, piece: bytes) -> bytes:
    return whole[:at] + piece[: len(whole) - at] + whole[at + len(piece) :]


if __name__ == "__main__":
    main()
