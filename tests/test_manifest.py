"""Manifests: a round trip, every truncated prefix, everything malformed an ArtifactError."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.core.calibration import Limits
from edge.core.errors import ArtifactError
from edge.core.manifest import Described, ModelManifest, SlotManifest
from edge.core.vocabulary import Vocabulary
from edge.slots import shipped

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.text(min_size=1, max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def vocabularies(draw: st.DrawFn) -> Vocabulary:
    pairs = draw(st.lists(st.tuples(NAMES, NAMES), max_size=20, unique=True))
    return Vocabulary(slots=draw(st.integers(1, 24))).grown(pairs)


MANIFESTS = st.builds(
    SlotManifest,
    name=st.sampled_from(["", "0001", "0042-winter", "12345-new-device-lamp"]),
    scene=st.text(max_size=30),
    created=FINITE,
    model=NAMES,
    model_version=st.integers(1, 99),
    sha256=HASHES,
    vocabulary=vocabularies(),
    limits=st.builds(Limits, *[st.floats(0.05, 50)] * 3, st.floats(0.001, 0.5), st.integers(0, 10**6)),
    metrics=st.dictionaries(NAMES, FINITE, max_size=4),
    origin=st.sampled_from(["learned", "adapted"]),
    steps=st.integers(0, 10**6),
    seconds=st.floats(0, 1e6),
)
SMALL = SlotManifest(
    name="0001-winter",
    scene="winter",
    created=1.75e9,
    model="detector",
    model_version=1,
    sha256="0" * 64,
    vocabulary=Vocabulary(slots=8).grown([("lamp", "switch on"), ("lamp", "switch off"), ("Küche", "an")]),
    limits=Limits(7.5, 3.5, 4.5, 0.01, 120),
    metrics={"auroc": 0.9},
    origin="learned",
    steps=600,
    seconds=9.5,
)


@given(MANIFESTS)
def test_what_is_written_is_read(manifest: SlotManifest) -> None:
    assert SlotManifest.from_json(manifest.to_json()) == manifest


def test_every_truncated_prefix_is_refused() -> None:
    whole = SMALL.to_json().encode()
    for length in range(len(whole)):
        with pytest.raises(ArtifactError):
            SlotManifest.from_json(whole[:length])


def test_every_truncated_prefix_of_the_shipped_one_is_refused() -> None:
    whole = (shipped("detector") / "manifest.json").read_bytes()
    assert ModelManifest.from_json(whole).name == "detector"
    for length in range(len(whole)):
        with pytest.raises(ArtifactError):
            ModelManifest.from_json(whole[:length])


@given(st.binary(max_size=80))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError):
        SlotManifest.from_json(content)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"extra": 1}, "extra"),
        ({"name": "../0001"}, "name"),
        ({"limits": 7}, "limits"),
        ({"limits": None}, "limits"),
        ({"limits": {"what": "7", "when": 3.5, "duration": 4.5, "alpha": 0.01, "n": 120}}, "what"),
        ({"limits": {"what": 7.5, "when": 0.0, "duration": 4.5, "alpha": 0.01, "n": 120}}, "limits that are none"),
        ({"limits": {"what": 7.5, "when": 3.5, "duration": 4.5, "alpha": 1.0, "n": 120}}, "limits that are none"),
        ({"seconds": -1}, "seconds"),
        ({"sha256": "0" * 63}, "sha256"),
        ({"origin": "stolen"}, "origin"),
        ({"metrics": {"auroc": None}}, "auroc"),
        ({"vocabulary": {"devices": ["a", "a"], "controls": [], "slots": 8}}, "two rows"),
        ({"vocabulary": {"devices": ["a"], "controls": [["a", "on"], ["a", "on"]], "slots": 8}}, "two rows"),
        ({"vocabulary": {"devices": ["a"], "controls": [["b", "on"]], "slots": 8}}, "no device"),
        ({"vocabulary": {"devices": ["a"], "controls": [], "slots": 25}}, "times of day"),
        ({"vocabulary": {"devices": [str(n) for n in range(63)], "controls": [], "slots": 8}}, "more names"),
        ({"vocabulary": {"devices": ["a"], "controls": [], "slots": 8, "extra": 1}}, "extra"),
    ],
)
def test_the_refusal_says_where(change: dict[str, object], word: str) -> None:
    document = json.loads(SMALL.to_json()) | change
    with pytest.raises(ArtifactError, match=word):
        SlotManifest.from_json(json.dumps(document))


def test_a_metric_that_is_no_number_cannot_be_made() -> None:
    with pytest.raises(ValidationError):
        SMALL.model_validate({**SMALL.model_dump(), "metrics": {"auroc": float("nan")}})


@pytest.mark.parametrize("name", ["../manifest.json", "/dev/zero", "a/b", "", ".", "..", "a\n", "\u0661/\u0661"])
def test_a_manifest_names_only_files_beside_it(name):
    text = json.dumps({"name": "detector", "version": 3, "files": {"graph.onnx": "a", name: "b"}})
    with pytest.raises(ArtifactError, match="beside"):
        Described.parse(text.encode())
    with pytest.raises(ArtifactError, match="beside"):
        Described.parse(b'{"name": "a", "version": 1, "files": {"x": {"sha256": 7}}}')


def test_every_shipped_manifest_is_read():
    for name in ("detector", "behavior-lm"):
        assert Described.parse((shipped(name) / "manifest.json").read_bytes()).name == name
