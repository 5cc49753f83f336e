"""Several targets, each in a child process, some at once; how many cases each ran, and what failed."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fuzz.engine import Wanted
from fuzz.targets import PAGE

START = 600.0  # seconds a child may take beside its time, begin, corpus and an endless case included: a busy machine's
CASES, EDGES = "stat::number_of_executed_units:", "cov:"  # as libFuzzer tells them at the end
_MEMORY = Path("/dev/shm")
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one target. `edges`: covered; `failed`: what to read where a case failed, else ""."""

    name: str
    cases: int
    edges: int
    seconds: float
    failed: str = ""


@dataclass(slots=True)
class _Running:
    name: str
    child: subprocess.Popen[bytes]
    log: Path
    began: float
    scratch: str  # where its files lie while it runs: in memory, where there is such a place

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)  # and whatever it has started
        self.child.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)


def run(names: Iterable[str], wanted: Wanted, folder: Path, at_once: int = 2) -> Iterator[Told]:
    """Fuzz every target for so long, `at_once` at a time; yields what became of each as it ends.

    Whoever stops asking ends the children. `folder` keeps a log, what was found and what failed, by target.
    """
    waiting, running = list(names), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(_begin(waiting.pop(0), wanted, folder))
            time.sleep(0.1)
            for each in [each for each in running if _over(each, wanted)]:
                running.remove(each)
                each.end()
                yield _told(each, folder)
    finally:
        for each in running:
            each.end()


def _begin(name: str, wanted: Wanted, folder: Path) -> _Running:
    kept = folder / name
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "failing").mkdir(exist_ok=True)
    for old in (kept / "failing").iterdir():
        old.unlink()
    command = [sys.executable, "-m", "fuzz", name, "--keep", str(kept), "--seed", str(wanted.seed)]
    command += ["--seconds", str(wanted.seconds)] if wanted.seconds else ["--runs", str(wanted.runs)]
    scratch = tempfile.mkdtemp(prefix="fuzz-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)
    apart: dict[str, Any] = {"cwd": _ROOT, "env": {**os.environ, "TMPDIR": scratch}, "start_new_session": True}
    with (kept / "log").open("wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **apart)
    return _Running(name, child, kept / "log", time.monotonic(), scratch)


def _over(each: _Running, wanted: Wanted) -> bool:
    if wanted.seconds and time.monotonic() - each.began > wanted.seconds + START:
        each.end()
    return each.child.poll() is not None


def _told(each: _Running, folder: Path) -> Told:
    log = each.log.read_text(encoding="utf-8", errors="replace")
    cases, edges = _last(CASES, log), _last(EDGES, log)
    seconds = round(time.monotonic() - each.began, 1)
    if each.child.returncode == 0:
        return Told(each.name, cases, edges, seconds)
    failing = sorted((folder / each.name / "failing").iterdir())
    again = "\n".join(f"again: python -m fuzz {each.name} {path}" for path in failing)
    if not failing:
        again = f"again: python -m fuzz {each.name} --seconds 60" if each.name == PAGE else "it failed before any case"
    why = "\n".join(line for line in log.splitlines()[-400:] if not line.startswith(("INFO", "#")))
    return Told(each.name, cases, edges, seconds, f"{each.name} ended with {each.child.returncode}\n{why}\n{again}")


def _last(what: str, log: str) -> int:
    found = re.findall(rf"{re.escape(what)}\s*(\d+)", log)
    return int(found[-1]) if found else 0


def count(told: Iterable[Told], path: Path) -> None:
    """Add cases and seconds to a file of counts by target; edges are the most that were covered."""
    counts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for each in told:
        before = counts.get(each.name, {"cases": 0, "seconds": 0.0, "edges": 0, "failed": 0})
        now = asdict(each)
        counts[each.name] = {
            "cases": before["cases"] + now["cases"],
            "seconds": round(before["seconds"] + now["seconds"], 1),
            "edges": max(before["edges"], now["edges"]),
            "failed": before["failed"] + bool(now["failed"]),
        }
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    fresh.replace(path)
