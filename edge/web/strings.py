"""Every word of the page, by key, from one file: another language is another such file."""

import json
from functools import cache
from importlib import resources


@cache
def texts() -> dict[str, str]:
    """Return the page's texts by key."""
    file = resources.files("edge.web") / "strings.json"
    return dict(json.loads(file.read_text(encoding="utf-8")))


def say(key: str, **values: object) -> str:
    """Return one text with its values put in; a number given as `n` picks `KEY.one` where it is 1 and that exists."""
    known = texts()
    if values.get("n") in {1, "1"} and f"{key}.one" in known:
        key = f"{key}.one"
    return known[key].format_map(values)
