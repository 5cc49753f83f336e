"""What a control says: of which part, in which word, and what undoes it."""

_SAME = {
    "close": "closed", "opened": "open", "true": "on", "false": "off", "lock": "locked", "unlock": "unlocked",
    "long": "hold",
}  # fmt: skip
_PLAIN = frozenset({"", "state", "switch", "power", "relay"})  # parts that say nothing but that it is the device
UNDONE = {"on": "off", "open": "closed", "unlocked": "locked"}  # what lasts until it is undone


def part_and_word(control: str) -> tuple[str, str]:
    """Return the part of a device that a control is of ("" for the device itself) and its word, one for each sense."""
    part, _, word = control.strip().rpartition(" ")
    word = _SAME.get(word.lower(), word.lower())
    return ("" if part.lower() in _PLAIN else part), word
