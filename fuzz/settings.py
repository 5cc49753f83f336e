"""The settings file, and the environment over it.

An input is a TOML file; lines behind one of `===` are variables of the environment, `NAME=value`.
"""

import os
import tempfile
from pathlib import Path

from edge.core.errors import SettingsError
from edge.dialects import dialect
from edge.settings import PREFIX, Settings, load

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-settings-"))
_PARTED = b"\n===\n"


def settings(data: bytes) -> None:
    """Read a file and an environment; what was read can be used, what was not is told in one text."""
    document, _, environment = data.partition(_PARTED)
    path = _FOLDER / "sceneshift.toml"
    path.write_bytes(document)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    for row in environment.split(b"\n"):
        name, _, value = row.partition(b"=")
        if name and b"\0" not in row:  # no environment holds a zero
            os.environb[PREFIX.encode() + name] = value
    try:
        found = load(path)
    except SettingsError as error:
        str(error).encode()
        return
    _usable(found)


def _usable(found: Settings) -> None:
    """Use every value as the agent does before it opens anything."""
    assert found.broker.host
    assert 0 < found.broker.port < 65536
    assert found.home.zone.key == found.home.time_zone
    assert found.data.directory.is_absolute()
    for source in found.sources:
        topics = dialect(source.dialect, source.options()).topics()
        assert topics
        for topic in topics:
            topic.encode()
            assert topic and "\0" not in topic, topic
    assert Settings.model_validate(found.model_dump()).model_dump() == found.model_dump()
