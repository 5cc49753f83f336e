"""An allowance: so much at once, and more as time passes."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Holds `size` at most, all of it at the beginning; one more comes every `refill` seconds."""

    size: float
    refill: float
    left: float
    time: float

    @classmethod
    def full(cls, size: float, refill: float, time: float) -> "Bucket":
        """Return a full one."""
        return cls(size, refill, size, time)

    def fill(self, time: float) -> None:
        """Take in how much came until `time` (seconds); a clock set back brings nothing and costs nothing."""
        self.left = min(self.size, self.left + max(0.0, time - self.time) / self.refill)
        self.time = time

    def take(self, time: float) -> bool:
        """Take one at `time`; False where none is left."""
        self.fill(time)
        if self.left < 1:
            return False
        self.left -= 1
        return True
