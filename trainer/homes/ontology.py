"""What devices there are and what people do with them: the classes of edge.core.devices, with their controls.

Each class has its SmartThings spellings (as the public logs of SmartSense, CIKM 2022, write them) and
the words free names and MQTT bridges use. A use is start, adjust and stop; a report is what a device says by itself.
"""

from dataclasses import dataclass, field

from edge.core.scenes import COOLING, HEATING

ON = ("on", "off")
OPEN = ("open", "close")
LOCK = ("unlock", "lock")
RUN = ("start", "stop")
PLAY = ("play", "pause")
SWITCH = ("switch on", "switch off")
MORNING = (7.2,)
MEALS = (7.5, 12.5, 19.0)
DAY = (10.0, 15.0, 18.0)
TV_TIME = (13.0, 19.5, 21.5)
EDGES = (7.5, 18.5)  # leaving and coming back


@dataclass(frozen=True, slots=True)
class Class:
    """A device class. `title`: its SmartThings name; `nouns`: free names; `words`: (start, stop).

    `starts`, `adjusts`, `stops`, `reports`: SmartThings spellings; `settings`: free words for what is adjusted;
    `hours`: when it is typically used; `share`: how common it is in homes, relative.
    """

    kind: str
    title: str
    nouns: tuple[str, ...]
    share: float
    hours: tuple[float, ...]
    words: tuple[str, str] = ON
    starts: tuple[str, ...] = SWITCH[:1]
    stops: tuple[str, ...] = SWITCH[1:]
    adjusts: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    reports: tuple[str, ...] = field(default=("notification", "refresh refresh"))

    @property
    def need(self) -> str:
        """What must hold for somebody to start it: `cold`, `hot`, `dark` or nothing."""
        if self.kind in HEATING:
            return "cold"
        if self.kind in COOLING:
            return "hot"
        return "dark" if self.kind == "light" else ""


