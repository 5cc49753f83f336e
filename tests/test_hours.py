"""Behaviors counted by device and hour: each once, however many devices there are."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge.core.hours import MOST, by_hour
from edge.core.sequences import Step

STEPS = st.builds(Step, st.integers(0, 6), st.integers(0, 23), st.sampled_from("abcdef"), st.just("state ON"))


@given(st.lists(st.lists(st.tuples(STEPS, st.booleans()), max_size=12)))
def test_each_behavior_is_counted_once_and_what_is_carried_not_again(lived):
    sequences = [tuple(replace(step, carried=carried) for step, carried in each) for each in lived]
    fresh = [step for each in sequences for step in each if not step.carried]
    found = by_hour(sequences)
    assert found.keys() == {step.device for step in fresh}
    for device, counts in found.items():
        assert counts == [sum((step.device, step.hour) == (device, hour) for step in fresh) for hour in range(24)]


def test_the_busiest_devices_are_told_where_there_are_too_many():
    found = by_hour([tuple(Step(0, 7, f"d{n}", "state ON") for n in range(MOST + 40) for _ in range(n + 1))])
    assert list(found) == [f"d{n}" for n in reversed(range(40, MOST + 40))]
