"""The language model at work: its pace with and without grammar, the first token of a second scene, ranking, needs."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edge import compose
from edge.core import prompts
from edge.core.dictionary import parse_dictionary
from edge.core.filters import transitions
from edge.core.grammar import grammar
from edge.core.prompts import Labels, Prompt
from edge.core.scenes import Scene
from edge.core.sequences import split
from edge.demo.recorded import open_home
from edge.generator import PATIENT, TINY, Generator, Limits
from edge.slots import shipped
from edge.workers import needs
from edge.workers.chat import Form
from edge.workers.engine import Engine
from edge.workers.generate import told
from edge.workers.sampling import Chances, compiled
from edge.workers.writing import Asked, Desk

LIMITS = replace(Limits(), nice=0)
SMALL = 25_000_000  # bytes `small` may have
SMALL_SHAPE = needs.Shape(8, 512, 8, 4, 64, 1024, 2048)  # of a llama with about so many bytes in Q8_0


def asked(count: int, target: str = "") -> Prompt:
    """Return the demo home's prompt with its first requests, for the scene it moves to or another."""
    recorded = open_home(shipped("demo-home"), None)
    sequences = split(recorded.source, recorded.home.zone)
    assert recorded.home.dictionary is not None
    home = parse_dictionary(recorded.home.dictionary.read_text(encoding="utf-8"))
    scenes = Scene.parse(recorded.home.scene or "winter"), Scene.parse(target or recorded.scene)
    labels = Labels.of(prompts.choose(home, sequences), home)
    requests = tuple(prompts.request_text(each, *scenes, labels) for each in sequences[:count])
    told = prompts.home_text(labels.texts, sequences[: prompts.EXAMPLES], transitions(sequences), labels)
    return Prompt("full", prompts.head(), told, requests, grammar(labels))


def rounded(values: list[float], digits: int = 1) -> float:
    """Return the median."""
    return round(statistics.median(values), digits)


def pairs(file: Path, count: int) -> dict[str, Any]:
    """Write each request free and held to the grammar, one right after the other in one process; medians of pairs.

    Tokens a second of a reply from its first token on: no prompt's time is in them.
    """
    prompt = asked(count)
    engine = Engine(str(file), LIMITS.threads if file.stat().st_size > TINY else 1)
    found = told(engine, Form(engine), asdict(prompt))
    engine.open(len(found.static) + found.longest + LIMITS.max_tokens + 8, 1, 1)
    engine.read(found.static)
    grammars = {"free": None, "with_grammar": compiled(engine, prompt.grammar)}
    speeds: dict[str, list[float]] = {name: [] for name in grammars}
    desk = Desk(engine, 1, Chances(0.7, 0.95), 0, LIMITS.max_tokens)
    for index, (tokens, shared) in enumerate(zip(found.requests, found.shared, strict=True)):
        for name in sorted(grammars, reverse=bool(index % 2)):
            (reply,) = desk.replies([Asked(index, tokens, shared, (grammars[name],))], time.monotonic() + 60)
            speeds[name].append((reply.tokens - 1) / max(reply.seconds, 1e-9))
    ratios = [held / free for held, free in zip(speeds["with_grammar"], speeds["free"], strict=True) if free > 0]
    return {**{name: rounded(values) for name, values in speeds.items()}, "ratio": rounded(ratios, 3)}


def alone(file: Path, count: int) -> dict[str, Any]:
    """Measure the pairs in a process of their own, as patient with other programs as the generation child is."""
    command = [sys.executable, "-m", "benchmarks.bench_llm", "--llm", str(file), "--pairs", str(count)]
    done = subprocess.run(command, env={**os.environ, **PATIENT}, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def together(file: Path, count: int, rounds: int) -> dict[str, Any]:
    """Write many requests side by side, free and with grammar in turn: all tokens a second, prompts' time included."""
    prompt = asked(count)
    speeds: dict[str, list[float]] = {"free": [], "with_grammar": []}
    for seed in range(rounds):
        for name in sorted(speeds, reverse=bool(seed % 2)):
            model = Generator(file, LIMITS, grammar=name == "with_grammar")
            figures = model.generate([prompt], seed=seed).figures()
            speeds[name].append(float(figures["tokens_per_second"]))
    ratios = [held / free for held, free in zip(speeds["with_grammar"], speeds["free"], strict=True)]
    found = {name: rounded(values) for name, values in speeds.items()}
    return {"width": LIMITS.width, **found, "ratio": rounded(ratios, 3)}


def first_token(file: Path, rounds: int = 5) -> dict[str, Any]:
    """Time the first token of a home's first scene and of its second, each in a process of its own."""
    found: dict[str, list[float]] = {}
    tokens = 0
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, target in (("first", ""), ("second", "night")):
                model = Generator(file, LIMITS, states=Path(folder))
                model.generate([asked(4, target)], seed=seed)
                assert model.timings["reused"] == (name == "second")
                tokens = int(model.timings["static_tokens"])
                found.setdefault(f"{name}_ms", []).append(1000 * float(model.timings["first_seconds"]))
                found.setdefault(f"{name}_with_start_and_load_ms", []).append(
                    1000 * float(model.timings["whole_first_seconds"])
                )
    ratios = {
        f"ratio{more}": rounded(
            [b / a for a, b in zip(found[f"first{more}_ms"], found[f"second{more}_ms"], strict=True)], 3
        )
        for more in ("", "_with_start_and_load")
    }
    return {"static_tokens": tokens, **{name: rounded(values, 2) for name, values in found.items()}, **ratios}


def ranking(file: Path, count: int = 60) -> dict[str, Any]:
    """Rank four replies to each of `count` requests: its own sequence and those of the next three."""
    prompt = asked(count)
    own = [request.split("\n")[-3] + "\n" for request in prompt.requests]
    candidates = [(index, own[(index + turn) % count]) for index in range(count) for turn in range(4)]
    model = Generator(file, LIMITS)
    found = model.rank(prompt, candidates)
    seconds = float(model.timings["seconds"])
    tokens = sum(tokens for _, tokens in found)
    return {"replies_per_second": round(len(found) / seconds, 1), "tokens_per_second": round(tokens / seconds, 1)}


def table() -> dict[str, Any]:
    """Return what a home needs for common sizes: computed from shapes, file bytes and memory bandwidth."""
    files = sorted(compose.language_model().parent.glob("*.gguf"))
    rows: dict[str, Any] = {f"ours, {file.name}": needs.of_file(file) for file in files}
    rows["ours, small at its limit"] = needs.needs(SMALL, SMALL_SHAPE)
    return rows | {name: needs.needs(shape.q4_k_m(), shape) for name, shape in needs.KNOWN.items()}


def llm(file: Path | None = None, count: int = 60, rounds: int = 5) -> dict[str, Any]:
    """Measure a language model, the shipped one by default."""
    path = file or compose.language_model()
    model = Generator(path, LIMITS)
    model.generate([asked(8)], seed=0)
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "peak_rss_mb": model.timings["peak_rss_mb"],
        "one_at_a_time": alone(path, count),
        "together": together(path, count, rounds),
        "first_token": first_token(path, rounds),
        "rank": ranking(path, count),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", type=Path, help="a GGUF file; default is the shipped one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, help="only so many pairs of replies, free and with grammar")
    given = parser.parse_args()
    if given.pairs:
        print(json.dumps(pairs(given.llm or compose.language_model(), given.pairs)))
        sys.exit()
    print(json.dumps({"measured": llm(given.llm, rounds=given.rounds), "computed": table()}, indent=1))
