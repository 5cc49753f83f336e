"""The generation child: a llama.cpp model writes replies held to a grammar, or tells how likely given ones are.

Reads one JSON job on standard input, writes one JSON object a line to standard output. It dies alone: a malformed
grammar or model file can take this process down, never the agent. And it dies with the agent.
"""

import hashlib
import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge.workers.chat import Form
from edge.workers.engine import UBATCH, Engine, Unusable
from edge.workers.lifeline import bind
from edge.workers.memory import peak_rss_mb
from edge.workers.ranking import Candidate, most, ranked
from edge.workers.sampling import Chances, compiled
from edge.workers.states import States
from edge.workers.writing import Asked, Desk, common

MARGIN = 8  # tokens left free for the marks a model adds
DEFAULT_CONTEXT = 2048  # tokens; more than our longest prompt, and what a small hub's memory holds


def say(**fields: Any) -> None:
    """Write one line to the parent."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Told:
    """A prompt in the model's tokens: what all requests begin with, and each request whole."""

    prompt: dict[str, Any]
    static: tuple[int, ...]
    requests: tuple[tuple[int, ...], ...]
    shared: tuple[int, ...]  # how many of a request's tokens `static` holds

    @property
    def longest(self) -> int:
        """The tokens of the longest request alone."""
        return max((len(each) - held for each, held in zip(self.requests, self.shared, strict=True)), default=0)


def told(engine: Engine, form: Form, prompt: dict[str, Any]) -> Told:
    """Cut a prompt into tokens."""

    @cache
    def cut(request: str) -> tuple[tuple[int, ...], int]:
        tokens = tuple(engine.tokens(form.text(prompt, request), special=form.chat))
        return tokens, common(tokens, static)

    text = form.static(prompt)
    static = tuple(engine.tokens(text, special=form.chat)) if engine.shares else ()
    found = [cut(request) for request in prompt["requests"]]
    static = static[: max((held for _, held in found), default=0)]
    return Told(prompt, static, tuple(tokens for tokens, _ in found), tuple(held for _, held in found))


def fitting(engine: Engine, context: int, job: dict[str, Any]) -> tuple[Form, Told]:
    """Return the fullest prompt that leaves room for a reply."""
    lines = 2 if any(prompt["explained"] and prompt["reasons"] for prompt in job["prompts"]) else 1
    reply = job["max_tokens"] * lines + MARGIN
    form, needed = Form(engine), 0
    for prompt in job["prompts"]:
        found = told(engine, form, prompt)
        needed = max((len(tokens) for tokens in found.requests), default=0)
        if needed + reply <= context:
            return form, found
    raise Unusable(
        f"the smallest prompt of this home needs {needed + reply} tokens, the model's context holds {context}"
    )


def prepare(engine: Engine, found: Told, context: int, job: dict[str, Any], sha256: str) -> dict[str, Any]:
    """Bring the shared part into memory, from disk where it is kept; return how, and how long it took."""
    started = time.monotonic()
    states = States(Path(job["states"])) if job["states"] and found.static else None
    key = (sha256, context, *engine.identity())
    reused = states is not None and states.load(engine, key, found.static)
    if not reused:
        engine.read(found.static)
    seconds = time.monotonic() - started
    kept = reused or (states is not None and states.save(engine, key, found.static))
    return {"static_tokens": len(found.static), "reused": reused, "kept": kept, "static_seconds": seconds}


def planned(engine: Engine, found: Told, job: dict[str, Any]) -> list[Asked]:
    """Give every request its grammars; raises Unusable for a malformed one."""
    prompt = found.prompt
    held = reasons = None
    if job["grammar"]:
        held = compiled(engine, prompt["grammar"])
        reasons = compiled(engine, prompt["reasons"]) if prompt["reasons"] else None
    explained = set(prompt["explained"]) if prompt["reasons"] else set()
    return [
        Asked(index, tokens, shared, (held, reasons) if index in explained else (held,))
        for index, (tokens, shared) in enumerate(zip(found.requests, found.shared, strict=True))
    ]


