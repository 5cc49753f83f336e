"""Topic templates: levels that are words, placeholders, or `+` for a level to ignore."""

from collections.abc import Iterable, Mapping


class Template:
    """The first levels of a source's topics, some of them placeholders."""

    def __init__(self, text: str, marks: Iterable[str]) -> None:
        """Take the template and which of its levels are placeholders."""
        self.levels = tuple(text.split("/"))
        self._marks = frozenset(marks)

    def filter(self, rest: str = "", values: Mapping[str, str] | None = None) -> str:
        """Return the filter to subscribe to: `+` for every placeholder without a value, then `rest`."""
        known = values or {}
        levels = [known.get(level, "+") if level in self._marks else level for level in self.levels]
        return "/".join([*levels, rest] if rest else levels)

    def read(self, topic: str) -> tuple[dict[str, str], list[str]] | None:
        """Return what stands at the placeholders and the levels that follow; None where the topic does not fit."""
        levels = topic.split("/")
        pairs = list(zip(self.levels, levels, strict=False))
        if len(pairs) < len(self.levels) or any(mark not in {said, "+"} | self._marks for mark, said in pairs):
            return None
        return {mark: said for mark, said in pairs if mark in self._marks}, levels[len(pairs) :]
