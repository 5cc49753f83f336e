"""Who has a place in this home. Anybody who may publish can make up names; the record holds only so many.

A device that has a place keeps it, and one that has acted for good. Where all places are taken and somebody new
reports, the newest of those that never acted give theirs up: strangers drive out each other, not the home's own.
"""

from collections.abc import Iterable

from edge.core.bucket import Bucket
from edge.core.events import Event

DEVICES, CONTROLS = "too many devices", "too many controls"  # the reasons that are counted
MOST_DEVICES = 500  # eight times what a model can name
MOST_CONTROLS = 100  # of one device: a property with a value each
ROOM = 100  # places that are made at once
AGAIN = 60.0  # seconds before room is made again


class Census:
    """The devices by id, each with its controls, in the order they came."""

    def __init__(self) -> None:
        self._controls: dict[str, set[str]] = {}
        self._acted: set[str] = set()
        self._room = Bucket.full(1, AGAIN, 0.0)
        self._gone: list[str] = []

    def __len__(self) -> int:
        return len(self._controls)

    def know(self, devices: Iterable[str], pairs: Iterable[tuple[str, str]]) -> None:
        """Take in the devices of the record, and the (device id, control) that have occurred."""
        for device in devices:
            self._controls.setdefault(device, set())
        for device, control in pairs:
            self._controls.setdefault(device, set()).add(control)
            self._acted.add(device)

    def seat(self, device: str) -> bool:
        """Give a device a place, where it has none and one is free; tell whether it has one."""
        if device not in self._controls and len(self._controls) < MOST_DEVICES:
            self._controls[device] = set()
        return device in self._controls

    def refuses(self, event: Event, now: float) -> str:
        """Return why an event is of nobody here, "" where it is. `now`: seconds, of the message.

        What was only kept by the broker makes no room: it can be as old as anything.
        """
        if not self.seat(event.device) and event.live:
            self._make_room(now)
        if not self.seat(event.device):
            return DEVICES
        controls, control = self._controls[event.device], f"{event.prop} {event.value}"
        if control not in controls and len(controls) >= MOST_CONTROLS:
            return CONTROLS
        controls.add(control)
        return ""

    def acted(self, device: str) -> None:
        """Take in that a device has acted."""
        self._acted.add(device)

    def take_gone(self) -> list[str]:
        """Return who has given up a place since the last call and did not come back."""
        gone, self._gone = [each for each in self._gone if each not in self._controls], []
        return gone

    def _make_room(self, now: float) -> None:
        if self._room.take(now):
            idle = [device for device in self._controls if device not in self._acted]
            self._gone += idle[-ROOM:]
            for device in idle[-ROOM:]:
                del self._controls[device]
