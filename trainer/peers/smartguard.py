"""SmartGuard from its paper: an autoencoder guided by its own loss (Xiao et al., KDD 2024).

Loss-guided dynamic mask (LDMS): after a few epochs without, the behaviors of a window that were rebuilt worst in the
epoch before are hidden from all others, and only they are learned. Three-level time-aware position embedding (TTPE):
the place, hour and day, and the duration until the same device's next behavior, each with a learned weight. Noise-aware
weighted reconstruction loss (NWRL): at inference, a control that is rebuilt badly in normal windows weighs little.
The sizes are those its repository trains with: 256 wide, 8 heads, 2 + 2 layers, batches of 1,024 in order.
"""

import math
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edge.core.sequences import LENGTH, Sequence
from edge.core.vocabulary import PAD, Vocabulary
from trainer.peers.peer import Floats, Given, Windows
from trainer.peers.torch_training import CHUNK, Recipe, seeded, size, train

WIDTH, HEADS, LAYERS, INNER = 256, 8, 2, 2048
RECIPE = Recipe(epochs=60, batch=1024, shuffled=False)
UNMASKED = 5  # epochs before the first mask
HIDDEN = 2  # behaviors of a window that are masked
ORDER, DAY, HOUR, DURATION = range(4)
FIRST_WEIGHTS = (0.1, 0.4, 0.4, 0.7)
SHARPNESS = 0.01  # mu: how fast a noisy behavior's weight falls, in standard deviations of the loss
UNSEEN_WEIGHT = 0.5  # of a behavior no validation window has: as much as the best known
WEEK = 168.0  # hours


@dataclass(frozen=True)
class Batch:
    """What the network reads: control ids (n, LENGTH), and the four numbers of time (n, LENGTH, 4)."""

    control: Tensor
    moments: Tensor

    @classmethod
    def of(cls, sequences: Items[Sequence], vocabulary: Vocabulary) -> "Batch":
        """Read sequences."""
        windows = Windows.of(sequences, vocabulary)
        order = np.broadcast_to(np.arange(LENGTH), windows.control.shape)
        moments = np.stack([order, windows.day, windows.time, durations(windows, 24 / vocabulary.slots)], -1)
        return cls(torch.from_numpy(windows.control), torch.from_numpy(moments.astype(np.float32)))

    def rows(self, rows: Tensor | slice) -> "Batch":
        """Return some of the windows."""
        return Batch(self.control[rows], self.moments[rows])


def durations(windows: Windows, slot: float) -> Floats:
    """Return the hours (n, LENGTH) from each behavior to its device's next one, or to the window's last behavior."""
    clock = windows.day * 24.0 + windows.time * slot
    steps = np.diff(clock, axis=1) % WEEK
    passed = np.concatenate([np.zeros((len(clock), 1)), np.cumsum(steps * windows.own[:, 1:], axis=1)], axis=1)
    out = passed[:, -1:] - passed
    for place in range(LENGTH):
        for later in range(LENGTH - 1, place, -1):
            same = (windows.device[:, later] == windows.device[:, place]) & windows.own[:, later]
            out[same, place] = (passed[:, later] - passed[:, place])[same]
    return np.asarray(out * windows.own)


class SmartGuard(nn.Module):
    """The network; `weights` are those of order, day, hour and duration."""

    frequencies: Tensor

    def __init__(self, controls: int) -> None:
        """Build it for control ids below `controls`."""
        super().__init__()
        self.control = nn.Embedding(controls, WIDTH)
        self.weights = nn.Parameter(torch.tensor(FIRST_WEIGHTS))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, batch_first=True)
        encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.transformer = nn.Transformer(WIDTH, HEADS, LAYERS, LAYERS, INNER, custom_encoder=encoder, batch_first=True)
        self.output = nn.Linear(WIDTH, controls)
        self.register_buffer("frequencies", torch.exp(torch.arange(0, WIDTH, 2) * -(math.log(10000.0) / WIDTH)))

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Tensor:
        """Return the cross-entropy (n, LENGTH) of rebuilding each control, 0 of padding.

        `hidden` (n, LENGTH): what no behavior may look at.
        """
        shown = self.control(batch.control) + self.positions(batch.moments)
        padding = batch.control == PAD
        mask = padding if hidden is None else padding | hidden
        rebuilt = self.transformer(
            shown, shown, src_key_padding_mask=mask, tgt_key_padding_mask=mask, memory_key_padding_mask=padding
        )
        logits = self.output(rebuilt).transpose(1, 2)
        return nn.functional.cross_entropy(logits, batch.control, ignore_index=PAD, reduction="none")

    def positions(self, moments: Tensor) -> Tensor:
        """Return the embedding (n, LENGTH, WIDTH) of the four numbers of time: waves of all but the duration."""
        angles = moments[..., None] * self.frequencies
        waves = torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)
        straight = angles[:, :, DURATION].repeat_interleave(2, -1)
        parts = torch.stack([waves[:, :, ORDER], waves[:, :, DAY], waves[:, :, HOUR], straight], -1)
        return parts @ self.weights


