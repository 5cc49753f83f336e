"""Which alerts have reached the broker: it sends each back into our own session, which outlives the process.

An alert is kept before it is told; who is killed in between has told nobody. So what was kept and has not come back is
told again: but only behind a mark that we send to ourselves, for all that was told before a kill comes back before it.
Nobody is told twice then, unless the broker and we are killed within the moment that a receipt takes.
"""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from edge.core.events import Message
from edge.core.verdicts import SENT, Alert

ALERT, MARK = "alert", "alert/mark"  # topics under our prefix
RECEIPTS = "receipts"  # the fact: all alerts `up_to` a number have come back, `but` these
LATE = 7 * 86400.0  # seconds after which an alert is not told any more: its sentence names a day of the week


class Keeping(Protocol):
    """Where alerts and small facts are kept (edge/store.py)."""

    def alerts(self, since: float, states: Collection[str]) -> list[Alert]:
        """Return the alerts from a time on that are in one of these states."""
        ...

    def alert(self, number: int) -> Alert | None:
        """Return an alert."""
        ...

    def fact(self, key: str, default: Any) -> Any:
        """Return a fact."""
        ...

    def set_fact(self, key: str, value: Any) -> None:
        """Keep a fact."""
        ...


class Receipts:
    """What was told, and what is still to be told from before this process began."""

    def __init__(
        self, store: Keeping, prefix: str, publish: Callable[[str, Mapping[str, Any]], None], mark: str, now: float
    ) -> None:
        """Take up what no receipt came for. `mark`: no other process's; `now`: the home's, seconds since the epoch."""
        self._store = store
        self._publish = publish
        self._mark = mark
        self._alert, self._marks = f"{prefix}/{ALERT}", f"{prefix}/{MARK}"
        sent = {alert.id: alert for alert in store.alerts(float("-inf"), (SENT,))}
        newest = max(sent, default=0)
        kept = store.fact(RECEIPTS, None)
        if not isinstance(kept, dict):
            kept = {"up_to": newest, "but": []}  # a record from before there were receipts: all was told
        self._up_to = int(kept["up_to"])
        but = set(kept["but"])
        self._due = {  # alerts to be told when the mark comes back
            number: alert
            for number, alert in sent.items()
            if (number > self._up_to or number in but) and abs(now - alert.time) < LATE
        }
        self._open = set(self._due)  # those of them that have not come back
        self._up_to = max(self._up_to, newest)
        self._before: tuple[int, set[int]] = (0, set())  # what was told when the newest mark was sent
        self._marks_sent = 0
        self._keep()

    def topics(self) -> list[str]:
        """Return the filters to subscribe to."""
        return [self._alert, self._marks]

    def concerns(self, message: Message) -> bool:
        """Tell whether a message is one of our own that has come back."""
        return message.topic in {self._alert, self._marks}

    def ask(self, newest: int) -> None:
        """Send ourselves a mark, where it has something to tell; called at every connection.

        `newest`: the alert that was told last. What this process has told comes back before the mark, or its receipt
        was lost with the broker: then it was told, too.
        """
        self._before = newest, self._open - set(self._due)
        if self._open or newest > self._up_to:
            self._marks_sent += 1
            self._publish(MARK, {"mark": f"{self._mark} {self._marks_sent}"})

    def hear(self, message: Message) -> None:
        """Take in a receipt, or our newest mark: then what is due is told; anybody else's is ignored."""
        try:
            body = json.loads(message.payload)
            if message.topic == self._alert:
                self._receive(int(body["alert"]))
            elif body["mark"] == f"{self._mark} {self._marks_sent}":
                self._tell()
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return

    def _receive(self, number: int) -> None:
        if number in self._open or (self._up_to < number < 2**63 and self._store.alert(number) is not None):
            self._due.pop(number, None)
            self._open.discard(number)
            self._up_to = max(self._up_to, number)
            self._keep()

    def _tell(self) -> None:
        newest, told = self._before
        self._up_to = max(self._up_to, newest)
        self._open -= told
        due, self._due = self._due, {}
        for alert in due.values():
            self._publish(ALERT, _told(alert))
        self._keep()

    def _keep(self) -> None:
        self._store.set_fact(RECEIPTS, {"up_to": self._up_to, "but": sorted(self._open)})


def _told(alert: Alert) -> dict[str, Any]:
    """Return what is told of an alert from what was kept: all but what was expected next."""
    told: dict[str, Any] = {
        "alert": alert.id,
        "sentence": alert.sentence,
        "t": alert.time,
        "score": alert.score,
        "threshold": alert.threshold,
        "unusual": True,
        "quiet": "",
    }
    why = alert.explanation
    if why is not None:
        told |= {"t": why.time, "device": why.device, "control": why.control, "explanation": why.as_json()}
    return told
