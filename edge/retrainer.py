"""Starts and watches the retraining child (edge/workers/retrain.py). What goes wrong there is a RetrainError here.

It is another process because a batch job must not touch the fast loop's memory, and must be easy to stop. What passes
between the two is in files without a name: whoever is killed leaves nothing behind.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

import edge
from edge.core.errors import ArtifactError, RetrainError
from edge.core.sequences import FIELDS, LENGTH
from edge.core.vectors import vector
from edge.secrecy import spared
from edge.verified import content

BATCH, RATE = 64, 2e-3
MOST_STEPS = 8000  # about 70 s on two desktop cores
NICE = 10
_PATIENCE = 0.1  # seconds between two looks at the clock and the cancel event
_NO_MEMORY = ("MemoryError", "bad_alloc", "Failed to allocate", "annot allocate memory")

Progress = Callable[[int, int], None]  # (steps made, steps in all)


@dataclass(frozen=True, slots=True)
class Retrained:
    """What a retraining gave. `seconds`: wall time with the child's start; `loss`: mean of the last steps, nats."""

    parameters: NDArray[np.float32]
    steps: int
    seconds: float
    peak_rss_mb: float
    loss: float
    engine: str = "onnxruntime"


def steps_for(weight: NDArray[np.float32]) -> int:
    """Return how many steps suit sequences of these weights (n,): 80, and one for each that counts.

    Chosen by the surprise of held-out sequences of two published homes, 45 to 2,600 of them: with as many steps for
    few as for many, the few are learned by heart. Unequal weights count as fewer (Kish's effective sample size).
    """
    total, squares = float(weight.sum(dtype=np.float64)), float(np.square(weight, dtype=np.float64).sum())
    return min(MOST_STEPS, 80 + round(total**2 / squares))


def retrain(
    tokens: NDArray[np.int64],
    weight: NDArray[np.float32],
    *,
    model_dir: Path,
    seed: int,
    limit_seconds: float,
    steps: int | None = None,
    batch: int = BATCH,
    rate: float = RATE,
    start: NDArray[np.float32] | None = None,
    possible: NDArray[np.int64] | None = None,
    threads: int = 2,
    memory_mb: int | None = None,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Retrained:
    """Train on tokens (n, LENGTH, 5), each drawn in proportion to weight (n,), from `start` or the shipped beginning.

    `possible` (k, 2): ids of the devices and controls that may happen though no sequence has them; none by default.
    Without `steps`, as many as suit the data. Deterministic by seed on one machine. Raises RetrainError: bad data,
    time or memory used up, cancelled, anything not finite, a child that died.
    """
    _check(tokens, weight)
    steps = steps_for(weight) if steps is None else steps
    began = time.monotonic()
    job: dict[str, Any] = {"steps": steps, "batch": batch, "lr": rate, "seed": seed}
    job |= {"parent": os.getpid(), "threads": threads, "nice": NICE, "memory_mb": memory_mb}
    try:
        graph = np.frombuffer(content(model_dir, "train_step.onnx"), np.uint8)
        parameters = vector(content(model_dir, "initial.npy")) if start is None else start
    except ArtifactError as error:
        raise RetrainError(f"the model to train cannot be used: {error}") from error
    free = np.empty((0, 2), np.int64) if possible is None else possible
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as result:
        np.savez(given, job=json.dumps(job), graph=graph, tokens=tokens, weight=weight, possible=free, start=parameters)
        given.seek(0)
        told = _watch(given, result, began + limit_seconds, on_progress, cancel)
        trained = _read(result, parameters.shape)
    return Retrained(trained, steps, time.monotonic() - began, float(told["peak_rss_mb"]), float(told["loss"]))


def _check(tokens: NDArray[np.int64], weight: NDArray[np.float32]) -> None:
    if tokens.dtype != np.int64 or tokens.ndim != 3 or tokens.shape[1:] != (LENGTH, len(FIELDS)):
        raise RetrainError(f"tokens of shape {tokens.shape}, {tokens.dtype}")
    if len(tokens) == 0:
        raise RetrainError("no sequences to train on")
    if weight.shape != tokens.shape[:1] or not np.isfinite(weight).all() or (weight < 0).any() or weight.sum() <= 0:
        raise RetrainError("the weights are not one finite number >= 0 for each sequence, some above 0")


def _read(result: IO[bytes], shape: tuple[int, ...]) -> NDArray[np.float32]:
    result.seek(0)
    try:
        parameters: NDArray[np.float32] = np.load(result, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RetrainError(f"the retraining left no parameters: {error}") from error
    if parameters.shape != shape or not np.isfinite(parameters).all():
        raise RetrainError("the retrained parameters are not finite")
    return parameters


def _watch(
    given: IO[bytes],
    result: IO[bytes],
    deadline: float,
    on_progress: Progress | None,
    cancel: threading.Event | None,
) -> dict[str, Any]:
    """Run the child; return the last line it told. However this ends, the child is dead and reaped then."""
    told: dict[str, Any] = {}
    with tempfile.TemporaryFile() as complaint, _child(given, result, complaint) as process:
        try:
            for line in _lines(process, deadline, cancel):
                told = _parsed(line)
                if on_progress and "step" in told:
                    on_progress(int(told["step"]), int(told["steps"]))
            code = process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise RetrainError("retraining did not end in time") from error
        finally:
            process.kill()
        if code != 0:
            complaint.seek(0)
            raise RetrainError(_obituary(code, complaint.read().decode(errors="replace")))
    if "peak_rss_mb" not in told:
        raise RetrainError("the retraining ended without a result")
    return told


def _child(given: IO[bytes], result: IO[bytes], complaint: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start the child; it nices and limits itself, before it loads anything large."""
    root = str(Path(edge.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "edge.workers.retrain", str(result.fileno())],
        stdin=given,
        stdout=subprocess.PIPE,
        stderr=complaint,
        pass_fds=[result.fileno()],
        cwd="/",
        # Arenas and BLAS threads reserve address space by the hundred MB; neither is used here.
        env={**spared(), "PYTHONPATH": path, "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"},
    )


def _lines(process: "subprocess.Popen[bytes]", deadline: float, cancel: threading.Event | None) -> Iterator[bytes]:
    """Yield the child's lines until it closes its output; raises RetrainError when time is up or on cancel."""
    assert process.stdout is not None
    rest = b""
    while True:
        if cancel is not None and cancel.is_set():
            raise RetrainError("retraining was cancelled")
        if time.monotonic() > deadline:
            raise RetrainError("retraining did not end in time")
        if not select.select([process.stdout], [], [], _PATIENCE)[0]:
            continue
        arrived = os.read(process.stdout.fileno(), 1 << 16)
        if not arrived:
            return
        *lines, rest = (rest + arrived).split(b"\n")
        yield from lines


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise RetrainError(f"the retraining said {line[:80]!r}") from error
    if not isinstance(told, dict):
        raise RetrainError(f"the retraining said {line[:80]!r}")
    return told


def _obituary(code: int, complaint: str) -> str:
    """Say in one line why a child died."""
    last = next((line.strip() for line in reversed(complaint.splitlines()) if line.strip()), "")
    if code < 0:
        died = f"by signal {signal.Signals(-code).name}"
    elif any(word in complaint for word in _NO_MEMORY):
        died = "for want of memory"
    else:
        died = f"with exit status {code}"
    return f"retraining died {died}" + (f": {last[:200]}" if last else "")
