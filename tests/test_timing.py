"""What was written gets seconds as the home lives them."""

from dataclasses import replace
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from edge.core.sequences import HOUR, Step, hours_between, split
from edge.core.timing import Timing
from tests import homes

LIVED = split(homes.behaviors(120), UTC)
TIMING = Timing(LIVED)
written = st.lists(
    st.lists(
        st.builds(Step, st.integers(0, 6), st.integers(0, 23), *map(st.just, homes.PAIRS[0])), min_size=1, max_size=6
    ).map(tuple),
    max_size=5,
)


@given(written, st.integers(0, 9))
def test_what_was_written_stays_and_every_gap_is_known(sequences, seed):
    timed = TIMING.timed(sequences, seed)
    assert timed == sequences  # seconds do not change what a step is
    assert all(step.gap is not None for sequence in timed for step in sequence[1:])
    assert all(sequence[0].gap is None for sequence in timed)
    assert [[step.gap for step in each] for each in TIMING.timed(sequences, seed)] == [
        [step.gap for step in each] for each in timed
    ]


def test_durations_are_those_the_home_lived():
    bare = [tuple(replace(step, gap=None, since=None, carried=False) for step in each) for each in LIVED[:20]]
    known = {step.gap for each in LIVED for step in each}
    for sequence in TIMING.timed(bare, 1):
        for before, step in zip(sequence, sequence[1:], strict=False):
            assert step.gap in known
            assert abs(step.gap - hours_between(before, step) * HOUR) < 2 * HOUR


def test_what_is_known_is_left_alone():
    again = TIMING.timed(LIVED, 1)
    assert [[step.gap for step in each] for each in again] == [[step.gap for step in each] for each in LIVED]


def test_a_home_without_seconds_times_nothing():
    bare = [tuple(replace(step, gap=None, since=None) for step in each) for each in LIVED]
    assert all(step.gap is None for each in Timing(bare).timed(bare, 1) for step in each)
