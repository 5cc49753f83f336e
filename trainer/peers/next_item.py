"""Networks that foretell the next control: an LSTM with attention (as IoTBeholder), and self-attention (as SASRec).

A sequence is as odd as the behavior they expected least: the highest -log p of a control, given those before it. The
first behavior has none before it, and no score.
"""

import math
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edge.core.sequences import LENGTH, Sequence
from edge.core.vocabulary import PAD, Vocabulary
from trainer.peers.peer import Floats, Given, Windows
from trainer.peers.torch_training import Recipe, Steps, scored, seeded, size, train

RECIPE = Recipe(epochs=60, batch=64)
WIDTH = 64
BLOCKS, HEADS, DROPOUT = 2, 2, 0.2


class LstmAttention(nn.Module):
    """Control and hour through an LSTM; each state looks back at those before it by dot products."""

    def __init__(self, controls: int) -> None:
        """Build it for control ids below `controls`."""
        super().__init__()
        self.steps = Steps(controls, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.output = nn.Linear(2 * WIDTH, controls)

    def forward(self, control: Tensor, time: Tensor) -> Tensor:
        """Return logits (n, LENGTH, controls) of the control after each place."""
        states, _ = self.lstm(self.steps(control, time))
        looked = self.query(states) @ states.transpose(1, 2) / math.sqrt(WIDTH)
        ahead = torch.ones(looked.shape[1:], dtype=torch.bool).triu(1)
        seen = looked.masked_fill(ahead, -torch.inf).softmax(-1) @ states
        logits: Tensor = self.output(torch.cat([states, seen], -1))
        return logits


class SelfAttention(nn.Module):
    """Controls and places through causal transformer blocks; the embedding is the output, too."""

    def __init__(self, controls: int) -> None:
        """Build it for control ids below `controls`."""
        super().__init__()
        self.control = nn.Embedding(controls, WIDTH, padding_idx=PAD)
        self.place = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        nn.init.normal_(self.control.weight, std=0.02)
        block = nn.TransformerEncoderLayer(WIDTH, HEADS, WIDTH, DROPOUT, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, BLOCKS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, control: Tensor, time: Tensor) -> Tensor:
        """Return logits (n, LENGTH, controls) of the control after each place; the hour is not looked at."""
        del time
        ahead = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
        shown = self.dropout(self.control(control) * math.sqrt(WIDTH) + self.place)
        logits: Tensor = self.blocks(shown, mask=ahead) @ self.control.weight.T
        return logits


@dataclass(frozen=True)
class NextItem:
    """A trained network of either kind."""

    network: nn.Module
    vocabulary: Vocabulary

    @property
    def parameters(self) -> int:
        """Weights of the network."""
        return size(self.network)

    def scores(self, sequences: Items[Sequence]) -> Floats:
        """Return the highest -log p (n,) among each sequence's behaviors."""
        return scored(lambda *ids: _losses(self.network, *ids).amax(1), sequences, self.vocabulary)


def _losses(network: nn.Module, control: Tensor, time: Tensor) -> Tensor:
    """Return -log p (n, LENGTH - 1) of each behavior but the first, 0 where there is none."""
    logits = network(control, time)[:, :-1].transpose(1, 2)
    return nn.functional.cross_entropy(logits, control[:, 1:], ignore_index=PAD, reduction="none")


def _fit(given: Given, build: Callable[[int], nn.Module]) -> NextItem:
    seeded(given)
    network = build(given.rows)
    windows = Windows.of(given.train, given.vocabulary)
    control, time = torch.from_numpy(windows.control), torch.from_numpy(windows.time)

    def loss(rows: Tensor, epoch: int) -> Tensor:
        del epoch
        losses = _losses(network, control[rows], time[rows])
        return losses.sum() / (control[rows, 1:] != PAD).sum().clamp(min=1)

    train(network, loss, len(control), RECIPE, given)
    return NextItem(network, given.vocabulary)


def lstm_attention(given: Given) -> NextItem:
    """Train as IoTBeholder does (Zou et al., IMWUT 2023)."""
    return _fit(given, LstmAttention)


def sasrec(given: Given) -> NextItem:
    """Train as SASRec (Kang and McAuley, ICDM 2018), over all controls instead of one wrong one at a time."""
    return _fit(given, SelfAttention)
