"""One job at a time beside the fast loop: how far it is, what was asked meanwhile, and how it ended."""

import ctypes
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from edge.core.errors import EdgeError
from edge.learning import Outcome
from edge.requests import Request
from edge.synthesis import Progress

MOST_WAITING = 8  # requests kept for later; beyond them who asks is told so


class Work:
    """Runs jobs in a thread of its own; all but `tell` is for the thread of the fast loop."""

    def __init__(self, on_progress: Progress | None = None) -> None:
        """Nothing is under way; `on_progress` hears how far a job is, in the job's thread."""
        self.progress: dict[str, Any] | None = None  # of the job under way: job, scene, what, done, of
        self.own = False  # whether the job under way is one the agent gave itself
        self.waiting: deque[Request] = deque()
        self._hears_progress = on_progress
        self._worker = ThreadPoolExecutor(1, "slow")
        self._job: tuple[Request, Future[Outcome]] | None = None

    @property
    def busy(self) -> bool:
        """Tell whether a job is under way, or has ended and was not taken in yet."""
        return self._job is not None

    def begin(self, request: Request, job: Callable[[], Outcome], *, own: bool = False, doing: str = "") -> None:
        """Run a job; `doing`: what it is, where that is not what was asked."""
        self.own = own
        scene = str(request.scene or "")
        self.progress = {"job": doing or request.what, "scene": scene, "what": "", "done": 0, "of": 0}
        self._job = (request, self._worker.submit(job))

    def tell(self, what: str, done: int, of: int) -> None:
        """Keep how far the job is; called in the job's own thread."""
        if self.progress is not None:
            self.progress = {**self.progress, "what": what, "done": done, "of": of}
        if self._hears_progress is not None:
            self._hears_progress(what, done, of)

    def ended(self) -> tuple[Request, Outcome] | None:
        """Return, once, what was asked and how it ended; None while it goes on.

        Raises whatever a job has raised that is no EdgeError: it ends the process, and the supervisor restarts it.
        """
        if self._job is None or not self._job[1].done():
            return None
        (request, job), self._job, self.progress = self._job, None, None
        try:
            return request, job.result()
        except EdgeError as error:
            return request, Outcome(None, {"abandoned": str(error)})

    def close(self) -> None:
        """Wait for the job's thread to end."""
        self._worker.shutdown(cancel_futures=True)


def give_back() -> None:
    """Give the system back what an ended job has used: glibc would keep more for the next one than all the rest is."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
