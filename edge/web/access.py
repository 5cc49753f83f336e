"""Who may use the page: the token, the session cookie, the mark of our own forms, and how often one may guess.

A session is a signed cookie and nothing that is kept: with a token it outlives a restart of the agent and ends with
the token; without one it ends with the process.
"""

import hmac
import secrets
from collections import deque
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path

from edge.core.errors import SettingsError
from edge.durable import why
from edge.sections import Web, local

TOKEN_FILE = "web-token"  # noqa: S105  a file's name in the data directory
LEAST = 12  # characters of a token: fewer can be guessed
LASTS = 30 * 86400  # seconds a session holds
TRIES, WITHIN = 5, 60.0  # wrong tokens of one network within so many seconds, then it waits
ALL_TRIES = 50  # of all networks together
_GUEST, _KNOWN = "guest", "known"


@dataclass(frozen=True, slots=True)
class Session:
    """One browser. `known`: it has shown the token; `end`: seconds since the epoch."""

    id: str
    known: bool
    end: int


def network(address: str) -> str:
    """Return what counts as one visitor: an IPv4 address, or the IPv6 /64 of which one machine has every address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))


def token_path(web: Web, directory: Path) -> Path | None:
    """Return the file of the token that is asked for, None where none is: on loopback without a `token_file`."""
    if web.token_file is not None:
        return web.token_file
    return None if local(web.address) else directory / TOKEN_FILE


def read_token(web: Web, directory: Path) -> str | None:
    """Return the token that is asked for, made where none is; None where none is needed. Raises SettingsError."""
    path = token_path(web, directory)
    if path is None:
        return None
    try:
        if web.token_file is None and not (path.exists() and path.stat().st_size):
            path.touch(mode=0o600)
            path.chmod(0o600)  # where an empty one was there
            path.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"web.token_file: {path} cannot be read or made: {why(error)}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"web.token_file: {path} cannot be read") from error
    if len(token) < LEAST:
        raise SettingsError(f"web.token_file: {path} holds no token of {LEAST} characters or more")
    return token


class Access:
    """Makes and reads sessions. Only the page's own thread uses it."""

    def __init__(self, token: str | None) -> None:
        """Take the token, None where nobody is asked for one."""
        self._token = token
        self._key = sha256(b"session " + token.encode()).digest() if token else secrets.token_bytes(32)
        self._wrong: deque[tuple[float, str]] = deque(maxlen=ALL_TRIES)  # (time, network), the newest

    @property
    def asks(self) -> bool:
        """Tell whether a token is asked for."""
        return self._token is not None

    def session(self, cookie: str, now: float) -> Session | None:
        """Read a cookie; None where it is none of ours or has ended."""
        text, _, mark = cookie.rpartition(".")
        if not text or not hmac.compare_digest(self._sign(text).encode(), mark.encode()):
            return None
        kind, name, end = text.split(".")
        return Session(name, kind == _KNOWN, int(end)) if now < int(end) else None

    def begin(self, now: float, *, known: bool) -> Session:
        """Begin a session under a fresh name."""
        return Session(secrets.token_urlsafe(16), known, int(now) + LASTS)

    def cookie(self, session: Session) -> str:
        """Return the cookie of a session."""
        text = f"{_KNOWN if session.known else _GUEST}.{session.id}.{session.end}"
        return f"{text}.{self._sign(text)}"

    def mark(self, session: Session) -> str:
        """Return what our own forms carry: another site can send the cookie, and cannot know this."""
        return self._sign(f"form {session.id}")

    def marked(self, session: Session, mark: str) -> bool:
        """Tell whether a form was ours and of this session."""
        return hmac.compare_digest(self.mark(session).encode(), mark.encode())

    def allows(self, session: Session | None) -> bool:
        """Tell whether a session may read and ask."""
        return not self.asks or (session is not None and session.known)

    def wait(self, address: str, now: float) -> bool:
        """Tell whether an address's network has guessed too often lately, or all of them have."""
        while self._wrong and not 0 <= now - self._wrong[0][0] < WITHIN:
            self._wrong.popleft()
        return len(self._wrong) >= ALL_TRIES or sum(each == network(address) for _, each in self._wrong) >= TRIES

    def right(self, token: str, address: str, now: float) -> bool:
        """Compare a token, in the same time whatever it is; a wrong one is remembered against its network."""
        found = hmac.compare_digest(
            sha256((self._token or "").encode()).digest(), sha256(token.strip().encode("utf-8", "replace")).digest()
        )
        if not found:
            self._wrong.append((now, network(address)))
        return found

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "replace"), sha256).hexdigest()
