"""What systemd wants to hear (sd_notify(3)); without NOTIFY_SOCKET nothing is said."""

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send one or more `KEY=VALUE` lines; tell whether there was somebody to send them to."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace, written as systemd writes it
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.sendall(state.encode("utf-8"))
    except OSError as error:
        log.warning("the supervisor does not listen: %s", error.strerror)
        return False
    return True


def ready(environment: Mapping[str, str] = os.environ) -> bool:
    """Say that broker, database and model are up."""
    return notify("READY=1", environment)


def watchdog(environment: Mapping[str, str] = os.environ) -> bool:
    """Say that the fast loop still turns."""
    return notify("WATCHDOG=1", environment)


def stopping(environment: Mapping[str, str] = os.environ) -> bool:
    """Say that the end was asked for."""
    return notify("STOPPING=1", environment)
