"""What connects to the page: so many at once, of one network its share, and none that begins to ask and never ends.

The agent's own files and its broker need descriptors too: a flood of connections must cost the page alone.
"""

import asyncio
import socket
from typing import Any
from weakref import ref

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge.web.access import network

MOST = 150  # connections open at once
SHARE = 50  # of them from one network; a browser opens six, and one for what happens
ASKING = 10.0  # seconds from the beginning of a request to its last byte


class Listening(socket.socket):
    """A listening socket that closes at once what comes over MOST, or over its network's SHARE.

    Here and not where HTTP is spoken, so that a handshake that never ends counts as well.
    """

    def __init__(self, family: socket.AddressFamily) -> None:
        """Make it; bind it yourself."""
        super().__init__(family, socket.SOCK_STREAM)
        self._open: list[tuple[str, ref[socket.socket]]] = []

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection; raises BlockingIOError where there is none, or it was one too many."""
        connected, address = super().accept()
        self._open = [(other, known) for other, known in self._open if _is_open(known())]
        theirs = network(str(address[0]))
        if len(self._open) >= MOST or sum(other == theirs for other, _ in self._open) >= SHARE:
            connected.close()
            raise BlockingIOError
        self._open.append((theirs, ref(connected)))
        return connected, address


class Connection(H11Protocol):
    """One connection: whoever has begun to ask and does not end within ASKING seconds is let go."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin; who connects has begun to ask."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:  # all that was asked is here
            self._forget()
        elif self._late is None:
            self._late = self.loop.call_later(ASKING, self.transport.abort)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def _is_open(connected: socket.socket | None) -> bool:
    return connected is not None and connected.fileno() >= 0
