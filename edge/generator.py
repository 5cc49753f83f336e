"""Starts and watches the generation child process; a request in, replies or a GenerationError out."""

import importlib.util
import json
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

GRACE = 20.0  # seconds a child may overrun its own deadline (loading, the last reply) before it is killed


@dataclass(frozen=True)
class Limits:
    """What a generation may take: seconds, megabytes of memory beside the model file, threads, niceness."""

    seconds: float = 600.0
    memory_mb: int = 2048
    threads: int = 2
    nice: int = 10
    context: int = 2048
    max_tokens: int = 256


class Generator:
    """A language model file, run in a niced child process within limits."""

    def __init__(self, model: Path, limits: Limits, *, grammar: bool = True) -> None:
        self.model = model
        self.limits = limits
        self.grammar = grammar
        self._child: subprocess.Popen[str] | None = None

    def generate(
        self,
        prompts: Items[Prompt],
        *,
        seed: int,
        temperature: float = 0.7,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Replies:
        """Ask the fullest prompt that fits the model's context; raises GenerationError with the reason."""
        if not self.model.is_file():
            raise GenerationError(f"no language model at {self.model.name}: see `sceneshift doctor`")
        if importlib.util.find_spec("llama_cpp") is None:
            raise GenerationError("llama-cpp-python is not installed: pip install 'sceneshift[llm]'")
        job = {
            "model": str(self.model),
            "prompts": [asdict(prompt) for prompt in prompts],
            "grammar": self.grammar,
            "seed": seed,
            "temperature": temperature,
            "top_p": 0.95,
            "memory": self.limits.memory_mb * 2**20 + self.model.stat().st_size,
            **{key: getattr(self.limits, key) for key in ("threads", "nice", "context", "max_tokens", "seconds")},
        }
        return self._run(job, len(prompts[0].requests), on_progress)

    def stop(self) -> None:
        """End a running generation; it then raises GenerationError."""
        if self._child is not None:
            self._child.kill()

    def _run(self, job: dict[str, Any], count: int, on_progress: Callable[[int, int], None] | None) -> Replies:
        with subprocess.Popen(  # the model's file and memory stay in the child
            [sys.executable, "-m", "edge.workers.generate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as child:
            self._child = child
            killer = threading.Timer(self.limits.seconds + GRACE, child.kill)
            killer.daemon = True
            killer.start()
            started = time.monotonic()
            try:
                assert child.stdin is not None
                assert child.stdout is not None
                _send(child.stdin, job)
                found = _collect(_lines(child.stdout), Replies(self.model.name), count, on_progress)
            finally:
                killer.cancel()
                child.kill()
                child.wait()
                self._child = None
        if not found.texts:
            overrun = time.monotonic() - started >= self.limits.seconds
            why = f"it wrote nothing in {self.limits.seconds:.0f} s" if overrun else f"it ended with {child.returncode}"
            raise GenerationError(f"the language model gave no reply: {why}")
        return found


def _send(stream: IO[str], job: dict[str, Any]) -> None:
    try:
        stream.write(json.dumps(job))
        stream.close()
    except BrokenPipeError as error:
        raise GenerationError("the generation process died before it read its job") from error


def _lines(stream: IO[str]) -> Iterator[dict[str, Any]]:
    for line in stream:
        try:
            parsed = json.loads(line)
        except json.JSONDecodeError:
            continue  # a library's own print, or the torn last line of a killed child
        if isinstance(parsed, dict):
            yield parsed


def _collect(
    lines: Iterator[dict[str, Any]], found: Replies, count: int, on_progress: Callable[[int, int], None] | None
) -> Replies:
    started = time.monotonic()
    for line in lines:
        match line.get("kind"):
            case "error":
                raise GenerationError(str(line["reason"]))
            case "ready":
                found.sha256, found.prompt = str(line["sha256"]), str(line["prompt"])
                started = time.monotonic()
            case "reply":
                found.texts[int(line["index"])] = str(line["text"])
                found.prompt_tokens += int(line["prompt_tokens"])
                found.generated_tokens += int(line["generated_tokens"])
                found.seconds = time.monotonic() - started
                if on_progress:
                    on_progress(len(found.texts), count)
    return found