_MACHINE = ("setMachineState run",), ("setMachineState stop",)
CLASSES = (
    Class("light", "Light", ("lamp", "light", "ceiling light", "bulb", "led strip", "spots light"), 5.0,
          (6.8, 18.0, 20.5, 23.0), adjusts=("setLevel", "setColor", "setColorTemperature", "setLightingMode"),
          settings=("brightness", "color", "color temp", "effect")),
    Class("television", "Television", ("tv", "television", "smart tv"), 3.0, TV_TIME,
          adjusts=("setChannel", "volumeDown", "setVolume", "audioMute mute", "audioMute unmute", "setInputSource",
                   "setPictureMode", "setAmbientOn"), settings=("channel", "volume", "source", "mute")),
    Class("speaker", "NetworkAudio", ("speaker", "soundbar", "radio", "music box"), 1.2, (8.0, 17.0, 20.0), PLAY,
          ("mediaPlayback play", "switch on"), ("mediaPlayback stop", "mediaPlayback pause", "switch off"),
          ("setVolume", "audioVolume setVolume", "mediaTrackControl nextTrack", "mute", "unmute"),
          ("volume", "track", "playlist")),
    Class("heater", "Heater", ("heater", "heating", "fan heater", "underfloor heating", "panel heater"), 2.2,
          (6.5, 17.5, 20.0, 22.0), adjusts=("setHeatingSetpoint", "setHeaterMode", "setMode", "setHeaterFanMode"),
          settings=("setpoint", "heat mode", "temperature")),
    Class("radiator", "Radiator", ("radiator", "radiator valve", "trv"), 1.2, (6.3, 17.0, 21.5),
          adjusts=("setHeatingSetpoint", "thermostatMode heat"), settings=("setpoint", "valve position", "preset")),
    Class("boiler", "WaterHeater", ("boiler", "water heater"), 0.7, (5.8, 18.5),
          adjusts=("setHeatingSetpoint",), settings=("setpoint", "boost")),
    Class("electric_blanket", "ElectricBlanket", ("electric blanket", "heated blanket"), 0.5, (21.8, 22.6),
          adjusts=("setLevel",), settings=("level",)),
    Class("towel_rail", "TowelRail", ("towel rail", "towel warmer"), 0.4, (6.6, 21.0)),
    Class("fireplace", "Stove", ("fireplace", "pellet stove"), 0.4, (17.8, 20.0), adjusts=("setLevel",),
          settings=("flame level",)),
    Class("humidifier", "Humidifier", ("humidifier",), 0.5, (8.5, 21.5), adjusts=("setFanMode",), settings=("level",)),
    Class("air_conditioner", "AirConditioner", ("air conditioner", "aircon", "ac unit"), 2.2,
          (13.5, 16.5, 19.5, 22.0), adjusts=("setAirConditionerMode", "setCoolingSetpoint", "temperatureUp",
          "temperatureDown", "setFanMode", "fanspeedUp", "fanspeedDown"), settings=("setpoint", "mode", "fan speed")),
    Class("fan", "Fan", ("fan", "ceiling fan", "ventilator"), 1.8, (11.0, 15.0, 20.0, 22.5),
          adjusts=("fanSpeed setFanSpeed",), settings=("speed", "oscillation")),
    Class("dehumidifier", "Dehumidifier", ("dehumidifier",), 0.4, (14.0, 20.0), adjusts=("setFanMode",),
          settings=("target humidity",)),
    Class("thermostat", "Thermostat", ("thermostat",), 0.8, (6.5, 22.0),
          adjusts=("setThermostatMode", "setCoolingSetpoint"), settings=("mode", "preset")),
    Class("air_purifier", "AirPurifier", ("air purifier", "purifier"), 0.9, (9.0, 18.5, 22.0),
          adjusts=("setFanSpeed", "setAirPurifierMode", "setFanMode", "turnWelcomeCareOn"), settings=("fan mode",)),
    Class("blind", "Blind", ("blind", "shutter", "curtain", "roller shade", "awning"), 1.6, EDGES, OPEN,
          ("windowShade open",), ("windowShade close",), ("windowShadeLevel setShadeLevel", "switchLevel setLevel",
          "windowShadePreset presetPosition"), ("position", "tilt")),
    Class("window", "Window", ("window", "skylight"), 0.5, (8.0, 18.0), OPEN, ("windowShade open",),
          ("windowShade close",), (), ("position",)),
    Class("garage_door", "GarageDoor", ("garage door", "gate"), 0.7, EDGES, OPEN, ("doorControl open",),
          ("doorControl close",)),
    Class("door_lock", "SmartLock", ("front door lock", "lock", "smart lock"), 1.2, EDGES, LOCK, ("lock unlock",),
          ("lock lock",)),
    Class("contact", "ContactSensor", ("front door", "contact", "back door"), 1.2, EDGES, OPEN, ("doorControl open",),
          ("doorControl close",)),
    Class("motion", "MotionSensor", ("motion", "hall motion", "pir"), 1.2, (7.0, 12.0, 19.0, 23.0),
          ("detected", "clear"), ("motion active",), ("motion inactive",), reports=("refresh refresh",)),
    Class("presence", "PresenceSensor", ("presence", "phone"), 0.7, EDGES, ("arrived", "left"),
          reports=("refresh refresh",)),
    Class("camera", "Camera", ("camera", "webcam"), 0.9, (8.5, 18.0), adjusts=("imageCapture take",
          "videoCapture capture", "cameraPreset execute"), settings=("recording", "preset")),
    Class("doorbell", "Doorbell", ("doorbell", "intercom"), 0.4, (11.0, 17.0), ("pressed", "answered"),
          ("momentary push",), ("answer",)),
    Class("siren", "Siren", ("siren", "alarm"), 0.5, (8.3, 22.8), ("arm", "disarm"), ("alarm both",), ("alarm off",)),
    Class("robot_cleaner", "RobotCleaner", ("robot vacuum", "vacuum", "roborock"), 1.0, (9.5, 14.0), RUN,
          ("setRobotCleanerMovement cleaning",), ("setRobotCleanerMovement charging",
          "setRobotCleanerMovement homing"), ("setRobotCleanerTurboMode on", "setRobotCleanerCleaningMode auto"),
          ("suction",)),
    Class("mower", "Mower", ("lawn mower", "mower"), 0.2, (10.5,), RUN, *_MACHINE),
    Class("clothing_care", "ClothingCareMachine", ("styler", "steam iron"), 0.3, (7.0, 20.5), RUN,
          ("dryerOperatingState setMachineState run",), ("dryerOperatingState setMachineState stop",)),
    Class("dishwasher", "Dishwasher", ("dishwasher",), 0.9, (13.5, 20.7), RUN, ("start",), ("stop",),
          settings=("program",)),
    Class("washer", "Washer", ("washing machine", "washer"), 1.0, DAY, RUN,
          ("washerOperatingState setMachineState run",), ("washerOperatingState setMachineState stop",),
          ("washerOperatingState setMachineState pause",), ("program", "spin")),
    Class("dryer", "Dryer", ("dryer", "tumble dryer"), 0.7, (11.5, 17.0), RUN,
          ("dryerOperatingState setMachineState run",), ("dryerOperatingState setMachineState stop",),
          ("dryerOperatingState setMachineState pause",), ("program",)),
    Class("microwave", "Microwave", ("microwave",), 0.7, MEALS),
    Class("oven", "Oven", ("oven",), 0.7, (12.0, 18.7), adjusts=("ovenprogramsv2 setProgram",
          "programdurationv2 setProgramDuration"), settings=("program", "temperature", "timer")),
    Class("cooktop", "Cooktop", ("hob", "cooktop", "rice cooker"), 0.6, (12.1, 18.8), adjusts=("setLevel",),
          settings=("power level",)),
    Class("range_hood", "RangeHood", ("range hood", "extractor hood"), 0.4, (12.2, 18.9), adjusts=("setFanSpeed",),
          settings=("speed",)),
    Class("kettle", "Kettle", ("kettle",), 0.7, (7.0, 10.5, 16.5)),
    Class("coffee_maker", "CoffeeMaker", ("coffee machine", "espresso"), 0.9, (7.0, 9.8, 13.5),
          adjusts=("coffeemakerprogramsv2 setProgram",), settings=("program",)),
    Class("toaster", "Toaster", ("toaster",), 0.3, MORNING),
    Class("refrigerator", "Refrigerator", ("fridge", "refrigerator", "freezer"), 0.9, MEALS, OPEN,
          ("samsungce.powerCool activate",), ("samsungce.powerCool deactivate",),
          ("setCoolTemperature", "samsungce.powerFreeze activate", "setMode"), ("temperature", "door")),
    Class("set_top", "SetTop", ("set top box", "chromecast"), 0.5, TV_TIME, adjusts=("setChannel",),
          settings=("channel",)),
    Class("projector", "Projector", ("projector",), 0.3, (20.5,), adjusts=("custom.soundmode setSoundMode",
          "custom.picturemode setPictureMode", "audioMute mute"), settings=("source",)),
    Class("game_console", "Console", ("playstation", "xbox"), 0.5, (16.5, 21.0)),
    Class("computer", "Computer", ("computer", "laptop", "printer"), 0.8, (8.8, 14.0, 20.5)),
    Class("sprinkler", "Sprinkler", ("sprinkler", "irrigation"), 0.3, (6.0, 21.0), OPEN, ("valve open",),
          ("valve close",)),
    Class("water_valve", "WaterValve", ("water valve", "faucet"), 0.4, (7.5, 20.0), OPEN, ("valve open",),
          ("valve close",)),
    Class("pet_feeder", "PetFeeder", ("pet feeder", "cat feeder"), 0.3, (7.0, 18.0), RUN, ("feed",), ("stop",)),
    Class("power_meter", "CurbPowerMeter", ("power meter", "car charger", "solar"), 0.4, (0.5, 18.5), RUN,
          ("energyMeter resetEnergyMeter",), ("stop",), settings=("limit",)),
    Class("elevator", "Elevator", ("elevator",), 0.2, EDGES, ("call", "send"), ("elevatorCall call",),
          ("elevatorCall send",)),
    Class("bed", "Bed", ("bed", "mattress"), 0.2, (22.5, 7.0), adjusts=("setLevel",), settings=("head position",)),
    Class("remote", "RemoteController", ("remote", "wall button", "cube"), 0.9, (7.0, 18.5, 22.0),
          ("single", "double"), ("momentary push", "switch on"), ("switch off",), ("control",), ("action",)),
    Class("plug", "SmartPlug", ("plug", "outlet", "smart plug"), 1.6, (7.5, 13.0, 18.0, 22.0),
          adjusts=("powerToggle", "setting"), settings=("power",)),
    Class("switch", "Switch", ("switch", "wall switch", "relay"), 1.5, (7.0, 12.5, 18.5, 22.5),
          adjusts=("switch toggle", "setLevel", "windowShade close", "windowShade open"), settings=("level",)),
    Class("other", "Other", ("gadget", "aquarium", "laser cutter", "scene", "sauna", "doorplate", "hub"), 2.2,
          (3.5, 6.5, 9.5, 12.5, 15.5, 18.5, 21.5),
          adjusts=("None:location", "switchLevel setLevel", "custom.soundmode setSoundMode", "switch toggle",
                   "colorControl setColor", "audioMute unmute", "samsungvd.mediaInputSource setInputSource"),
          settings=("mode", "location", "routine", "scene"),
          reports=("notification", "refresh refresh", "None:location", "notification deviceNotification")),
    Class("other", "None", ("automation", "mode"), 0.5, (6.5, 9.0, 18.0, 22.0), ("home", "away"), ("scene",),
          ("sleep",), ("location",), ("mode",), ("location", "scene")),
)  # fmt: skip
