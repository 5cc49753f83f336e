"""JSON lines as `sceneshift export` writes them: `{"t": time, "device": id, "control": what was done}`."""

from datetime import tzinfo

from edge.core.errors import MessageError
from edge.core.events import Event
from edge.dialects.payloads import LONGEST_CONTROL, LONGEST_NAME, parsed, word
from edge.importers.lines import Read
from edge.importers.past import Reported, moment


def reading(zone: tzinfo) -> Read:
    """Return how a line is read; `zone`: of times without an offset. `name`, where there is one, is the shown name."""

    def read(line: str) -> Reported:
        row = parsed(line)
        if not isinstance(row, dict):
            raise MessageError("malformed")
        time = moment(row.get("t", row.get("time")), zone)
        device = word(row.get("device"), LONGEST_NAME)
        name = word(row.get("name", device), LONGEST_NAME)
        return Reported(Event(time, device, name, "", word(row.get("control"), LONGEST_CONTROL), momentary=True))

    return read
