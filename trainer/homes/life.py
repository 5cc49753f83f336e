"""A home's life, as the trainer asks for it: behaviors on dates, and sequences in one scene and in others."""

from collections.abc import Sequence as Items
from datetime import date, datetime, time, timedelta

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.scenes import Scene
from edge.core.sequences import Sequence
from trainer.homes.home import Home
from trainer.homes.living import lived
from trainer.homes.rewriting import Change, rewritten

FIRST_YEAR = date(2025, 1, 1)


def live(home: Home, scene: Scene, start: date, days: int, seed: int) -> list[Behavior]:
    """Return the behaviors of `days` days from a date, in order of time (seconds since the epoch).

    The same seed is the same chance for the same habit on the same day, so two scenes differ only by
    what the scene changes. A season the dates are not in is lived with the weather and sun of its own dates.
    """
    out: list[Behavior] = []
    for each in lived(home, scene, start, days, seed):
        day, hour = divmod(each.hour, 24.0)
        wall = datetime.combine(start + timedelta(days=int(day)), time(), home.clock) + timedelta(hours=hour)
        out.append(Behavior(wall.timestamp(), each.device, each.control))
    return sorted(out, key=lambda behavior: behavior.time)


def variants(
    home: Home, source: Scene, targets: Items[Scene], days: int, seed: int
) -> list[tuple[Sequence, tuple[Change, ...]]]:
    """Return the home's sequences as lived in `source`, each with what every target makes of it.

    No step means that the target scene leaves nothing of it. Some are windows of everything that
    happens, more follow one device or one control over several days, as the real logs do. Lengths 1 to 10.
    """
    rng = np.random.default_rng([seed, home.seed, 3])
    start = FIRST_YEAR + timedelta(days=int(rng.integers(365)))
    said = [scene.season for scene in (source, *targets) if scene.season]
    start = home.season_start(start, days, said[0] if said else "")
    before = lived(home, source, start, days, seed)
    after = [lived(home, target, start, days, seed) for target in targets]
    return rewritten(before, after, start.weekday(), rng)


def pairs(home: Home, source: Scene, target: Scene, days: int, seed: int) -> list[tuple[Sequence, Sequence]]:
    """Return the home's sequences as lived in `source`, each with the same as lived in `target`."""
    return [(sequence, changes[0].reply()) for sequence, changes in variants(home, source, (target,), days, seed)]
