"""A place without a way out, and what a program asks of the kernel's network there.

`sealed` puts a command into a network namespace that has loopback and nothing else. Run as a script inside, this file
brings loopback up and becomes the command. `traced` has strace write down every address and every program it meets.
"""

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
_PATH = re.compile(r" connect\(.*sun_path=\"([^\"]+)\"")
_SOCKET = re.compile(r" socket\((\w+)")
_NETWORK = "socket,connect,bind,sendto,sendmsg,sendmmsg,io_uring_setup,execve"
_TOLD = re.compile(r" (connect|bind|sendto|sendmsg|sendmmsg)\(")


def sealed(*command: object) -> list[str]:
    """Return the command in namespaces of its own: no route leads out, and what it mounts is seen by nobody else."""
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *own, "--net", "--mount", sys.executable, __file__, *map(str, command)]


def traced(trace: Path, *command: object) -> list[str]:
    """Return the command under strace, its children too; only calls about the network and programs are stopped."""
    how = ["strace", "-f", "--seccomp-bpf", "-qq", "-v", "-s", "4096", "-e", "signal=none"]
    return [*how, "-e", f"trace={_NETWORK}", "-o", str(trace), *map(str, command)]


def run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; however this ends, nothing of it runs on: what strace watched would outlive strace."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@functools.cache
def missing() -> str:
    """Return why this computer cannot seclude anything, "" where it can."""
    if absent := [name for name in ("unshare", "strace") if shutil.which(name) is None]:
        return f"{' AND '.join(absent).upper()} MISSING: that nothing leaves the house is NOT tested"
    done = run(sealed(*traced(Path(os.devnull), "true")), 30)
    return "" if done.returncode == 0 else f"NO NAMESPACES HERE ({done.stderr.strip()[-80:]}): privacy is NOT tested"


def addresses(trace: Path) -> set[tuple[str, int]]:
    """Return every internet address that was connected to, bound or sent to."""
    lines = [line for line in trace.read_text(errors="replace").splitlines() if _TOLD.search(line)]
    return {(found[2], int(found[1])) for line in lines for found in _ADDRESS.finditer(line)}


def locals_of(trace: Path) -> set[str]:
    """Return every local socket that was connected to, by its path."""
    return set(_PATH.findall(trace.read_text(errors="replace")))


def families(trace: Path) -> set[str]:
    """Return the families of the sockets that were made; io_uring, which strace cannot follow, is one as well."""
    text = trace.read_text(errors="replace")
    return set(_SOCKET.findall(text)) | ({"io_uring"} if " io_uring_setup(" in text else set())


def programs(trace: Path) -> list[str]:
    """Return each start of a program, as strace tells it: path, arguments, the whole environment."""
    return [line for line in trace.read_text(errors="replace").splitlines() if " execve(" in line]


def main(command: list[str]) -> None:
    """Bring loopback up (netdevice(7): SIOCSIFFLAGS, up and running), then become the command."""
    import fcntl
    import socket
    import struct

    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
