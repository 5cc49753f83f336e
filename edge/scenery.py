"""Keeps the home's scene over restarts, hears who is at home, and notices when the scene has changed."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from edge.core.errors import SettingsError
from edge.core.events import Message
from edge.core.scenes import Scene, noticed, season_of
from edge.core.sequences import SET_BACK
from edge.sections import Home

AGAIN = 86400.0  # seconds of the home's time before the agent tries again what it thought of itself


class Facts(Protocol):
    """Small facts that outlive the process (edge/store.py)."""

    def fact(self, key: str, default: Any) -> Any:
        """Return a fact."""
        ...

    def set_fact(self, key: str, value: Any) -> None:
        """Keep a fact."""
        ...


class Scenery:
    """The scene the home is in, and what tells that it has changed."""

    def __init__(self, facts: Facts, place: Home, *, notice: bool) -> None:
        """Take up the scene that was, or the settings' first one."""
        self._facts = facts
        self._place = place
        self._notice = notice
        self.scene = _scene(facts.fact("scene", None)) or (Scene.parse(place.scene) if place.scene else Scene())
        since = facts.fact("scene_since", None)
        self.since = float(since) if isinstance(since, int | float) else float("-inf")  # when the home came into it
        self._people: int | None = None
        self._tried = float("-inf")

    def look(self, now: float) -> None:
        """Be in the scene since `now` where it was come into by a clock that is ahead of it."""
        if self.since > now + SET_BACK:
            self.since = now
            self._facts.set_fact("scene_since", now)

    def topics(self) -> list[str]:
        """Return the filters to subscribe to."""
        return [self._place.person_topic] if self._place.person_topic else []

    def concerns(self, message: Message) -> bool:
        """Tell whether a message says who is at home."""
        return bool(self._place.person_topic) and message.topic == self._place.person_topic

    def hear(self, message: Message) -> None:
        """Take in how many people are at home; anything but a small number is ignored."""
        text = message.payload[:8].decode(errors="replace").strip()
        if text.isdecimal() and int(text) < 100:
            self._people = int(text)

    def changed(self, now: float, fresh: list[str]) -> Scene | None:
        """Return the scene to adapt to, None while nothing has changed or noticing is off."""
        found = self.noticed(now, fresh) if self._notice else None
        return found if found is not None and self.try_again(now) else None

    def noticed(self, now: float, fresh: list[str]) -> Scene | None:
        """Return the scene the home is in by what can be known, None where it is the one it was in."""
        latitude = self._place.latitude
        today = datetime.fromtimestamp(now, self._place.zone).date()
        if latitude is not None and not self.scene.season:  # the season at the first look is where we come from
            self.settle(Scene(season=season_of(today, latitude)).over(self.scene))
        return noticed(self.scene, today, latitude, self._people, fresh[-1] if fresh else "")

    def try_again(self, now: float) -> bool:
        """Tell whether a day has passed since the last own attempt; then this is one."""
        if abs(now - self._tried) < AGAIN:
            return False
        self._tried = now
        return True

    def settle(self, scene: Scene, now: float | None = None) -> None:
        """Be in a scene from `now` on (seconds since the epoch), None: as long as can be remembered."""
        settled = replace(scene, new_device="")
        if now is not None and settled != self.scene:
            self.since = now
            self._facts.set_fact("scene_since", now)
        self.scene = settled
        self._facts.set_fact("scene", str(settled))


def _scene(name: Any) -> Scene | None:
    """Return the scene that was kept under a name, None where that is none any more."""
    try:
        return Scene.parse(name) if isinstance(name, str) and name else None
    except SettingsError:
        return None
