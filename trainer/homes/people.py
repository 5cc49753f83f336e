"""Who lives in a home and when they are there and awake."""

from dataclasses import dataclass

import numpy as np

WORKDAYS = range(5)  # Monday to Friday
ROLES = ("worker", "shift worker", "home office", "retired", "child")


@dataclass(frozen=True, slots=True)
class Person:
    """A role and its day in clock hours: out from `leave` to `back` on working days; `sleep` may pass 24."""

    role: str
    wake: float
    leave: float
    back: float
    sleep: float
    late: float  # hours later on free days

    @classmethod
    def draw(cls, role: str, rng: np.random.Generator) -> "Person":
        """Draw a person of a role; the means follow the shape of European time-use surveys (HETUS), rounded."""
        early = float(rng.normal(0.0, 0.6))
        wake, leave, back, sleep = {
            "worker": (6.7, 8.0, 17.8, 23.0),
            "shift worker": (9.5, 13.3, 22.3, 25.5),
            "home office": (7.3, 12.4, 13.0, 23.4),
            "retired": (7.4, 10.3, 11.6, 22.7),
            "child": (7.0, 8.2, 16.4, 21.3),
            "guest": (8.5, 11.0, 15.5, 23.8),
        }[role]
        return cls(role, wake + early, leave + early, back + early, sleep + early, float(rng.uniform(0.0, 2.0)))

    def at_home(self, weekday: int, hour: float) -> bool:
        """Tell whether the person is at home and awake at a clock hour (up to 30 where the evening passes midnight)."""
        if weekday in WORKDAYS:
            return self.wake <= hour < self.sleep and not self.leave + 0.4 < hour < self.back - 0.4
        return self.wake + self.late * 0.5 <= hour < self.sleep + self.late
