"""The errors of the hub, grouped by what the daemon does about them.

EdgeError
├── SettingsError     exit at start, code 2, the key and the file named
├── MessageError      drop this message, count it by its reason, show the count
├── StoreError        stop; the supervisor restarts us, nothing acknowledged is lost
│   └── DamageError   the same; at that start what can be read of the record is saved (edge/salvage.py)
├── ArtifactError     keep the incumbent model
├── GenerationError   abandon this adaptation, keep what was learned
└── RetrainError      abandon this adaptation
"""


class EdgeError(Exception):
    """Anything the hub expects to go wrong."""


class SettingsError(EdgeError):
    """The settings cannot be used; the message names the key and the file."""


class MessageError(EdgeError):
    """A message is not an event; `reason` is a short fixed word to count by, never text from outside."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreError(EdgeError):
    """What happened could not be written or read."""


class DamageError(StoreError):
    """The record is damaged: a disk that fails, or bytes that somebody else changed."""


class ArtifactError(EdgeError):
    """A model, slot or manifest is missing, corrupt or does not fit."""


class GenerationError(EdgeError):
    """The language model gave nothing usable; the message says why."""


class RetrainError(EdgeError):
    """Retraining on the hub failed; the message says why."""
