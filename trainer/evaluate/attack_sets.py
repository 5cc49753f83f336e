"""A home of the attacks data set: normal windows to learn from and to judge by, and attacks of four kinds.

One folder: dictionary.json, train.jsonl, validation.jsonl, normal.jsonl, and one attack_NAME.jsonl an attack
(SmartGuard, KDD 2024). The kinds: a single device flickers (SD), several devices act in the wrong order (MD), a device
acts at the wrong moment (DM), a device's duration is wrong (DD).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core.dictionary import DatasetNames, Dictionary
from edge.core.errors import MessageError, SettingsError
from edge.core.sequences import Sequence

KINDS = {
    "SD": ("light", "camera", "television"),
    "MD": ("smartlock1", "smartlock2"),
    "DM": ("airconditioner", "blind", "watervalve"),
    "DD": ("microwave", "heater", "bathheater", "oven"),
}
_KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}
_PREFIX = "attack_"


@dataclass(frozen=True)
class AttackSet:
    """A home to judge by. `attacks`: by kind, the files of a kind together; a file of no known kind is its own."""

    name: str
    dictionary: Dictionary
    train: tuple[Sequence, ...]
    validation: tuple[Sequence, ...]
    normal: tuple[Sequence, ...]
    attacks: dict[str, tuple[Sequence, ...]]


def read(folder: Path) -> AttackSet:
    """Read a home's folder; raises SettingsError naming what is missing or wrong."""
    try:
        names = dataset_names((folder / "dictionary.json").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MessageError) as error:
        raise SettingsError(f"{folder} is no home of the attacks data set: dictionary.json: {error}") from error
    train, validation, normal = (_sequences(folder / f"{part}.jsonl", names) for part in PARTS)
    attacks: dict[str, tuple[Sequence, ...]] = {}
    for path in sorted(folder.glob(f"{_PREFIX}*.jsonl")):
        name = path.stem.removeprefix(_PREFIX)
        kind = _KIND_OF.get(name, name)
        attacks[kind] = attacks.get(kind, ()) + _sequences(path, names)
    if not attacks:
        raise SettingsError(f"{folder} has no attack: files named {_PREFIX}NAME.jsonl")
    order = [*(kind for kind in KINDS if kind in attacks), *(kind for kind in attacks if kind not in KINDS)]
    # What only attacks and the normals to judge by show is not known to any model.
    dictionary = names.dictionary([*train, *validation])
    return AttackSet(folder.name, dictionary, train, validation, normal, {kind: attacks[kind] for kind in order})


PARTS = ("train", "validation", "normal")


def dataset_names(text: str) -> DatasetNames:
    """Read a dictionary.json of either published form; raises MessageError where it is none.

    SmartGuard's files call the tables `device_dict` and `device_control_dict`.
    """
    try:
        document: Any = json.loads(text)
        if "device_dict" in document:
            document = {"devices": document["device_dict"], "controls": document["device_control_dict"]}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise MessageError("not a dictionary") from error
    return DatasetNames(document)


def _sequences(path: Path, names: DatasetNames) -> tuple[Sequence, ...]:
    """Read one file; raises SettingsError naming it.

    A device id the dictionary does not have (39 in fr's television attacks, where 29 is meant) is that of the control's
    own device: else the slip, and not the attack, would be found.
    """
    owner = {row: names.device_ids.get(name.partition(":")[0]) for name, row in names.control_ids.items()}
    known = set(names.device_ids.values())
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        meant = [
            [[day, slot, device if device in known else owner.get(control, device), control] for
             day, slot, device, control in line]
            for line in lines
        ]  # fmt: skip
        return tuple(tuple(names.step(*row) for row in line) for line in meant if line)
    except (OSError, UnicodeDecodeError, MessageError, ValueError, TypeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
