"""How a request is put to a model: as plain text, or through the chat template its file brings."""

from posixpath import commonprefix
from typing import Any

import jinja2
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from edge.workers.engine import Engine

DATE = "26 Jul 2024"  # some templates write today's date into the prompt: it would change what is kept
REFUSED = (jinja2.TemplateError, ValueError, TypeError, KeyError)  # a template's ways not to take a message


class Form:
    """The text of a request, and of the part all requests of a home begin with."""

    def __init__(self, engine: Engine) -> None:
        self._formatter: Any = None
        template = engine.template()
        if not template:
            return
        begin, end = engine.marks()
        try:
            self._formatter = Jinja2ChatFormatter(template, eos_token=end, bos_token=begin)
        except REFUSED:
            return
        self._formatter.strftime_now = lambda _form: DATE

    @property
    def chat(self) -> bool:
        """Tell whether the text holds the marks of a chat template."""
        return self._formatter is not None

    def text(self, prompt: dict[str, Any], request: str) -> str:
        """Return all that stands before the reply."""
        head, told = str(prompt["head"]), str(prompt["home"]) + request
        for messages in (
            [{"role": "system", "content": head}, {"role": "user", "content": told}],
            [{"role": "user", "content": head + told}],
        ):
            rendered = self._rendered(messages)
            if head.strip() in rendered and told.strip() in rendered:
                return rendered
        self._formatter = None  # a template that takes neither
        return head + told

    def static(self, prompt: dict[str, Any]) -> str:
        """Return what the texts of all requests of a prompt begin with."""
        return commonprefix([self.text(prompt, "0"), self.text(prompt, "1")])

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        if self._formatter is None:
            return ""
        try:
            return str(self._formatter(messages=messages, enable_thinking=False).prompt)
        except REFUSED:
            return ""
