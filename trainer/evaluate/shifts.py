"""A scene change to judge by: what a home lived before it, and real and attacked sequences after it.

A recorded home gives the shifts of the published benchmark; a simulated one, never trained on, gives the same
thing to tune on, so that the recorded ones only judge.
"""

from collections import Counter
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from edge.core.dictionary import DatasetNames, Dictionary
from edge.core.errors import MessageError, SettingsError
from edge.core.proposals import switches
from edge.core.scenes import DAYTIME, HEATING, Scene
from edge.core.sequences import Sequence, Step, split
from edge.demo.recorded import BEFORE
from edge.history import slots_of
from edge.synthesis import Home
from trainer.corpus import HELD_OUT
from trainer.homes import home as population
from trainer.homes.life import live

A_WEEK = 20  # sequences; the published source is undated
SOURCE_DAYS, TARGET_DAYS = 42, 28
LEAST_SOURCE, LEAST_TARGET = 150, 60  # sequences under which a simulated home tells too little
TRIED = 100  # homes of one seed, until one is lively enough
SIMULATED = "simulated:"


@dataclass(frozen=True)
class Shift:
    """One scene change. `home` holds the source sequences only; `written` what GPT-4o wrote for the target."""

    name: str
    home_name: str
    home: Home
    source: Scene
    target: Scene
    normal: tuple[Sequence, ...]
    attack: tuple[Sequence, ...]
    written: tuple[Sequence, ...] = ()


def scenes_of(name: str) -> tuple[Scene, Scene]:
    """Return what a benchmark's scene changes from and to; raises SettingsError for one it does not have."""
    if name not in BEFORE:
        raise SettingsError(f"no scene is called {name[:40]!r}; there are {', '.join(BEFORE)}")
    source = Scene.parse(BEFORE[name])
    return source, Scene.parse(name).over(source)


def opened(directory: Path, home: str, scene: str | None) -> list[Shift]:
    """Return the shifts of a recorded home, or of the simulated one that `simulated:SEED` names."""
    if not home.startswith(SIMULATED):
        return recorded(directory, home, scene)
    seed = home.removeprefix(SIMULATED)
    if not seed.isdecimal():
        raise SettingsError(f"{home}: a whole number stands behind {SIMULATED}")
    return [simulated(int(seed), each) for each in ([scene] if scene else BEFORE)]


def recorded(directory: Path, home: str, scene: str | None = None) -> list[Shift]:
    """Read a home of the published form, all its scenes or one; raises SettingsError naming what is missing."""
    folder = directory / home if (directory / home).is_dir() else directory / "scene_shift" / home
    wanted = [scene] if scene else [each for each in BEFORE if (folder / each).is_dir()]
    try:
        names = DatasetNames.parse((folder / "dictionary.json").read_text(encoding="utf-8"))
        shifts = [_published(folder, names, each) for each in wanted]
    except (OSError, UnicodeDecodeError, MessageError) as error:
        raise SettingsError(f"{folder} is no recorded home: {error}") from error
    if not shifts:
        raise SettingsError(f"{folder} has no scene; there can be {', '.join(BEFORE)}")
    return shifts


def _published(folder: Path, names: DatasetNames, scene: str) -> Shift:
    source, target = scenes_of(scene)

    def read(name: str) -> tuple[Sequence, ...]:
        return tuple(names.sequences((folder / scene / f"{name}.jsonl").read_text(encoding="utf-8")))

    lived = read("source_train")
    written = _written(folder / scene / "gpt4o_synthetic.jsonl", names)
    # Never the target's sequences: what the home has not lived, the models may not know by name.
    home = Home(names.dictionary(lived), lived, weeks=len(lived) / A_WEEK, slots=slots_of(lived))
    return Shift(scene, folder.name, home, source, target, read("target_normal"), read("target_attack"), written)


def _written(path: Path, names: DatasetNames) -> tuple[Sequence, ...]:
    """Read what GPT-4o wrote, where it is there; a line that names what does not exist becomes an empty sequence."""
    found: list[Sequence] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found += names.sequences(line)
        except MessageError:
            found.append(())
    return tuple(found)


def simulated(seed: int, scene: str) -> Shift:
    """Return the shift of the first lively home of a seed; raises SettingsError where none is lively."""
    for number in range(TRIED):
        shift = _lived(HELD_OUT + seed * TRIED + number, scene)
        told = sum(one != other for one, other in zip(shift.normal, shift.attack, strict=True))
        if len(shift.home.sequences) >= LEAST_SOURCE and told >= LEAST_TARGET:
            return shift
    raise SettingsError(f"no home of seed {seed} is lively enough in {scene}")


def _lived(seed: int, scene: str) -> Shift:
    source, target = scenes_of(scene)
    place = population.Home.draw(seed)
    rng = np.random.default_rng([seed, 6])
    begin = date(2025, 1, 1) + timedelta(days=int(rng.integers(365)))

    def days(of: Scene, start: date, count: int, chance: int) -> tuple[Sequence, ...]:
        start = place.season_start(start, count, of.season)
        return tuple(split(live(place, of, start, count, chance), place.clock))

    lived = days(source, begin, SOURCE_DAYS, seed)
    normal = days(target, begin + timedelta(days=SOURCE_DAYS), TARGET_DAYS, seed + 1)
    home = Home(place.dictionary, lived, weeks=SOURCE_DAYS / 7)
    attack = _attacks(normal, lived, place.dictionary, target, seed)
    return Shift(scene, f"{SIMULATED}{seed}", home, source, target, normal, tuple(attack))


def _attacks(
    normal: Items[Sequence], lived: Items[Sequence], dictionary: Dictionary, target: Scene, seed: int
) -> list[Sequence]:
    """Return an attack a normal, of the kind the published benchmark judges this scene by.

    A season: a heater is switched in place of some behaviors. A part of the day: the hours are those the scene
    forbids. Several people: one device that the single person used most goes on and off.
    """
    rng = np.random.default_rng([seed, 7])
    pairs = [pair for pair in dictionary.controls if switches(pair)]
    use = Counter(step.device for sequence in lived for step in sequence)
    heating = [pair for pair in pairs if dictionary.kind(pair[0]) in HEATING]
    busiest = max((device for device, _ in pairs), key=lambda device: use[device], default="")
    switched = [pair for pair in pairs if pair[0] == busiest]

    def wrong(step: Step, first: bool) -> Step:
        if target.part:
            hour = int(rng.choice([hour for hour in range(24) if (hour in DAYTIME) == (target.part == "night")]))
            return replace(step, hour=hour)
        chosen = heating if target.season else switched
        if not chosen or (target.season and not first and rng.random() < 0.6):
            return step
        device, control = chosen[int(rng.integers(len(chosen)))]
        return replace(step, device=device, control=control)

    return [tuple(wrong(step, place == 0) for place, step in enumerate(sequence)) for sequence in normal]
