"""Device classes: what a name or a bridge's description says a device is."""

import re
from dataclasses import dataclass
from itertools import accumulate

# The noun that ends last decides ("garage lamp" is a light), then the longer one ("garage door" is no plain door),
# then the order here. A name is split at case changes, digits and punctuation; words are compared joined, too.
_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("remote", ("remotecontroller", "remote", "button", "dimmerswitch", "wirelessswitch", "cube")),
    ("air_conditioner", ("airconditioner", "aircon", "acunit", "climatesplit")),
    ("air_purifier", ("airpurifier", "purifier", "airfilter")),
    ("dehumidifier", ("dehumidifier",)),
    ("humidifier", ("humidifier",)),
    ("electric_blanket", ("blanket",)),
    ("towel_rail", ("towel",)),
    ("radiator", ("radiator", "trv", "radiatorvalve")),
    ("boiler", ("boiler", "waterheater", "geyser")),
    ("fireplace", ("fireplace", "stove", "woodburner", "pelletstove")),
    ("heater", ("heater", "heating", "underfloor")),
    ("thermostat", ("thermostat",)),
    ("fan", ("fan", "ventilator")),
    ("garage_door", ("garagedoor", "garage", "gate")),
    ("door_lock", ("smartlock", "lock", "deadbolt")),
    ("doorbell", ("doorbell", "intercom")),
    ("camera", ("camera", "webcam")),
    ("siren", ("siren", "alarm")),
    ("robot_cleaner", ("robotcleaner", "robotvacuum", "vacuum", "roborock")),
    ("mower", ("mower",)),
    ("clothing_care", ("clothingcare", "styler", "iron")),
    ("dishwasher", ("dishwasher",)),
    ("washer", ("washer", "washingmachine")),
    ("dryer", ("dryer", "tumble")),
    ("microwave", ("microwave",)),
    ("oven", ("oven",)),
    ("cooktop", ("cooktop", "hob", "cooker", "ricecooker")),
    ("range_hood", ("hood",)),
    ("kettle", ("kettle",)),
    ("coffee_maker", ("coffee", "espresso")),
    ("toaster", ("toaster",)),
    ("refrigerator", ("refrigerator", "fridge", "freezer")),
    ("television", ("television", "tv")),
    ("set_top", ("settop", "chromecast", "firestick")),
    ("projector", ("projector",)),
    ("speaker", ("networkaudio", "speaker", "audio", "radio", "soundbar", "music")),
    ("game_console", ("playstation", "xbox", "console")),
    ("computer", ("computer", "laptop", "pc", "printer")),
    ("blind", ("blind", "shade", "curtain", "shutter", "awning", "cover", "roller")),
    ("window", ("window", "skylight")),
    ("motion", ("motion", "pir", "occupancy")),
    ("presence", ("presence", "person", "phone")),
    ("contact", ("contact", "door", "windowsensor")),
    ("leak", ("leak", "flood")),
    ("smoke", ("smoke", "co2", "carbonmonoxide")),
    ("climate_sensor", ("temperature", "humidity", "climate", "weather")),
    ("sprinkler", ("sprinkler", "irrigation", "pool")),
    ("water_valve", ("watervalve", "valve", "faucet")),
    ("pet_feeder", ("feeder", "pet")),
    ("power_meter", ("powermeter", "meter", "energy", "solar", "battery", "charger", "evse")),
    ("elevator", ("elevator", "lift")),
    ("bed", ("bed", "mattress")),
    ("light", ("light", "lamp", "bulb", "led", "lantern", "chandelier", "strip")),
    ("plug", ("smartplug", "plug", "outlet", "socket")),
    ("switch", ("switch", "relay")),
)
_PLACES = frozenset({"garage", "gate", "pool"})  # say where as often as what: the weakest words
_CARRIERS = frozenset(  # say through what something is switched or measured: a heater's plug is the heater
    {
        "smartplug",
        "plug",
        "outlet",
        "socket",
        "switch",
        "relay",
        "valve",
        "energy",
        "battery",
        "temperature",
        "humidity",
    }
)
KINDS = (*(kind for kind, _ in _WORDS), "other")
_SPLIT = re.compile(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the home: `id` is stable, `name` is free text from its owner, `kind` is one of KINDS."""

    id: str
    name: str
    kind: str


def kind_of(name: str) -> str:
    """Return the class a name suggests; `other` where it suggests none (the documented fallback).

    What stands behind "with" only describes: a plug with power meter is a plug.
    """
    words = [word.lower() for word in _SPLIT.split(name) if word]
    head = words[: words.index("with")] if "with" in words else words
    found = _named(head) or _named(words)
    return found or "other"


def _named(words: list[str]) -> str | None:
    """Return the class of the last noun; of weaker words only where nothing stronger is said."""
    joined = "".join(words)
    ends = list(accumulate(map(len, words)))
    best, kind = (-1, 0, 0), None
    for each, marks in _WORDS:
        for mark in marks:
            if mark not in joined:
                continue
            at = [end for end, word in zip(ends, words, strict=True) if word in {mark, f"{mark}s"}]
            # Short words must stand alone: "led" is no part of "handled", "tv" none of "rtv".
            if len(mark) > 4:
                end = joined.rindex(mark) + len(mark)
                at.append(end + 1 if joined[end : end + 1] == "s" and end + 1 in ends else end)
            rank = (2 - (mark in _CARRIERS) - 2 * (mark in _PLACES), max(at), len(mark)) if at else best
            if rank > best:
                best, kind = rank, each
    return kind
