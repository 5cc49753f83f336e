"""Where requests arrive: over MQTT or from a thread of this process. Each is done or handed on, and answered."""

import queue
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from edge.core.behaviors import Entry
from edge.core.bucket import Bucket
from edge.core.errors import MessageError, SettingsError
from edge.core.events import Message
from edge.jobs import Jobs
from edge.requests import Request, Requests

HEEDED = {"mute", "feedback", "mode", "alarms", "alerts"}  # requests done at once
AT_ONCE, AGAIN = 20.0, 0.1  # requests over MQTT that are done at once, and seconds until one more is
BUSY = "too many requests: ask again in a second"


class Desk:
    """Takes requests, and tells who asked what became of them. Only `ask` is for other threads than the loop's."""

    def __init__(self, requests: Requests, send: Callable[[str, str], object], announce: Callable[[], None]) -> None:
        """Take how requests are read, how answers are sent, and who tells everybody what has changed."""
        self.requests = requests
        self.announce = announce
        self.refused: Counter[str] = Counter()  # requests nobody had the time for
        self._send = send
        self._allowed = Bucket.full(AT_ONCE, AGAIN, time.monotonic())
        self._asked: queue.SimpleQueue[Request] = queue.SimpleQueue()  # by other threads of this process
        self._futures: dict[str, Future[dict[str, Any]]] = {}  # their answers to come, by transaction

    def ask(self, request: Request) -> "Future[dict[str, Any]]":
        """Ask from another thread: done by the loop's own, answered as over MQTT (status, data, error)."""
        mark = uuid.uuid4().hex
        future: Future[dict[str, Any]] = Future()
        self._futures[mark] = future
        self._asked.put(replace(request, transaction=mark))
        return future

    def close(self) -> None:
        """Answer nobody any more."""
        for waiting in self._futures.values():
            waiting.cancel()

    def hear(self, messages: Iterable[Message], jobs: Jobs) -> list[Entry]:
        """Do what requests over MQTT ask, or say why not; return what is no request, to be counted."""
        return [entry for message in messages if (entry := self._obey(message, jobs)) is not None]

    def heed_threads(self, jobs: Jobs) -> None:
        """Do what other threads of this process have asked."""
        while not self._asked.empty():
            self.do(self._asked.get(), time.time(), jobs)

    def do(self, request: Request, now: float, jobs: Jobs) -> None:
        """Do what is asked, at once or as a job; `now` by the wall clock."""
        if request.what not in HEEDED:
            jobs.ask(request)
            return
        data, wrong = {}, ""
        try:
            data = _heeded(request, now, jobs)
        except SettingsError as error:
            wrong = str(error)
        self.announce()
        if request.what == "mode" and not wrong:
            jobs.ask(request)
        else:
            self.answer(request.what, data, error=wrong, transaction=request.transaction)

    def answer(self, what: str, data: Mapping[str, Any], *, error: str = "", transaction: str = "") -> None:
        """Answer a request to who asked: a thread of this process, or over MQTT."""
        if (waiting := self._futures.pop(transaction, None)) is not None:
            status = {"status": "error", "error": error} if error else {"status": "ok"}
            if waiting.set_running_or_notify_cancel():
                waiting.set_result({**status, "data": dict(data)})
            return
        self._send(*self.requests.answer(what, data, error=error, transaction=transaction))

    def _obey(self, message: Message, jobs: Jobs) -> Entry | None:
        try:
            request = self.requests.read(message)
            if self._allowed.take(time.monotonic()):
                self.do(request, message.time, jobs)
            else:
                self.refused["requests"] += 1
                self.answer(request.what, {}, error=BUSY, transaction=request.transaction)
        except MessageError as error:
            return Entry(message, rejected=error.reason)
        except SettingsError as error:
            self.answer(self.requests.what(message), {}, error=str(error))
        return None


def _heeded(request: Request, now: float, jobs: Jobs) -> dict[str, Any]:
    """Keep what a person says of alerts or chooses, and return what holds; raises SettingsError."""
    alerts, choices = jobs.watch.alerts, jobs.choices
    match request.what:
        case "mute":
            return alerts.mute(request.device, request.minutes, now)
        case "feedback":
            return alerts.feedback(request.alert, request.verdict)
        case "alarms":
            choices.choose_alarms(request.number)
        case "alerts":
            choices.choose_alerts(on=request.on)
        case _:
            choices.choose_mode(request.mode)
    jobs.heed_choices()
    return choices.status()
