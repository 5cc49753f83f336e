"""A start that can already copy: attention heads set by hand before training.

Beside it a third: a head of layer 0 that looks at the words of the scene, so that every place knows them.

A home's names are arbitrary, so the model must copy them, and the circuit that copies (induction heads,
Olsson et al. 2022) is what a small model spends most of a short training on finding. Here it is written
into the first weights: a head of layer 0 notes which token came before; heads of layer 1 look for the
place where the present token came before, and say what stood there. Training changes them freely.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from trainer.network import Network, Shape

CONSTANT = 0  # the dimension that is the same for every token
FLAG = -1  # the dimension that is loud in the words of a scene to write for
CODES = 3  # heads that copy; each carries one head's width of a token's code
FAST, SLOW = 4, 6  # rotary pairs below FAST tell neighbors apart; from SLOW on they hardly turn within a prompt
LOUD = 5.0  # the constant, against codes of deviation 1
NEIGHBOR, MATCH, SAY = 1.3, 1.2, 1.0  # strengths of the two looks and of the copy
SCENE = 0.6  # strength of the look at the scene


def _places(shape: Shape) -> tuple[slice, slice, slice]:
    """Return the dimensions of a token's code, of what is to be said, and of the token before."""
    size = CODES * shape.head
    slow = 2 * (shape.head // 2 - SLOW)
    return slice(1, 1 + size), slice(1 + size, 1 + 2 * size), slice(1 + 2 * size, 1 + 2 * size + slow)


def _slow_rows(shape: Shape) -> Tensor:
    half = shape.head // 2
    return torch.cat((torch.arange(SLOW, half), torch.arange(half + SLOW, shape.head)))


@torch.no_grad()
def plant(network: Network, scene_words: Iterable[int] = ()) -> None:
    """Set the copying circuit and the look at `scene_words` (token ids); the other weights stay as they are."""
    shape = network.shape
    code, said, before = _places(shape)
    embedding, head = network.embedding.weight, network.head.weight
    embedding.zero_()
    embedding[:, CONSTANT] = LOUD
    embedding[:, code] = torch.randn(shape.vocabulary, code.stop - code.start)
    embedding[list(scene_words), FLAG] = LOUD
    head.zero_()
    head[:, said] = embedding[:, code] / (code.stop - code.start) ** 0.5
    note = torch.linalg.qr(torch.randn(code.stop - code.start, before.stop - before.start))[0].T
    _plant_neighbor(network, note)
    _plant_match(network, note)
    _plant_scene(network)


def _plant_neighbor(network: Network, note: Tensor) -> None:
    """Layer 0, head 0: look one place back by position alone, and note that token's code."""
    shape = network.shape
    code, _, before = _places(shape)
    attention = network.attention(0)
    size, half = shape.head, shape.head // 2
    angles = shape.rope_base ** -(torch.arange(half) / half)
    attention.query.weight[:size] = 0
    attention.key.weight[:size] = 0
    attention.query.weight[:FAST, CONSTANT] = NEIGHBOR * angles[:FAST].cos()
    attention.query.weight[half : half + FAST, CONSTANT] = -NEIGHBOR * angles[:FAST].sin()
    attention.key.weight[:FAST, CONSTANT] = NEIGHBOR
    width = before.stop - before.start
    attention.value.weight[:size] = 0
    attention.value.weight[:width, code] = note
    attention.out.weight[before, :width] = torch.eye(width)


def _plant_match(network: Network, note: Tensor) -> None:
    """Layer 1, the first head of each group: look where the present token came before, and say what stood there."""
    shape = network.shape
    code, said, before = _places(shape)
    attention = network.attention(1)
    size, times = shape.head, shape.heads // shape.groups
    rows = _slow_rows(shape)
    for group in range(CODES):
        query, key = group * times * size, group * size
        attention.query.weight[query : query + size] = 0
        attention.key.weight[key : key + size] = 0
        attention.value.weight[key : key + size] = 0
        attention.query.weight[query + rows, code] = MATCH * note
        attention.key.weight[key + rows, before] = MATCH * torch.eye(len(rows))
        part = slice(group * size, (group + 1) * size)
        attention.value.weight[key : key + size, code.start + part.start : code.start + part.stop] = torch.eye(size)
        attention.out.weight[said.start + part.start : said.start + part.stop, query : query + size] = SAY * torch.eye(
            size
        )


def _plant_scene(network: Network) -> None:
    """Layer 0, the first head of group 1: look at the scene's words wherever they stand, and keep their codes."""
    shape = network.shape
    code, _, before = _places(shape)
    attention = network.attention(0)
    size, times = shape.head, shape.heads // shape.groups
    query, rows = times * size, _slow_rows(shape)
    attention.query.weight[query : query + size] = 0
    attention.key.weight[size : 2 * size] = 0
    attention.query.weight[query + rows, CONSTANT] = SCENE
    attention.key.weight[size + rows, FLAG] = SCENE
    summary = slice(before.stop, shape.width - 1)
    width = min(size, summary.stop - summary.start)
    read = torch.linalg.qr(torch.randn(code.stop - code.start, width))[0].T
    attention.value.weight[size : 2 * size] = 0
    attention.value.weight[size : size + width, code] = read
    attention.out.weight[summary.start : summary.start + width, query : query + width] = torch.eye(width)
