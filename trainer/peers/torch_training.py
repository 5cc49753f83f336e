"""How every network among the peers is trained: Adam, batches, epochs; the best epoch on validation where asked for."""

import copy
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edge.core.sequences import Sequence
from edge.core.vocabulary import PAD, TIME_ROWS, Vocabulary
from trainer.peers.peer import Floats, Given, Windows

CHUNK = 512  # sequences scored at once
Loss = Callable[[Tensor, int], Tensor]  # (rows of one batch, epoch) -> scalar


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train. `shuffled`: every epoch in another order, else always in the given one."""

    epochs: int
    batch: int
    rate: float = 1e-3
    shuffled: bool = True


def seeded(given: Given) -> None:
    """Set torch's seed and threads, before a network is built."""
    torch.set_num_threads(given.threads)  # a busy machine's waiting threads take ten times as long
    torch.manual_seed(given.seed)


def train(
    network: nn.Module,
    loss: Loss,
    count: int,
    recipe: Recipe,
    given: Given,
    *,
    validate: Callable[[], float] | None = None,
    ended: Callable[[], None] | None = None,
) -> None:
    """Minimize `loss` over `count` rows; with `validate`, the parameters of the epoch with the lowest value stay.

    `given` may want other epochs than the recipe. `ended` is called after each. The network ends in evaluation mode.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.rate)
    best, kept = float("inf"), None
    network.train()
    epochs = given.epochs or recipe.epochs
    for epoch in range(epochs):
        order = torch.randperm(count) if recipe.shuffled else torch.arange(count)
        for rows in torch.split(order, recipe.batch):
            optimizer.zero_grad()
            loss(rows, epoch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if ended is not None:
            ended()
        if validate is not None and (value := validate()) < best:
            best, kept = value, copy.deepcopy(network.state_dict())
        given.tell((epoch + 1) / epochs)
    if kept is not None:
        network.load_state_dict(kept)
    network.eval()


class Steps(nn.Module):
    """What happened and at which hour, as one vector a step: the sum of two embeddings."""

    def __init__(self, controls: int, width: int) -> None:
        """Build it for control ids below `controls`."""
        super().__init__()
        self.control = nn.Embedding(controls, width, padding_idx=PAD)
        self.time = nn.Embedding(TIME_ROWS, width)

    def forward(self, control: Tensor, time: Tensor) -> Tensor:
        """Return (n, LENGTH, width) of ids (n, LENGTH)."""
        steps: Tensor = self.control(control) + self.time(time)
        return steps


def scored(score: Callable[[Tensor, Tensor], Tensor], sequences: Items[Sequence], vocabulary: Vocabulary) -> Floats:
    """Return what `score` gives windows of control and time ids (n, LENGTH), a part of them at once: (n,)."""
    windows = Windows.of(sequences, vocabulary)
    control, time = torch.from_numpy(windows.control), torch.from_numpy(windows.time)
    with torch.inference_mode():
        parts = [score(*pair) for pair in zip(torch.split(control, CHUNK), torch.split(time, CHUNK), strict=True)]
    return torch.cat(parts).numpy().astype(np.float64)


def size(network: nn.Module) -> int:
    """Return how many parameters a network has."""
    return sum(each.numel() for each in network.parameters())
