"""What people choose while the agent runs, over restarts: the house mode, alarms a week, alerts on or off."""

import math
from typing import Any

from edge.core.errors import SettingsError
from edge.core.quiet import CLEANER, OFF
from edge.core.scenes import HOUSE_MODES, Scene
from edge.scenery import Facts

FEWEST, MOST = 0.1, 50.0  # alarms a week a person may choose
_CHOICES = "choices"  # the fact that keeps them


class Choices:
    """One small fact, written at each choice. What is corrupt in it is as if it had never been chosen."""

    def __init__(self, facts: Facts, alarms_per_week: float, scene: Scene) -> None:
        """Take up what was chosen; `alarms_per_week`: the settings' own, which win where they were changed since."""
        self._facts = facts
        self._settings_say = alarms_per_week
        kept = facts.fact(_CHOICES, {})
        kept = kept if isinstance(kept, dict) else {}
        mode, alarms = kept.get("mode"), kept.get("alarms_per_week")
        stands = kept.get("settings_said") == alarms_per_week
        self.mode = str(mode) if mode in HOUSE_MODES else scene.mode or "home"
        self.alarms_per_week = float(alarms) if stands and isinstance(alarms, int | float) else alarms_per_week
        self.alerts = kept.get("alerts") is not False

    @property
    def silent(self) -> str:
        """Why nobody is to be told anything, "" where somebody is."""
        if not self.alerts:
            return OFF
        return CLEANER if self.mode == "cleaner" else ""

    def choose_mode(self, mode: str) -> None:
        """Be in a house mode from now on; raises SettingsError naming those there are."""
        if mode not in HOUSE_MODES:
            raise SettingsError(f"no house mode is called {mode[:40]!r}; there are {', '.join(HOUSE_MODES)}")
        self.mode = mode
        self._keep()

    def follow(self, scene: Scene) -> None:
        """Take in a scene that somebody has told: its word for the house stands, whatever was chosen before."""
        if scene.mode and HOUSE_MODES[self.mode] != scene.mode:
            self.choose_mode(scene.mode)

    def choose_alarms(self, number: float) -> None:
        """Accept so many false alarms a week from now on; raises SettingsError beyond FEWEST and MOST."""
        if not (math.isfinite(number) and FEWEST <= number <= MOST):
            raise SettingsError(f"alarms a week: a number from {FEWEST:g} to {MOST:g}")
        self.alarms_per_week = number
        self._keep()

    def choose_alerts(self, *, on: bool) -> None:
        """Tell alerts, or none."""
        self.alerts = on
        self._keep()

    def status(self) -> dict[str, Any]:
        """Return what holds."""
        return {"mode": self.mode, "alarms_per_week": self.alarms_per_week, "alerts": self.alerts}

    def _keep(self) -> None:
        self._facts.set_fact(_CHOICES, {**self.status(), "settings_said": self._settings_say})
