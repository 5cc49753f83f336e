"""The page's routes and forms as OpenAPI says it, built from what the page itself is built from."""

import re
from typing import Any

from edge.core.scenes import HOUSE_MODES, NAMES
from edge.requests import LAST, NOW, WHATS
from edge.web.door import HEADERS
from edge.web.pages import PAGES

_TEXT = {"type": "string", "maxLength": 300}
_QUERY = {"/": ("day", "done"), "/alerts": ("show", "done"), "/learned": ("device", "done")}
_SENT = ("Origin", "X-Ingress-Path", "Sec-Fetch-Site", "Referer", "Accept-Language", "Cookie")
_NUMBER = {"type": "string", "pattern": r"^-?[0-9]{1,30}(\.[0-9]{1,5})?$"}


def _chosen(*words: str) -> dict[str, Any]:
    """Return what a field may be: one of the words, a number, or any text."""
    return {"anyOf": [*([{"enum": list(words)}] if words else []), _NUMBER, _TEXT]}


_FIELDS = {
    "scene": _chosen(NOW, *NAMES[:9]), "mode": _chosen(*HOUSE_MODES), "verdict": _chosen("fine", "wrong"),
    "alert": _chosen(LAST, "1", "2"), "device": _chosen("*", "lamp"), "minutes": _chosen("30", "0"),
    "number": _chosen("1"), "on": _chosen("on", "off"), "token": _chosen(), "back": _chosen("/", "//x", "/alerts"),
    "mark": _TEXT,
}  # fmt: skip
_BESIDE = {"mute": ("device",), "feedback": ("alert",)}  # of a kind of request, beside the field that WHATS names


def description(*, strange: bool) -> dict[str, Any]:
    """Return the document; `strange`: with headers that no browser of ours sends, by which most get no further."""
    paths: dict[str, Any] = {}
    for page in PAGES:
        path = page.path.replace(":int", "")
        found = [_parameter("path", name) for name in re.findall(r"{(\w+)}", path)]
        found += [_parameter("query", name) for name in _QUERY.get(path, ("done",))]
        paths[path] = {"get": _operation(found, (200, 303, 401, 403, 404, 429))}
    for what, field in WHATS.items():
        fields = [each for each in (field, *_BESIDE.get(what, ())) if each]
        paths[f"/do/{what}"] = {"post": _operation([], (303, 400, 401, 403, 409, 429), fields)}
    paths["/do/{what}"] = {
        "post": _operation([_parameter("path", "what")], (303, 400, 401, 403, 404, 405, 409, 429), ["scene"])
    }
    paths["/login"] = {
        "get": _operation([], (200, 303, 403, 429)),
        "post": _operation([], (303, 400, 401, 403, 429), ["token"]),
    }
    paths["/logout"] = {"post": _operation([], (303, 400, 401, 403, 429), [])}
    paths["/static/{file}"] = {"get": _operation([_parameter("path", "file")], (200, 304, 401, 403, 404, 405, 429))}
    for path in paths.values() if strange else ():
        for operation in path.values():
            operation["parameters"] += [_parameter("header", name) for name in _SENT]
    return {"openapi": "3.1.0", "info": {"title": "the page", "version": "1"}, "paths": paths}


def _parameter(where: str, name: str) -> dict[str, Any]:
    schema = {"type": "integer"} if name == "number" else _TEXT
    return {"in": where, "name": name, "required": where == "path", "schema": schema}


def _operation(
    parameters: list[dict[str, Any]], codes: tuple[int, ...], form: list[str] | None = None
) -> dict[str, Any]:
    """Return one operation; every answer of ours carries the headers that keep a browser safe."""
    kept = {name: {"required": True, "schema": {"type": "string"}} for name in HEADERS}
    answers = {
        str(code): {
            "description": "",
            "headers": kept,
            **({"content": {kind: {} for kind in _KINDS}} if code not in {303, 304} else {}),
        }
        for code in codes
    }
    found: dict[str, Any] = {"parameters": list(parameters), "responses": answers}
    if form is not None:
        fields = {name: _FIELDS[name] for name in (*form, "mark", "back")}
        schema = {"type": "object", "properties": fields, "required": ["mark"]}
        found["requestBody"] = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}
    return found


_KINDS = ("text/html", "text/plain", "text/css", "text/javascript", "application/javascript", "image/svg+xml")
