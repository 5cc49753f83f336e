"""Device classes: what a name or a bridge's description says a device is."""

import re
from dataclasses import dataclass

# Order matters: the first class whose word occurs in the name wins ("heated towel" before "towel").
# Words are compared in a name split at case changes, digits and punctuation, joined without spaces.
_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("remote", ("remotecontroller", "remote", "button", "dimmerswitch", "cube")),
    ("air_conditioner", ("airconditioner", "aircon", "acunit", "climatesplit")),
    ("air_purifier", ("airpurifier", "purifier", "airfilter")),
    ("dehumidifier", ("dehumidifier",)),
    ("humidifier", ("humidifier",)),
    ("electric_blanket", ("blanket",)),
    ("towel_rail", ("towel",)),
    ("radiator", ("radiator", "trv", "radiatorvalve")),
    ("boiler", ("boiler", "waterheater", "geyser")),
    ("fireplace", ("fireplace", "stove", "woodburner")),
    ("heater", ("heater", "heating", "underfloor")),
    ("thermostat", ("thermostat",)),
    ("fan", ("fan", "ventilator")),
    ("garage_door", ("garage", "gate")),
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
    ("contact", ("contact", "door")),
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
KINDS = (*(kind for kind, _ in _WORDS), "other")
_SPLIT = re.compile(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the home: `id` is stable, `name` is free text from its owner, `kind` is one of KINDS."""

    id: str
    name: str
    kind: str


def kind_of(name: str) -> str:
    """Return the class a name suggests; `other` where it suggests none (the documented fallback)."""
    words = [word.lower() for word in _SPLIT.split(name) if word]
    joined = "".join(words)
    for kind, marks in _WORDS:
        for mark in marks:
            # Short words must stand alone: "led" is no part of "handled", "tv" none of "rtv".
            if mark in words or f"{mark}s" in words or (len(mark) > 4 and mark in joined):
                return kind
    return "other"
