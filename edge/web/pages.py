"""The pages: where each is, which template it has, and the view that fills it."""

from collections.abc import Callable
from dataclasses import dataclass

from edge.web import alerts, learned, models, scenes, settings, today
from edge.web.visits import Visit


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `name`: of its template and of its title (`page.NAME`); `menu`: whether the navigation shows it."""

    path: str
    name: str
    view: Callable[[Visit], object]
    menu: bool = True


PAGES = (
    Page("/", "today", today.view),
    Page("/alerts", "alerts", alerts.listed),
    Page("/alerts/{number:int}", "alert", alerts.full, menu=False),
    Page("/learned", "learned", learned.view),
    Page("/scenes", "scenes", scenes.view),
    Page("/scenes/{number:int}", "scene", scenes.view, menu=False),
    Page("/models", "models", models.view),
    Page("/settings", "settings", settings.view),
)
