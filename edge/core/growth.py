"""What a model knows of a device that joined a home lately: what it knows of the device's class.

A new lamp is used much as the lamps that are there. So its rows of the tables start as the mean of what the model
knows of its class (cold start by attributes, as for new items in recommendation: Gantner et al., ICDM 2010), and
while little was seen of it, what was learned of it counts for little (shrinkage: Efron and Morris 1975). On a
simulated home, a lamp trained on 2 behaviors surprised by 13.1 nats where its class's rows do by 4.9.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.core.dictionary import Dictionary
from edge.core.errors import ArtifactError
from edge.core.memory import POSSIBLE, Memory
from edge.core.vocabulary import FIRST, Vocabulary

Layout = Mapping[str, tuple[int, tuple[int, ...]]]  # a tensor's name: its offset in the flat vector, its shape
Pair = tuple[str, str]  # (device id, control)
Floats = NDArray[np.float32]
Tables = Mapping[str, Floats]
DEVICE_TABLES = ("embed.device",)
CONTROL_TABLES = ("embed.control", "what.weight", "what.bias", "next.weight", "next.bias")
YOUNG = 50  # behaviors below which a device is little known
BORROWED = 10  # behaviors of its own that weigh as much as its class
NO_KIND = "other"  # says nothing about how a device is used


def parse_layout(document: object) -> Layout:
    """Read layout.json's {name: [offset, shape]}; raises ArtifactError where it is none or lacks a table."""
    try:
        layout = {
            str(name): (int(offset), tuple(int(size) for size in shape))
            for name, (offset, shape) in dict(document).items()  # type: ignore[call-overload]
        }
    except (TypeError, ValueError, OverflowError) as error:
        raise ArtifactError("not a layout of parameters") from error
    missing = [name for name in (*DEVICE_TABLES, *CONTROL_TABLES) if name not in layout]
    if missing:
        raise ArtifactError(f"a layout of parameters without {', '.join(missing)}")
    if any(offset < 0 or not shape or min(shape) < 1 for offset, shape in layout.values()):
        raise ArtifactError("a layout of parameters without sizes")
    return layout


def grown_parameters(
    flat: Floats, layout: Layout, before: Vocabulary, after: Vocabulary, kind: Callable[[str], str]
) -> Floats:
    """Return a copy of the parameters (P,) in which the rows of what `after` adds are their class's mean.

    A device: the mean of the home's devices of its `kind`. A control: the mean of the like-named controls of that
    class, else of all its controls (a device's own count as its class's). What has no class in the home keeps its
    rows as they are. In the counts behind the network's parameters, what is added is possible, as nothing new is.
    Raises ArtifactError where the layout does not fit the vector.
    """
    out = flat.copy()
    tables = _tables(flat, layout), _tables(out, layout)
    known, old = set(before.devices), set(before.controls)
    for device in after.devices:
        if device not in known:
            like = [before.device_id(each) for each in peers(device, before, kind)]
            _draw(tables, DEVICE_TABLES, after.device_id(device), like, 0.0)
    for device, control in after.controls:
        if (device, control) not in old:
            like = [before.control_id(*pair) for pair in models(device, control, before, kind)]
            _draw(tables, CONTROL_TABLES, after.control_id(device, control), like, 0.0)
    size = max(offset + math.prod(shape) for offset, shape in layout.values())
    return np.concatenate([out[:size], _possible(out[size:], after)])


def young_parameters(
    flat: Floats,
    layout: Layout,
    vocabulary: Vocabulary,
    counts: Mapping[Pair, int],
    kind: Callable[[str], str],
) -> Floats:
    """Return a copy of trained parameters (P,) in which little known devices lie between themselves and their class.

    `counts`: behaviors each pair was trained on. A device with none stays as it is: nobody uses it. Controls are drawn
    to the like-named ones only. Raises ArtifactError where the layout does not fit the vector.
    """
    out = flat.copy()
    tables = _tables(flat, layout), _tables(out, layout)
    seen = Counter[str]()
    for (device, _), count in counts.items():
        seen[device] += count
    for device in vocabulary.devices:
        elders = [each for each in peers(device, vocabulary, kind) if seen[each] >= YOUNG]
        if not 0 < seen[device] < YOUNG or not elders:
            continue
        rows = [vocabulary.device_id(each) for each in elders]
        _draw(tables, DEVICE_TABLES, vocabulary.device_id(device), rows, _share(seen[device]))
        for pair in (each for each in vocabulary.controls if each[0] == device):
            alike = [(each, pair[1]) for each in elders if counts.get((each, pair[1]))]
            rows = [vocabulary.control_id(*each) for each in alike]
            _draw(tables, CONTROL_TABLES, vocabulary.control_id(*pair), rows, _share(counts.get(pair, 0)))
    return out


