"""A broker on loopback for the demo alone, in a child process (amqtt: no v5, no sessions; never for a home)."""

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from edge.core.errors import EdgeError
from edge.secrecy import spared

START = 20.0  # seconds the child may take to listen


@contextlib.contextmanager
def running() -> Iterator[int]:
    """Run the broker; yield its port. Raises EdgeError where it does not come up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    child = subprocess.Popen(
        [sys.executable, "-m", "edge.demo.broker", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=spared(),
    )
    try:
        deadline = time.monotonic() + START
        while not _listens(port):
            if child.poll() is not None or time.monotonic() > deadline:
                raise EdgeError("the demo's broker does not start: pip install 'sceneshift[demo]'")
            time.sleep(0.05)
        yield port
    finally:
        if child.stdin is not None:
            child.stdin.close()
        child.terminate()
        child.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _serve(port: int) -> None:
    from amqtt.broker import Broker  # noqa: PLC0415 - only the child needs it

    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 10}
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = Broker({"listeners": {"default": listener}, "plugins": plugins})
    await broker.start()
    # The parent holds our standard input open; it closes however the parent ends.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await broker.shutdown()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve(int(sys.argv[1])))
