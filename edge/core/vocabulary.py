"""Names to ids and back: the rows of the networks' tables, with spare ones for what the home has not met yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from edge.core.errors import ArtifactError

PAD, UNKNOWN = 0, 1
FIRST = 2  # the first id that names something
DEVICE_ROWS = 64  # fixed in the exported graphs, the reserved rows included
CONTROL_ROWS = 512
TIME_ROWS = 25  # up to 24 times of day and padding


@dataclass(frozen=True)
class Vocabulary:
    """What one home's model can name. `controls` are (device id, control) pairs: "switch on" of two lamps is two rows.

    `slots` is the number of times of day told apart: 24 for a live home, 8 in the published data sets.
    Growing never moves an id, so a model keeps its meaning when a device is added.
    """

    devices: tuple[str, ...] = ()
    controls: tuple[tuple[str, str], ...] = ()
    slots: int = 24

    @cached_property
    def _device_ids(self) -> Mapping[str, int]:
        return {name: FIRST + row for row, name in enumerate(self.devices)}

    @cached_property
    def _control_ids(self) -> Mapping[tuple[str, str], int]:
        return {pair: FIRST + row for row, pair in enumerate(self.controls)}

    @property
    def pad_time(self) -> int:
        """The id of the time of a padded place."""
        return TIME_ROWS - 1

    def time_id(self, hour: int) -> int:
        """Return the id of the time slot an hour (0-23) lies in."""
        return hour * self.slots // 24

    def device_id(self, device: str) -> int:
        """Return a device's id, UNKNOWN where it has none."""
        return self._device_ids.get(device, UNKNOWN)

    def control_id(self, device: str, control: str) -> int:
        """Return a (device, control) pair's id, UNKNOWN where it has none."""
        return self._control_ids.get((device, control), UNKNOWN)

    def control_at(self, row: int) -> tuple[str, str] | None:
        """Return the pair of an id, None for an id that names nothing."""
        return self.controls[row - FIRST] if FIRST <= row < FIRST + len(self.controls) else None

    def grown(self, pairs: Iterable[tuple[str, str]]) -> "Vocabulary":
        """Return this vocabulary with new pairs (and their devices) in spare rows; raises ArtifactError when full."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._control_ids]
        fresh = dict.fromkeys(device for device, _ in new)
        devices = self.devices + tuple(name for name in fresh if name not in self._device_ids)
        controls = self.controls + tuple(new)
        if len(devices) > DEVICE_ROWS - FIRST or len(controls) > CONTROL_ROWS - FIRST:
            raise ArtifactError(
                f"the home has {len(devices)} devices and {len(controls)} controls; the model has room for "
                f"{DEVICE_ROWS - FIRST} and {CONTROL_ROWS - FIRST}: exclude some devices in the settings"
            )
        return Vocabulary(devices, controls, self.slots)
