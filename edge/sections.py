"""The sections of the settings file: what can be set, what each key means and its default."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from edge.core.errors import SettingsError
from edge.core.scenes import Scene

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_DIALECT = "what speaks there: `zigbee2mqtt` or `generic`"


class Section(BaseModel):
    """One table of the file: frozen, and closed to keys nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Broker(Section):
    """Where the MQTT broker is and who we are to it."""

    url: str = Field(
        default="mqtt://127.0.0.1:1883", description="`mqtt://` or `mqtts://` (TLS), host, port (1883, 8883)"
    )
    user: str | None = Field(default=None, description="user name at the broker")
    password: SecretStr | None = Field(
        default=None, description="only from the environment; in the file, use `password_file`"
    )
    password_file: Path | None = Field(default=None, description="file that holds the password and nothing else")
    tls_ca: Path | None = Field(
        default=None, description="certificate authority of the broker (PEM); else the system's"
    )
    tls_cert: Path | None = Field(default=None, description="our client certificate (PEM)")
    tls_key: Path | None = Field(default=None, description="its private key (PEM)")
    client_id: str = Field(
        default="sceneshift", min_length=1, max_length=64, description="one per agent; names its session"
    )
    prefix: str = Field(
        default="sceneshift", pattern=r"^[^+#/\s\x00]+(/[^+#/\s\x00]+)*$", description="our own topics' root"
    )

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must be mqtt://host:port or mqtts://host:port")
        if "@" in parts.netloc:
            raise ValueError("must hold no user or password; use the keys user and password_file")
        _ = parts.port  # raises ValueError for a port that is none
        return url

    @property
    def host(self) -> str:
        """Host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port, the scheme's own where the URL has none."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def tls(self) -> bool:
        """Tell whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    def secret(self) -> str | None:
        """Return the password in the clear, None where there is none."""
        return self.password.get_secret_value() if self.password else None


class Data(Section):
    """Where everything that happened is kept."""

    directory: Path = Field(default=Path("sceneshift-data"), description="folder of the database and the model slots")
    commit_seconds: float = Field(
        default=1.0, gt=0, le=60, description="longest wait before a behavior is on disk, seconds"
    )


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


class Home(Section):
    """Where the home is and what is known of its scene."""

    latitude: float | None = Field(
        default=None, ge=-90, le=90, description="degrees, north positive; without it no seasons"
    )
    longitude: float | None = Field(default=None, ge=-180, le=180, description="degrees, east positive")
    time_zone: str = Field(default="UTC", description="IANA name, for example `Europe/Paris`")
    scene: str | None = Field(default=None, description="scene at the first start, for example `winter+multiple`")
    dictionary: Path | None = Field(
        default=None, description="dictionary.json of devices and controls that exist though not heard yet"
    )
    person_topic: str | None = Field(default=None, description="topic whose payload is the number of people at home")

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("no such time zone") from error
        return name

    @field_validator("scene")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        try:
            Scene.parse(name or "home")
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The home's time zone."""
        return ZoneInfo(self.time_zone)


class Model(Section):
    """The compact network."""

    directory: Path | None = Field(default=None, description="folder of the base model; default is the shipped one")
    threads: int = Field(default=1, ge=1, le=64, description="threads of one scoring run")
    alarms_per_week: float = Field(default=1.0, gt=0, le=1000, description="false alarms you accept a week")
    learn_after_days: float = Field(
        default=14.0, gt=0, description="days of history before the first model and any alert"
    )


class Llm(Section):
    """The language model of the slow loop."""

    file: Path | None = Field(default=None, description="any instruct GGUF; default is the shipped behavior model")
    count: int = Field(default=200, ge=1, le=100_000, description="sequences written for one adaptation")
    seconds: float = Field(default=600.0, gt=0, description="time limit of one generation, seconds")
    memory_mb: int = Field(default=2048, ge=128, description="memory limit of the generation process, MB")


class Adapt(Section):
    """The slow loop."""

    notice: bool = Field(
        default=True, description="notice scene changes; false: only when told over MQTT or by command"
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="training steps of one adaptation; by default as many as suit the data",
    )
    seconds: float = Field(default=900.0, gt=0, description="time limit of one retraining, seconds")
    memory_mb: int = Field(default=1024, ge=128, description="memory limit of the retraining process, MB")
    probation_days: float = Field(default=7.0, gt=0, description="days the previous model goes on scoring in shadow")


class Learn(Section):
    """Learning goes on."""

    nightly: bool = Field(default=True, description="learn every night what was lived; false: only when asked")
    hour: int = Field(
        default=4, ge=0, le=23, description="of the home's day, from which on limits are refitted and days learned"
    )


class Alerts(Section):
    """What is told, and what is kept quiet."""

    exclude: tuple[str, ...] = Field(
        default=(), description="devices that are recorded but never judged, as globs over id and name"
    )
    budget_per_day: int = Field(default=10, ge=0, le=1000, description="alerts in any 24 h at most")
    cooldown_minutes: float = Field(
        default=30.0, ge=0, le=10_080, description="after an alert of a device, none of the same for so long, minutes"
    )
    language: Literal["en"] | Path = Field(
        default="en",
        description="`en`, or a JSON file of the sentences in another language (`deploy/language-de.json`)",
    )
