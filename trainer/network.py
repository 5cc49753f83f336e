"""The language model's network: llama architecture in torch, in the layout llama.cpp expects of it.

RMSNorm, rotary positions, grouped-query attention, SwiGLU, a head of its own. Here a rotated pair is (i, i + half),
which is faster in torch; llama.cpp's "normal" rope pairs (2i, 2i + 1), so the export interleaves those rows.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network. `width` and `inner` are multiples of 256, else Q4_K falls back to larger types."""

    vocabulary: int
    width: int = 256
    layers: int = 4
    heads: int = 8
    groups: int = 4  # key and value heads
    inner: int = 512
    context: int = 2048
    rope_base: float = 1e6
    epsilon: float = 1e-5

    @property
    def head(self) -> int:
        """Width of one head."""
        return self.width // self.heads


def rotation(positions: Tensor, shape: Shape, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosine and sine (batch, 1, places, head / 2) of the rotary angles (RoFormer, 2021, eq. 15)."""
    powers = torch.arange(0, shape.head, 2, dtype=torch.float32) / shape.head
    angles = (positions.float().unsqueeze(-1) * shape.rope_base**-powers).unsqueeze(1)
    return angles.cos().to(kind), angles.sin().to(kind)


def rotated(values: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate each pair (i, i + half) of the last axis of (batch, heads, places, head) by its angle."""
    cosine, sine = turn
    first, second = values.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)


class Attention(nn.Module):
    """Grouped-query attention under a mask that is given."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        narrow = shape.groups * shape.head
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, narrow, bias=False)
        self.value = nn.Linear(shape.width, narrow, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, states: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """Map (batch, places, width) to the same; `mask` (batch, 1, places, places) is True where it may look."""
        batch, places, _ = states.shape
        size = self.shape.head

        def split(values: Tensor) -> Tensor:
            return values.view(batch, places, -1, size).transpose(1, 2)

        query = rotated(split(self.query(states)), turn)
        key, value = rotated(split(self.key(states)), turn), split(self.value(states))
        grouped = self.shape.heads != self.shape.groups
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=grouped)
        return self.out(mixed.transpose(1, 2).reshape(batch, places, -1))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One transformer layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.attention = Attention(shape)
        self.inner_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.gate = nn.Linear(shape.width, shape.inner, bias=False)
        self.up = nn.Linear(shape.width, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(self, states: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """Map (batch, places, width) to the same."""
        states = states + self.attention(self.attention_norm(states), turn, mask)
        inner = self.inner_norm(states)
        return states + self.down(functional.silu(self.gate(inner)) * self.up(inner))  # type: ignore[no-any-return]


class Network(nn.Module):
    """Token ids to the hidden states the head reads."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        for name, weight in self.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.zeros_(weight)  # every layer begins as the identity
            elif weight.dim() == 2:
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Map (batch, places) ids to (batch, places, width)."""
        states = self.embedding(tokens)
        turn = rotation(positions, self.shape, states.dtype)
        for layer in self.layers:
            states = layer(states, turn, mask)
        return self.norm(states)  # type: ignore[no-any-return]

    def attention(self, number: int) -> Attention:
        """Return the attention of one layer."""
        layer = self.layers[number]
        assert isinstance(layer, Layer)
        return layer.attention

    def logits(self, states: Tensor) -> Tensor:
        """Map hidden states (..., width) to logits (..., vocabulary)."""
        return self.head(states)  # type: ignore[no-any-return]


def mask_of(groups: Tensor) -> Tensor:
    """Return the attention mask of (batch, places) group ids: 0 the shared prefix, n > 0 a request, -1 padding.

    A request sees the prefix and itself, as the hub sends it, and never another request.
    """
    places = groups.shape[1]
    causal = torch.ones(places, places, dtype=torch.bool).tril()
    same = (groups.unsqueeze(2) == groups.unsqueeze(1)) | (groups.unsqueeze(1) == 0)
    return (causal & same).unsqueeze(1)
