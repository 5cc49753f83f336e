"""CASAS text: `2010-11-04 00:03:50.209589 M003 ON`, parted by blanks or tabs, what people were at behind it.

The data sets of Washington State University (Cook et al., CASAS: a smart home in a box, IEEE Computer 2013). The first
letters of a sensor say what it is; an item's word says whether it lies in its place. Numbers are measurements.
"""

import re
from datetime import datetime, tzinfo

from edge.core.errors import MessageError
from edge.core.events import Event
from edge.dialects.payloads import word
from edge.importers.lines import Read
from edge.importers.past import MEASURED, Reported, moment

LINE = re.compile(
    r"\s*(\d{4})[-/](\d{1,2})[-/](\d{1,2})[\sT]+(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d{1,9})?\s+([^\s,;{}\[\]\"]+)\s+(\S.*)"
)
_SENSES = {  # by the letters before a sensor's number: property, class, and the words of its states
    "M": ("motion", "motion", {"ON": "detected", "OFF": "clear"}),
    "MA": ("motion", "motion", {"ON": "detected", "OFF": "clear"}),
    "D": ("contact", "contact", {"OPEN": "open", "CLOSE": "closed", "ON": "open", "OFF": "closed"}),
    "I": ("presence", "other", {"PRESENT": "present", "ABSENT": "absent", "ON": "present", "OFF": "absent"}),
    "L": ("state", "light", {"ON": "on", "OFF": "off"}),
}
_SAID = frozenset({"ON", "OFF", "OPEN", "CLOSE", "PRESENT", "ABSENT", "START", "END", "START_INSTRUCT"})
_TEMPERATURE = frozenset({"T", "LS", "BAT", "BATV", "BATP", "P", "E"})  # of light, batteries and power, too


def reading(zone: tzinfo) -> Read:
    """Return how a line is read; its times are local in `zone`."""

    def read(line: str) -> Reported:
        found = LINE.match(line)
        if found is None:
            raise MessageError("malformed")
        *date, fraction, sensor, rest = found.groups()
        time = _time([int(part) for part in date], fraction or "", zone)
        device = word(sensor)
        letters = re.match(r"[A-Za-z]*", device)
        kind = letters.group().upper() if letters else ""
        said = next((each.upper() for each in rest.split() if each.upper() in _SAID), "")
        if kind in _TEMPERATURE or not said:
            raise MessageError(MEASURED)
        prop, sort, words = _SENSES.get(kind, ("state", "", {}))
        return Reported(Event(time, device, device, prop, words.get(said, said.lower()), kind=sort))

    return read


def _time(parts: list[int], fraction: str, zone: tzinfo) -> float:
    try:
        year, month, day, hour, minute, second = parts
        whole = datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()
    except (ValueError, OverflowError) as error:
        raise MessageError("bad time") from error
    return moment(whole + float(f"0{fraction}"), zone)
