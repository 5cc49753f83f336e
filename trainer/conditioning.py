"""Does the language model use its context? Losses on held-out homes with the right and with the wrong context."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import torch
from tokenizers import Tokenizer

from trainer.batches import row, stack
from trainer.corpus import Population, Sample
from trainer.lessons import EDITING, Request
from trainer.network import Network
from trainer.training import reply_loss

PLACES = 1536  # tokens a held-out row may take


def held_out(seed: int, count: int) -> list[Sample]:
    """Return samples of homes that are never trained on, their copies left out."""
    population = Population(seed, held_out=True)
    found: list[Sample] = []
    number = 0
    while len(found) < count:
        sample = population.sample(number, EDITING, 8)
        number += 1
        requests = tuple(each for each in sample.requests if each.source != each.target) if sample else ()
        if sample and requests:
            found.append(replace(sample, requests=requests))
    return found


def _other_axis(request: Request) -> Request:
    """Ask for a scene that changes another thing than the right one does."""
    source = request.source
    if request.target.part != source.part:
        other = "single" if source.occupancy == "multiple" else "multiple"
        return replace(request, target=replace(source, occupancy=other))
    return replace(request, target=replace(source, part="daytime" if source.part == "night" else "night"))


def _unchanged(request: Request) -> Request:
    """Ask for the scene the sequence was lived in."""
    return replace(request, target=request.source)


def _asking(samples: list[Sample], change: Callable[[Request], Request]) -> list[Sample]:
    return [replace(each, requests=tuple(change(request) for request in each.requests)) for each in samples]


def _where(samples: list[Sample], holds: Callable[[Request], bool]) -> list[Sample]:
    kept = [replace(each, requests=tuple(filter(holds, each.requests))) for each in samples]
    return [each for each in kept if each.requests]


def _shuffled(sample: Sample) -> Sample:
    """Give every request another sequence of the same home."""
    sequences = [request.sequence for request in sample.requests]
    distinct = list(dict.fromkeys(sequences))
    following = dict(zip(distinct, [*distinct[1:], distinct[0]], strict=True))
    return replace(sample, requests=tuple(replace(each, sequence=following[each.sequence]) for each in sample.requests))


def axis(request: Request) -> str:
    """Return what the target scene changes."""
    for name in ("part", "season", "occupancy", "mode", "new_device"):
        if getattr(request.source, name) != getattr(request.target, name):
            return name
    return "nothing"


def _loss(network: Network, tokenizer: Tokenizer, samples: list[Sample]) -> float:
    """Return the mean loss of all reply tokens, in nats."""
    total = tokens = 0.0
    for sample in samples:
        packed = row(sample, tokenizer, PLACES)
        if packed is None:
            continue
        batch = stack([packed], len(packed[0]))
        with torch.no_grad():
            size = int(batch.learned.sum())
            total += float(reply_loss(network, batch)) * size
        tokens += size
    return total / tokens


def measured(network: Network, tokenizer: Tokenizer, seed: int = 0, count: int = 150) -> dict[str, float]:
    """Return the reply loss with the right context, the wrong scene, another home's prefix and another sequence."""
    samples = held_out(seed, count)

    def loss(asked: list[Sample]) -> float:
        return round(_loss(network, tokenizer, asked), 4)

    edited = _where(samples, lambda each: each.sequence != each.reply)
    found = {
        "right": loss(samples),
        "wrong_scene": loss(_asking(samples, _other_axis)),
        "other_sequence": loss([_shuffled(each) for each in samples]),
        "other_home": loss([replace(each, foreign=other.prefix) for each, other in pairwise(samples)]),
        "edited_right": loss(edited),
        "edited_scene_untold": loss(_asking(edited, _unchanged)),
    }
    for name in ("part", "season", "occupancy", "mode", "new_device"):
        asked = _where(edited, lambda each, name=name: axis(each) == name)  # type: ignore[misc]
        if asked:
            found[f"{name}_right"] = loss(asked)
            found[f"{name}_untold"] = loss(_asking(asked, _unchanged))
    return found
