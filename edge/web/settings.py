"""Settings: every key with what it is set to, what it would be, and what it means. Secrets are never shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from edge.web.strings import say, texts
from edge.web.visits import Visit


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `default`: "" where it has none; `changed`: whether it is not the default."""

    name: str
    value: str
    default: str
    meaning: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One table of the file."""

    name: str
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen while the agent runs, beside what the file says ("" where it says nothing of it)."""

    name: str
    value: str
    file: str


@dataclass(frozen=True, slots=True)
class AllSettings:
    """The page. `alarms`: as many a week as are accepted now."""

    file: str
    directory: str
    chosen: tuple[Chosen, ...]
    parts: tuple[Part, ...]
    alarms: str


def view(visit: Visit) -> AllSettings:
    """Return every section, and what holds over it now."""
    return AllSettings(
        str(visit.file.absolute()) if visit.file else "",
        str(visit.settings.data.directory.absolute()),
        tuple(_chosen(visit)),
        tuple(_parts(visit)),
        told(visit.snapshot.get("alarms_per_week")),
    )


def _parts(visit: Visit) -> Iterator[Part]:
    for name in type(visit.settings).model_fields:
        section = getattr(visit.settings, name)
        if isinstance(section, BaseModel):
            yield Part(name, tuple(_keys(section)))
        else:
            yield from (Part(f"{name}[{place}]", tuple(_keys(each))) for place, each in enumerate(section))


def _keys(section: BaseModel) -> Iterator[Key]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        meaning = (field.description or "").replace("`", "")
        yield Key(name, told(value), told(default), meaning, not field.is_required() and value != default)


def told(value: Any) -> str:
    """Return a value as a person reads it; of a secret only whether there is one."""
    if value is None or value in ((), "", []):
        return ""
    if isinstance(value, SecretStr):
        return say("settings.secret")
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(told, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _chosen(visit: Visit) -> Iterator[Chosen]:
    """Yield what the agent says was chosen; an agent that says nothing of it has no such choice."""
    mode, alarms, alerts = (visit.snapshot.get(name) for name in ("mode", "alarms_per_week", "alerts"))
    if f"mode.{mode}" in texts():
        yield Chosen(say("chosen.mode"), say(f"mode.{mode}"), "")
    if alarms is not None:
        yield Chosen(say("chosen.alarms_per_week"), told(alarms), told(visit.settings.model.alarms_per_week))
    if alerts is not None:
        yield Chosen(say("chosen.alerts"), say("chosen.on") if alerts else say("chosen.off"), "")
