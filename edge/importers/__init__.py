"""History that already exists, in the forms it comes in: each a reader of pages (edge/importers/past.py)."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from edge.core.errors import SettingsError
from edge.importers import casas, jsonl, table
from edge.importers.lines import Lines, sample
from edge.importers.naming import Names
from edge.importers.past import Reader
from edge.importers.registry import beside, zigbee
from edge.settings import Settings

FORMATS = ("auto", "recorder", "jsonl", "csv", "casas")
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class Wanted:
    """How a source is to be read. `zone`: of times without an offset; `since`, `until`: seconds since the epoch."""

    zone: tzinfo
    form: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    registry: Path | None = None
    since: float = float("-inf")
    until: float = float("inf")


def opened(source: str, wanted: Wanted, settings: Settings, known: list[tuple[str, str]]) -> Reader:
    """Open a file, or a database by its address, to be read; raises SettingsError with the mend.

    `known`: the pairs that were recorded live.
    """
    form = form_of(source) if wanted.form == "auto" else wanted.form
    if form == "recorder":
        return _recorder(source, wanted, settings, known)
    path = _path(source)
    if form == "jsonl":
        return Lines(path, jsonl.reading(wanted.zone), form=f"jsonl {wanted.zone}")
    if form == "casas":
        return Lines(path, casas.reading(wanted.zone), form=f"casas {wanted.zone}")
    head = table.header(path, wanted.columns)
    return Lines(
        path, table.reading(head, wanted.zone), form=f"csv {wanted.zone} {sorted(head.places.items())}", skip=1
    )


def form_of(source: str) -> str:
    """Tell a source's form by its address or its first bytes; raises SettingsError where nothing fits."""
    if "://" in source:
        return "recorder"
    path = _path(source)
    if path.is_dir():
        raise SettingsError(f"{path}: is a folder; Home Assistant's recorder is the file home-assistant_v2.db in it")
    head = sample(path)
    if head.startswith(_SQLITE):
        return "recorder"
    if not head.strip():
        raise SettingsError(f"{path}: is empty")
    first = next((line for line in head.decode("utf-8", "replace").splitlines() if line.strip()), "")
    if first.lstrip().startswith("{"):
        return "jsonl"
    if casas.LINE.match(first):
        return "casas"
    if any(mark in first for mark in table.DELIMITERS):
        return "csv"
    raise SettingsError(
        f"{path}: its form cannot be told; say which with --format: {', '.join(FORMATS[1:])} (a table needs a header)"
    )


def _path(source: str) -> Path:
    """Return a file's path; a home of nobody's is left as it was typed."""
    path = Path(source)
    with suppress(RuntimeError):
        path = path.expanduser()
    return path


def _recorder(source: str, wanted: Wanted, settings: Settings, known: list[tuple[str, str]]) -> Reader:
    try:
        from edge.importers.recorder import Recorder  # noqa: PLC0415 - the one form that needs more than Python
    except ModuleNotFoundError as error:
        raise SettingsError(f"{error.name} is not installed: pip install 'sceneshift[history]'") from error
    path = source if "://" in source else _path(source)
    if isinstance(path, Path):
        sample(path)  # whether it can be read at all is said in our words
    registry = wanted.registry or (beside(path) if isinstance(path, Path) else None)
    bases = [each.options()["base_topic"].strip("/") for each in settings.sources if each.dialect == "zigbee2mqtt"]
    exposed = zigbee(registry, bases) if registry is not None and bases else {}
    streams = [each for each in settings.sources if each.dialect == "statestream"]
    if not exposed and not streams:
        raise SettingsError(
            "Home Assistant's history is of no use while nothing live goes by the same names: add a source of the "
            'dialect "statestream" to the settings; or, for zigbee2mqtt, name --registry .storage/core.entity_registry'
        )
    include = [] if any(not each.include for each in streams) else [glob for each in streams for glob in each.include]
    names = Names(exposed, streamed=bool(streams), include=include, known=known)
    return Recorder(path, names, since=wanted.since, until=wanted.until)
