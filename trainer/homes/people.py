"""Who lives in a home, or comes to it, and when they are there and awake."""

from dataclasses import dataclass

import numpy as np

WORKDAYS = range(5)  # Monday to Friday
ROLES = ("worker", "shift worker", "home office", "retired", "child", "student", "guest", "cleaner")
# Clock hours of waking, leaving, coming back and falling asleep on a working day; they follow the shape of the
# European time-use surveys (Eurostat, HETUS), rounded. A cleaner's day is the morning in this home.
MEANS = {
    "worker": (6.7, 8.0, 17.8, 23.0),
    "shift worker": (9.5, 13.3, 22.3, 25.5),
    "home office": (7.3, 12.4, 13.0, 23.4),
    "retired": (7.4, 10.3, 11.6, 22.7),
    "child": (7.0, 8.2, 16.4, 21.3),
    "student": (8.1, 9.4, 16.2, 24.3),
    "guest": (8.5, 11.0, 15.5, 23.8),
    "cleaner": (9.0, 12.2, 12.2, 12.2),
}
EARLY_SPREAD = 0.6  # hours by which people of a role differ
_OUT = 2.5  # hours away from which a day counts as one spent outside


@dataclass(frozen=True, slots=True)
class Person:
    """A role and its day in clock hours: out from `leave` to `back` on working days; `sleep` may pass 24."""

    role: str
    wake: float
    leave: float
    back: float
    sleep: float
    late: float  # hours later on free days
    off: frozenset[int] = frozenset()  # weekdays a part-time worker does not work

    @classmethod
    def draw(cls, role: str, rng: np.random.Generator, personality: float = 1.0) -> "Person":
        """Draw a person of a role; `personality` scales how far its hours lie from the role's mean."""
        early = float(rng.normal(0.0, EARLY_SPREAD)) * personality
        wake, leave, back, sleep = MEANS[role]
        late = 1.0 + (float(rng.uniform(0.0, 2.0)) - 1.0) * personality
        return cls(role, wake + early, leave + early, back + early, sleep + early, max(late, 0.0))

    @property
    def goes_out(self) -> bool:
        """Tell whether a working day is spent outside the home."""
        return self.back - self.leave > _OUT

    def works(self, weekday: int) -> bool:
        """Tell whether a weekday is a working day of this person."""
        return weekday in WORKDAYS and weekday not in self.off

    def at_home(self, weekday: int, hour: float) -> bool:
        """Tell whether the person is at home and awake at a clock hour (up to 30 where the evening passes midnight)."""
        if self.works(weekday):
            return self.wake <= hour < self.sleep and not self.leave + 0.4 < hour < self.back - 0.4
        return self.wake + self.late * 0.5 <= hour < self.sleep + self.late
