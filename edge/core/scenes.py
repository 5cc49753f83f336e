"""Scenes: what "now" is for a home, when it has changed, and what a scene makes invalid.

The one place of that knowledge: the filters, the rule for keeping source sequences and the simulator ask here.
"""

from dataclasses import dataclass, fields, replace
from datetime import date

from edge.core.dictionary import Dictionary
from edge.core.errors import SettingsError
from edge.core.sequences import Sequence, Step

SEASONS = ("winter", "spring", "summer", "autumn")
PARTS = ("daytime", "night")  # when this home is active: by day, or by night (shift work)
OCCUPANCIES = ("single", "multiple")
MODES = ("away", "guests", "home")
# What people say of the house, and the scene's word for it: a cleaner changes no scene, and nobody is told anything.
HOUSE_MODES = {"home": "home", "away": "away", "guests": "guests", "vacation": "away", "cleaner": ""}
NEW, GONE = "new-device:", "removed-device:"
NAMES = (*SEASONS, *PARTS, *OCCUPANCIES, *MODES, f"{NEW}NAME", f"{GONE}NAME")
_ESCAPES = (("%", "%25"), ("+", "%2B"), (":", "%3A"))  # in a removed device's name, which need not stand last

HEATING = frozenset({"heater", "radiator", "boiler", "electric_blanket", "towel_rail", "fireplace", "humidifier"})
COOLING = frozenset({"air_conditioner", "fan", "dehumidifier"})
# What acts though nobody is at home: machines on their own schedule, and what guards the home.
UNATTENDED = frozenset(
    {"camera", "siren", "robot_cleaner", "thermostat", "sprinkler", "mower", "refrigerator", "power_meter",
     "pet_feeder", "smoke", "leak", "climate_sensor", "boiler", "other"}
)  # fmt: skip
DAYTIME = range(6, 18)  # hours, local; the rest of the day is night


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of now; an empty string is not known.

    `new_device` is a name or id just added, `removed_device` one just taken away.
    """

    season: str = ""
    part: str = ""
    occupancy: str = ""
    mode: str = ""
    new_device: str = ""
    removed_device: str = ""

    @classmethod
    def parse(cls, name: str) -> "Scene":
        """Read a scene's name; several joined by `+`. Raises SettingsError listing the names that exist."""
        scene = cls()
        words, _, new = name.strip().partition(NEW)
        if new:
            scene = replace(scene, new_device=new)
        for word in words.strip("+").split("+") if words.strip("+") or not new else ():
            if word.startswith(GONE) and (gone := _unescaped(word.removeprefix(GONE)).strip()):
                scene = replace(scene, removed_device=gone)
            elif word in SEASONS:
                scene = replace(scene, season=word)
            elif word in PARTS:
                scene = replace(scene, part=word)
            elif word in OCCUPANCIES:
                scene = replace(scene, occupancy=word)
            elif word in MODES:
                scene = replace(scene, mode=word)
            else:
                raise SettingsError(f"no scene is called {word[:40]!r}; there are {', '.join(NAMES)}")
        return scene

    def __str__(self) -> str:
        new = f"{NEW}{self.new_device}" if self.new_device else ""
        gone = f"{GONE}{_escaped(self.removed_device)}" if self.removed_device else ""
        words = [self.season, self.part, self.occupancy, self.mode, gone, new]
        return "+".join(word for word in words if word) or "home"

    def over(self, before: "Scene") -> "Scene":
        """Return `before` with what this scene says put over it; new and removed devices are said once."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}
        return replace(before, **{"new_device": "", "removed_device": "", **said})

    def housed(self, mode: str) -> "Scene":
        """Return the scene in a house mode: at home is as usual, which is what a scene is that says nothing of it."""
        word = HOUSE_MODES[mode]
        said = word if word != "home" else ""
        return replace(self, mode=said, new_device="", removed_device="") if word else self

    def named(self, dictionary: Dictionary) -> "Scene":
        """Return the scene with a removed device's name replaced by its id."""
        ids = (each.id for each in dictionary.devices.values() if each.name == self.removed_device)
        known = not self.removed_device or self.removed_device in dictionary.devices
        return self if known else replace(self, removed_device=next(ids, self.removed_device))


def _escaped(name: str) -> str:
    for plain, escaped in _ESCAPES:
        name = name.replace(plain, escaped)
    return name


def _unescaped(name: str) -> str:
    for plain, escaped in reversed(_ESCAPES):
        name = name.replace(escaped, plain)
    return name


def season_of(day: date, latitude: float) -> str:
    """Return the meteorological season (whole months; WMO) at a latitude in degrees, north positive."""
    turn = (day.month % 12) // 3
    return SEASONS[(turn + (2 if latitude < 0 else 0)) % 4]


def fault(step: Step, kind: str, scene: Scene) -> str | None:
    """Say why a behavior cannot be in a scene, None where it can; the scene names a removed device by its id."""
    if scene.removed_device and step.device == scene.removed_device:
        return "the device is gone"
    if scene.season in {"spring", "summer"} and kind in HEATING:
        return f"heating in {scene.season}"
    if scene.season in {"winter", "autumn"} and kind in COOLING:
        return f"cooling in {scene.season}"
    if scene.part and (step.hour in DAYTIME) == (scene.part == "night"):
        by_night = scene.part == "night"
        return "by day, and the home is active at night" if by_night else "at night, and the home is active by day"
    if scene.mode == "away" and kind not in UNATTENDED:
        return "somebody acting while all are away"
    return None


def valid_runs(sequence: Sequence, dictionary: Dictionary, scene: Scene) -> list[Sequence]:
    """Return the runs of a sequence that can be in a scene: what it makes impossible is cut out, never bridged.

    A winter day is mostly a spring day; leaving it out whole for its heater would leave nothing to keep.
    """
    scene = scene.named(dictionary)
    runs: list[list[Step]] = [[]]
    for step in sequence:
        if fault(step, dictionary.kind(step.device), scene) is None:
            runs[-1].append(step)
        elif runs[-1]:
            runs.append([])
    return [tuple(run) for run in runs if not all(step.carried for step in run)]


def possible(dictionary: Dictionary, scene: Scene) -> list[tuple[str, str]]:
    """Return the (device, control) pairs that can be in a scene at some hour of the day."""
    anytime = replace(scene.named(dictionary), part="")
    return [pair for pair in dictionary.controls if not fault(Step(0, 0, *pair), dictionary.kind(pair[0]), anytime)]


def waking(scene: Scene) -> frozenset[str]:
    """Return the device classes a scene is likely to wake."""
    if scene.season in {"spring", "summer"}:
        return COOLING
    return HEATING if scene.season in {"winter", "autumn"} else frozenset()


def noticed(known: Scene, day: date, latitude: float | None, people: int | None, new_device: str) -> Scene | None:
    """Return the scene the home is in by date, a person count and a device never seen; None if nothing changed."""
    said = Scene(
        season="" if latitude is None else season_of(day, latitude),
        occupancy="" if people is None else ("multiple" if people > 1 else "single"),
        new_device=new_device,
    )
    now = said.over(known)
    return now if now != replace(known, new_device="", removed_device="") else None
