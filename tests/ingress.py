"""A proxy as Home Assistant's ingress is one: it shows a page under a path of its own and says so in a header."""

import threading
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.conftest import free_port, listens

ROOT = "/api/hassio_ingress/AbC-1_2"


@contextmanager
def ingress(page):
    """Show the page at `page` under ROOT; yield where."""
    port = free_port()
    upstream = httpx.AsyncClient(base_url=page, timeout=None)

    async def forward(request):
        path = request.url.path.removeprefix(ROOT)
        headers = [*request.headers.raw, (b"x-ingress-path", ROOT.encode())]
        address, body = f"{path}?{request.url.query}", await request.body()
        asked = upstream.build_request(request.method, address, headers=headers, content=body)
        answer = await upstream.send(asked, stream=True)
        told = StreamingResponse(answer.aiter_raw(), answer.status_code)
        told.raw_headers = answer.headers.raw
        return told

    app = Starlette(routes=[Route(f"{ROOT}{{path:path}}", forward, methods=["GET", "POST"])])
    config = uvicorn.Config(app, port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not listens(port):
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{port}{ROOT}"
    finally:
        server.should_exit = True
        thread.join(10)
