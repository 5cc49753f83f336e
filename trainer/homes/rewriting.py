"""Rewriting: a home's sequences in one scene, each with what becomes of it in another."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from edge.core.sequences import LENGTH, Sequence, Step, belongs
from trainer.homes.living import Lived

NEAR = 5.0  # hours between what is new in the target and the behavior it joins
THREAD_SPAN = 6 * 24.0  # hours a sequence that follows one device may last
FULL = 0.3  # share of windows that may be as long as windows get
ONE_CONTROL = 0.6  # share of devices of which a sequence follows one control: real logs have 1.1 to 1.4 in each
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
            limit = LENGTH if rng.random() < FULL else min(LENGTH, int(rng.geometric(0.28)))
        window.append(place)
    if window:
        yield window


def _threads(before: Items[Lived], rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield places that follow one device, often one control of it, over hours or days."""
    narrow = {device: rng.random() < ONE_CONTROL for device in dict.fromkeys(each.device for each in before)}
    threads: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, each in enumerate(before):
        threads[each.device, each.control if narrow[each.device] else ""].append(place)
    for places in threads.values():
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


def _step(each: Lived, weekday: int) -> Step:
    return Step((weekday + int(each.hour // 24)) % 7, int(each.hour % 24), each.device, each.control)


@dataclass(frozen=True, slots=True)
class Change:
    """What a scene makes of a sequence: `steps` in order of time, each with whether it is new there."""

    steps: tuple[tuple[Step, bool], ...]

    def reply(self, joining: str | None = None) -> Sequence:
        """Return what is lived: what stays, and of the new what one device does; None: everything new."""
        return tuple(step for step, new in self.steps if not new or joining in {None, step.device})[:LENGTH]

    def kept(self) -> Sequence:
        """Return what stays."""
        return tuple(step for step, new in self.steps if not new)

    def new(self) -> tuple[str, ...]:
        """Return the devices whose doing is new, once for each act."""
        return tuple(step.device for step, new in self.steps if new)


def rewritten(
    before: Items[Lived], after: Items[Items[Lived]], weekday: int, rng: np.random.Generator
) -> list[tuple[Sequence, tuple[Change, ...]]]:
    """Return each source sequence with what every target makes of it; `weekday` (0 Monday) is the first midnight's."""
    windows = [*_windows(before, rng), *_threads(before, rng)]
    lives = [{each.origin: each for each in target} for target in after]
    placed = [{each.origin: _step(each, weekday) for each in life} for life in (before, *after)]
    joining = [_joining(before, target) for target in after]
    out: list[tuple[Sequence, tuple[Change, ...]]] = []
    for window in windows:
        origins = [before[place].origin for place in window]
        known_here = set(origins)
        changes: list[Change] = []
        for known, new_at, steps in zip(lives, joining, placed[1:], strict=True):
            kept = [known[origin] for origin in origins if origin in known]
            new = [each for place in window if place in new_at for each in new_at[place]]
            room = max(LENGTH - len(kept), MOST_NEW)
            chosen = sorted([*kept, *new[:room]], key=attrgetter("hour", "origin"))
            changes.append(Change(tuple((steps[each.origin], each.origin not in known_here) for each in chosen)))
        out.append((tuple(placed[0][origin] for origin in origins), tuple(changes)))
    return out
