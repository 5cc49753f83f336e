"""Where behaviors come from: one section of the settings a source, each dialect with its own keys."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from edge.sections import Section

_DIALECT = "what speaks there: `zigbee2mqtt` or `generic`"


class _Source(Section):
    exclude: tuple[str, ...] = Field(default=(), description="devices to leave out, as globs over id and name")

    def options(self) -> dict[str, Any]:
        """Return what the dialect is built with."""
        return self.model_dump(exclude={"dialect"})


class Zigbee2MqttSource(_Source):
    """A zigbee2mqtt bridge, 1.x or 2.x."""

    dialect: Literal["zigbee2mqtt"] = Field(description=_DIALECT)
    base_topic: str = Field(default="zigbee2mqtt", min_length=1, description="the bridge's `mqtt.base_topic`")


class GenericSource(_Source):
    """Any topics that a template describes (ESPHome, Tasmota, your own)."""

    dialect: Literal["generic"] = Field(description=_DIALECT)
    topic: str = Field(description="template, for example `home/{device}/{property}`; `+` is a level to ignore")
    momentary: bool = Field(default=False, description="each message is an act (a button), not a state")
    time_key: str = Field(
        default="t", description="JSON key of the event's time: epoch seconds, or ISO 8601 with offset"
    )
    value_key: str = Field(default="value", description="JSON key of a state's value")
    control_key: str = Field(default="control", description="JSON key of a momentary act's text")
    device_key: str = Field(default="device", description="JSON key of the device, where the topic does not name it")

    @field_validator("topic")
    @classmethod
    def _template(cls, topic: str) -> str:
        levels = topic.split("/")
        marks = [level for level in levels if set(level) & set("+#{}")]
        if any(mark not in ("+", "{device}", "{property}") for mark in marks) or not topic.strip("/"):
            raise ValueError("a level is a word, +, {device} or {property}")
        if any(marks.count(name) > 1 for name in ("{device}", "{property}")):
            raise ValueError("a placeholder may stand once")
        return topic


Source = Annotated[Zigbee2MqttSource | GenericSource, Field(discriminator="dialect")]

SOURCES: tuple[type[_Source], ...] = (Zigbee2MqttSource, GenericSource)  # in the order the table shows them
DIALECTS = frozenset(str(get_args(source.model_fields["dialect"].annotation)[0]) for source in SOURCES)
