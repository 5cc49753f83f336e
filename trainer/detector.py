"""The compact network, as pure functions of one flat vector of parameters, and its training objective.

A step enters as the sum of its fields' embeddings and its place; two pre-norm transformer blocks read
the window. Seen both ways, with a part of some steps hidden, it says what was likely there (masked
reconstruction, SmartGuard's idea, KDD 2024); seen causally, what comes next. One set of weights.

Queries, keys and values have no bias: the key's has a true gradient of zero, and Adam would turn its
rounding noise into movement that differs from machine to machine.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from edge.core.sequences import DAYS, DURATIONS, FIELDS, LENGTH
from edge.core.vocabulary import CONTROL_ROWS, DEVICE_ROWS, PAD, TIME_ROWS

WIDTH, BLOCKS, HEADS, FEED = 64, 2, 4, 256
WEIGHT_DECAY, BETA1, BETA2, EPSILON = 0.01, 0.9, 0.999, 1e-8
_FAR = -1e4  # added to an attention logit, it hides a place; finite, so that no row of only hidden places is NaN


def _shapes() -> dict[str, tuple[int, ...]]:
    """Return every tensor of the network by name, in the order in which they lie in the flat vector."""
    shapes: dict[str, tuple[int, ...]] = {
        "embed.day": (DAYS + 1, WIDTH),
        "embed.time": (TIME_ROWS, WIDTH),
        "embed.device": (DEVICE_ROWS, WIDTH),
        "embed.control": (CONTROL_ROWS, WIDTH),
        "embed.gap": (DURATIONS, WIDTH),
        "embed.since": (DURATIONS, WIDTH),
        "embed.place": (LENGTH, WIDTH),
        "embed.hidden_what": (WIDTH,),
        "embed.hidden_when": (WIDTH,),
        "embed.causal": (WIDTH,),  # tells the blocks which of their two uses this is
    }
    for block in range(BLOCKS):
        shapes |= {
            f"{block}.attend.scale": (WIDTH,),
            f"{block}.attend.shift": (WIDTH,),
            f"{block}.attend.in": (3 * WIDTH, WIDTH),
            f"{block}.attend.out": (WIDTH, WIDTH),
            f"{block}.attend.bias": (WIDTH,),
            f"{block}.feed.scale": (WIDTH,),
            f"{block}.feed.shift": (WIDTH,),
            f"{block}.feed.in": (FEED, WIDTH),
            f"{block}.feed.in_bias": (FEED,),
            f"{block}.feed.out": (WIDTH, FEED),
            f"{block}.feed.bias": (WIDTH,),
        }
    return shapes | {
        "last.scale": (WIDTH,),
        "last.shift": (WIDTH,),
        "what.weight": (CONTROL_ROWS, WIDTH),
        "what.bias": (CONTROL_ROWS,),
        "when.weight": (TIME_ROWS, WIDTH),
        "when.bias": (TIME_ROWS,),
        "since.weight": (DURATIONS, WIDTH),
        "since.bias": (DURATIONS,),
        "next.weight": (CONTROL_ROWS, WIDTH),
        "next.bias": (CONTROL_ROWS,),
    }


SHAPES: Mapping[str, tuple[int, ...]] = _shapes()
SIZES = [math.prod(shape) for shape in SHAPES.values()]
COUNT = sum(SIZES)


def initial(seed: int) -> Tensor:
    """Return fresh parameters (COUNT,) float32; numpy's chance, which is the same on every machine."""
    chance = np.random.default_rng(seed)

    def tensor(name: str, shape: tuple[int, ...]) -> Tensor:
        if name.endswith("scale"):
            return torch.ones(shape)
        if name.endswith(("shift", "bias")):
            return torch.zeros(shape)
        table = name.startswith(("embed", "what", "when", "since", "next"))
        drawn = chance.standard_normal(shape, np.float32)
        return torch.from_numpy(drawn) * (0.02 if table else 1 / math.sqrt(shape[-1]))

    return torch.cat([tensor(name, shape).reshape(-1) for name, shape in SHAPES.items()])


def pieces(flat: Tensor) -> list[Tensor]:
    """Split the flat vector into the network's tensors, in the order of SHAPES."""
    return [part.reshape(shape) for part, shape in zip(torch.split(flat, SIZES), SHAPES.values(), strict=True)]


def named(tensors: list[Tensor]) -> dict[str, Tensor]:
    """Give the pieces their names."""
    return dict(zip(SHAPES, tensors, strict=True))


def _embed(p: Mapping[str, Tensor], tokens: Tensor, mask: Tensor | None) -> Tensor:
    """Embed tokens (B, LENGTH, 6); mask (B, LENGTH, 2) hides what and when. Returns (B, LENGTH, WIDTH).

    How long since a device's last act would tell both which device and what time it is: either mask hides it.
    """
    day, time, device, control, gap, since = (
        F.embedding(tokens[:, :, field], p[f"embed.{name}"]) for field, name in enumerate(FIELDS)
    )
    what, when = device + control, time + gap
    if mask is None:
        what = what + p["embed.causal"]
    else:
        hide_what, hide_when = mask[:, :, :1], mask[:, :, 1:]
        what = what * (1 - hide_what) + p["embed.hidden_what"] * hide_what
        when = when * (1 - hide_when) + p["embed.hidden_when"] * hide_when
        since = since * (1 - hide_what) * (1 - hide_when)
    return day + what + when + since + p["embed.place"]


