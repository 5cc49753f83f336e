"""A broker that does not read: a TCP proxy that holds back what the agent says while all that it hears passes."""

import selectors
import socket
import threading
from contextlib import suppress


class Valve:
    """A port in front of the broker's, for one connection at a time; shut, it holds the agent's side back."""

    def __init__(self, broker_port: int) -> None:
        self._broker = broker_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._shut = False
        self._held = threading.Event()  # nothing passes from the agent's side
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def shut(self) -> None:
        """Let nothing of the agent pass from now on."""
        self._held.clear()
        self._shut = True
        self._held.wait(10)

    def open(self) -> None:
        """Let all pass again."""
        self._shut = False

    def close(self) -> None:
        """End it."""
        self._closing = True
        self._thread.join(5)
        self._listener.close()

    def _run(self) -> None:
        self._listener.settimeout(0.1)
        while not self._closing:
            with suppress(TimeoutError):
                agent, _ = self._listener.accept()
                with agent, socket.create_connection(("127.0.0.1", self._broker)) as broker, suppress(OSError):
                    self._pass(agent, broker)

    def _pass(self, agent: socket.socket, broker: socket.socket) -> None:
        other = {agent: broker, broker: agent}
        while not self._closing:
            shut = self._shut
            if shut:
                self._held.set()
            with selectors.DefaultSelector() as ready:
                for side in other:
                    if not (shut and side is agent):
                        ready.register(side, selectors.EVENT_READ)
                chosen = [key.fileobj for key, _ in ready.select(0.05)]
            for side in (each for each in chosen if isinstance(each, socket.socket)):
                chunk = side.recv(65536)
                if not chunk:
                    return
                other[side].sendall(chunk)
