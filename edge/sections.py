"""The sections of the settings file: what can be set, what each key means and its default."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from edge.core.errors import SettingsError
from edge.core.scenes import Scene

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_UNPAIRED = "tls_key is the key of a certificate: set tls_cert as well"


def local(address: str) -> bool:
    """Tell whether an address is reached from this computer alone; of names only `localhost` is known to be."""
    try:
        return address == "localhost" or ip_address(address).is_loopback
    except ValueError:
        return False


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
    insecure: bool = Field(
        default=False,
        description="true: a broker on another machine may be spoken to without TLS, and without a password or a "
        "certificate of ours; whoever is on the way reads and forges what the home does",
    )
    client_id: str = Field(
        default="sceneshift", min_length=1, max_length=64, description="one per agent; names its session"
    )
    prefix: str = Field(
        default="sceneshift", pattern=r"^[^+#/\s\x00]+(/[^+#/\s\x00]+)*$", description="our own topics' root"
    )

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        if "@" in url:
            raise ValueError("must hold no user or password; use the keys user and password_file")
        try:
            parts = urlsplit(url)
            usable = bool(parts.scheme in _PORTS and parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:  # its words repeat what was typed, which may be a password
            usable = False
        if not usable or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must be mqtt://host:port or mqtts://host:port")
        return url

    @model_validator(mode="after")
    def _safe(self) -> Self:
        """Refuse a broker on another machine that anybody on the way could be, or that takes anybody for us."""
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError(_UNPAIRED)
        known = self.tls_cert or (self.user and (self.password or self.password_file))
        if local(self.host) or self.insecure or (self.tls and known):
            return self
        wanted = [] if self.tls else ["TLS (url = mqtts://...)"]
        wanted += [] if known else ["user and password_file (or tls_cert)"]
        raise ValueError(
            f"{self.host} is another machine, so it needs {' and '.join(wanted)}; or set insecure = true, and whoever "
            "is on the way can read and forge what the home does"
        )

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
    keep_days: float = Field(
        default=730.0, ge=30, le=36_500, description="days the record is kept; what is older leaves it night by night"
    )
    max_mb: float = Field(
        default=256.0, ge=32, description="MB the database may hold; beyond them the oldest leaves, night by night"
    )


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
    person_topic: str | None = Field(
        default=None, pattern=r"^[^+#\x00]+$", description="topic whose payload is the number of people at home"
    )

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
    trusted_keys: Path | None = Field(
        default=None, description="folder of public keys (`*.pub`) whose bundles of models may be installed"
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


class HomeAssistant(Section):
    """What Home Assistant discovers of the agent."""

    discovery: Literal["auto", "device", "entities", "off"] = Field(
        default="auto",
        description="`device` (Home Assistant 2024.11 and later), `entities` (any), `off`, or `auto`: by its version "
        "where that is heard, else `entities`",
    )
    prefix: str = Field(
        default="homeassistant",
        pattern=r"^[^+#/\s\x00]+(/[^+#/\s\x00]+)*$",
        description="its MQTT discovery prefix; its birth message is on `<prefix>/status`",
    )


class Web(Section):
    """The page."""

    enabled: bool = Field(default=True, description="serve the page")
    address: str = Field(
        default="127.0.0.1", min_length=1, description="where it listens; off loopback it asks for a token"
    )
    port: int = Field(default=8765, ge=1, le=65535, description="its port")
    token_file: Path | None = Field(
        default=None, description="file that holds the token; off loopback, one is made in `data.directory` if none is"
    )
    tls_cert: Path | None = Field(
        default=None, description="certificate of the page (PEM): it is served by TLS then, `https://`"
    )
    tls_key: Path | None = Field(default=None, description="its private key (PEM)")

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError(_UNPAIRED)
        return self

    def url(self, host: str) -> str:
        """Return where the page is, for who knows this computer by that name or address."""
        scheme = "http" if self.tls_cert is None else "https"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"
