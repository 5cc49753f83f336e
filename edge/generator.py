"""Starts and watches the generation child process; prompts in, replies or likelihoods or a GenerationError out."""

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Items
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from edge.core.errors import GenerationError
from edge.core.prompts import Prompt, Replies
from edge.secrecy import spared

Progress = Callable[[int, int], None]  # (done, of how many)

GRACE = 20.0  # seconds a child may overrun its own deadline (loading, the last reply) before it is killed

# OpenMP's threads wait for each other busily, for minutes where others need the cores: 35 s became 4.7 s there.
PATIENT = {"GOMP_SPINCOUNT": "1000"}
TINY = 8_000_000  # bytes of a model that gains a quarter by a second thread, and loses all where that has to wait


@dataclass(frozen=True)
class Limits:
    """What a generation may take: seconds, megabytes of memory beside the model file, threads, niceness."""

    seconds: float = 600.0
    memory_mb: int = 2048
    threads: int = 2
    nice: int = 10
    context: int = 8192  # tokens of a prompt and its reply, where the model can hold so many
    max_tokens: int = 256  # of one line
    width: int = 8  # replies written at once


class Generator:
    """A language model file, run in a niced child process within limits."""

    def __init__(
        self,
        model: Path,
        limits: Limits,
        *,
        sha256: str | None = None,
        grammar: bool = True,
        states: Path | None = None,
    ) -> None:
        """Take the file; with `sha256` (hexadecimal) no other content is opened, without it whatever is there."""
        self.model = model
        self.sha256 = sha256
        self.limits = limits
        self.grammar = grammar
        self.states = states  # folder where the evaluated beginning of a home's prompts is kept
        self.timings: dict[str, Any] = {}  # of the last job: what was reused, seconds to the first token
        self._child: subprocess.Popen[str] | None = None
        self._stopped = False

    def generate(
        self,
        prompts: Items[Prompt],
        *,
        seed: int,
        temperature: float = 0.7,
        on_progress: Progress | None = None,
    ) -> Replies:
        """Ask the fullest prompt that fits the model's context; raises GenerationError with the reason."""
        job = {**self._job("write", prompts), "seed": seed, "temperature": temperature, "top_p": 0.95}
        found = Replies(self.model.name)
        why = self._run(job, lambda line: _take(found, line, len(prompts[0].requests), on_progress))
        if not found.texts:
            raise GenerationError(f"the language model gave no reply: {why}")
        found.texts = dict(sorted(found.texts.items()))
        return found

    def rank(
        self, prompt: Prompt, candidates: Items[tuple[int, str]], on_progress: Progress | None = None
    ) -> list[tuple[float, int]]:
        """Return (nats, tokens) of each (request index, reply text): its log-likelihood as the reply to that request.

        The end of the line counts where the text holds it. Raises GenerationError where one cannot be judged.
        """
        found: dict[int, tuple[float, int]] = {}

        def take(line: dict[str, Any]) -> None:
            if line["kind"] == "rank":
                found[int(line["row"])] = float(line["nats"]), int(line["tokens"])
                if on_progress:
                    on_progress(len(found), len(candidates))

        why = self._run({**self._job("rank", [prompt]), "candidates": [list(each) for each in candidates]}, take)
        if len(found) < len(candidates):
            raise GenerationError(f"the language model judged {len(found)} of {len(candidates)} replies: {why}")
        return [found[row] for row in range(len(candidates))]

    def stop(self) -> None:
        """End a running job, which then tells what it has so far or raises GenerationError; none begins after it."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()

    def _job(self, kind: str, prompts: Items[Prompt]) -> dict[str, Any]:
        if not self.model.is_file():
            raise GenerationError(f"no language model at {self.model.name}: see `sceneshift doctor`")
        if importlib.util.find_spec("llama_cpp") is None:
            raise GenerationError("llama-cpp-python is not installed: pip install 'sceneshift[llm]'")
        return {
            "kind": kind,
            "parent": os.getpid(),
            "model": str(self.model),
            "sha256": self.sha256,
            "states": str(self.states) if self.states else None,
            "prompts": [asdict(prompt) for prompt in prompts],
            "grammar": self.grammar,
            **asdict(self.limits),
            "threads": self.limits.threads if self.model.stat().st_size > TINY else 1,
            "memory": self.limits.memory_mb * 2**20 + self.model.stat().st_size,
            "spawned": time.monotonic(),
        }

    def _run(self, job: dict[str, Any], take: Callable[[dict[str, Any]], None]) -> str:
        """Run one job in a child, hand on its lines, and return how it ended; raises GenerationError with its own."""
        if self._stopped:
            raise GenerationError("it was stopped")
        self.timings = {}
        started = time.monotonic()
        with subprocess.Popen(  # the model's file and memory stay in the child
            [sys.executable, "-m", "edge.workers.generate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**spared(), **PATIENT},
            text=True,
        ) as child:
            self._child = child
            killer = threading.Timer(self.limits.seconds + GRACE, child.kill)
            killer.daemon = True
            killer.start()
            try:
                assert child.stdin is not None
                assert child.stdout is not None
                _send(child.stdin, job)
                for line in _lines(child.stdout):
                    if line["kind"] in {"ready", "done"}:
                        self.timings |= line
                    take(line)
            finally:
                killer.cancel()
                child.kill()
                child.wait()
                self._child = None
        overrun = time.monotonic() - started >= self.limits.seconds
        return f"it ran out of its {self.limits.seconds:.0f} s" if overrun else f"it ended with {child.returncode}"


def _send(stream: IO[str], job: dict[str, Any]) -> None:
    try:
        stream.write(json.dumps(job))
        stream.close()
    except BrokenPipeError as error:
        raise GenerationError("the generation process died before it read its job") from error


def _lines(stream: IO[str]) -> Iterator[dict[str, Any]]:
    """Yield the child's lines; raises GenerationError with the reason it gives."""
    for line in stream:
        try:
            parsed = json.loads(line)
        except json.JSONDecodeError:
            continue  # a library's own print, or the torn last line of a killed child
        if not isinstance(parsed, dict) or "kind" not in parsed:
            continue
        if parsed["kind"] == "error":
            raise GenerationError(str(parsed["reason"]))
        yield parsed


def _take(found: Replies, line: dict[str, Any], count: int, on_progress: Progress | None) -> None:
    """Enter one of the child's lines into what was found."""
    if line["kind"] == "ready":
        found.sha256, found.prompt = str(line["sha256"]), str(line["prompt"])
    elif line["kind"] == "reply":
        index = int(line["index"])
        found.texts[index] = str(line["text"])
        if line["reason"] is not None:
            found.reasons[index] = str(line["reason"])
        found.prompt_tokens += int(line["prompt_tokens"])
        found.generated_tokens += int(line["generated_tokens"])
        found.seconds = float(line["seconds"])
        if on_progress:
            on_progress(len(found.texts), count)
