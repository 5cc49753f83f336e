"""The compact network in ONNX Runtime beside the same network in torch: a score's latency, a training step's cost.

Each side runs in a fresh process (`python -m benchmarks.bench_detector SIDE`), so that neither pays for the other.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge.core.sequences import Step, tokens
from edge.core.vocabulary import Vocabulary
from edge.scorer import Scorer
from edge.slots import shipped
from edge.workers import retrain as worker

PAIRS = [(f"device {number % 30}", f"control {number}") for number in range(200)]
VOCABULARY = Vocabulary().grown(PAIRS)
SCORES, STEPS, BATCH = 2000, 200, 64
ROOT = Path(__file__).parents[1]


def detector() -> dict[str, Any]:
    """Return all figures of this module."""
    return {"score": score_latency(), "train_step": train_step()}


def score_latency() -> dict[str, Any]:
    """Return the latency of one score at batch 1 (one masked row), ms, one thread; `newest` is the fast loop's call."""
    return {side: _run(f"score-{side}") for side in ("onnxruntime", "torch")}


def train_step() -> dict[str, Any]:
    """Return a training step's ms at batch 64, one and two threads, and the process's peak memory, MB."""
    return {
        side: {f"threads_{threads}": _run(f"train-{side}", threads) for threads in (1, 2)}
        for side in ("onnxruntime", "torch")
    }


def _run(side: str, threads: int = 1) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bench_detector", side, str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=600)
    return {name: round(value, 4) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


def _sequences(count: int) -> list[tuple[Step, ...]]:
    chance = np.random.default_rng(0)
    return [
        tuple(
            Step(int(day), int(hour), *PAIRS[row])
            for day, hour, row in zip(
                chance.integers(0, 7, 10), chance.integers(0, 24, 10), chance.integers(0, len(PAIRS), 10), strict=True
            )
        )
        for _ in range(count)
    ]


def _times(act: Callable[[int], object], count: int) -> dict[str, float]:
    """Return median and 99th percentile of an act's wall time, ms, after a tenth for warming up."""
    taken = []
    for number in range(count + count // 10):
        began = time.perf_counter()
        act(number)
        taken.append((time.perf_counter() - began) * 1e3)
    settled = taken[count // 10 :]
    return {"median_ms": float(np.median(settled)), "p99_ms": float(np.quantile(settled, 0.99))}


def _score_onnxruntime(_: int) -> dict[str, float]:
    flat = np.load(shipped("detector") / "initial.npy", allow_pickle=False)
    scorer = Scorer(shipped("detector"), flat, VOCABULARY)
    sequences = _sequences(100)
    rows = [tokens([sequence], VOCABULARY) for sequence in sequences]
    mask = np.zeros((1, 10, 2), np.float32)
    mask[0, -1, 0] = 1
    run = scorer._score.run  # noqa: SLF001  # the graph alone, as torch is measured
    bare = _times(lambda number: run(None, {"tokens": rows[number % 100], "mask": mask}), SCORES)
    newest = _times(lambda number: scorer.newest(sequences[number % 100]), SCORES)
    return {**bare, **{f"newest_{name}": value for name, value in newest.items()}, "peak_rss_mb": worker.peak_rss_mb()}


def _score_torch(_: int) -> dict[str, float]:
    import torch  # noqa: PLC0415

    from trainer import detector as network  # noqa: PLC0415

    torch.set_num_threads(1)
    flat = network.initial(0)
    rows = [torch.from_numpy(tokens([sequence], VOCABULARY)) for sequence in _sequences(100)]
    mask = torch.zeros(1, 10, 2)
    mask[0, -1, 0] = 1
    with torch.inference_mode():
        times = _times(lambda number: network.score(flat, rows[number % 100], mask), SCORES)
    return {**times, "peak_rss_mb": worker.peak_rss_mb()}


def _batches() -> list[worker.Batch]:
    ids = tokens(_sequences(500), VOCABULARY)
    job = worker.Job("", STEPS + STEPS // 10, BATCH, 1e-3, 0, 1, 0, None)
    nothing = np.empty((0, 2), np.int64)
    guide = worker.Guide(int(ids[:, :, worker.CONTROL].max()) + 1)
    return [batch for _, batch in worker.batches(ids, np.ones(len(ids), np.float32), nothing, job, guide)]


def _train_onnxruntime(threads: int) -> dict[str, float]:
    model = shipped("detector")
    training = worker.Training(
        (model / "train_step.onnx").read_bytes(), np.load(model / "initial.npy", allow_pickle=False), threads
    )
    drawn = _batches()
    times = _times(lambda number: training.step(drawn[number]), STEPS)
    return {**times, "peak_rss_mb": worker.peak_rss_mb()}


def _train_torch(threads: int) -> dict[str, float]:
    import torch  # noqa: PLC0415

    from trainer import detector as network  # noqa: PLC0415

    torch.set_num_threads(threads)
    parts = [part.clone().requires_grad_() for part in network.pieces(network.initial(0))]
    optimizer = torch.optim.AdamW(parts, lr=1e-3, weight_decay=network.WEIGHT_DECAY, fused=True)
    drawn = [{name: torch.from_numpy(part) for name, part in batch.items() if name != "lr"} for batch in _batches()]

    def step(number: int) -> float:
        optimizer.zero_grad()
        loss, _ = network.objective(network.named(parts), **drawn[number])
        loss.backward()
        optimizer.step()
        return float(loss)

    return {**_times(step, STEPS), "peak_rss_mb": worker.peak_rss_mb()}


SIDES = {
    "score-onnxruntime": _score_onnxruntime,
    "score-torch": _score_torch,
    "train-onnxruntime": _train_onnxruntime,
    "train-torch": _train_torch,
}

if __name__ == "__main__":
    print(json.dumps(SIDES[sys.argv[1]](int(sys.argv[2]))))
