"""The retraining child: `python -m edge.workers.retrain RESULT`. numpy and onnxruntime, nothing else.

Reads one npz on standard input, a file: job (JSON), tokens, weight, possible and start; writes the parameters as npy to
RESULT, an open file's number. Tells one JSON object a line: {"step", "steps", "loss"} as it goes, at the end
{"peak_rss_mb", "loss"}. It dies with its parent.

What is hidden and what is forgotten is drawn here, batch by batch: the exported step has no chance in it.
"""

import json
import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge.workers.lifeline import bind
from edge.workers.memory import peak_rss_mb

DEVICE, CONTROL = 2, 3  # fields, as in edge.core.sequences; the parent checks the shapes
PAD, UNKNOWN = 0, 1  # as in edge.core.vocabulary
PADDING = (7, 24, PAD, PAD, 18, 18)  # a padded place, as edge.core.sequences.padding says it
HIDDEN = 0.2  # share of places whose what, and whose when, is hidden
FORGOTTEN = 0.05  # share of places shown as unknown: a name never met must read as something, and it regularizes
SLIPPED = 0.1  # share of places where another possible behavior stands: what was not lived yet can still happen
GUIDED = (0.5, 3.0)  # how much less, and more, than HIDDEN a place is hidden for what its control surprised by so far
LEARNED = 0.2  # share of a step's surprise in what is remembered of a control
CUT = 0.25  # share of sequences shown up to some place only, that one hidden: as a behavior is scored when it happens
WARM_UP = 0.05  # share of the steps in which the learning rate rises
TELL_EVERY = 0.25  # seconds between two lines of progress

Batch = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, and by whom: `parent` is the process id of who asks."""

    parent: int
    steps: int
    batch: int
    lr: float
    seed: int
    threads: int
    nice: int
    memory_mb: int | None


def rate(step: int, steps: int, highest: float) -> float:
    """Return the learning rate of a step (0-based): a short linear rise, then half a cosine down to 0."""
    rise = max(1, round(steps * WARM_UP))
    if step < rise:
        return highest * (step + 1) / rise
    return highest * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def order(weight: NDArray[np.float32], chance: np.random.Generator) -> Iterator[int]:
    """Yield row numbers for ever, each as often as its weight says, spread over rounds as evenly as can be.

    Systematic sampling: with equal weights every round is a shuffle of all rows, without repetition.
    """
    ends = np.cumsum(weight, dtype=np.float64)
    ends *= len(weight) / ends[-1]
    while True:
        points = np.arange(len(weight)) + chance.random()
        rows = np.minimum(np.searchsorted(ends, points, side="right"), len(weight) - 1)
        yield from chance.permutation(rows).tolist()


class Guide:
    """What is hidden, batch by batch: the more of it, the more a control surprised when it was hidden before.

    So rare behaviors are learned and not only the many (loss-guided mask: SmartGuard, KDD 2024).
    """

    def __init__(self, rows: int) -> None:
        """Begin with all controls alike."""
        self.nats = np.ones(rows)

    def hide(self, tokens: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.float32]:
        """Return mask (B, LENGTH, 2): HIDDEN of the places, and at least one of each sequence, never padding."""
        real = tokens[:, :, CONTROL] != PAD
        hard = self.nats[tokens[:, :, CONTROL]]
        share = np.full((*real.shape, 2), HIDDEN)
        share[:, :, 0] *= np.clip(hard / max(float(hard[real].mean()), 1e-6), *GUIDED)
        mask = (chance.random(share.shape) < share) & real[..., None]
        rows = np.arange(len(tokens))
        for part in (0, 1):
            mask[rows, (chance.random(len(tokens)) * real.sum(1)).astype(int), part] = True
        hidden: NDArray[np.float32] = mask.astype(np.float32)
        return hidden

    def learn(self, lived: NDArray[np.int64], batch: Batch, nats: NDArray[np.float32]) -> None:
        """Remember how surprising the hidden controls of a batch were, nats (B, LENGTH); slips teach nothing."""
        control = lived[:, :, CONTROL]
        hidden = (batch["mask"][:, :, 0] > 0) & (batch["tokens"][:, :, CONTROL] == control)
        control = control[hidden]
        count = np.bincount(control, minlength=len(self.nats))
        found = np.bincount(control, nats[hidden], len(self.nats))
        seen = count > 0
        self.nats[seen] += LEARNED * (found[seen] / count[seen] - self.nats[seen])


def forget(tokens: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int64]:
    """Return tokens (B, LENGTH, 6) with FORGOTTEN of the places' device and control UNKNOWN, never padding."""
    gone = (chance.random(tokens.shape[:2]) < FORGOTTEN) & (tokens[:, :, CONTROL] != PAD)
    out = tokens.copy()
    out[gone, DEVICE] = out[gone, CONTROL] = UNKNOWN
    return out


