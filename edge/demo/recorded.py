"""A recorded home to replay: one the project simulated, or a published data set's."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge.core.behaviors import Behavior
from edge.core.dictionary import DatasetNames
from edge.core.errors import MessageError, SettingsError
from edge.core.sequences import MAX_GAP, Sequence, own, split
from edge.sections import Home

START = datetime(2025, 1, 6, tzinfo=UTC)  # a Monday; the data sets are undated
# What a home of the published data sets was in before each scene.
BEFORE = {"spring": "winter", "night": "daytime", "multiple": "single"}
STEP = timedelta(seconds=20)  # between two behaviors of one hour slot


@dataclass(frozen=True)
class Recorded:
    """What was lived before and after a scene change, and what is judged: sequences, normal and attacked."""

    name: str
    home: Home
    scene: str
    source: tuple[Behavior, ...]
    target: tuple[Behavior, ...]
    normal: tuple[Sequence, ...]
    attack: tuple[Sequence, ...]


def open_home(directory: Path, scene: str | None) -> Recorded:
    """Read a home's folder in either form; raises SettingsError naming what is missing."""
    try:
        if (directory / "home.json").is_file():
            return _simulated(directory, scene)
        return _published(directory, scene)
    except (OSError, KeyError, ValueError, TypeError, MessageError) as error:
        raise SettingsError(f"{directory} is no recorded home: {error}") from error


def _simulated(directory: Path, scene: str | None) -> Recorded:
    told = json.loads((directory / "home.json").read_text(encoding="utf-8"))
    home = Home(
        latitude=told["latitude"], longitude=told["longitude"], time_zone=told["zone"],
        scene=told["from"], dictionary=directory / "home.json",
    )  # fmt: skip
    source = [_behavior(row) for row in _rows(directory / "source_train.jsonl")]
    normal = [_behavior(row) for row in _rows(directory / "target_normal.jsonl")]
    rows = _rows(directory / "target_attack.jsonl")
    odd = {(row["t"], row["device"], row["control"]) for row in rows if row["anomaly"]}
    lived = sorted((_behavior(row) for row in rows), key=lambda each: each.time)
    attacked: list[Sequence] = []
    place = 0
    for sequence in split(lived, home.zone):
        part = lived[place : place + len(own(sequence))]
        place += len(part)
        if any((each.time, each.device, each.control) in odd for each in part):
            attacked.append(sequence)
    return Recorded(
        name=str(told["name"]),
        home=home,
        scene=scene or str(told["to"]),
        source=tuple(source),
        target=tuple(normal),
        normal=tuple(split(normal, home.zone)),
        attack=tuple(attacked),
    )


def _published(directory: Path, scene: str | None) -> Recorded:
    if scene not in BEFORE:
        raise SettingsError(f"--scene must be one of {', '.join(BEFORE)} for {directory}")
    names = DatasetNames.parse((directory / "dictionary.json").read_text(encoding="utf-8"))

    def read(name: str) -> list[Sequence]:
        return names.sequences((directory / scene / f"{name}.jsonl").read_text(encoding="utf-8"))

    source, normal, attack = read("source_train"), read("target_normal"), read("target_attack")
    lived = timeline(source, START)
    then = timeline([*normal, *attack], datetime.fromtimestamp(lived[-1].time + 2 * MAX_GAP, UTC))
    return Recorded(
        name=f"{directory.name} (SmartThings logs)",
        home=Home(scene=BEFORE[scene], dictionary=directory / "dictionary.json"),
        scene=scene,
        source=tuple(lived),
        target=tuple(then),
        normal=tuple(normal),
        attack=tuple(attack),
    )


def timeline(sequences: list[Sequence], start: datetime) -> list[Behavior]:
    """Date undated sequences: each behavior at the next moment of its weekday and hour, silence between sequences."""
    now = start
    behaviors: list[Behavior] = []
    for sequence in sequences:
        earliest = now + timedelta(seconds=MAX_GAP) + STEP
        for step in sequence:
            now = _next(earliest, step.day, step.hour)
            behaviors.append(Behavior(now.timestamp(), step.device, step.control))
            earliest = now + STEP
    return behaviors


def _next(earliest: datetime, day: int, hour: int) -> datetime:
    """Return the first moment from `earliest` on that lies in an hour of a weekday."""
    if earliest.weekday() == day and earliest.hour == hour:
        return earliest
    begin = earliest.replace(hour=hour, minute=0, second=0, microsecond=0)
    begin += timedelta(days=(day - begin.weekday()) % 7)
    return begin if begin >= earliest else begin + timedelta(days=7)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _behavior(row: dict[str, Any]) -> Behavior:
    return Behavior(float(row["t"]), str(row["device"]), str(row["control"]))
