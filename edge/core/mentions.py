"""Mentions: whether a text, or any text within a JSON value, names one of some devices."""

import json
import re
from collections.abc import Collection, Iterable
from typing import Any

from edge.core.devices import Device
from edge.core.prompts import clean
from edge.core.scenes import GONE, Scene


class Mentions:
    """Finds the ids and names of devices, as whole words, in whatever form they were kept."""

    def __init__(self, devices: Iterable[Device], others: Collection[Device] = ()) -> None:
        """Look for `devices`, also as sentences name them; a name that one of the `others` bears is no sign of them."""
        borne = {name for device in others for name in (device.id, device.name)}
        found = {name for device in devices for name in (device.id, device.name)} - borne
        self.words = sorted(word for word in found if word.strip())
        cleaned = {clean(word) for word in self.words} - {clean(word) for word in borne} - {clean("")} - borne
        told = {form for word in self.words for form in (word, _in_scene(word))} | cleaned
        longest = sorted(told, key=lambda form: (-len(form), form))
        self._any = re.compile("|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for form in longest)) if told else None

    def within(self, value: Any) -> bool:
        """Tell whether a JSON value (its texts, its keys) names one of them."""
        if isinstance(value, str):
            return self._any is not None and self._any.search(value) is not None
        if isinstance(value, dict):
            return any(self.within(key) or self.within(each) for key, each in value.items())
        return isinstance(value, list | tuple) and any(map(self.within, value))

    def forms(self) -> list[bytes]:
        """Return every form in which a file may hold one of them: as it is, as JSON escapes it, as a scene does."""
        told = {form for word in self.words for form in (word, json.dumps(word)[1:-1], _in_scene(word))}
        return sorted(form.encode("utf-8", "surrogatepass") for form in told)


def _in_scene(name: str) -> str:
    return str(Scene(removed_device=name)).removeprefix(GONE)