def slip(tokens: NDArray[np.int64], possible: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int64]:
    """Return tokens (B, LENGTH, 6) with SLIPPED of the places' device and control drawn from `possible` (k, 2).

    So everything possible keeps a little probability, and only what is not possible is never seen: smoothing.
    """
    if not len(possible):
        return tokens
    slipped = (chance.random(tokens.shape[:2]) < SLIPPED) & (tokens[:, :, CONTROL] != PAD)
    out = tokens.copy()
    out[slipped, DEVICE : CONTROL + 1] = possible[chance.integers(len(possible), size=int(slipped.sum()))]
    return out


def cut(
    tokens: NDArray[np.int64], mask: NDArray[np.float32], chance: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return tokens and mask with a share CUT of the sequences ending at a random place, what or when hidden there."""
    out, hidden = tokens.copy(), mask.copy()
    length = (tokens[:, :, CONTROL] != PAD).sum(1)
    rows = np.flatnonzero(chance.random(len(tokens)) < CUT)
    last = (chance.random(len(rows)) * length[rows]).astype(int)
    after = np.arange(tokens.shape[1]) > last[:, None]
    out[rows] = np.where(after[..., None], PADDING, tokens[rows])
    hidden[rows] = 0
    hidden[rows, last, chance.integers(2, size=len(rows))] = 1
    return out, hidden


def batches(
    tokens: NDArray[np.int64], weight: NDArray[np.float32], possible: NDArray[np.int64], job: Job, guide: Guide
) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    """Yield what was lived and the batch shown of it, one a step.

    Weights decide how often a sequence is drawn, so drawn ones all count alike.
    """
    chance = np.random.default_rng(job.seed)
    rows = order(weight, chance)
    for step in range(job.steps):
        lived = tokens[[next(rows) for _ in range(job.batch)]]
        shown, mask = cut(forget(slip(lived, possible, chance), chance), guide.hide(lived, chance), chance)
        batch: Batch = {
            "tokens": shown,
            "mask": mask,
            "weight": np.ones(job.batch, np.float32),
            "lr": np.array(rate(step, job.steps, job.lr), np.float32),
        }
        yield lived, batch


class Training:
    """The exported training step, run again and again. Two sets of buffers take turns: no copies between steps."""

    def __init__(self, graph: bytes, start: NDArray[np.float32], threads: int) -> None:
        import onnxruntime as ort  # noqa: PLC0415  # after the memory limit is set

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        value = ort.OrtValue.ortvalue_from_numpy
        blank = {"m": np.zeros_like(start), "v": np.zeros_like(start), "step": np.zeros((), np.float32)}
        self._now, self._next = (
            {name: value(part.copy()) for name, part in {"flat": start, **blank}.items()} for _ in range(2)
        )
        self._loss = value(np.zeros((), np.float32))

    def step(self, batch: Batch) -> tuple[float, NDArray[np.float32]]:
        """Make one step; return the loss before it, and the nats of what at every place (B, LENGTH)."""
        binding = self._session.io_binding()
        for name, part in self._now.items():
            binding.bind_ortvalue_input(name, part)
            binding.bind_ortvalue_output(f"{name}_out", self._next[name])
        for name, part in batch.items():
            binding.bind_cpu_input(name, part)
        binding.bind_ortvalue_output("loss", self._loss)
        binding.bind_output("nats")
        self._session.run_with_iobinding(binding)
        self._now, self._next = self._next, self._now
        return float(self._loss.numpy()), binding.get_outputs()[-1].numpy()

    def parameters(self) -> NDArray[np.float32]:
        """Return the parameters (P,) as they are now."""
        flat: NDArray[np.float32] = self._now["flat"].numpy()
        return flat


def run(source: IO[bytes], result: IO[bytes]) -> None:
    """Do the job that a file holds."""
    given = np.load(source, allow_pickle=False)
    job = Job(**json.loads(str(given["job"])))
    bind(job.parent)
    os.nice(job.nice)
    if job.memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (job.memory_mb << 20, job.memory_mb << 20))
    tokens, weight, possible, start = (given[name] for name in ("tokens", "weight", "possible", "start"))
    training = Training(given["graph"].tobytes(), start, job.threads)
    losses: list[float] = []
    told = -math.inf
    guide = Guide(int(tokens[:, :, CONTROL].max()) + 1)
    for step, (lived, batch) in enumerate(batches(tokens, weight, possible, job, guide), 1):
        loss, nats = training.step(batch)
        guide.learn(lived, batch, nats)
        losses.append(loss)
        if not math.isfinite(losses[-1]):
            sys.exit(f"the loss is not finite at step {step}")
        if step == job.steps or time.monotonic() - told >= TELL_EVERY:
            tell({"step": step, "steps": job.steps, "loss": losses[-1]})
            told = time.monotonic()
    np.save(result, training.parameters(), allow_pickle=False)
    result.flush()
    tell({"peak_rss_mb": peak_rss_mb(), "loss": float(np.mean(losses[-50:]))})


def tell(what: dict[str, float]) -> None:
    """Write one line to the parent."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "wb") as handed:
        run(sys.stdin.buffer, handed)
