"""Many small autoencoders of behavior sequences at once: the same network, each with weights of its own.

A GRU reads a sequence into one state, another GRU tells the sequence again from that state alone: control and
time of day at every place (IoTGen rebuilds a sequence from its encoding too). M networks are one set of tensors
with M in front; they see the same batches in the same order, and differ by what each sequence weighs for them.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # torch's own name for it

from edge.core.errors import RetrainError
from trainer.sppc.windows import Ids, Packed, Windows

HIDDEN = 32  # numbers of a state
ROWS = 256  # windows judged at once
Floats = NDArray[np.float64]
Parameters = Mapping[str, Tensor]  # each (M, rows, columns)
Tell = Callable[[int, int], None]  # (done, of how many)


@dataclass(frozen=True)
class Recipe:
    """How the networks are trained: Adam, its rate falling as a cosine after a short rise."""

    epochs: int = 40
    batch: int = 64
    rate: float = 2e-2
    rise: int = 10  # steps

    def steps(self, count: int) -> int:
        """Return how many steps the epochs over `count` windows are."""
        return math.ceil(self.epochs * count / self.batch)


@contextmanager
def _single() -> Iterator[None]:
    """Compute on one processor, numbers next to zero as zero: both are the process's own settings, so given back.

    Many small products gain nothing from a second thread, and lose ten times as much on a busy machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def begin(windows: Windows, count: int, seed: int) -> dict[str, Tensor]:
    """Return `count` networks, all from the same start."""
    chance = torch.Generator().manual_seed(seed)
    ids = len(windows.controls) + windows.slots
    bound = 1 / math.sqrt(HIDDEN)

    def drawn(rows: int, columns: int, reach: float) -> Tensor:
        values = (torch.rand(rows, columns, generator=chance) * 2 - 1) * reach
        return values.expand(count, rows, columns).contiguous()

    return {
        "into": drawn(ids, 3 * HIDDEN, 0.3),
        "read": drawn(HIDDEN, 3 * HIDDEN, bound),
        "read.bias": drawn(1, 3 * HIDDEN, bound),
        "tell": drawn(HIDDEN, 3 * HIDDEN, bound),
        "tell.bias": drawn(1, 3 * HIDDEN, bound),
        "tell.input": drawn(1, 3 * HIDDEN, bound),
        "out": drawn(HIDDEN, ids, bound),
        "out.bias": torch.zeros(count, 1, ids),
    }


