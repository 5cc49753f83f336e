"""What a language model writes: any text at all, and whatever its grammar lets it say.

The first line of an input holds the home's behaviors, `device:control` parted by tabs; the second the sequence it was
given, three letters a behavior (day, hour, which); the rest is the reply. A reply of `?` and bytes is not text but the
choices by which a reply is drawn from the grammar.
"""

from itertools import pairwise

from edge.core.dictionary import Dictionary
from edge.core.errors import MessageError
from edge.core.grammar import grammar
from edge.core.prompts import Labels
from edge.core.replies import WEEK, read_reply, reply_text
from edge.core.sequences import FORWARD, LENGTH, Sequence, Step
from fuzz.drawing import drawn

_REASONS = frozenset({"not in the dictionary", "a behavior kept twice", "no time"})


def replies(data: bytes) -> None:
    """Read a reply; what was read is a sequence of this home that survives its own text."""
    home, _, rest = data.partition(b"\n")
    given, _, reply = rest.partition(b"\n")
    pairs = [_pair(part.decode("utf-8", "replace")) for part in home.split(b"\t", 20)]
    labels = Labels.of(pairs, Dictionary.of(pairs))
    source = tuple(_step(given[place : place + 3], pairs) for place in range(0, min(len(given), 3 * LENGTH) - 2, 3))
    held = reply[:1] == b"?"
    text = drawn(grammar(labels), reply[1:]) if held else reply.decode("utf-8", "replace")
    try:
        found = read_reply(text, source, labels)
    except MessageError as error:
        assert error.reason in _REASONS, error.reason
        assert not (held and error.reason == "not in the dictionary"), text
        return
    _sequence(found, source, labels)


def _pair(said: str) -> tuple[str, str]:
    device, _, control = said.partition(":")
    return device or "lamp", control or "state ON"


def _step(said: bytes, pairs: list[tuple[str, str]]) -> Step:
    return Step(said[0] % 7, said[1] % 24, *pairs[said[2] % len(pairs)])


def _sequence(found: Sequence, source: Sequence, labels: Labels) -> None:
    assert len(found) <= LENGTH
    known = set(labels.texts)
    for step in found:
        assert 0 <= step.day < 7, step
        assert 0 <= step.hour < 24, step
        assert (step.device, step.control) in known, step
    hours = [step.day * 24 + step.hour for step in found]
    if all((after - before) % WEEK <= FORWARD for before, after in pairwise(hours)):
        text = reply_text(found, source, labels)
        assert "\n" not in text, text
        assert read_reply(text, source, labels) == found, text
