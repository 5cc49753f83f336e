"""Rewriting: a home's sequences in one scene, each with what becomes of it in another."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Sequence as Items

import numpy as np

from edge.core.sequences import LENGTH, Sequence, Step, belongs
from trainer.homes.living import Lived

NEAR = 5.0  # hours between what is new in the target and the behavior it joins
THREAD_SPAN = 6 * 24.0  # hours a sequence that follows one device may last
MOST_NEW = 4  # new behaviors a sequence takes in where it has no room of its own


def _windows(before: Items[Lived], rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield places of everything that happens, split as edge.core.sequences does, many of them shorter."""
    window: list[int] = []
    limit = LENGTH
    for place, each in enumerate(before):
        fits = window and belongs(before[window[0]].hour * 3600, before[window[-1]].hour * 3600, each.hour * 3600)
        if window and (not fits or len(window) >= limit):
            yield window
            window = []
        if not window:
            limit = LENGTH if rng.random() < 0.4 else int(rng.integers(1, LENGTH + 1))
        window.append(place)
    if window:
        yield window


def _threads(before: Items[Lived], rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield places that follow one device over hours or days."""
    devices: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(before):
        devices[each.device].append(place)
    for places in devices.values():
        window: list[int] = []
        limit = 1
        for place in places:
            late = window and before[place].hour - before[window[0]].hour > THREAD_SPAN
            if window and (late or len(window) >= limit):
                yield window
                window = []
            if not window:
                limit = min(LENGTH, int(rng.geometric(0.3)))
            window.append(place)
        yield window


def _joining(before: Items[Lived], after: Items[Lived]) -> dict[int, list[Lived]]:
    """Return what is new in the target by the place of the source behavior nearest to it on the person's clock."""
    known = {each.origin for each in before}
    order = sorted(range(len(before)), key=lambda place: before[place].natural)
    clock = [before[place].natural for place in order]
    joining: dict[int, list[Lived]] = defaultdict(list)
    for each in after:
        if each.origin in known or not clock:
            continue
        right = bisect_left(clock, each.natural)
        near = min((right - 1, right), key=lambda at: abs(clock[at] - each.natural) if 0 <= at < len(clock) else 1e9)
        if abs(clock[near] - each.natural) <= NEAR:
            joining[order[near]].append(each)
    return joining


def _steps(behaviors: Items[Lived], weekday: int) -> Sequence:
    return tuple(
        Step((weekday + int(each.hour // 24)) % 7, int(each.hour % 24), each.device, each.control) for each in behaviors
    )


def rewritten(
    before: Items[Lived], after: Items[Items[Lived]], weekday: int, rng: np.random.Generator
) -> list[tuple[Sequence, tuple[Sequence, ...]]]:
    """Return each source sequence with what every target makes of it; `weekday` (0 Monday) is the first midnight's."""
    windows = [*_windows(before, rng), *_threads(before, rng)]
    lives = [{each.origin: each for each in target} for target in after]
    joining = [_joining(before, target) for target in after]
    out: list[tuple[Sequence, tuple[Sequence, ...]]] = []
    for window in windows:
        source = [before[place] for place in window]
        replies: list[Sequence] = []
        for known, new_at in zip(lives, joining, strict=True):
            kept = [known[each.origin] for each in source if each.origin in known]
            new = [each for place in window for each in new_at.get(place, ())]
            room = max(LENGTH - len(kept), MOST_NEW)
            chosen = sorted([*kept, *new[:room]], key=lambda each: (each.hour, each.origin))[:LENGTH]
            replies.append(_steps(chosen, weekday))
        out.append((_steps(source, weekday), tuple(replies)))
    return out
