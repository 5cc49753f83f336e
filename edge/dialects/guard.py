"""Replays told apart: what a device reports right after it came up is what it had kept, not what somebody did."""

from edge.core.events import Message
from edge.core.recent import Recent
from edge.dialects.payloads import LONGEST_NAME, word

SECONDS = 10.0  # a device has reported all its states by then
_CLOCKS = 60.0  # seconds a device's clock may run ahead of ours
_LONGEST_QUEUE = 8 * 86400.0  # seconds; an older time is not that of a message the broker kept for us


class Guard:
    """When each device came up."""

    def __init__(self) -> None:
        self._since: Recent[str, float] = Recent()

    def up(self, device: str, message: Message) -> None:
        """Take in that a device says it is there; a retained word says nothing about when. Raises MessageError."""
        if not message.retained:
            self._since[word(device, LONGEST_NAME) if device else device] = message.time

    def live(self, device: str, message: Message) -> bool:
        """Tell whether a message can be what just happened."""
        return not (message.retained or 0 <= message.time - self._since.get(device, float("-inf")) < SECONDS)


def believed(seen: float, arrival: float) -> bool:
    """Tell whether a device's own time of a report can be that of a message that arrived then."""
    return arrival - _LONGEST_QUEUE < seen < arrival + _CLOCKS
