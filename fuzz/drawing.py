"""A text drawn from a grammar in llama.cpp's notation (GBNF), as far as the hub writes it: a second reading of it."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([a-z][a-z0-9]*)|([()|?]))', re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
MOST = 200  # rules followed for one text


class _Choices:
    """Bytes, one a choice; the first way where they are at an end."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)
        self.left = MOST

    def of(self, count: int) -> int:
        return next(self._data, 0) % count if count > 1 else 0


def drawn(grammar: str, choices: bytes) -> str:
    """Return a text that the grammar's `root` can say; raises ValueError where the grammar is none."""
    rules: dict[str, str] = {}
    for rule in grammar.splitlines():
        name, mark, body = rule.partition(" ::= ")
        if not mark or name in rules:
            raise ValueError(f"no rule: {rule!r}")
        rules[name] = body
    return _said("root", rules, _Choices(choices))


def _said(name: str, rules: dict[str, str], choices: _Choices) -> str:
    choices.left -= 1
    if choices.left < 0:
        raise ValueError("a grammar that never ends")
    tokens = list(_tokens(rules[name]))
    end, text = _either(tokens, 0, rules, choices, wanted=True)
    if end != len(tokens):
        raise ValueError(f"a rule that goes on: {rules[name]!r}")
    return text


def _tokens(body: str) -> Iterator[tuple[str, str]]:
    at = 0
    while body[at:].strip():
        found = _TOKEN.match(body, at)
        if found is None:
            raise ValueError(f"not a rule: {body[at:]!r}")
        at = found.end()
        if found[1] is not None:
            yield "text", re.sub(r"\\(.)", lambda each: _ESCAPES[each[1]], found[1], flags=re.DOTALL)
        else:
            yield ("rule", found[2]) if found[2] else ("mark", found[3])


def _either(
    tokens: list[tuple[str, str]], at: int, rules: dict[str, str], choices: _Choices, *, wanted: bool
) -> tuple[int, str]:
    """Return where the alternatives from `at` on end, and one of them."""
    begins = [at]
    depth, end = 0, at
    while end < len(tokens) and not (depth == 0 and tokens[end] == ("mark", ")")):
        depth += {("mark", "("): 1, ("mark", ")"): -1}.get(tokens[end], 0)
        if depth == 0 and tokens[end] == ("mark", "|"):
            begins.append(end + 1)
        end += 1
    if not wanted:
        return end, ""
    return end, _row(tokens, begins[choices.of(len(begins))], end, rules, choices)


def _row(tokens: list[tuple[str, str]], at: int, end: int, rules: dict[str, str], choices: _Choices) -> str:
    """Return one alternative."""
    said = ""
    while at < end and tokens[at] != ("mark", "|"):
        kind, value = tokens[at]
        group = (kind, value) == ("mark", "(")
        close = _either(tokens, at + 1, rules, choices, wanted=False)[0] if group else at
        optional = close + 1 < end and tokens[close + 1] == ("mark", "?")
        if not optional or choices.of(2):
            if kind == "text":
                said += value
            elif kind == "rule":
                said += _said(value, rules, choices)
            else:
                said += _either(tokens, at + 1, rules, choices, wanted=True)[1]
        at = close + 1 + optional
    return said
