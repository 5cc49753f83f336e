"""Training the language model: the loss on replies, the optimizers, checkpoints, a progress bar and the curve."""

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional

from trainer.batches import Batch, Supply
from trainer.lessons import RARITIES
from trainer.network import Network, mask_of

MUON_RATE, ADAM_RATE = 5e-3, 3e-3
WARM_STEPS = 40
DECAY_FROM = 0.5  # share of the steps after which the rate falls in a straight line to a hundredth
ROBUST_RATE = 0.02  # how fast the shares of the groups follow their losses
COPYING_STEPS = 20  # steps at the start that only copy, without dictionary and habits
CHECKPOINT_EVERY = 60.0  # seconds


def half_precision() -> bool:
    """Tell whether this processor multiplies bfloat16 natively; elsewhere autocast would only slow it down."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001


class Robust:
    """Distributionally robust training over groups of replies by how rare their behaviors are (head, middle, tail).

    The worst mixture of the groups is followed by exponentiated gradients (Sagawa et al., Distributionally Robust
    Neural Networks for Group Shifts, ICLR 2020, algorithm 1).
    """

    def __init__(self, shares: list[float]) -> None:
        """Take the groups' shares of the loss; they are changed in place."""
        self.shares = shares

    def loss(self, losses: Tensor, weights: Tensor, group: Tensor) -> Tensor:
        """Return the loss under the present shares, and move these towards what is foretold worst."""
        total, told = losses.new_zeros(()), 0.0
        for number in sorted(set(group.tolist())):
            part = group == number
            mean = (losses[part] * weights[part]).sum() / weights[part].sum()
            self.shares[number] *= math.exp(ROBUST_RATE * float(mean.detach()))
            total, told = total + self.shares[number] * mean, told + self.shares[number]
        whole = sum(self.shares)
        self.shares[:] = [share / whole for share in self.shares]
        return total / told


def reply_loss(network: Network, batch: Batch, *, balanced: bool = False, robust: Robust | None = None) -> Tensor:
    """Return the mean cross-entropy in nats over the tokens of the replies.

    `balanced`: a reply of n tokens counts as the root of n, so that "nothing" is heard beside long replies.
    `robust`: the groups of replies are weighted by how badly they are foretold.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
        states = network(batch.tokens, batch.positions, mask_of(batch.groups))
        picked = batch.learned[:, 1:]
        logits = network.logits(states[:, :-1][picked])
    losses = functional.cross_entropy(logits.float(), batch.tokens[:, 1:][picked], reduction="none")
    if not balanced:
        return losses.mean()
    rows = torch.arange(len(batch.groups)).unsqueeze(1)
    reply = (rows * (int(batch.groups.max()) + 1) + batch.groups)[:, 1:][picked]
    weights = torch.bincount(reply)[reply].float() ** -0.5
    if robust is not None:
        return robust.loss(losses, weights, batch.rarity[:, 1:][picked])
    return (losses * weights).sum() / weights.sum()


def optimizers(network: Network) -> list[torch.optim.Optimizer]:
    """Return Muon (Jordan 2024) for the matrices and AdamW for the embedding and the gains."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in network.named_parameters():
        inner = weight.dim() == 2 and not name.startswith(("embedding", "head"))
        (matrices if inner else others).append(weight)
    muon = torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)]


@dataclass
class Course:
    """How far training is: what a checkpoint keeps beside the weights."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)  # minutes of training at which a run was gone on with
    shares: list[float] = field(default_factory=lambda: [1 / len(RARITIES)] * len(RARITIES))  # of the loss, see Robust

    def rate(self, share: float) -> float:
        """Return the factor on the learning rates at a share (0-1) of the steps."""
        warm = min(1.0, (self.step + 1) / WARM_STEPS)
        return warm * min(1.0, max(0.01, (1.0 - share) / (1.0 - DECAY_FROM)))


@dataclass
class Training:
    """One run: the network, its optimizers and its course, in a folder of its own."""

    network: Network
    supply: Supply
    folder: Path
    steps: int
    micro: int = 2  # batches a step
    robust: bool = False
    course: Course = field(default_factory=Course)

    def __post_init__(self) -> None:
        self.optimizers = optimizers(self.network)

    @property
    def checkpoint(self) -> Path:
        """The file a run is resumed from."""
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Write the checkpoint; the file is replaced whole."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "optimizers": [each.state_dict() for each in self.optimizers],
            "course": vars(self.course),
        }
        draft = self.checkpoint.with_suffix(".draft")
        torch.save(state, draft)
        draft.replace(self.checkpoint)

    def resume(self) -> None:
        """Go on from the checkpoint."""
        state = torch.load(self.checkpoint, weights_only=True)
        self.network.load_state_dict(state["network"])
        for each, saved in zip(self.optimizers, state["optimizers"], strict=True):
            each.load_state_dict(saved)
        self.course = Course(**state["course"])
        self.course.resumed.append(round(self.course.seconds / 60.0, 1))

    def run(self) -> None:
        """Train until `steps` are made; whatever interrupts it, the checkpoint is at most a minute old."""
        stream = self.supply.stream(self.course.step * self.micro, COPYING_STEPS * self.micro)
        columns = (
            TextColumn("{task.description}"), BarColumn(), TextColumn("loss {task.fields[loss]:.3f}"),
            TextColumn("{task.fields[rate]:.0f} tokens/s"), TimeRemainingColumn(),
        )  # fmt: skip
        saved = time.monotonic()
        with Progress(*columns) as progress, (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            task = progress.add_task("behavior LM", total=self.steps, loss=0.0, rate=0.0)
            while self.course.step < self.steps:
                self._step(stream)
                recent = self.course.losses[-20:]
                loss, rate = sum(recent) / len(recent), self.course.tokens / self.course.seconds
                progress.update(task, completed=self.course.step, loss=loss, rate=rate)
                if self.course.step % 20 == 0:
                    log.write(f"{self.course.step} {self.course.seconds:.0f} s loss {loss:.4f} {rate:.0f} tokens/s\n")
                    log.flush()
                if time.monotonic() - saved > CHECKPOINT_EVERY:
                    self.save()
                    saved = time.monotonic()
        stream.close()
        self.save()

    def _step(self, stream: Generator[Batch]) -> None:
        began = time.monotonic()
        factor = self.course.rate(self.course.step / self.steps)
        robust = Robust(self.course.shares) if self.robust else None
        for optimizer, rate in zip(self.optimizers, (MUON_RATE, ADAM_RATE), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        total = 0.0
        for _ in range(self.micro):
            batch = next(stream)
            loss = reply_loss(self.network, batch, balanced=True, robust=robust) / self.micro
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            self.course.tokens += int((batch.groups >= 0).sum())
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.course.step += 1
        self.course.losses.append(total)
        self.course.seconds += time.monotonic() - began
