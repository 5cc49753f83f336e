"""What a home did, counted: what is far from it, and how the counts are kept."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ArtifactError
from edge.core.memory import PARTS, Memory
from edge.core.sequences import LENGTH, Step
from edge.core.vocabulary import Vocabulary

PAIRS = [("lamp", "on"), ("lamp", "off"), ("door", "open"), ("kettle", "on"), ("kettle", "off")]
VOCABULARY = Vocabulary().grown(PAIRS)
HOUR = 3600.0


def evening(day):
    """The lamp burns for about two hours, after the door; the kettle boils for minutes."""
    more = 60.0 * (day % 7)
    return (
        Step(day % 7, 18, "door", "open", None, 20 * HOUR),
        Step(day % 7, 18, "lamp", "on", 20.0, 20 * HOUR),
        Step(day % 7, 19, "kettle", "on", HOUR, 23 * HOUR),
        Step(day % 7, 19, "kettle", "off", 240.0, 240.0 + day % 5),
        Step(day % 7, 20, "lamp", "off", HOUR, 2 * HOUR + more),
    )


LIVED = [evening(day) for day in range(60)]
MEMORY = Memory.of(LIVED, VOCABULARY)


def of(part, sequence, memory=MEMORY):
    return float(memory.evidence([sequence], VOCABULARY)[-1][PARTS.index(part)])


def test_what_is_done_every_day_is_far_from_nothing():
    assert MEMORY.evidence(LIVED[-7:], VOCABULARY).max() < 2.5  # a longest time is seen once in seven days
    assert MEMORY.evidence(LIVED, VOCABULARY).shape == (300, len(PARTS))


@pytest.mark.parametrize(
    ("part", "sequence"),
    [
        ("moment", (Step(0, 3, "lamp", "on", None, 5 * HOUR),)),
        ("device", (Step(0, 3, "lamp", "off", None, 5 * HOUR),)),
        ("hour", (Step(0, 3, "siren", "on"),)),
        ("order", (Step(0, 19, "kettle", "on", None, 23 * HOUR), Step(0, 19, "door", "open", 10.0, 24 * HOUR))),
        ("pace", tuple(Step(0, 18, "lamp", ("on", "off")[n % 2], 4.0 if n else None, 4.0) for n in range(8))),
        ("length", (Step(0, 19, "kettle", "off", None, 2 * HOUR),)),
    ],
)
def test_each_part_finds_its_own_anomaly(part, sequence):
    assert of(part, sequence) > 3.0
    usual = MEMORY.evidence(LIVED, VOCABULARY)[:, PARTS.index(part)]
    assert of(part, sequence) > usual.max() + 1


def test_the_wait_before_a_start_says_nothing():
    assert of("length", (Step(0, 18, "lamp", "on", None, 900 * HOUR),)) == 0
    assert of("length", (Step(0, 20, "lamp", "off", None, 30 * HOUR),)) > 6


def test_the_more_was_lived_the_more_a_first_time_says():
    night = (Step(0, 3, "lamp", "on"),)
    said = [of("moment", night, Memory.of(LIVED[:count], VOCABULARY)) for count in (0, 5, 20, 60)]
    assert said == sorted(said)
    assert said[0] < 1
    assert said[-1] > 4


def test_what_the_counts_do_not_know_is_no_evidence():
    strange = (Step(0, 3, "siren", "on", None, 9.0), Step(0, 3, "siren", "off", 3.0, 3.0))
    assert MEMORY.evidence([strange], VOCABULARY)[:, [0, 1, 3, 4, 5]].max() == 0
    grown = VOCABULARY.grown([("siren", "on"), ("siren", "off")])
    assert MEMORY.evidence([strange], grown)[:, [0, 1, 3, 4, 5]].max() == 0


def test_what_is_carried_is_context_and_not_evidence():
    whole = LIVED[0]
    carried = (*(replace(step, carried=True) for step in whole[:3]), *whole[3:])
    np.testing.assert_array_equal(MEMORY.evidence([carried], VOCABULARY), MEMORY.evidence([whole], VOCABULARY)[3:])
    assert Memory.of([carried], VOCABULARY).hours.sum() == 2


steps = st.builds(
    Step,
    st.integers(0, 6),
    st.integers(0, 23),
    st.sampled_from([*(pair[0] for pair in PAIRS), "ghost"]),
    st.sampled_from(["on", "off", "open"]),
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(0, 1e6),
    st.booleans(),
)
sequences = st.lists(st.lists(steps, min_size=1, max_size=LENGTH).map(tuple), max_size=20)


@given(sequences, sequences)
def test_counts_are_read_as_they_were_kept_and_evidence_is_finite(lived, asked):
    memory = Memory.of(lived, VOCABULARY)
    again = Memory.read(memory.flat())
    assert again is not None
    said = memory.evidence(asked, VOCABULARY)
    np.testing.assert_array_equal(said, again.evidence(asked, VOCABULARY))
    assert np.isfinite(said).all()
    assert (said >= 0).all()


@given(st.integers(1, 400))
def test_part_of_the_counts_is_refused(cut):
    flat = MEMORY.flat()
    with pytest.raises(ArtifactError):
        Memory.read(flat[: max(1, flat.size - cut)])


def test_no_counts_are_none():
    assert Memory.read(np.empty(0, np.float32)) is None


def test_what_was_never_used_is_new_unless_it_may_be():
    vocabulary = VOCABULARY.grown([("fan", "on"), ("heater", "on")])
    memory = Memory.of(LIVED, vocabulary, [("fan", "on")])
    ids = np.array([vocabulary.control_id(*pair) for pair in (("lamp", "on"), ("fan", "on"), ("heater", "on"))])
    assert memory.new(ids).tolist() == [False, False, True]
    young = Memory.of(LIVED[:3], vocabulary)
    assert young.novelty < memory.novelty  # three days know less of what is new


def test_of_the_hours_of_data_sets_only_the_homes_own_say_anything():
    coarse = Vocabulary(slots=8).grown(PAIRS)
    said = Memory.of(LIVED, coarse).evidence([(Step(0, 3, "lamp", "on"),)], coarse)[0]
    assert {part for part, nats in zip(PARTS, said, strict=True) if nats > 0} == {"hour"}
