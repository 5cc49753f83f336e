"""Does the language model use its context? Losses on held-out homes with the right and with the wrong context.

Beside them the recall of the next behavior, with the right context.
"""

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass, fields, replace

import torch
from tokenizers import Tokenizer

from edge.core.prompts import NOTHING, Pair
from trainer.batches import row, stack
from trainer.corpus import Population, Sample
from trainer.lessons import EDITING, RARITIES, Request
from trainer.network import Network, mask_of
from trainer.training import reply_loss

PLACES = 1536  # tokens a held-out row may take
AXES = ("part", "season", "occupancy", "mode", "new_device", "removed_device")  # what a target scene may change
BETWEEN = "; "  # behaviors of a reply


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


@dataclass(frozen=True)
class Misled(Sample):
    """A sample that asks for something else; its replies stay those to what it was."""

    change: Callable[[Request], Request] = _unchanged

    def asked(self, request: Request) -> str:
        """Return the text of the changed request."""
        return super().asked(self.change(request))


def _misled(sample: Sample, change: Callable[[Request], Request]) -> Misled:
    return Misled(**{each.name: getattr(sample, each.name) for each in fields(sample)}, change=change)


def _asking(samples: list[Sample], change: Callable[[Request], Request]) -> list[Sample]:
    return [_misled(each, change) for each in samples]


def _where(samples: list[Sample], holds: Callable[[Request], bool]) -> list[Sample]:
    kept = [replace(each, requests=tuple(filter(holds, each.requests))) for each in samples]
    return [each for each in kept if each.requests]


def _shuffled(sample: Sample) -> Sample:
    """Give every request that has a sequence another one of the same home."""
    distinct = list(dict.fromkeys(request.sequence for request in sample.requests if request.sequence))
    following = dict(zip(distinct, [*distinct[1:], *distinct[:1]], strict=True))
    return _misled(sample, lambda request: replace(request, sequence=following.get(request.sequence, ())))


def axis(request: Request) -> str:
    """Return what the target scene changes."""
    for name in AXES:
        if getattr(request.source, name) != getattr(request.target, name):
            return name
    return "nothing"


def contexts(samples: list[Sample]) -> dict[str, list[Sample]]:
    """Return samples asked rightly, for another scene, on another sequence, and behind another home's prefix."""
    return {
        "right": samples,
        "wrong_scene": _asking(samples, _other_axis),
        "other_sequence": [_shuffled(each) for each in samples],
        "other_home": [
            replace(each, foreign=other.prefix) for each, other in zip(samples, [*samples[1:], samples[0]], strict=True)
        ],
    }


def loss(network: Network, tokenizer: Tokenizer, samples: list[Sample]) -> float:
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


def measured(network: Network, tokenizer: Tokenizer, seed: int = 0, count: int = 100) -> dict[str, float]:
    """Return the reply loss with the right context, the wrong scene, another home's prefix and another sequence."""
    samples = held_out(seed, count)
    edited = _where(samples, lambda each: each.sequence != each.reply)
    asked = {**contexts(samples), "edited_right": edited, "edited_scene_untold": _asking(edited, _unchanged)}
    for name, holds in (("written", lambda each: not each.sequence), ("joined", lambda each: bool(each.joining))):
        part = _where(samples, holds)
        asked |= {f"{name}_{which}": contexts(part)[which] for which in ("right", "other_home")}
    for name in AXES:
        part = _where(edited, lambda each, name=name: axis(each) == name)  # type: ignore[misc]
        if part:
            asked |= {f"{name}_right": part, f"{name}_untold": _asking(part, _unchanged)}
    return {name: round(loss(network, tokenizer, each), 4) for name, each in asked.items()}


@dataclass(frozen=True, slots=True)
class Told:
    """One behavior of a held-out reply: of which home, how rare its request is (RARITIES), and whether foretold."""

    home: int
    pair: Pair
    rarity: int
    right: bool


def spans(text: str, offsets: Items[tuple[int, int]]) -> list[list[int]]:
    """Return the tokens of each behavior of a reply, by the tokens' offsets in it.

    What stands between behaviors, ends the reply or gives its reason is no behavior's.
    """
    line = text.partition("\n")[0]
    found: list[list[int]] = []
    start = 0
    for part in line.split(BETWEEN) if line != NOTHING else ():
        end = start + len(part)
        found.append([at for at, (first, last) in enumerate(offsets) if first < end and last > start])
        start = end + len(BETWEEN)
    return found


@torch.no_grad()
def foretold(network: Network, words: Tokenizer, samples: Items[Sample]) -> list[Told]:
    """Tell for every behavior whether each of its tokens is the first choice, given the true ones before it."""
    out: list[Told] = []
    for home, sample in enumerate(samples):
        packed = row(sample, words, PLACES)
        if packed is None:
            continue
        batch = stack([packed], len(packed[0]))
        picked = batch.learned[:, 1:]
        states = network(batch.tokens, batch.positions, mask_of(batch.groups))[:, :-1][picked]
        first = network.logits(states).argmax(-1) == batch.tokens[:, 1:][picked]
        groups = batch.groups[:, 1:][picked]
        for number, request in enumerate(sample.requests, start=1):
            right = first[groups == number].tolist()
            if not right:  # it did not fit the row
                continue
            text = sample.answered(request)
            for step, span in zip(request.reply, spans(text, words.encode(text).offsets), strict=True):
                done = all(right[at] for at in span)
                out.append(Told(home, (step.device, step.control), request.rarity, done))
    return out


def recall(told: Items[Told]) -> dict[str, float]:
    """Return the share foretold of all behaviors, of all controls of all homes alike, and of each of the RARITIES."""
    groups: dict[str, list[bool]] = {"weighted": [each.right for each in told]}
    controls: dict[tuple[int, Pair], list[bool]] = defaultdict(list)
    for each in told:
        controls[each.home, each.pair].append(each.right)
    for number, name in enumerate(RARITIES):
        groups[name] = [each.right for each in told if each.rarity == number]
    found = {f"{name}_recall": sum(right) / len(right) for name, right in groups.items() if right}
    found["macro_recall"] = sum(sum(right) / len(right) for right in controls.values()) / max(1, len(controls))
    return found | {f"{name}_behaviors": len(groups[name]) for name in groups}
