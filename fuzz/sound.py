"""What holds of everything that was read, whatever the bytes were."""

import math
import re
from collections.abc import Iterable

from edge.core.behaviors import States
from edge.core.devices import Device
from edge.core.events import Event
from edge.dialects.payloads import LONGEST_CONTROL, LONGEST_NAME

_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # no text, or no line of it
_EARLIEST, _LATEST = 946_684_800.0, 4_102_444_800.0  # 2000 and 2100


def line(text: object, most: int) -> None:
    """Hold that something is one short line of text that a disk can take."""
    assert isinstance(text, str), text
    assert 0 < len(text) <= most, text
    assert text == text.strip(), text
    assert _BREAKS.search(text) is None, text


def device(told: Device) -> None:
    """Hold that a device can be stored and shown."""
    line(told.id, LONGEST_NAME)
    line(told.name, LONGEST_NAME)
    assert told.kind.isascii(), told


def events(told: Iterable[Event]) -> None:
    """Hold that events can be stored: a time, a device, and controls of the length that everybody counts with."""
    for event in told:
        assert math.isfinite(event.time), event
        assert _EARLIEST <= event.time < _LATEST, event
        line(event.device, LONGEST_NAME)
        line(event.name, LONGEST_NAME)
        assert event.prop == event.prop.strip(), event
        line(event.value, LONGEST_CONTROL)
        pressed = States().behavior(event)
        if event.momentary and event.live:
            assert pressed is not None
            line(pressed.control, LONGEST_CONTROL)
        line(f"{event.prop} {event.value}".strip(), LONGEST_CONTROL)
