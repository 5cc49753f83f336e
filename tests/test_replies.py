"""Replies: what stays by letter, what joins in words; every change survives its own text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.dictionary import Dictionary
from edge.core.errors import MessageError
from edge.core.prompts import LETTERS, NOTHING, Labels
from edge.core.replies import read_reply, reply_text
from edge.core.sequences import LENGTH, Step
from tests import homes

LABELS = Labels.of(homes.PAIRS, homes.HOME)
steps = st.builds(lambda d, h, p: Step(d, h, *p), st.integers(0, 6), st.integers(0, 23), st.sampled_from(homes.PAIRS))
sequences = st.lists(steps, max_size=LENGTH).map(tuple)
gaps = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(homes.PAIRS)), max_size=LENGTH)


@st.composite
def forward(draw):
    """Draw a sequence in which time goes forward, as it does in every one that is lived."""
    now, out = draw(st.integers(0, 167)), []
    for gap, pair in draw(gaps):
        now = (now + gap) % 168
        out.append(Step(now // 24, now % 24, *pair))
    return tuple(out)


LAMP, KETTLE = homes.PAIRS[0], homes.PAIRS[2]
GIVEN = (Step(0, 7, *LAMP), Step(0, 7, *KETTLE), Step(0, 9, *LAMP))


@given(sequences, forward())
def test_every_change_survives_its_own_text(source, reply):
    text = reply_text(reply, source, LABELS)
    assert "\n" not in text
    assert read_reply(text, source, LABELS) == reply


@given(forward())
def test_what_stays_as_it_was_is_letters(source):
    text = reply_text(source, source, LABELS)
    assert text == ("; ".join(LETTERS[: len(source)]) or NOTHING)


@given(forward().filter(bool), st.integers(1, 167))
def test_a_move_is_said_once(source, hours):
    moved = tuple(Step(((s.day * 24 + s.hour + hours) // 24) % 7, (s.hour + hours) % 24, s.device, s.control)
                  for s in source)  # fmt: skip
    text = reply_text(moved, source, LABELS)
    assert read_reply(text, source, LABELS) == moved
    if len({(s.device, s.control) for s in source}) == len(source):
        assert sum(character.isdigit() for character in text) == 2


def test_what_joins_comes_at_the_time_before_it():
    fan = homes.PAIRS[-1]
    found = read_reply(f"b; {LABELS.texts[fan]}; c", GIVEN, LABELS)
    assert found == (GIVEN[1], Step(0, 7, *fan), GIVEN[2])


@pytest.mark.parametrize(
    ("text", "reason"),
    [("Mon 18 Nothing:here", "dictionary"), ("z", "dictionary"), (LABELS.texts[LAMP], "no time"),
     ("Mon 31 a", "no time"), ("18 a", "no time"), ("", "dictionary"), ("b; a", "kept twice"), ("a; a", "kept twice")],
)  # fmt: skip
def test_a_reply_that_is_no_sequence_says_why(text, reason):
    with pytest.raises(MessageError, match=reason):
        read_reply(text, GIVEN, LABELS)


def test_a_time_behind_is_not_gone_back_to():
    fan = LABELS.texts[homes.PAIRS[-1]]
    assert [step.hour for step in read_reply(f"c; 08 {fan}; 10 {fan}", GIVEN, LABELS)] == [9, 9, 10]


def test_a_letter_of_nothing_keeps_nothing():
    assert read_reply("a; c; d; Mon 10 e", GIVEN, LABELS) == (GIVEN[0], GIVEN[2])


def test_a_reply_is_cut_to_the_window():
    assert len(read_reply("; ".join(["a"] + [LABELS.texts[LAMP]] * 20), GIVEN, LABELS)) == LENGTH


def test_nothing_is_an_answer():
    assert read_reply(f"{NOTHING}\n", GIVEN, LABELS) == ()


@pytest.mark.parametrize("name", ["12 V pump", "Mon 12 lamp", "00", "07 07", "\u0661\u0662 lamp", "Sun 23"])
def test_a_device_whose_name_begins_as_a_time_does_can_be_written(name):
    pairs = [(name, "state ON"), ("other", "state ON"), (f"{name}!", "state ON")]
    labels = Labels.of(pairs, Dictionary.of(pairs))
    source = (Step(0, 7, "other", "state ON"),)
    for pair in pairs:
        assert read_reply(f"a; {labels.texts[pair]}", source, labels)[1:] == (Step(0, 7, *pair),)
