"""The page's server: a thread of the agent's own process, that the agent itself knows nothing of."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import tls
from edge.core.errors import EdgeError
from edge.sections import Web
from edge.web.access import read_token, token_path
from edge.web.visits import Running

if TYPE_CHECKING:
    import uvicorn

    from edge.store import Store
    from edge.web.live import Live

START = 10.0  # seconds it may take to listen
_log = logging.getLogger(__name__)


class Server:
    """The page as it is served. `told`: where it is, or why there is none; `close` may be called twice."""

    def __init__(self, told: str, url: str = "") -> None:
        """Say what became of it."""
        self.told = told
        self.url = url
        self._running: tuple[threading.Thread, uvicorn.Server, Running, Live, Store] | None = None

    def start(
        self, server: "uvicorn.Server", listening: socket.socket, agent: Running, live: "Live", store: "Store"
    ) -> None:
        """Serve on a socket that is bound, in a thread; returns once requests are answered."""
        agent.on_publish.append(live.hear)

        async def work() -> None:
            live.open(asyncio.get_running_loop())
            try:
                await server.serve([listening])
            finally:
                live.end()  # nothing is handed to a loop that is no more

        thread = threading.Thread(target=lambda: asyncio.run(work()), name="page", daemon=True)
        self._running = (thread, server, agent, live, store)
        thread.start()
        waited = threading.Event()
        for _ in range(int(START / 0.01)):
            if server.started or not thread.is_alive():
                return
            waited.wait(0.01)

    def close(self) -> None:
        """End every stream, answer what is under way, and stop."""
        running, self._running = self._running, None
        if running is None:
            return
        thread, server, agent, live, store = running
        agent.on_publish.remove(live.hear)
        live.end()
        server.should_exit = True
        thread.join(START)
        store.close()


def serve(agent: Running, web: Web, file: Path | None = None, *, clock: Callable[[], float] = time.time) -> Server:
    """Serve the page of an agent; where that cannot be, a warning says why and the agent goes on without it.

    `file`: the settings file, shown on the page; `clock`: seconds since the epoch, what "today" is. Raises
    SettingsError for a token or a certificate that cannot be used.
    """
    if not web.enabled:
        return Server("no page: web.enabled is false")
    directory = agent.settings.data.directory
    token = read_token(web, directory)
    sealed = tls.serving(web)
    try:
        import uvicorn  # noqa: PLC0415

        from edge.store import Store  # noqa: PLC0415
        from edge.web.access import Access  # noqa: PLC0415
        from edge.web.app import Application  # noqa: PLC0415
        from edge.web.connections import Connection, Listening  # noqa: PLC0415
        from edge.web.live import Live  # noqa: PLC0415
    except ImportError as error:
        return _without(f"{error.name} is not installed: pip install 'sceneshift[web]'")
    try:
        listening = _bound(web, Listening)
    except OSError as error:
        return _without(
            f"{web.address} port {web.port}: {error.strerror or error}; set [web] address and port to what is free here"
        )
    live = Live()
    try:
        store = Store.open(directory, read_only=True)
    except EdgeError as error:
        listening.close()
        return _without(str(error))
    app = Application(agent, store, Access(token), live, file, clock=clock).behind_door()
    shown = None if sealed is None else lambda _config, _default: sealed
    config = uvicorn.Config(app, http=Connection, ssl_context_factory=shown, timeout_graceful_shutdown=3, **_QUIET)
    url = web.url(web.address)
    path = token_path(web, directory)
    server = Server(f"page: {url}" + (f" (token: {path})" if path else ""), url)
    server.start(uvicorn.Server(config), listening, agent, live, store)
    return server


_QUIET: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,  # nobody says for another who asks
    "lifespan": "off",
    "ws": "none",
}


def _bound(web: Web, kind: Callable[[socket.AddressFamily], socket.socket]) -> socket.socket:
    """Return a bound socket of a kind; raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(web.address, web.port, type=socket.SOCK_STREAM)[0]
    listening = kind(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def _without(why: str) -> Server:
    _log.warning("no page: %s", why)
    return Server(f"no page: {why}")
