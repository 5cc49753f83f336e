"""What a message says happened to a device, before anyone decides whether a person did it."""

from dataclasses import dataclass

CLOCK_SET = 1_704_067_200.0  # 2024-01-01: a hub without a clock battery starts before it
MAX_PAYLOAD = 256 * 1024  # bytes; anything larger is no device's report
LARGEST = 8 * 1024 * 1024  # bytes; a bridge's list of its devices, each with its whole definition


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message as it arrived: `time` is arrival in seconds since the epoch, UTC."""

    topic: str
    payload: bytes
    time: float
    retained: bool = False
    duplicate: bool = False
    mid: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a device reported. `momentary`: each report is an act (a button press), not a state.

    `live` is False for what is replayed (retained, or re-sent by a bridge after its restart): such an
    event updates the known state and is never behavior. `time` is seconds since the epoch, UTC.
    """

    time: float
    device: str
    name: str
    prop: str
    value: str
    momentary: bool = False
    live: bool = True
    kind: str = ""  # device class where the dialect knows it, else ""
