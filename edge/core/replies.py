"""A reply of the language model: what stays of the sequence it was given, named by letter, and what joins, written out.

Copying ten behaviors token by token is where a small model loses its place, so it need not: `b; 23 c; Fan:switch on`
keeps the second behavior as it was, moves the third to 23 h, and lets the fan be switched on then. A move holds for
what is kept behind it, until the next one: a night shift is one move, not ten.
"""

import re

from edge.core.errors import MessageError
from edge.core.prompts import DAY_NAMES, LETTERS, NOTHING, Labels
from edge.core.sequences import DAYS, FORWARD, LENGTH, Sequence, Step

WEEK = DAYS * 24
_WHEN = re.compile(r"(?:(?:({}) )?([0-9][0-9]) )?(.+)".format("|".join(DAY_NAMES)))


def reply_text(reply: Sequence, source: Sequence, labels: Labels) -> str:
    """Write what becomes of a source sequence on one line."""
    if not reply:
        return NOTHING
    parts: list[str] = []
    last, shift, now = -1, 0, -1
    for step in reply:
        at = _hours(step)
        found = _match(step, source, last, shift)
        if found is None:
            text, expected = labels.texts[step.device, step.control], now
        else:
            text, expected = LETTERS[found], (_hours(source[found]) + shift) % WEEK
            last, shift = found, (at - _hours(source[found])) % WEEK
        when = "" if at == expected else f"{step.hour:02d} "
        if when and (now < 0 or now // 24 != step.day):
            when = f"{DAY_NAMES[step.day]} {when}"
        now = at
        parts.append(when + text)
    return "; ".join(parts)


def read_reply(text: str, source: Sequence, labels: Labels) -> Sequence:
    """Read one reply line to a source sequence, at most LENGTH behaviors of it.

    Raises MessageError with the reason it is no sequence of this home.
    """
    line = text.strip()
    if line == NOTHING:
        return ()
    steps: list[Step] = []
    last, shift, now = -1, 0, -1
    for part in line.split("; "):
        match = _WHEN.fullmatch(part)
        if match is None:
            raise MessageError("not in the dictionary")
        told = _told(match[1], match[2], now)
        kept = LETTERS.find(match[3]) if len(match[3]) == 1 else -1
        if kept >= len(source):
            continue  # a letter of nothing keeps nothing
        if kept >= 0:
            if kept <= last:
                raise MessageError("a behavior kept twice")
            begins = _hours(source[kept])
            last, shift = kept, shift if told is None else (told - begins) % WEEK
            now, pair = (begins + shift) % WEEK, (source[kept].device, source[kept].control)
        elif match[3] in labels.pairs:
            now, pair = now if told is None else told, labels.pairs[match[3]]
        else:
            raise MessageError("not in the dictionary")
        if now < 0:
            raise MessageError("no time")
        steps.append(Step(now // 24, now % 24, *pair))
    return tuple(steps[:LENGTH])


def _told(day: str | None, hour: str | None, now: int) -> int | None:
    """Return the hour of the week a part names, None where it names none, or one that lies behind."""
    if hour is None:
        return None
    if int(hour) > 23 or (day is None and now < 0):
        raise MessageError("no time")
    told = (DAY_NAMES.index(day) if day else now // 24) * 24 + int(hour)
    return None if now >= 0 and (told - now) % WEEK > FORWARD else told


def _hours(step: Step) -> int:
    return step.day * 24 + step.hour


def _match(step: Step, source: Sequence, last: int, shift: int) -> int | None:
    """Return which of the source's further behaviors a step is: the one at its time, else the first alike."""
    alike = [place for place in range(last + 1, len(source))
             if (source[place].device, source[place].control) == (step.device, step.control)]  # fmt: skip
    timely = (place for place in alike if (_hours(source[place]) + shift) % WEEK == _hours(step))
    return next(timely, alike[0] if alike else None)
