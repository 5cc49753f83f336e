"""JSON that others have written: what models say of themselves, homes, languages, explanations, registries.

The first line of an input names the parser; the rest is what it reads.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from edge.catalog import Models
from edge.core.bundle import BundleManifest, Signature
from edge.core.calibration import PARTS, Limits
from edge.core.dictionary import DatasetNames, parse_dictionary
from edge.core.errors import ArtifactError, EdgeError, MessageError, SettingsError
from edge.core.explanations import parse_explanation
from edge.core.growth import parse_layout
from edge.core.manifest import Described, ModelManifest, SlotManifest
from edge.core.phrases import Phrases
from edge.core.vocabulary import Vocabulary
from edge.importers.registry import ENTITIES, zigbee
from edge.slots import Slots
from fuzz import sound

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-documents-"))


def documents(data: bytes) -> None:
    """Read one document with the parser it names; a refusal that its contract names is let through."""
    name, _, rest = data.partition(b"\n")
    for error_of_contract, parsers in _PARSERS.items():
        if name in parsers:
            try:
                parsers[name](rest)
            except error_of_contract as error:
                str(error).encode()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _dictionary(data: bytes) -> None:
    found = parse_dictionary(_text(data))
    for told in found.devices.values():
        f"{told.id}{told.name}{told.kind}".encode()
    for device, control in found.controls:
        assert device in found.devices
        control.encode()


def _dataset(data: bytes) -> None:
    names, _, rows = _text(data).partition("\n")
    found = DatasetNames.parse(names)
    sequences = found.sequences(rows)
    assert all(0 <= step.day < 7 and 0 <= step.hour < 24 for sequence in sequences for step in sequence)
    found.dictionary(sequences)


def _language(data: bytes) -> None:
    found = Phrases.parse(_text(data))
    found.behavior("Desk\nfan", "state ON").encode()
    found.say("usual.days", days="", hours="", often="").encode()


def _explanation(data: bytes) -> None:
    found = parse_explanation(_text(data))
    if found is None:
        return
    assert parse_explanation(json.dumps(found.as_json())) == found
    Phrases().sentence(found).encode()


def _registry(data: bytes) -> None:
    entities, _, devices = data.partition(b"\n")
    path = _FOLDER / ENTITIES
    path.write_bytes(entities)
    (_FOLDER / "core.device_registry").write_bytes(devices)
    for entity, told in zigbee(path, ["zigbee2mqtt", "z"]).items():
        entity.encode()
        sound.device(told.device)


def _written(found: BaseModel) -> None:
    """Hold that a manifest survives its own text."""
    assert type(found).model_validate_json(found.model_dump_json()) == found


def _model(data: bytes) -> None:
    found = ModelManifest.from_json(data)
    _written(found)
    found.misfits()


def _slot(data: bytes) -> None:
    found = SlotManifest.from_json(data)
    _written(found)
    assert len(found.limits.parts) == len(PARTS)
    for device, control in found.vocabulary.controls:
        assert found.vocabulary.control_at(found.vocabulary.control_id(device, control)) == (device, control)


def _bundle(data: bytes) -> None:
    found = BundleManifest.from_json(data)
    _written(found)
    found.check(1.8e9, "0.1.0")
    assert all("/" not in name for _, name, _ in found.entries())


def _described(data: bytes) -> None:
    found = Described.parse(data)
    assert all("/" not in name and name not in {"", ".", ".."} for name in found.files), found
    assert all(isinstance(each, str) for each in found.files.values()), found


def _signature(data: bytes) -> None:
    assert Signature.parse(data).to_bytes() == data


def _layout(data: bytes) -> None:
    path = _FOLDER / "layout.json"
    path.write_bytes(data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    parse_layout(document)


def _pointer(data: bytes) -> None:
    slots = Slots(_empty("slots"))
    (slots.directory / "current.json").write_bytes(data)
    slots.previous()
    name = slots.current()
    assert name is None or (slots.directory / name).parent == slots.directory
    try:
        slots.load_healthy()
    except ArtifactError:
        pass
    else:
        raise AssertionError("a healthy slot where there is none")


_LIMITS = Limits(7.5, 3.5, 4.5, 0.01, 10)
_SLOT = SlotManifest(
    name="0001", scene="home", created=1.7e9, model="detector", model_version=2, vocabulary=Vocabulary(),
    limits=_LIMITS, origin="learned", steps=1, seconds=1.0,
)  # fmt: skip


def _parameters(data: bytes) -> None:
    slots = Slots(_empty("slots"))
    folder = slots.directory / "0001"
    folder.mkdir()
    (folder / "parameters.npy").write_bytes(data)
    fitting = _SLOT.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    (folder / "manifest.json").write_text(fitting.to_json(), encoding="utf-8")
    _, found = slots.load("0001")
    assert found.ndim == 1
    assert found.nbytes <= len(data)


def _choices(data: bytes) -> None:
    models = Models(_empty("models"))
    (models.installed / "current.json").write_bytes(data)
    models.choices()
    models.used("detector")


def _empty(name: str) -> Path:
    folder = _FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


_PARSERS: dict[type[EdgeError], dict[bytes, Callable[[bytes], None]]] = {  # by the one error each may raise
    MessageError: {b"dictionary": _dictionary, b"dataset": _dataset},
    SettingsError: {b"language": _language, b"registry": _registry},
    ArtifactError: {
        b"model": _model, b"slot": _slot, b"bundle": _bundle, b"described": _described, b"signature": _signature,
        b"layout": _layout, b"pointer": _pointer, b"parameters": _parameters, b"choices": _choices,
    },
    EdgeError: {b"explanation": _explanation},
}  # fmt: skip
