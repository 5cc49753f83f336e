"""Events to behaviors: a live act, or a live change of a state. IoTGen and SmartGuard say `behavior` too."""

from dataclasses import dataclass, field

from edge.core.events import Event, Message


@dataclass(frozen=True, slots=True)
class Behavior:
    """Somebody or something used a device. `time`: seconds since the epoch, UTC; `device`: its stable id."""

    time: float
    device: str
    control: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one message turned out to hold; `rejected` names the reason where it is no event at all."""

    message: Message
    events: tuple[Event, ...] = ()
    behaviors: tuple[Behavior, ...] = ()
    rejected: str = ""


@dataclass(slots=True)
class States:
    """The last known value of every property of every device; what tells a change from a repetition."""

    values: dict[tuple[str, str], str] = field(default_factory=dict)

    def behavior(self, event: Event) -> Behavior | None:
        """Take the event in; return the behavior it is, or None for a replay, a repetition or a first report.

        The first report of a state is no behavior: nothing says that it just changed.
        """
        control = f"{event.prop} {event.value}".strip()
        if event.momentary:
            return Behavior(event.time, event.device, control) if event.live else None
        key = (event.device, event.prop)
        before = self.values.get(key)
        self.values[key] = event.value
        if not event.live or before is None or before == event.value:
            return None
        return Behavior(event.time, event.device, control)