class Guide:
    """LDMS: keeps each control's mean loss of the epoch before, and hides the worst of each window."""

    def __init__(self, controls: int) -> None:
        """Know nothing yet."""
        self._last = torch.zeros(controls)
        self._sum, self._count = torch.zeros(controls), torch.zeros(controls)

    def hidden(self, control: Tensor) -> Tensor:
        """Return which HIDDEN behaviors (n, LENGTH) of each window were learned worst."""
        worth = torch.where(control == PAD, -torch.inf, self._last[control])
        worst = worth.topk(HIDDEN, 1).indices
        # A window of one or two behaviors would have nothing left to look at.
        enough = ((control != PAD).sum(1) > HIDDEN)[:, None]
        return torch.zeros_like(control, dtype=torch.bool).scatter(1, worst, value=True) & enough

    def record(self, control: Tensor, losses: Tensor) -> None:
        """Take the losses (n, LENGTH) of one batch."""
        own = control != PAD
        self._sum.index_add_(0, control[own], losses.detach()[own])
        self._count.index_add_(0, control[own], torch.ones(int(own.sum())))

    def turn(self) -> None:
        """End an epoch."""
        self._last = self._sum / self._count.clamp(min=1)
        self._sum, self._count = torch.zeros_like(self._sum), torch.zeros_like(self._count)


@dataclass(frozen=True)
class Guard:
    """A trained SmartGuard; `weight` (controls,): what NWRL gives each control."""

    network: SmartGuard
    vocabulary: Vocabulary
    weight: Tensor

    @property
    def parameters(self) -> int:
        """Weights of the network."""
        return size(self.network)

    def scores(self, sequences: Items[Sequence]) -> Floats:
        """Return each sequence's noise-aware weighted reconstruction loss (n,) in nats."""
        batch = Batch.of(sequences, self.vocabulary)
        weight = self.weight[batch.control] * (batch.control != PAD)
        losses = rebuilt(self.network, batch)
        return ((losses * weight).sum(1) / weight.sum(1).clamp(min=1e-9)).numpy().astype(np.float64)


def rebuilt(network: SmartGuard, batch: Batch) -> Tensor:
    """Return the reconstruction losses (n, LENGTH), without mask."""
    with torch.inference_mode():
        return torch.cat(
            [network(batch.rows(slice(at, at + CHUNK))) for at in range(0, len(batch.control), CHUNK)]
        )  # fmt: skip


def noise_weights(control: Tensor, losses: Tensor, controls: int) -> Tensor:
    """Return what each control (controls,) weighs, from the losses (n, LENGTH) of normal windows (NWRL).

    sigmoid(-relu(l - mean) / (mu * std)) of its mean loss l, mean and std over the controls there are.
    """
    own = control != PAD
    count = torch.zeros(controls).index_add(0, control[own], torch.ones(int(own.sum())))
    total = torch.zeros(controls).index_add(0, control[own], losses[own])
    seen = count > 0
    mean = total[seen] / count[seen]
    spread = mean.std(correction=0).clamp(min=1e-9)
    weight = torch.full((controls,), UNSEEN_WEIGHT)
    weight[seen] = torch.sigmoid(-(mean - mean.mean()).relu() / (SHARPNESS * spread))
    return weight


def fit(given: Given) -> Guard:
    """Train as its repository does: the epoch that rebuilds the validation windows best stays."""
    seeded(given)
    network = SmartGuard(given.rows)
    guide = Guide(given.rows)
    batch, held_out = (Batch.of(part, given.vocabulary) for part in (given.train, given.validation))

    def loss(rows: Tensor, epoch: int) -> Tensor:
        part = batch.rows(rows)
        hidden = guide.hidden(part.control) if epoch >= UNMASKED else None
        losses: Tensor = network(part, hidden)
        guide.record(part.control, losses)
        learned = part.control != PAD if hidden is None else hidden
        return (losses * learned).sum() / learned.sum().clamp(min=1)

    def validate() -> float:
        network.eval()
        value = float(rebuilt(network, held_out).mean())
        network.train()
        return value

    train(network, loss, len(batch.control), RECIPE, given, validate=validate, ended=guide.turn)
    weight = noise_weights(held_out.control, rebuilt(network, held_out), given.rows)
    return Guard(network, given.vocabulary, weight)
