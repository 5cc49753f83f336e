"""What the tests of the dialects ask: what was read, or the reason there was nothing."""

import pytest

from edge.core.errors import MessageError
from edge.dialects.payloads import REASONS


def reason(reader, sent) -> str:
    """Return why a message is no event; it must be one of the fixed reasons."""
    with pytest.raises(MessageError) as caught:
        reader.events(sent)
    assert caught.value.reason in REASONS
    return caught.value.reason


def outcome(read, *arguments):
    """Return what was read, or the reason there was nothing."""
    try:
        return read(*arguments)
    except MessageError as error:
        return error.reason
