"""How a home spells its devices and controls: SmartThings names, a bridge's properties, or its owner's own words."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from trainer.homes.chance import cumulative, one, place
from trainer.homes.ontology import Class

STYLES = ("smartthings", "bridge", "plain")
ROOMS = (
    "living room", "kitchen", "bedroom", "bathroom", "hall", "office", "attic", "cellar", "kids room", "guest room",
    "dining room", "balcony", "terrace", "study", "nursery", "upstairs", "downstairs", "corner", "north", "south",
    "left", "right", "big", "small", "old", "new", "main", "second",
)  # fmt: skip
BRANDS = ("Hue", "IKEA", "Sonoff", "Tuya", "Aqara", "Shelly", "Bosch", "Xiaomi", "LG", "Tasmota", "Nanoleaf", "Eve")
OWNERS = ("Emma", "Jun", "Ana", "Leo", "Mila", "Noor", "Otis", "Papa", "Mum", "Zoe", "Ravi", "Ines")
_ONSETS = (
    "b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br", "tr", "kl", "sh",
    "st", "qu",
)  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ou", "y")
_SWITCHED = ("state {}", "switch {}", "{}", "power {}", "turn {}", "relay {}")
_ADJUSTED = ("{} set", "set {}", "{} up", "{} down", "change {}", "{} {number}")
_REPORTED = ("notification", "update available", "battery low", "status", "refresh", "linkquality", "online")
_FORMED = cumulative((0.3, 0.12, 0.12, 0.12, 0.1, 0.14, 0.1))
_UPPER = "state {}"


@dataclass(frozen=True, slots=True)
class Spelling:
    """The controls of one device by what they do; `adjusts` and `reports` may be empty."""

    starts: tuple[str, ...]
    stops: tuple[str, ...]
    adjusts: tuple[str, ...]
    reports: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every control, each once."""
        return tuple(dict.fromkeys((*self.starts, *self.adjusts, *self.stops, *self.reports)))


def nonce(rng: np.random.Generator) -> str:
    """Return a word that means nothing: a name must be copied even where it says nothing."""
    parts = [one(_ONSETS, rng) + one(_VOWELS, rng) for _ in range(int(rng.integers(2, 4)))]
    word = "".join(parts)
    if rng.random() < 0.2:
        word += str(rng.integers(1, 100))
    return word.capitalize() if rng.random() < 0.4 else word


def device_name(kind: Class, style: str, taken: Collection[str], rng: np.random.Generator) -> str:
    """Return a name no other device of the home has."""
    for _ in range(20):
        name = kind.title if style == "smartthings" else _free_name(kind, rng)
        if name in taken:
            name = f"{name} {rng.integers(2, 9)}"
        if name not in taken:
            return name
    return f"{nonce(rng)} {len(taken)}"


def _free_name(kind: Class, rng: np.random.Generator) -> str:
    noun = one(kind.nouns, rng)
    room = one(ROOMS, rng)
    names = (
        f"{room} {noun}",
        noun,
        f"{noun} {room}",
        f"{one(BRANDS, rng)} {noun}",
        f"{one(OWNERS, rng)} {noun}",
        f"{nonce(rng)} {noun}",
        f"{noun} {rng.integers(1, 12)}",
    )
    name = names[place(_FORMED, rng)]
    if rng.random() < (0.6 if kind.kind == "other" else 0.03):
        name = nonce(rng) if rng.random() < 0.5 else f"{nonce(rng)} {nonce(rng)}"
    case = rng.random()
    if case < 0.3:
        name = name.capitalize()
    elif case < 0.45:
        name = name.title()
    elif case < 0.6 and " " in name:
        name = name.replace(" ", "_")
    return name


def _some(words: Collection[str], most: int, rng: np.random.Generator) -> tuple[str, ...]:
    options = list(words)
    count = min(len(options), int(rng.integers(0, most + 1)))
    picked = sorted(rng.permutation(len(options))[:count])
    return tuple(options[which] for which in picked)


def spelling(kind: Class, style: str, form: int, rng: np.random.Generator) -> Spelling:
    """Draw one device's controls; `form` is the home's own way of writing on and off."""
    if style == "smartthings":
        odd = (nonce(rng),) if rng.random() < 0.1 else ()
        return Spelling(kind.starts[:1], kind.stops[:1], _some(kind.adjusts, 4, rng) + odd, _some(kind.reports, 1, rng))
    pattern = _SWITCHED[form % len(_SWITCHED)]
    start, stop = kind.words
    upper = pattern == _UPPER and rng.random() < 0.8
    settings = kind.settings if rng.random() < 0.85 else (nonce(rng), nonce(rng))
    change = one(_ADJUSTED, rng)
    adjusts = tuple(change.format(word, number=int(rng.integers(0, 12)) * 10) for word in _some(settings, 3, rng))
    reports = _some(_REPORTED, 1, rng) if style == "plain" or kind.kind == "other" else ()
    return Spelling(
        (pattern.format(start.upper() if upper else start),),
        (pattern.format(stop.upper() if upper else stop),),
        adjusts,
        reports,
    )
