"""The command: `sceneshift`, or `python -m edge`."""

import logging
import sys

from edge.core.errors import EdgeError, SettingsError
from edge.secrecy import withdraw


def main() -> int:
    """Run a command; settings that cannot be used end with 2, other expected errors with 1."""
    from edge.cli import app  # noqa: PLC0415 - what an import costs or breaks is told like any other error

    withdraw()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except SettingsError as error:
        return _told(error, 2)
    except EdgeError as error:
        return _told(error, 1)
    return 0


def _told(error: Exception, code: int) -> int:
    from edge.commands.terminal import plain  # noqa: PLC0415 - as above

    sys.stderr.write(f"sceneshift: {plain(error)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