def _attention_bias(tokens: Tensor, *, causal: bool) -> Tensor:
    """Return (B, 1, LENGTH, LENGTH): what each place must not look at."""
    padded = (tokens[:, :, 3] == PAD).to(torch.float32) * _FAR
    future = torch.triu(torch.full((LENGTH, LENGTH), _FAR), 1) if causal else torch.zeros(LENGTH, LENGTH)
    return padded[:, None, None, :] + future


def _blocks(p: Mapping[str, Tensor], x: Tensor, bias: Tensor) -> Tensor:
    """Run the transformer blocks and the last norm on (B, LENGTH, WIDTH)."""
    batch, head = x.shape[0], WIDTH // HEADS
    for block in range(BLOCKS):
        h = F.layer_norm(x, (WIDTH,), p[f"{block}.attend.scale"], p[f"{block}.attend.shift"])
        query, key, value = (
            part.reshape(batch, LENGTH, HEADS, head).transpose(1, 2)
            for part in torch.split(F.linear(h, p[f"{block}.attend.in"]), WIDTH, -1)
        )
        looks = torch.softmax(query @ key.transpose(-1, -2) * (1 / math.sqrt(head)) + bias, -1)
        h = (looks @ value).transpose(1, 2).reshape(batch, LENGTH, WIDTH)
        x = x + F.linear(h, p[f"{block}.attend.out"], p[f"{block}.attend.bias"])
        h = F.layer_norm(x, (WIDTH,), p[f"{block}.feed.scale"], p[f"{block}.feed.shift"])
        h = F.gelu(F.linear(h, p[f"{block}.feed.in"], p[f"{block}.feed.in_bias"]))
        x = x + F.linear(h, p[f"{block}.feed.out"], p[f"{block}.feed.bias"])
    return F.layer_norm(x, (WIDTH,), p["last.scale"], p["last.shift"])


def _head(p: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return torch.log_softmax(F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"]), -1)


def score(flat: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-probabilities of what (B, LENGTH, CONTROL_ROWS), when (.., TIME_ROWS) and since (.., DURATIONS)."""
    p = named(pieces(flat))
    x = _blocks(p, _embed(p, tokens, mask), _attention_bias(tokens, causal=False))
    return _head(p, "what", x), _head(p, "when", x), _head(p, "since", x)


def predict(flat: Tensor, tokens: Tensor) -> Tensor:
    """Return log-probabilities (B, LENGTH, CONTROL_ROWS) of the control that follows each place."""
    p = named(pieces(flat))
    return _head(p, "next", _blocks(p, _embed(p, tokens, None), _attention_bias(tokens, causal=True)))


def _nats(log_probability: Tensor, target: Tensor) -> Tensor:
    """Return how surprising each target is, nats."""
    return -log_probability.gather(-1, target.unsqueeze(-1)).squeeze(-1)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Return the mean over places, each counted `counts` times."""
    return (values * counts).sum() / counts.sum().clamp(min=1e-6)


def objective(p: Mapping[str, Tensor], tokens: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss: hidden what, when and duration, and next control, in nats; sequences weighted by `weight` (B,).

    And the nats of what at every place (B, LENGTH): they guide what is hidden next. Both passes run as one batch of
    2 B rows: half the operators, and the same sums.
    """
    x = torch.cat([_embed(p, tokens, mask), _embed(p, tokens, None)])
    bias = torch.cat([_attention_bias(tokens, causal=False), _attention_bias(tokens, causal=True)])
    seen = _blocks(p, x, bias)
    both, causal = seen[: tokens.shape[0]], seen[tokens.shape[0] :, :-1]  # a chunk() would freeze the batch in tracing
    control = tokens[:, :, 3]
    counts = (control != PAD).to(weight.dtype) * weight[:, None]
    nats = _nats(_head(p, "what", both), control)
    what = _mean(nats, counts * mask[:, :, 0])
    when = _mean(
        _nats(_head(p, "when", both), tokens[:, :, 1]) + _nats(_head(p, "since", both), tokens[:, :, 5]),
        counts * mask[:, :, 1],
    )
    following = _mean(_nats(_head(p, "next", causal), control[:, 1:]), counts[:, 1:])
    return what + when + following, nats


def train_step(  # noqa: PLR0917  # the inputs of a graph are a list
    flat: Tensor, m: Tensor, v: Tensor, step: Tensor, lr: Tensor, tokens: Tensor, mask: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run forward, backward and AdamW once; return the new flat, m, v, step, the loss before it and the nats of what.

    The gradient is taken by piece: by the flat vector it would be one full-size addition per tensor.
    Adam's epsilon is scaled instead of added as it stands: the ONNX exporter takes `x + 1e-8` for `x + 0`.
    """
    tensors = [part.detach().requires_grad_() for part in pieces(flat)]
    loss, nats = objective(named(tensors), tokens, mask, weight)
    gradient = torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, tensors)])
    step = step + 1
    m = m * BETA1 + gradient * (1 - BETA1)
    v = v * BETA2 + gradient * gradient * (1 - BETA2)
    root = torch.sqrt(1 - BETA2**step)
    move = m * (lr * root / (1 - BETA1**step)) / (torch.sqrt(v) + root * EPSILON)
    return flat * (1 - lr * WEIGHT_DECAY) - move, m, v, step, loss.detach(), nats.detach()
