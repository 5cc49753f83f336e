"""The settings: one TOML file and the environment over it, to frozen typed values. An unknown key is an error."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from edge.core.errors import SettingsError
from edge.secrecy import PREFIX
from edge.sections import Adapt, Alerts, Broker, Data, Home, HomeAssistant, Learn, Llm, Model, Section, Web
from edge.sources import DIALECTS, SOURCES, Source, Zigbee2MqttSource

__all__ = ["Settings", "load", "settings_table"]

SECRETS = (("broker", "password"), ("web", "token"))  # never in the settings file, which others may read


class Settings(Section):
    """Everything that can be set; each section has defaults."""

    broker: Broker = Broker()
    data: Data = Data()
    sources: tuple[Source, ...] = (Zigbee2MqttSource(dialect="zigbee2mqtt"),)
    home: Home = Home()
    model: Model = Model()
    llm: Llm = Llm()
    adapt: Adapt = Adapt()
    learn: Learn = Learn()
    alerts: Alerts = Alerts()
    homeassistant: HomeAssistant = HomeAssistant()
    web: Web = Web()


class _Layered(Settings, BaseSettings):
    """The same fields, filled from the environment first and then from what the file said."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load(path: Path) -> Settings:
    """Read the file and the environment; relative paths are relative to the file. Raises SettingsError."""
    document = _document(path)
    for section, key in SECRETS:
        if isinstance(table := document.get(section), dict) and key in table:
            named = f"{section}.{key}"
            raise SettingsError(f"{path}: {named}: put the {key} in a file of its own and name that as {named}_file")
    try:
        settings = _anchored(_Layered(**document), path)
    except ValidationError as error:
        raise SettingsError("\n".join(_told(each, document, path) for each in error.errors())) from error
    except ValueError as error:  # pydantic-settings: a variable of a whole section that is not JSON
        raise SettingsError(f"{path}: {PREFIX}* in the environment: {error}") from error
    return _with_password(settings, path)


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error


def _told(error: Any, document: dict[str, Any], path: Path) -> str:
    """Say one validation error with its key and where the key stands; never with its value."""
    key, place, in_file = "", document, True
    for part in error["loc"]:
        if key.startswith("sources[") and part in DIALECTS:
            continue  # the tag of the union, no key
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
        try:
            place = place[part]
        except (KeyError, IndexError, TypeError):
            in_file = False
    variable = PREFIX + key.replace(".", "__").upper()
    where = f"{path}: {variable} in the environment" if not in_file and variable in _environment() else f"{path}"
    what = "unknown key" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    return f"{where}: {what} {key}" if what == "unknown key" else f"{where}: {key}: {what}"


def _environment() -> set[str]:
    return {name.upper() for name in os.environ}


def _anchored(settings: Settings, path: Path) -> Settings:
    """Make every path absolute: one from the file's folder, `~` the user's home. Raises SettingsError."""
    folder = path.absolute().parent
    changed: dict[str, Any] = {}
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        if isinstance(section, BaseModel):
            paths = {
                key: _absolute(value, folder, f"{path}: {name}.{key}")
                for key, value in section
                if isinstance(value, Path)
            }
            changed[name] = section.model_copy(update=paths)
    return settings.model_copy(update=changed)


def _absolute(value: Path, folder: Path, told: str) -> Path:
    """Return a path as the machine knows it; raises SettingsError, which begins with `told`, for what is none."""
    try:
        found = folder / value.expanduser()
    except RuntimeError as error:
        raise SettingsError(f"{told}: {value}: nobody here is called so") from error
    if "\0" in str(found):
        raise SettingsError(f"{told}: no path holds a zero character")
    return found


def _with_password(settings: Settings, path: Path) -> Settings:
    """Read the password file; a password in the environment wins."""
    broker = settings.broker
    if broker.password is not None or broker.password_file is None:
        return settings
    try:
        password = broker.password_file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: broker.password_file: {broker.password_file} cannot be read") from error
    return settings.model_copy(update={"broker": broker.model_copy(update={"password": SecretStr(password)})})


def settings_table() -> str:
    """Return every key with its default and meaning as a Markdown table, for deploy/SETTINGS.md."""
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    tables: list[tuple[str, type[BaseModel]]] = [
        ("broker", Broker), ("data", Data), *(("sources[]", each) for each in SOURCES), ("home", Home),
        ("model", Model), ("llm", Llm), ("adapt", Adapt), ("learn", Learn), ("alerts", Alerts),
        ("homeassistant", HomeAssistant), ("web", Web),
    ]  # fmt: skip
    for section, model in tables:
        for key, field in model.model_fields.items():
            row = f"| `{section}.{key}` | {_default(field)} | {field.description} |"
            if row not in lines:
                lines.append(row)
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.default
    if value is None:
        return ""
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"
