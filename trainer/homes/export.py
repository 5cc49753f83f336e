"""Writing a simulated home as a small data set: the hub's demo lives it without importing the trainer."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.dictionary import Dictionary
from edge.core.scenes import Scene, fault
from edge.core.sequences import Step, step_of
from trainer.homes.home import Home
from trainer.homes.life import live
from trainer.homes.ontology import CLASSES

if TYPE_CHECKING:
    from edge.core.devices import Device

DEMO_SEED = 51821  # near Nice: much heating in winter, cooling in spring, a lock, lights, a television
SOURCE, TARGET = "winter", "spring"
SOURCE_START, SOURCE_DAYS = date(2026, 1, 5), 60
TARGET_START, TARGET_DAYS = date(2026, 5, 4), 30
ATTACKS_A_DAY = 1.5
_LIVELY = ("light", "television", "camera", "fan", "switch")
_USED_AFTER = ("television", "switch", "light", "plug")  # what a burglar may put on
_PLACES = ("Living room", "Bedroom", "Kitchen", "Hall", "Office", "Attic")
_OWN_PLACE = {
    "refrigerator": "Kitchen", "cooktop": "Kitchen", "mower": "Garden", "garage_door": "Drive", "door_lock": "Front",
    "motion": "Hall", "electric_blanket": "Bed", "remote": "Hall", "radiator": "Bathroom", "contact": "Hall",
    "thermostat": "Hall", "air_purifier": "Bedroom",
}  # fmt: skip
Marked = tuple[Behavior, bool]


def _spelled(control: str) -> str:
    """Spell a bare word as a bridge reports it ("on" is "state ON")."""
    return control if " " in control else f"state {control.upper()}"


def befriended(home: Home) -> Home:
    """Return the home with names an owner would give and controls as a bridge spells them; ids and habits stay."""
    nouns = {each.kind: each.nouns[0] for each in reversed(CLASSES)}
    used: Counter[str] = Counter()
    renamed: list[Device] = []
    for device in home.dictionary.devices.values():
        noun = nouns.get(device.kind, "device")
        place = _OWN_PLACE.get(device.kind, _PLACES[used[noun] % len(_PLACES)])
        renamed.append(replace(device, name=f"{place} {noun}"))
        used[noun] += 1
    pairs = [(device, _spelled(control)) for device, control in home.dictionary.controls]
    return replace(home, dictionary=Dictionary.of(pairs, renamed))


def _days(home: Home, scene: str, start: date, days: int, seed: int) -> list[Behavior]:
    found = live(home, Scene.parse(scene), start, days, seed)
    return [replace(each, control=_spelled(each.control)) for each in found]


def _controls(home: Home, device: str) -> list[str]:
    return [control for owner, control in home.dictionary.controls if owner == device]


def _devices(home: Home, kinds: Iterable[str]) -> list[str]:
    wanted = set(kinds)
    return [each.id for each in home.dictionary.devices.values() if each.kind in wanted]


def _banned(home: Home) -> list[tuple[str, str]]:
    """Return the pairs that the target scene forbids at any hour."""
    scene, pairs = Scene.parse(TARGET), home.dictionary.controls
    return [pair for pair in pairs if fault(Step(0, 12, *pair), home.dictionary.kind(pair[0]), scene)]


def _forbidden(home: Home, when: float, rng: np.random.Generator) -> list[Behavior]:
    """Heat in a season that has no heating."""
    banned = _banned(home)
    device = banned[int(rng.integers(len(banned)))][0]
    acts = [control for owner, control in banned if owner == device]
    return [Behavior(when + 40.0 * place, device, str(rng.choice(acts))) for place in range(int(rng.integers(2, 4)))]


def _flicker(home: Home, when: float, rng: np.random.Generator) -> list[Behavior]:
    """Switch one device on and off again and again within a minute."""
    lively = _devices(home, _LIVELY) or list(home.dictionary.devices)
    device = str(rng.choice(lively))
    controls = _controls(home, device)
    ends = (controls[0], controls[-1])
    return [Behavior(when + 6.0 * place, device, ends[place % 2]) for place in range(8)]


def _burglar(home: Home, when: float, rng: np.random.Generator) -> list[Behavior]:
    """Open a lock in the small hours and use something there at an hour when nobody ever does."""
    lock, opened = _unlocking(home)[0]
    then = str(rng.choice(_devices(home, _USED_AFTER)))
    act = str(rng.choice(_controls(home, then)))
    return [Behavior(when, lock, opened), Behavior(when + 90.0, then, act)]


def _unlocking(home: Home) -> list[tuple[str, str]]:
    locks = _devices(home, ("door_lock",))
    return [(lock, control) for lock in locks for control in _controls(home, lock) if "unlock" in control.lower()]


def attacked(home: Home, normal: list[Behavior], seed: int) -> list[Marked]:
    """Return the normal days with anomalies put in, each behavior with whether it is one.

    A home without heating is not heated out of season, one without a lock not broken into: the other anomalies remain.
    """
    ways = [_flicker]
    if _banned(home):
        ways.insert(0, _forbidden)
    if _unlocking(home) and _devices(home, _USED_AFTER):
        ways.append(_burglar)
    rng = np.random.default_rng([seed, home.seed, 4])
    out: list[Marked] = [(behavior, False) for behavior in normal]
    first = normal[0].time
    for day in range(TARGET_DAYS):
        for _ in range(int(rng.poisson(ATTACKS_A_DAY))):
            way = ways[int(rng.integers(len(ways)))]
            hour = float(rng.uniform(2.0, 4.5)) if way is _burglar else float(rng.uniform(7.0, 23.0))
            midnight = first - first % 86400.0 + day * 86400.0
            offset = step_of(Behavior(midnight, "", ""), home.clock).hour  # the local hour at midnight UTC
            when = midnight + ((hour - offset) % 24.0) * 3600.0
            out += [(behavior, True) for behavior in way(home, when, rng)]
    return sorted(out, key=lambda marked: marked[0].time)


def _line(behavior: Behavior, anomaly: bool | None = None) -> str:
    row: dict[str, object] = {"t": round(behavior.time, 1), "device": behavior.device, "control": behavior.control}
    if anomaly is not None:
        row["anomaly"] = anomaly
    return json.dumps(row) + "\n"


def export(folder: Path, seed: int = DEMO_SEED) -> dict[str, int]:
    """Write home.json and the three days' files; return how many behaviors each holds.

    Raises ValueError for a home in which a scene has no behavior.
    """
    home = befriended(Home.draw(seed))
    source = _days(home, SOURCE, SOURCE_START, SOURCE_DAYS, seed)
    normal = _days(home, TARGET, TARGET_START, TARGET_DAYS, seed + 1)
    if not source or not normal:
        raise ValueError(f"nobody uses anything in the home of seed {seed}: take --seed {seed + 1}")
    attack = attacked(home, normal, seed)
    document = {
        "name": f"A simulated home near {home.climate.name}",
        "seed": seed,
        "latitude": home.latitude,
        "longitude": home.climate.longitude,
        "zone": home.zone,
        "from": SOURCE,
        "to": TARGET,
        "devices": [{"id": each.id, "name": each.name, "kind": each.kind} for each in home.dictionary.devices.values()],
        "controls": [list(pair) for pair in home.dictionary.controls],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "home.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    files = {
        "source_train": [_line(each) for each in source],
        "target_normal": [_line(each) for each in normal],
        "target_attack": [_line(*each) for each in attack],
    }
    for name, lines in files.items():
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return {name: len(lines) for name, lines in files.items()}
