"""What joins a home starts as its class, on a layout made by hand; and on the shipped one, through the real scorer."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.errors import ArtifactError
from edge.core.growth import (
    CONTROL_TABLES,
    DEVICE_TABLES,
    YOUNG,
    grown_parameters,
    joining,
    parse_layout,
    young_parameters,
)
from edge.core.vocabulary import Vocabulary
from edge.slots import shipped

WIDTH, DEVICES, CONTROLS = 3, 8, 16
KINDS = {"lamp1": "light", "lamp2": "light", "lamp3": "light", "oven1": "oven", "box1": "other", "box2": "other"}
PAIRS = [("lamp1", "on"), ("lamp1", "off"), ("lamp2", "on"), ("lamp2", "off"), ("oven1", "on"), ("box1", "x")]


def made():
    """Return a layout by hand, with a tensor before and behind the tables, and random parameters for it."""
    layout, end = {"first": (0, (5,))}, 5
    for name in (*DEVICE_TABLES, *CONTROL_TABLES):
        rows = DEVICES if name in DEVICE_TABLES else CONTROLS
        shape = (rows,) if name.endswith("bias") else (rows, WIDTH)
        layout[name] = (end, shape)
        end += int(np.prod(shape))
    layout["last"] = (end, (4,))
    return layout, np.random.default_rng(0).standard_normal(end + 4).astype(np.float32)


def rows(flat, layout, name):
    offset, shape = layout[name]
    return flat[offset : offset + int(np.prod(shape))].reshape(shape[0], -1)


def kind(device):
    return KINDS.get(device, "other")


def test_what_joins_is_the_mean_of_its_class_and_nothing_else_changes():
    layout, flat = made()
    before = Vocabulary().grown(PAIRS)
    after = before.grown([("lamp3", "on"), ("lamp3", "off")])
    kept = flat.copy()
    out = grown_parameters(flat, layout, before, after, kind)
    assert (flat == kept).all()
    changed = set()
    for name in DEVICE_TABLES:
        like = [before.device_id("lamp1"), before.device_id("lamp2")]
        assert np.allclose(rows(out, layout, name)[after.device_id("lamp3")], rows(flat, layout, name)[like].mean(0))
        changed.add((name, after.device_id("lamp3")))
    for name in CONTROL_TABLES:
        for control in ("on", "off"):
            like = [before.control_id("lamp1", control), before.control_id("lamp2", control)]
            row = after.control_id("lamp3", control)
            assert np.allclose(rows(out, layout, name)[row], rows(flat, layout, name)[like].mean(0))
            changed.add((name, row))
    for name in layout:
        for row, (old, new) in enumerate(zip(rows(flat, layout, name), rows(out, layout, name), strict=True)):
            assert (name, row) in changed or (old == new).all()


def test_a_control_its_class_does_not_have_is_like_all_of_them():
    layout, flat = made()
    before = Vocabulary().grown(PAIRS)
    after = before.grown([("lamp3", "dim")])
    out = grown_parameters(flat, layout, before, after, kind)
    like = [before.control_id(*pair) for pair in before.controls if pair[0].startswith("lamp")]
    row = after.control_id("lamp3", "dim")
    assert np.allclose(rows(out, layout, "what.weight")[row], rows(flat, layout, "what.weight")[like].mean(0))


@pytest.mark.parametrize("pair", [("box2", "x"), ("fridge1", "on")])
def test_what_is_like_nothing_keeps_its_rows(pair):
    layout, flat = made()
    before = Vocabulary().grown(PAIRS)
    assert (grown_parameters(flat, layout, before, before.grown([pair]), kind) == flat).all()


def test_only_devices_that_are_like_something_join_with_what_their_like_do():
    known = [Device(name, name, each) for name, each in KINDS.items()]
    home = Dictionary.of([*PAIRS, ("lamp3", "dim"), ("box2", "x")], known)
    before = Vocabulary().grown(PAIRS)
    assert set(joining(home, before)) == {("lamp3", "on"), ("lamp3", "off"), ("lamp3", "dim")}
    assert joining(home, before.grown(joining(home, before))) == []


@given(st.integers(1, YOUNG - 1), st.integers(YOUNG, 1000))
def test_the_more_was_seen_of_a_device_the_more_it_is_itself(few, many):
    layout, flat = made()
    vocabulary = Vocabulary().grown([*PAIRS, ("lamp3", "on")])
    row = vocabulary.control_id("lamp3", "on")
    mean = rows(flat, layout, "what.weight")[[vocabulary.control_id("lamp1", "on")]].mean(0)
    own = rows(flat, layout, "what.weight")[row]

    def distance(count):
        counts = {("lamp1", "on"): many, ("lamp3", "on"): count, ("oven1", "on"): 1}
        out = young_parameters(flat, layout, vocabulary, counts, kind)
        untouched = np.ones(flat.size, bool)
        for name in (*DEVICE_TABLES, *CONTROL_TABLES):
            offset, shape = layout[name]
            untouched[offset : offset + int(np.prod(shape))] = False
        assert (out[untouched] == flat[untouched]).all()
        return float(np.abs(rows(out, layout, "what.weight")[row] - mean).sum())

    whole = float(np.abs(own - mean).sum())
    assert 0 < distance(few) < whole
    assert few == 1 or distance(few - 1) < distance(few)
    assert distance(0) == pytest.approx(whole)  # nobody uses it: it stays what training made of it
    assert distance(YOUNG) == pytest.approx(whole)


@pytest.mark.parametrize(
    "text", ["[]", "{}", "7", '{"a": 1}', '{"a": [1, [2]]}', '{"a": ["x", []]}', "null", '{"a": [1e999, [1]]}']
)
def test_what_is_no_layout_is_refused(text):
    with pytest.raises(ArtifactError):
        parse_layout(json.loads(text))


def test_a_layout_that_does_not_fit_the_parameters_is_refused():
    layout, flat = made()
    before = Vocabulary().grown(PAIRS)
    after = before.grown([("lamp3", "on")])
    with pytest.raises(ArtifactError):
        grown_parameters(flat[:50], layout, before, after, kind)
    many = before.grown((f"lamp{n}", "on") for n in range(3, 12))
    with pytest.raises(ArtifactError):
        grown_parameters(flat, layout, before, many, lambda _: "light")


def test_the_shipped_layout_covers_the_shipped_parameters_exactly():
    folder = shipped("detector")
    layout = parse_layout(json.loads((folder / "layout.json").read_text(encoding="utf-8")))
    spans = sorted((offset, offset + int(np.prod(shape))) for offset, shape in layout.values())
    assert spans[0][0] == 0
    assert all(end == start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
    assert spans[-1][1] == np.load(folder / "initial.npy").size
