"""Autoencoders of control sequences: a GRU's (as ARGUS) and a transformer's (as SmartGen).

Odd is what they rebuild badly: both score a sequence by its mean reconstruction loss, as their papers do.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edge.core.sequences import Sequence
from edge.core.vocabulary import PAD, Vocabulary
from trainer.evaluate.published import BATCH, EPOCHS, RATE, Autoencoder
from trainer.peers.peer import Floats, Given, Windows
from trainer.peers.torch_training import CHUNK, Recipe, Steps, scored, seeded, size, train

ARGUS = Recipe(epochs=60, batch=64)
SMARTGEN = Recipe(epochs=EPOCHS, batch=BATCH, rate=RATE, shuffled=False)
WIDTH, HIDDEN = 64, 128


class GruAutoencoder(nn.Module):
    """Control and hour through one GRU to one vector, and through another back to every control."""

    def __init__(self, controls: int) -> None:
        """Build it for control ids below `controls`."""
        super().__init__()
        self.steps = Steps(controls, WIDTH)
        self.encoder = nn.GRU(WIDTH, HIDDEN, batch_first=True)
        self.decoder = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, controls)

    def forward(self, control: Tensor, time: Tensor) -> Tensor:
        """Return the cross-entropy (n, LENGTH) of rebuilding each control, 0 where there is none."""
        lengths = (control != PAD).sum(1)
        states, _ = self.encoder(self.steps(control, time))
        last = states[torch.arange(len(control)), lengths - 1]
        rebuilt, _ = self.decoder(last[:, None].expand(-1, control.shape[1], -1))
        logits = self.output(rebuilt).transpose(1, 2)
        return nn.functional.cross_entropy(logits, control, ignore_index=PAD, reduction="none")


@dataclass(frozen=True)
class Gru:
    """A trained GRU autoencoder."""

    network: GruAutoencoder
    vocabulary: Vocabulary

    @property
    def parameters(self) -> int:
        """Weights of the network."""
        return size(self.network)

    def scores(self, sequences: Items[Sequence]) -> Floats:
        """Return each sequence's mean reconstruction loss (n,) in nats."""

        def mean(control: Tensor, time: Tensor) -> Tensor:
            losses: Tensor = self.network(control, time)
            return losses.sum(1) / (control != PAD).sum(1)

        return scored(mean, sequences, self.vocabulary)


def gru_autoencoder(given: Given) -> Gru:
    """Train as ARGUS does (Rieger et al., USENIX Security 2023)."""
    seeded(given)
    network = GruAutoencoder(given.rows)
    windows = Windows.of(given.train, given.vocabulary)
    control, time = torch.from_numpy(windows.control), torch.from_numpy(windows.time)

    def loss(rows: Tensor, epoch: int) -> Tensor:
        del epoch
        losses: Tensor = network(control[rows], time[rows])
        return losses.sum() / (control[rows] != PAD).sum()

    train(network, loss, len(control), ARGUS, given)
    return Gru(network, given.vocabulary)


@dataclass(frozen=True)
class Transformer:
    """A trained transformer autoencoder (trainer/evaluate/published.py); padding is its last id."""

    network: Autoencoder
    vocabulary: Vocabulary

    @property
    def parameters(self) -> int:
        """Weights of the network."""
        return size(self.network)

    def rows(self, sequences: Items[Sequence]) -> Tensor:
        """Return control ids (n, LENGTH)."""
        ids = torch.from_numpy(Windows.of(sequences, self.vocabulary).control)
        return torch.where(ids == PAD, self.network.embedding.num_embeddings - 1, ids)

    def scores(self, sequences: Items[Sequence]) -> Floats:
        """Return each sequence's mean reconstruction loss (n,) in nats."""
        with torch.inference_mode():
            parts = [self.network(rows)[0] for rows in torch.split(self.rows(sequences), CHUNK)]
        return torch.cat(parts).numpy().astype(np.float64)


def transformer_autoencoder(given: Given) -> Transformer:
    """Train the network of SmartGen's protocol on the control field, its batches in order."""
    seeded(given)
    peer = Transformer(Autoencoder(given.rows + 1), given.vocabulary)
    ids = peer.rows(given.train)

    def loss(rows: Tensor, epoch: int) -> Tensor:
        del epoch
        losses, lengths = peer.network(ids[rows])
        mean: Tensor = (losses * lengths).sum() / lengths.sum()
        return mean

    train(peer.network, loss, len(ids), SMARTGEN, given)
    return peer
