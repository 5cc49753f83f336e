"""The web application: every page, the forms, the live stream and the login, behind one door."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from edge import compose
from edge.core.errors import SettingsError, StoreError
from edge.store import Store
from edge.web import asking, situation
from edge.web.access import Access, Session
from edge.web.door import Door, written
from edge.web.live import Live
from edge.web.pages import PAGES, Page
from edge.web.rendering import Rendering
from edge.web.strings import say, texts
from edge.web.visits import MissingError, Running, Visit

STATIC = Path(__file__).parent / "static"


class Application:
    """Answers requests about one agent."""

    def __init__(
        self,
        agent: Running,
        store: Store,
        access: Access,
        live: Live,
        file: Path | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the agent, a store to read from beside its own, who may come in, the settings file and the clock."""
        self._clock = clock
        self._agent = agent
        self._store = store
        self._access = access
        self._live = live
        self._file = file
        self._phrases = compose.phrases(agent.settings.alerts.language)
        self._known = compose.known_dictionary(agent.settings.home.dictionary).devices
        self._rendering = Rendering((page.name, page.path) for page in PAGES if page.menu)

    def behind_door(self) -> Door:
        """Return the ASGI application: nothing is answered but through the door, an unexpected error neither."""
        web = self._agent.settings.web
        routes = [
            *(Route(page.path, self._shown(page)) for page in PAGES),
            Route("/do/{what}", self._done, methods=["POST"]),
            Route("/events", self._events),
            Route("/login", self._login),
            Route("/login", self._enter, methods=["POST"]),
            Route("/logout", self._leave, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._refused})
        return Door(app, self._access, web.address, web.port, self._clock)

    def _shown(self, page: Page) -> Callable[[Request], Any]:
        """Return what answers a page's requests: its view runs beside the loop, for it reads the disk."""

        async def answer(request: Request) -> Response:
            try:
                return await run_in_threadpool(self._page, page, request)
            except MissingError as error:
                return self._told(request, 404, "missing", str(error))
            except StoreError as error:
                return self._told(request, 503, "failed", str(error))

        return answer

    def _page(self, page: Page, request: Request) -> Response:
        visit = self._visit(request)
        done = request.query_params.get("done", "")
        values = {"view": page.view(visit), "name": page.name, "done": done if f"done.{done}" in texts() else ""}
        return self._html(f"{page.name}.html", values, request, visit)

    def _visit(self, request: Request) -> Visit:
        wall = self._clock()
        return Visit(
            store=self._store,
            settings=self._agent.settings,
            snapshot=self._agent.snapshot,
            scores=self._agent.store.scores,
            phrases=self._phrases,
            now=situation.home_now(self._store, wall),
            wall=wall,
            newest=self._live.newest,
            query=dict(request.query_params),
            number=int(request.path_params.get("number", 0)),
            file=self._file,
            known=self._known,
        )

    def _html(
        self, template: str, values: dict[str, Any], request: Request, visit: Visit | None, status: int = 200
    ) -> HTMLResponse:
        """Fill a template with what every page shows: what the agent is doing, and the mark of the session's forms."""
        session: Session = request.state.session
        known = {
            "mark": self._access.mark(session),
            "situation": situation.of(visit) if visit else None,
            "here": request.url.path,
            "asks": self._access.asks,
        }
        return HTMLResponse(self._rendering.page(template, known | values, request.state.root), status)

    def _told(self, request: Request, status: int, key: str, text: str = "") -> HTMLResponse:
        """Return a page that says why there is nothing else."""
        values = {"name": "told", "key": key, "text": text, "done": ""}
        return self._html("told.html", values, request, None, status)

    async def _refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._told(request, status, "missing" if status == 404 else "refused")

    async def _sent(self, request: Request) -> dict[str, str] | Response:
        """Return the fields of a form that was ours, or what is answered to one that was not."""
        try:
            fields = await asking.form(request.stream())
        except SettingsError as error:
            return self._told(request, 400, "failed", str(error))
        except ClientDisconnect:  # before its end: nobody is there to be told
            return Response(status_code=400)
        if not self._access.marked(request.state.session, fields.pop("mark", "")):
            return self._told(request, 403, "stale")
        return fields

    async def _done(self, request: Request) -> Response:
        """Do what a form asks; then show the page it was on."""
        fields = await self._sent(request)
        if isinstance(fields, Response):
            return fields
        back = asking.way_back(fields.pop("back", "/"))
        what = str(request.path_params["what"])
        try:
            answer = await asking.ask(self._agent, what, fields)
        except SettingsError as error:
            return self._told(request, 400, "failed", str(error))
        if failed := asking.failure(answer):
            return self._told(request, 409, "failed", failed)
        done = what if answer is not None else "begun"
        return RedirectResponse(f"{request.state.root}{back}?done={done}", 303)

    async def _events(self, _: Request) -> Response:
        if self._live.full:
            return PlainTextResponse(say("door.full"), 503)
        stream = self._live.stream(self._agent.snapshot)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def _login(self, request: Request) -> Response:
        """Ask for the token."""
        if self._access.allows(request.state.session):
            return RedirectResponse(f"{request.state.root}/", 303)
        return self._asked(request, 200)

    def _asked(self, request: Request, status: int, why: str = "") -> HTMLResponse:
        """Return the login, with why a token was not taken: wrong or wait."""
        values = {"name": "login", "wrong": why == "wrong", "wait": why == "wait", "done": ""}
        return self._html("login.html", values, request, None, status)

    async def _leave(self, request: Request) -> Response:
        """End a session: its browser forgets it."""
        fields = await self._sent(request)
        if isinstance(fields, Response):
            return fields
        return self._in(request, self._access.begin(self._clock(), known=False), "/login")

    def _in(self, request: Request, session: Session, path: str) -> Response:
        """Go on to a page in another session."""
        root = request.state.root
        going = RedirectResponse(f"{root}{path}", 303)
        going.headers["Set-Cookie"] = written(
            request.state.cookie, self._access.cookie(session), session, request.scope
        )
        return going

    async def _enter(self, request: Request) -> Response:
        """Take a token: a session begins that may come in."""
        now, address = self._clock(), request.client.host if request.client else ""
        fields = await self._sent(request)
        if isinstance(fields, Response):
            return fields
        if self._access.wait(address, now):
            answer = self._asked(request, 429, "wait")
            answer.headers["Retry-After"] = "60"
            return answer
        if not self._access.right(fields.get("token", ""), address, now):
            return self._asked(request, 401, "wrong")
        return self._in(request, self._access.begin(now, known=True), "/")