def joining(dictionary: Dictionary, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Return the pairs of a home's devices that a vocabulary does not name: what each has done and what its like do.

    A device of no class, or the first of its class, has no like and is left out.
    """
    found: dict[tuple[str, str], None] = {}
    for device in sorted(set(dictionary.devices) - set(vocabulary.devices)):
        like = set(peers(device, vocabulary, dictionary.kind))
        alike = [control for each, control in vocabulary.controls if each in like]
        own = [control for each, control in dictionary.controls if each == device]
        found |= dict.fromkeys((device, control) for control in [*own, *alike] if like)
    return list(found)


def lent(new: Iterable[str], vocabulary: Vocabulary, kind: Callable[[str], str]) -> float:
    """Return the nats by which a device surprises more, at most, once `new` ones share its class's probability."""
    joined = Counter(kind(device) for device in new)
    known = Counter(kind(device) for device in vocabulary.devices)
    return max((math.log(1 + count / known[each]) for each, count in joined.items() if known[each]), default=0.0)


def peers(device: str, vocabulary: Vocabulary, kind: Callable[[str], str]) -> list[str]:
    """Return the devices of a device's class, itself included where the vocabulary names it."""
    own = kind(device)
    return [each for each in vocabulary.devices if each == device or (kind(each) == own and own != NO_KIND)]


def models(device: str, control: str, vocabulary: Vocabulary, kind: Callable[[str], str]) -> list[tuple[str, str]]:
    """Return the known pairs a new one is like: like-named ones of its class, else all of its class."""
    alike = set(peers(device, vocabulary, kind))
    found = [pair for pair in vocabulary.controls if pair[0] in alike]
    return [pair for pair in found if pair[1] == control] or found


def _possible(counts: Floats, vocabulary: Vocabulary) -> Floats:
    """Return a home's counts with rows for what the vocabulary names beyond them: possible, and never done."""
    memory = Memory.read(counts)
    if memory is None:
        return counts
    rows, devices = len(memory.hours), len(memory.paces)
    new = vocabulary.controls[max(0, rows - FIRST) :]
    more = len(vocabulary.devices) + FIRST - devices
    grown = replace(
        memory,
        hours=np.concatenate([memory.hours, np.full((len(new), memory.hours.shape[1]), POSSIBLE, np.float32)]),
        owner=np.concatenate([memory.owner, np.array([vocabulary.device_id(each) for each, _ in new], np.int64)]),
        paces=np.concatenate([memory.paces, np.zeros((max(0, more), memory.paces.shape[1]), np.float32)]),
        stops=np.concatenate([memory.stops, np.zeros((len(new), memory.stops.shape[1]), np.float32)]),
    )
    return grown.flat()


def _share(count: int) -> float:
    """Return how much of a row is its own after so many behaviors."""
    return count / (count + BORROWED)


def _tables(flat: Floats, layout: Layout) -> Tables:
    """Return views of the tables of devices and controls, as rows."""
    return {name: _rows(flat, *layout[name]) for name in (*DEVICE_TABLES, *CONTROL_TABLES)}


def _rows(flat: Floats, offset: int, shape: tuple[int, ...]) -> Floats:
    size = int(np.prod(shape))
    if offset + size > flat.size:
        raise ArtifactError("the layout lies beyond the parameters")
    return flat[offset : offset + size].reshape(shape[0], -1)


def _draw(tables: tuple[Tables, Tables], names: Iterable[str], row: int, like: list[int], own: float) -> None:
    """Put a row of the second tables between what it was in the first, by its share `own`, and the mean of its like."""
    before, after = tables
    for name in names:
        if row >= len(after[name]):
            raise ArtifactError(f"{name} has no row {row}")
        if like:
            after[name][row] = own * before[name][row] + (1 - own) * before[name][like].mean(0)