def _cell(state: Tensor, given: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One step of a GRU on (M, b, HIDDEN)."""
    inner = torch.baddbmm(bias, state, weight)
    gates = torch.sigmoid(given[..., : 2 * HIDDEN] + inner[..., : 2 * HIDDEN])
    reset, keep = gates[..., :HIDDEN], gates[..., HIDDEN:]
    new = torch.tanh(torch.addcmul(given[..., 2 * HIDDEN :], reset, inner[..., 2 * HIDDEN :]))
    return torch.lerp(new, state, keep)


def encoded(p: Parameters, packed: Packed, controls: int) -> Tensor:
    """Return the state (M, b, HIDDEN) each window leaves; ids of times stand behind those of `controls`."""
    count, ids = p["into"].shape[:2]
    table = p["into"].reshape(count * ids, 3 * HIDDEN)
    own = torch.arange(count)[:, None] * ids
    given = F.embedding(packed.control + own, table) + F.embedding(packed.time + controls + own, table)
    state = given.new_zeros(count, packed.alive[0], HIDDEN)
    starts = np.cumsum((0, *packed.alive))
    for place, number in enumerate(packed.alive):
        moved = _cell(state[:, :number], given[:, starts[place] : starts[place + 1]], p["read"], p["read.bias"])
        real = packed.real[:, starts[place] : starts[place + 1], None]
        moved = moved if bool(real.all()) else torch.where(real, moved, state[:, :number])
        state = moved if number == state.shape[1] else torch.cat([moved, state[:, number:]], 1)
    return state


def nats(p: Parameters, packed: Packed, controls: int) -> Tensor:
    """Return how badly every behavior is told (M, p): cross-entropy of its control and its time, in nats."""
    state = encoded(p, packed, controls)
    told: list[Tensor] = []
    for number in packed.alive:
        state = _cell(state[:, :number], p["tell.input"], p["tell"], p["tell.bias"])
        told.append(state)
    logits = torch.baddbmm(p["out.bias"], torch.cat(told, 1), p["out"])
    shape = logits.shape[:2]
    what, when = logits[..., :controls], logits[..., controls:]
    truths = (part.expand(shape).reshape(-1) for part in (packed.control, packed.time))
    each = [
        F.cross_entropy(part.reshape(-1, part.shape[-1]), truth, reduction="none")
        for part, truth in zip((what, when), truths, strict=True)
    ]
    return (each[0] + each[1]).view(shape)


def _batches(rows: list[Ids], size: int, steps: int, seed: int) -> Iterator[Ids]:
    """Yield batches (k, size): each row list is walked through in an order of chance, again and again."""
    chance = np.random.default_rng([seed, 10])
    streams = [np.empty(0, np.int64)] * len(rows)
    for _ in range(steps):
        for number, own in enumerate(rows):
            while len(streams[number]) < size:
                streams[number] = np.concatenate([streams[number], chance.permutation(own)])
        yield np.stack([stream[:size] for stream in streams])
        streams = [stream[size:] for stream in streams]


@_single()
def train(
    windows: Windows,
    weights: Floats,
    seed: int,
    recipe: Recipe = Recipe(),
    *,
    steps: int | None = None,
    apart: bool = False,
    on_step: Tell | None = None,
) -> dict[str, Tensor]:
    """Train as many networks as there are rows in `weights` (M, n): what each window counts for each network.

    0 is a window a network never sees; raises RetrainError for a network that sees none. The networks share their
    batches, drawn from what any of them sees; `apart`: each has batches of what it sees alone, which suits networks
    that see little. `steps`: instead of epochs.
    """
    p = {name: value.requires_grad_() for name, value in begin(windows, len(weights), seed).items()}
    counted = torch.from_numpy(weights.astype(np.float32))
    optimizer = torch.optim.Adam(list(p.values()), lr=recipe.rate, betas=(0.9, 0.99), fused=True)
    rows = [np.flatnonzero(each > 0) for each in weights] if apart else [np.flatnonzero(weights.max(0) > 0)]
    if not all(len(each) for each in rows):
        raise RetrainError("an autoencoder is given nothing to learn: allow more sequences")
    total = steps or recipe.steps(len(rows[0]))
    for step, batch in enumerate(_batches(rows, recipe.batch, total, seed)):
        packed = windows.packed(batch)
        each = _weighed(counted, packed)
        optimizer.zero_grad()
        loss = (nats(p, packed, len(windows.controls)) * each).sum(1) / each.sum(1).clamp_min(1e-9)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * 0.5 * (1 + math.cos(math.pi * step / total)) * min(1, (step + 1) / recipe.rise)
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, total)
    return {name: value.detach() for name, value in p.items()}


def _weighed(counted: Tensor, packed: Packed) -> Tensor:
    """Return what each behavior of a batch counts for each network (M, p)."""
    order = packed.order.expand(len(counted), -1)
    return counted.gather(1, order)[:, packed.row] * packed.real


@_single()
def losses(p: Parameters, windows: Windows, rows: Ids | None = None) -> Floats:
    """Return each network's mean nats a behavior of each window (M, n), of some rows where they are given."""
    rows = np.arange(len(windows)) if rows is None else rows
    out = np.empty((p["read"].shape[0], len(windows)))
    for packed in _parts(windows, rows):
        with torch.inference_mode():
            each = nats(p, packed, len(windows.controls))
            sums = torch.zeros(len(each), packed.length.shape[1]).index_add_(1, packed.row, each)
        out[:, packed.order[0].numpy()] = (sums / packed.length).numpy()
    return out[:, rows]


@_single()
def states(p: Parameters, windows: Windows) -> Floats:
    """Return the first network's state of each window (n, HIDDEN)."""
    out = np.empty((len(windows), HIDDEN))
    for packed in _parts(windows, np.arange(len(windows))):
        with torch.inference_mode():
            out[packed.order[0].numpy()] = encoded(p, packed, len(windows.controls))[0].numpy()
    return out


def _parts(windows: Windows, rows: Ids) -> Iterator[Packed]:
    for start in range(0, len(rows), ROWS):
        yield windows.packed(rows[None, start : start + ROWS])
