"""A second reader of grammars (GBNF, the part that ours use), to say whatever a grammar allows."""

import random
import re

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[a-z]+[0-9]*|[()|?]|\{\d+,\d+\})')
RULE = re.compile(r"([a-z]+[0-9]*) ::= (.*)")
ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


class Grammar:
    """The rules of a text, each a tree of ("either", ...), ("all", ...), ("times", part, least, most), text or name."""

    def __init__(self, text):
        """Read every rule; a line that is none, or anything left over, is an error."""
        self.rules = {}
        for line in text.splitlines():
            name, body = RULE.fullmatch(line).groups()
            tokens = []
            while body.strip():
                found = TOKEN.match(body)
                assert found, f"no token of a grammar: {body!r}"
                tokens.append(found[1])
                body = body[found.end() :]
            self.rules[name] = either(tokens)
            assert not tokens, f"left over in {name}: {tokens}"

    def say(self, chance: random.Random, rule="root"):
        """Return one text that the grammar allows, each way as likely as another."""
        return "".join(self._said(self.rules[rule], chance))

    def _said(self, tree, chance):
        match tree:
            case ("either", *ways):
                yield from self._said(chance.choice(ways), chance)
            case ("all", *parts):
                for part in parts:
                    yield from self._said(part, chance)
            case ("times", part, least, most):
                for _ in range(chance.randint(least, most)):
                    yield from self._said(part, chance)
            case ("text", text):
                yield text
            case ("rule", name):
                yield from self._said(self.rules[name], chance)


def either(tokens):
    ways = [several(tokens)]
    while tokens and tokens[0] == "|":
        tokens.pop(0)
        ways.append(several(tokens))
    return ("either", *ways)


def several(tokens):
    parts = []
    while tokens and tokens[0] not in {"|", ")"}:
        token = tokens.pop(0)
        if token == "(":
            part = either(tokens)
            assert tokens.pop(0) == ")"
        elif token.startswith('"'):
            part = ("text", re.sub(r"\\(.)", lambda found: ESCAPES[found[1]], token[1:-1]))
        else:
            part = ("rule", token)
        if tokens and tokens[0] == "?":
            tokens.pop(0)
            part = ("times", part, 0, 1)
        elif tokens and tokens[0].startswith("{"):
            part = ("times", part, *map(int, tokens.pop(0)[1:-1].split(",")))
        parts.append(part)
    assert parts, "an alternative of nothing"
    return ("all", *parts)
