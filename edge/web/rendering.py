"""Templates to pages: everything that is put in is escaped, and every link is under the path the page is seen at."""

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from edge import __version__
from edge.web.strings import say


class Rendering:
    """Fills templates. A name that is missing is an error, never an empty place."""

    def __init__(self, menu: Iterable[tuple[str, str]]) -> None:
        """Take the navigation: (name, path) of each page in it."""
        self._environment = Environment(
            loader=PackageLoader("edge.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(say=say, menu=tuple(menu), version=__version__)

    def page(self, template: str, values: Mapping[str, Any], root: str) -> str:
        """Return one page; `root`: the path it is seen under, "" for none."""

        def link(path: str) -> str:
            return f"{root}{path}"

        return self._environment.get_template(template).render(values, link=link, root=root)
