"""Slots: verified, promoted, rolled back; and whatever breaks, wherever it breaks, one can still be loaded."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import slots as module
from edge.core.calibration import Limits
from edge.core.errors import ArtifactError
from edge.core.manifest import SlotManifest
from edge.core.vocabulary import Vocabulary
from edge.slots import SCENES, Slots, shipped, verify_model

VOCABULARY = Vocabulary().grown([("lamp", "switch on")])


def manifest(scene: str = "winter") -> SlotManifest:
    return SlotManifest(
        scene=scene,
        created=1.75e9,
        model="detector",
        model_version=1,
        vocabulary=VOCABULARY,
        limits=Limits(7.5, 3.5, 4.5, 0.01, 10),
        origin="learned",
        steps=1,
        seconds=0.1,
    )


def parameters(value: float = 1) -> NDArray[np.float32]:
    return np.full(64, value, np.float32)


def filled(directory: Path, *scenes: str) -> Slots:
    slots = Slots(directory)
    for number, scene in enumerate(scenes):
        slots.promote(slots.write(manifest(scene), parameters(number)))
    return slots


def test_a_slot_is_read_as_it_was_written(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    name = slots.write(manifest("New-Device: Küchenlampe/../x"), parameters(3))
    assert name == "0001-new-device-k-chenlampe-x"
    read, flat = slots.load(name)
    assert (read.name, read.scene, read.vocabulary) == (name, "New-Device: Küchenlampe/../x", VOCABULARY)
    np.testing.assert_array_equal(flat, parameters(3))
    assert read.sha256 == hashlib.sha256((tmp_path / "slots" / name / "parameters.npy").read_bytes()).hexdigest()
    assert slots.current() is None
    assert slots.previous() is None


def test_promotion_and_rollback_are_one_operation(tmp_path: Path) -> None:
    slots = filled(tmp_path, "winter", "spring", "summer")
    assert (slots.current(), slots.previous()) == ("0003-summer", "0002-spring")
    assert slots.rollback() == "0002-spring"
    assert (slots.current(), slots.previous()) == ("0002-spring", "0001-winter")
    assert slots.for_scene("summer") is None, "what was rolled back is not gone back to"
    assert slots.rollback() == "0001-winter"
    with pytest.raises(ArtifactError, match="no earlier slot"):
        slots.rollback()
    assert slots.current() == "0001-winter"


def test_a_scene_lived_before_has_its_slot(tmp_path: Path) -> None:
    slots = filled(tmp_path, "winter", "spring", "winter", "spring")
    slots.write(manifest("winter"), parameters(9))  # refused by the gate: never promoted
    assert slots.for_scene("winter") == "0003-winter"
    assert slots.for_scene("summer") is None
    slots.promote("0003-winter")
    assert (slots.current(), slots.previous()) == ("0003-winter", "0004-spring")
    (tmp_path / "0003-winter" / "parameters.npy").unlink()
    assert slots.for_scene("winter") == "0001-winter"


def test_a_corrupt_slot_is_never_promoted(tmp_path: Path) -> None:
    slots = filled(tmp_path, "winter")
    name = slots.write(manifest("spring"), parameters())
    (tmp_path / name / "parameters.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match=name):
        slots.promote(name)
    with pytest.raises(ArtifactError):
        slots.promote("0099-nowhere")
    with pytest.raises(ArtifactError):
        slots.promote("../elsewhere")
    assert slots.current() == "0001-winter"


def test_rollback_passes_over_a_corrupt_slot(tmp_path: Path) -> None:
    slots = filled(tmp_path, "winter", "spring", "summer")
    (tmp_path / "0002-spring" / "manifest.json").write_text("{}")
    assert slots.rollback() == "0001-winter"


@pytest.mark.parametrize("file", ["parameters.npy", "manifest.json"])
def test_any_truncation_and_any_bit_flip_is_noticed(tmp_path: Path, file: str) -> None:
    slots = filled(tmp_path, "winter", "spring")
    path = tmp_path / "0002-spring" / file
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(0, len(whole), 7)]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :] for place in range(0, len(whole), 3)
    ]
    unnoticed = 0
    for content in damaged:
        path.write_bytes(content)
        healthy = slots.load_healthy()
        unnoticed += healthy.name == "0002-spring"
        assert healthy.name in ("0001-winter", "0002-spring")
        assert (healthy.reason is None) == (healthy.name == "0002-spring")
    assert unnoticed == 0


def test_a_lost_pointer_costs_no_model(tmp_path: Path) -> None:
    slots = filled(tmp_path, "winter", "spring")
    pointer = tmp_path / "current.json"
    whole = pointer.read_bytes()
    for content in (
        *(whole[:length] for length in range(len(whole))),
        b"\xff\xfe",
        b"[]",
        b'{"current": "..", "history": []}',
    ):
        pointer.write_bytes(content)
        with pytest.raises(ArtifactError):
            slots.current()
        healthy = slots.load_healthy()
        assert healthy.name == "0002-spring"
        assert healthy.reason is not None
        assert "current.json" in healthy.reason
    slots.promote("0001-winter")
    assert slots.current() == "0001-winter"


def test_nothing_healthy_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="ever written"):
        Slots(tmp_path / "new").load_healthy()
    slots = filled(tmp_path / "old", "winter")
    shutil.rmtree(tmp_path / "old" / "0001-winter")
    with pytest.raises(ArtifactError, match="0001-winter"):
        slots.load_healthy()


def test_parameters_that_are_no_finite_vector_are_refused(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    for bad in (np.array([np.nan], np.float32), np.ones((2, 2), np.float32)):
        with pytest.raises(ArtifactError, match="finite vector"):
            slots.load(slots.write(manifest(), bad))


def test_slots_are_bounded_however_many_scenes_are_lived(tmp_path: Path) -> None:
    scenes = [f"winter+removed-device:{number}" for number in range(SCENES + 3)]
    joined = [f"winter+new-device:{number}" for number in range(5)]
    slots = filled(tmp_path, *scenes, *joined, scenes[0])
    slots.prune(2)
    kept = [*scenes[4:], scenes[0]]
    assert [each for each in scenes if slots.for_scene(each)] == sorted(kept, key=scenes.index)
    assert len(slots.names()) == SCENES + 1 + 2, "the previous one, and the newest of the rest"


def test_pruning_keeps_what_may_be_needed(tmp_path: Path) -> None:
    slots = filled(tmp_path, "winter", "spring", "winter", "spring", "summer", "summer")
    slots.write(manifest("autumn"), parameters())
    slots.write(manifest("autumn"), parameters())
    (tmp_path / ".unfinished-dead").mkdir()
    (tmp_path / ".unfinished-current.json").write_text("{")
    assert slots.prune(1) == ["0001-winter", "0002-spring", "0007-autumn"]
    assert slots.names() == ["0003-winter", "0004-spring", "0005-summer", "0006-summer", "0008-autumn"]
    assert not list(tmp_path.glob(".unfinished-*"))
    assert slots.for_scene("winter") == "0003-winter"
    assert slots.rollback() == "0005-summer"
    assert slots.write(manifest("night"), parameters()) == "0009-night"


class CrashError(BaseException):
    """The process ends here."""


def crash_at(line: int, action: Callable[[], object]) -> bool:
    """Run the action and end it at the n-th line executed in edge/slots.py; tell whether it got that far."""
    left = line

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise CrashError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except CrashError:
        return True
    finally:
        sys.settrace(before)
    return False


def _promote_new(slots: Slots) -> None:
    slots.promote(slots.write(manifest("summer"), parameters(7)))
    slots.prune(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a crash closes no file
@pytest.mark.parametrize("action", [_promote_new, Slots.rollback])
def test_a_crash_between_any_two_steps_leaves_a_slot(tmp_path: Path, action: Callable[[Slots], object]) -> None:
    filled(tmp_path / "before", "winter", "spring")
    line = 0
    seen = set()
    while True:
        directory = tmp_path / str(line)
        slots = Slots(Path(shutil.copytree(tmp_path / "before", directory)))
        crashed = crash_at(line, lambda slots=slots: action(slots))  # type: ignore[misc]
        healthy = Slots(directory).load_healthy()
        assert healthy.reason is None, (line, healthy.reason)
        np.testing.assert_array_equal(healthy.parameters, Slots(directory).load(healthy.name)[1])
        _promote_new(Slots(directory))  # and work can go on
        seen.add(healthy.name)
        shutil.rmtree(directory)
        if not crashed:
            break
        line += 1
    assert line > 20
    assert len(seen) == 2, "crashes before and after the switch"


def test_the_shipped_model_is_what_its_manifest_says(tmp_path: Path) -> None:
    model = verify_model(shipped("detector"))
    assert set(model.files) == {"score.onnx", "predict.onnx", "train_step.onnx", "initial.npy", "layout.json"}
    assert model.parameters <= 600_000
    for name in model.files:
        copy = tmp_path / name.partition(".")[0]
        shutil.copytree(shipped("detector"), copy)
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(ArtifactError, match=name):
            verify_model(copy)
        (copy / name).unlink()
        with pytest.raises(ArtifactError, match=name):
            verify_model(copy)
    with pytest.raises(ArtifactError, match="no model"):
        shipped("nothing")


def test_a_pointer_is_small_json(tmp_path: Path) -> None:
    filled(tmp_path, "winter", "spring")
    told = json.loads((tmp_path / "current.json").read_text())
    assert len(told.pop("sha256")) == 64
    assert told == {"current": "0002-spring", "history": ["0001-winter"]}
    (tmp_path / "current.json").write_text(json.dumps(told))  # as an earlier version wrote it
    assert Slots(tmp_path).current() == "0002-spring"


def test_any_bit_flip_of_the_pointer_is_noticed_and_costs_no_model(tmp_path: Path) -> None:
    slots = filled(tmp_path, "winter", "spring", "summer")
    path = tmp_path / "current.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert (slots.load_healthy().name, bool(slots.load_healthy().reason)) == ("0003-summer", True)


def test_a_slot_of_an_earlier_version_has_no_seal_and_is_read(tmp_path: Path) -> None:
    slots = filled(tmp_path, "winter")
    path = tmp_path / "0001-winter" / "manifest.json"
    told = json.loads(path.read_text())
    del told["seal"]
    path.write_text(json.dumps(told))
    assert slots.load_healthy().reason is None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_of_parameters_is_no_slot(tmp_path, save):
    slots = filled(tmp_path, "winter")
    folder = tmp_path / slots.names()[0]
    with (folder / "parameters.npy").open("wb") as file:
        save(file, parameters())
    told = json.loads((folder / "manifest.json").read_text())
    told["sha256"], told["seal"] = hashlib.sha256((folder / "parameters.npy").read_bytes()).hexdigest(), ""
    (folder / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(ArtifactError, match="finite vector"):
        slots.load(folder.name)


def test_a_pointer_to_a_number_nobody_can_count_is_corrupt(tmp_path):
    slots = filled(tmp_path, "winter")
    (tmp_path / "current.json").write_text(json.dumps({"current": "0001-winter", "history": ["9" * 5000]}))
    with pytest.raises(ArtifactError, match="names no slot"):
        slots.current()
    assert slots.write(manifest(), parameters()) == "0002-winter"
