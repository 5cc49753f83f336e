"""What every request passes: whose host it names, which session it has, and the headers of every answer.

Without a token only this computer's own names are answered: a foreign site whose name was pointed at 127.0.0.1 is
refused (DNS rebinding). Home Assistant's ingress says under which path its users see the page; that is believed from
this computer and from the Supervisor alone, and is never a login.
"""

import re
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.sections import local
from edge.web.access import LASTS, Access, Session
from edge.web.strings import say

SUPERVISOR = "172.30.32.2"  # where Home Assistant's ingress asks from
_ROOT = re.compile(r"(/[A-Za-z0-9_-]+){1,8}")
_OPEN = ("/login", "/static/")  # what is answered before the token is shown
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    # Nothing is told to another site; `no-referrer` would take the Origin from our own forms as well.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Door:
    """ASGI middleware: lets in who may come in; `state` of the request gets `root` and `session`."""

    def __init__(self, app: ASGIApp, access: Access, address: str, port: int, clock: Callable[[], float]) -> None:
        """Take the application, who may use it and where it listens."""
        self._app = app
        self._access = access
        self._hosts = {"localhost", "127.0.0.1", "::1", address.strip("[]").lower()}
        self._clock = clock
        self.cookie = f"sceneshift-{port}"  # cookies know no port: two agents on one computer are two

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        root = _root(scope, headers)
        now = self._clock()
        session = self._access.session(self._sent(headers), now)
        fresh = session is None
        session = session or self._access.begin(now, known=False)
        scope.setdefault("state", {}).update(root=root, session=session, cookie=self.cookie)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._seal(MutableHeaders(scope=message), scope, session if fresh else None)
            await send(message)

        refused = self._refused(scope, headers, session, root)
        await (refused or self._app)(scope, receive, answer)

    def _refused(self, scope: Scope, headers: Headers, session: Session, root: str) -> Response | None:
        """Return what is answered instead, None for who may go on."""
        host = headers.get("host", "")
        if not self._access.asks and _name(host) not in self._hosts:
            return PlainTextResponse(say("door.host"), 403)
        if scope["method"] not in {"GET", "HEAD"} and not _same_origin(headers, host):
            return PlainTextResponse(say("door.origin"), 403)
        path: str = scope["path"]
        if self._access.allows(session) or path.startswith(_OPEN):
            return None
        if scope["method"] == "GET" and path != "/events":
            return RedirectResponse(f"{root}/login", 303)
        return PlainTextResponse(say("door.login"), 401)

    def _seal(self, headers: MutableHeaders, scope: Scope, session: Session | None) -> None:
        """Add what every answer carries, and the cookie of a new session."""
        for name, value in HEADERS.items():
            headers[name] = value
        if not scope["path"].startswith("/static/"):
            headers["Cache-Control"] = "no-store"
            if session is not None and "set-cookie" not in headers:
                headers.append("Set-Cookie", written(self.cookie, self._access.cookie(session), session, scope))

    def _sent(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return found.value if found else ""


def written(name: str, value: str, session: Session, scope: Scope) -> str:
    """Return the header that sets the session's cookie: for our own pages only, for no script, with TLS only by TLS."""
    ends = f"; Max-Age={LASTS}" if session.known else ""
    sealed = "; Secure" if scope["scheme"] == "https" else ""
    return f"{name}={value}; HttpOnly; SameSite=Strict; Path={scope['state']['root'] or '/'}{sealed}{ends}"


def _root(scope: Scope, headers: Headers) -> str:
    """Return the path under which a trusted proxy shows the page, "" for none."""
    peer = str((scope.get("client") or ("", 0))[0])
    said = headers.get("x-ingress-path", "").rstrip("/")
    return said if (peer == SUPERVISOR or local(peer)) and _ROOT.fullmatch(said) else ""


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _same_origin(headers: Headers, host: str) -> bool:
    """Tell whether a form was sent by a page of ours, as far as the browser says; a form's own mark says the rest."""
    if (site := headers.get("sec-fetch-site")) is not None and site != "same-origin":
        return False
    origin = headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