def write(engine: Engine, asked: list[Asked], job: dict[str, Any]) -> tuple[float, float]:
    """Answer every request, a line to the parent for each; return when the first token was drawn, and the pace.

    The pace: tokens a second of one reply from its first on. Where the width is 1, no prompt's time is in it.
    """
    desk = Desk(engine, job["width"], Chances(job["temperature"], job["top_p"]), job["seed"], job["max_tokens"])
    started = time.monotonic()
    tokens, seconds = 0, 0.0
    for reply in desk.replies(asked, started + job["seconds"]):
        tokens, seconds = tokens + reply.tokens - 1, seconds + reply.seconds
        lines = [line.decode(errors="replace") for line in reply.lines]
        say(
            kind="reply",
            index=reply.index,
            text=lines[0],
            reason=lines[1] if lines[1:] else None,
            prompt_tokens=len(asked[reply.index].tokens) - asked[reply.index].shared,
            generated_tokens=reply.tokens,
            seconds=time.monotonic() - started,
        )
    return desk.first, tokens / seconds if seconds else 0.0


def candidates(engine: Engine, form: Form, found: Told, job: dict[str, Any], context: int) -> list[Candidate]:
    """Cut the replies to judge into tokens, each behind its request; raises Unusable for one too long."""
    out = []
    for number, (index, text) in enumerate(job["candidates"]):
        before = form.text(found.prompt, found.prompt["requests"][index])
        tokens = tuple(engine.tokens(before + text, special=form.chat))
        if len(tokens) > context:
            raise Unusable(f"a reply to judge needs {len(tokens)} tokens, the model's context holds {context}")
        prompt = common((*tokens, -1), found.requests[index])
        out.append(Candidate(number, tokens, prompt, min(found.shared[index], prompt - 1)))
    return out


def rank(engine: Engine, asked: list[Candidate], job: dict[str, Any]) -> None:
    """Judge every reply, a line to the parent for each."""
    for number, nats in ranked(engine, asked, job["width"], time.monotonic() + job["seconds"]):
        say(kind="rank", row=number, nats=nats, tokens=len(asked[number].tokens) - asked[number].prompt)


def work(job: dict[str, Any]) -> None:
    """Do one job, of kind `write` or `rank`; raises Unusable."""
    with Path(job["model"]).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if job["sha256"] not in {None, sha256}:
            raise Unusable("the language model is not the file its manifest describes")
        engine = Engine(f"/proc/self/fd/{file.fileno()}", job["threads"])  # that file, whatever has its name by now
    context = min(engine.trained or DEFAULT_CONTEXT, int(job["context"]))
    form, found = fitting(engine, context, job)
    ranking = job["kind"] == "rank"
    judged = candidates(engine, form, found, job, context) if ranking else []
    asked = [] if ranking else planned(engine, found, job)
    reply = job["max_tokens"] * max((len(each.lines) for each in asked), default=1) + MARGIN
    longest = max((len(each.tokens) - each.shared for each in judged), default=0)
    own = max(UBATCH, longest) if ranking else job["width"] * (found.longest + reply)
    engine.open(len(found.static) + own, job["width"], max(most(engine), longest) if ranking else job["width"])
    ready = prepare(engine, found, context, job, sha256)
    say(kind="ready", sha256=sha256, prompt=found.prompt["name"], context=context, **ready)
    started = time.monotonic()
    measured = {}
    if ranking:
        rank(engine, judged, job)
    else:
        first, pace = write(engine, asked, job)
        measured = {
            "first_seconds": ready["static_seconds"] + first - started,
            "whole_first_seconds": first - job["spawned"],
            "pace": pace,
        }
    peak = peak_rss_mb()
    say(kind="done", seconds=time.monotonic() - started, peak_rss_mb=round(peak, 1), **measured)


def main() -> int:
    """Do the one job on standard input."""
    job = json.load(sys.stdin)
    bind(job["parent"])
    os.nice(job["nice"])
    resource.setrlimit(resource.RLIMIT_AS, (job["memory"], job["memory"]))
    try:
        work(job)
    except Unusable as error:
        say(kind="error", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
