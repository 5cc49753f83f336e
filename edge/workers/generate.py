"""The generation child: a llama.cpp model writes one reply a request, held to a grammar.

Reads one JSON job on standard input, writes one JSON object a line to standard output. The only user of
llama_cpp. It dies alone: a malformed grammar or model file can take this process down, never the agent.
"""

import ctypes
import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARGIN = 8  # tokens left free for the begin and end marks a tokenizer adds
DEFAULT_CONTEXT = 2048  # tokens; more than our longest prompt, and what a small hub's memory holds


class Unusable(Exception):  # noqa: N818
    """The job cannot be done; the message goes to the parent."""


def say(**fields: Any) -> None:
    """Write one line to the parent."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def check_grammar(model: Any, text: str) -> None:
    """Refuse a grammar llama.cpp cannot parse: used unchecked, it would crash the process."""
    import llama_cpp  # noqa: PLC0415

    vocab = llama_cpp.llama_model_get_vocab(model.model)
    # An empty text is no grammar to llama.cpp, and would hold nothing.
    sampler = llama_cpp.llama_sampler_init_grammar(vocab, text.encode(), b"root") if text.strip() else None
    if not sampler:
        raise Unusable("the grammar made from the home's dictionary is malformed")
    llama_cpp.llama_sampler_free(sampler)


def load(job: dict[str, Any]) -> tuple[Any, int]:
    """Load the model; return it and its context in tokens, no longer than it was trained for."""
    import llama_cpp  # noqa: PLC0415

    quiet = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    load.quiet = quiet  # type: ignore[attr-defined]  # llama.cpp keeps the pointer, so the object must live
    options = {"n_threads": job["threads"], "verbose": False, "use_mmap": True}
    try:
        probe = llama_cpp.Llama(job["model"], vocab_only=True, **options)
        trained = int(probe.metadata.get(f"{probe.metadata['general.architecture']}.context_length", 0))
        probe.close()
        context = min(trained or DEFAULT_CONTEXT, int(job["context"]))
        model = llama_cpp.Llama(job["model"], n_ctx=context, n_batch=min(512, context), seed=job["seed"], **options)
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        raise Unusable(f"the language model does not load: {error}") from error
    return model, context


def fitting(model: Any, context: int, job: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the fullest prompt that leaves room for a reply, and its tokens."""
    room = context - job["max_tokens"] - MARGIN
    smallest = 0
    for prompt in job["prompts"]:
        longest = max((len(request) for request in prompt["requests"]), default=0)
        request = next((text for text in prompt["requests"] if len(text) == longest), "")
        smallest = len(model.tokenize((prompt["head"] + prompt["home"] + request).encode()))
        if smallest <= room:
            return prompt, smallest
    raise Unusable(
        f"the smallest prompt of this home needs {smallest + job['max_tokens'] + MARGIN} tokens, "
        f"the model's context holds {context}"
    )


def replies(model: Any, prompt: dict[str, Any], job: dict[str, Any]) -> Iterator[tuple[int, str, int, int]]:
    """Yield (request index, reply, prompt tokens evaluated, tokens generated) until done or out of time."""
    from llama_cpp.llama_grammar import LlamaGrammar  # noqa: PLC0415

    made = [LlamaGrammar.from_string(text, verbose=False) for text in (prompt["grammar"], *prompt["covering"])]
    held = dict.fromkeys(range(len(prompt["requests"])), made[0])
    for turn, index in enumerate(prompt["covered"]):
        held[index] = made[1 + turn % len(prompt["covering"])]
    chat = "tokenizer.chat_template" in model.metadata
    settings = {
        "max_tokens": job["max_tokens"],
        "temperature": job["temperature"],
        "top_p": job["top_p"],
        "top_k": 0,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
        "stop": ["\n"],
    }
    deadline = time.monotonic() + job["seconds"]
    for index, request in enumerate(prompt["requests"]):
        if time.monotonic() > deadline:
            return
        text = prompt["home"] + request
        asked = {**settings, "seed": job["seed"] + index, "grammar": held[index] if job["grammar"] else None}
        if chat:
            messages = [{"role": "system", "content": prompt["head"]}, {"role": "user", "content": text}]
            answer = model.create_chat_completion(messages, **asked)
            reply = answer["choices"][0]["message"]["content"] or ""
        else:
            answer = model.create_completion(prompt["head"] + text, **asked)
            reply = answer["choices"][0]["text"]
        usage = answer["usage"]
        yield index, reply, usage["prompt_tokens"], usage["completion_tokens"]


def main() -> int:
    """Do the one job on standard input."""
    job = json.load(sys.stdin)
    os.nice(job["nice"])
    resource.setrlimit(resource.RLIMIT_AS, (job["memory"], job["memory"]))
    try:
        model, context = load(job)
        prompt, tokens = fitting(model, context, job)
        if job["grammar"]:
            for text in (prompt["grammar"], *prompt["covering"]):
                check_grammar(model, text)
        digest = hashlib.sha256(Path(job["model"]).read_bytes()).hexdigest()
        say(kind="ready", sha256=digest, prompt_tokens=tokens, context=context, prompt=prompt["name"])
        started = time.monotonic()
        for index, reply, read, written in replies(model, prompt, job):
            say(kind="reply", index=index, text=reply, prompt_tokens=read, generated_tokens=written)
        say(kind="done", seconds=time.monotonic() - started)
    except Unusable as error:
        say(kind="error", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
