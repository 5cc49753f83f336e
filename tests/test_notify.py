"""sd_notify against a real datagram socket, by path and in the abstract namespace."""

import os
import socket

import pytest

from edge import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_what_systemd_hears(tmp_path, *, abstract):
    name = f"\0sceneshift-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name)
        listener.settimeout(2)
        environment = {"NOTIFY_SOCKET": name.replace("\0", "@")}
        assert notify.ready(environment)
        assert notify.watchdog(environment)
        assert notify.stopping(environment)
        heard = [listener.recv(100) for _ in range(3)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_nobody_listens(tmp_path):
    assert not notify.ready({})
    assert not notify.ready({"NOTIFY_SOCKET": "vsock:1"})
    assert not notify.ready({"NOTIFY_SOCKET": str(tmp_path / "gone")})
