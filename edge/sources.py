"""Where behaviors come from: one section of the settings a source, each dialect with its own keys."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, field_validator

from edge.sections import Section

_DIALECT = "what speaks there: `zigbee2mqtt`, `tasmota`, `esphome`, `shelly`, `statestream` or `generic`"
_DEVICE = "{device}"


def _levels(template: str, allowed: frozenset[str], most: int = 1) -> list[str]:
    """Return which of a template's levels are placeholders; raises ValueError for what MQTT or we cannot read."""
    special = set("+#{}\0") | {char for name in allowed for char in name if char == "%"}
    marks = [level for level in template.strip("/").split("/") if set(level) & special]
    if any(mark not in allowed | {"+"} for mark in marks) or not template.strip("/"):
        raise ValueError(f"a level is a word, +, {' or '.join(sorted(allowed))}")
    if any(marks.count(name) > most for name in allowed):
        raise ValueError("a placeholder may stand once")
    return marks


def _node_prefix(template: str) -> str:
    if "+" in _levels(template, frozenset({_DEVICE})):
        raise ValueError(f"a level is a word or {_DEVICE}")
    return template


def _plain(topic: str) -> str:
    if set(topic) & set("+#\0") or not topic.strip("/"):
        raise ValueError("a topic of words, without + and #")
    return topic


_PlainTopic = Annotated[str, AfterValidator(_plain)]
_NodePrefix = Annotated[str, AfterValidator(_node_prefix)]


class _Source(Section):
    exclude: tuple[str, ...] = Field(default=(), description="devices to leave out, as globs over id and name")

    def options(self) -> dict[str, Any]:
        """Return what the dialect is built with."""
        return self.model_dump(exclude={"dialect"})


class Zigbee2MqttSource(_Source):
    """A zigbee2mqtt bridge, 1.x or 2.x."""

    dialect: Literal["zigbee2mqtt"] = Field(description=_DIALECT)
    base_topic: _PlainTopic = Field(default="zigbee2mqtt", description="zigbee2mqtt: the bridge's `mqtt.base_topic`")


class TasmotaSource(_Source):
    """Every Tasmota device with the same FullTopic and prefixes."""

    dialect: Literal["tasmota"] = Field(description=_DIALECT)
    full_topic: str = Field(
        default="%prefix%/%topic%/",
        description="tasmota: the devices' FullTopic, levels in any order; `+` is a level to ignore",
    )
    stat: _PlainTopic = Field(default="stat", description="tasmota: their Prefix2")
    tele: _PlainTopic = Field(default="tele", description="tasmota: their Prefix3")
    discovery: _PlainTopic = Field(default="tasmota/discovery", description="tasmota: where they tell their names")

    @field_validator("full_topic")
    @classmethod
    def _template(cls, full_topic: str) -> str:
        marks = _levels(full_topic, frozenset({"%prefix%", "%topic%", "%id%", "%hostname%"}))
        if "%prefix%" not in marks or not {"%topic%", "%id%", "%hostname%"} & set(marks):
            raise ValueError("%prefix% and %topic% (or %id%, %hostname%) are levels of it")
        return full_topic


class EspHomeSource(_Source):
    """ESPHome nodes over MQTT (a node without `mqtt:` is heard through Home Assistant's statestream)."""

    dialect: Literal["esphome"] = Field(description=_DIALECT)
    topic_prefix: _NodePrefix = Field(
        default="esphome/{device}",
        description="esphome: the nodes' `mqtt.topic_prefix`; ESPHome's own default is `{device}`",
    )


class ShellySource(_Source):
    """Shelly devices of every generation."""

    dialect: Literal["shelly"] = Field(description=_DIALECT)
    topic_prefix: _NodePrefix = Field(
        default=_DEVICE, description="shelly: topic prefix of Gen2 and later, for example `shelly/{device}`"
    )
    gen1_root: _PlainTopic = Field(default="shellies", description="shelly: root of the topics of Gen1")


class StatestreamSource(_Source):
    """Home Assistant's entities, through its `mqtt_statestream`."""

    dialect: Literal["statestream"] = Field(description=_DIALECT)
    base_topic: _PlainTopic = Field(
        default="statestream", description="statestream: its `base_topic`, better not the prefix of discovery"
    )
    birth_topic: _PlainTopic = Field(
        default="homeassistant/status", description="statestream: where Home Assistant says that it came up"
    )
    include: tuple[str, ...] = Field(
        default=(), description="statestream: only these entities, as globs over id and name"
    )


class GenericSource(_Source):
    """Any topics that a template describes: your own devices and scripts, what has no dialect here."""

    dialect: Literal["generic"] = Field(description=_DIALECT)
    topic: str = Field(
        description="generic: template, for example `home/{device}/{property}`; `+` is a level to ignore"
    )
    momentary: bool = Field(default=False, description="generic: each message is an act (a button), not a state")
    time_key: str = Field(
        default="t", description="generic: JSON key of the event's time: epoch seconds, or ISO 8601 with offset"
    )
    value_key: str = Field(default="value", description="generic: JSON key of a state's value")
    control_key: str = Field(default="control", description="generic: JSON key of a momentary act's text")
    device_key: str = Field(
        default="device", description="generic: JSON key of the device, where the topic does not name it"
    )

    @field_validator("topic")
    @classmethod
    def _template(cls, topic: str) -> str:
        _levels(topic, frozenset({_DEVICE, "{property}"}))
        return topic


Source = Annotated[
    Zigbee2MqttSource | TasmotaSource | EspHomeSource | ShellySource | StatestreamSource | GenericSource,
    Field(discriminator="dialect"),
]

SOURCES: tuple[type[_Source], ...] = (  # in the order the table shows them
    Zigbee2MqttSource, TasmotaSource, EspHomeSource, ShellySource, StatestreamSource, GenericSource,
)  # fmt: skip
DIALECTS = frozenset(str(get_args(source.model_fields["dialect"].annotation)[0]) for source in SOURCES)
