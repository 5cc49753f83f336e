"""A GGUF tried as the hub uses it: grammar, sampling, held-out homes. What share of what it writes fits the scene."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edge.core.errors import MessageError
from edge.core.grammar import grammar
from edge.core.prompts import Labels
from edge.core.replies import read_reply
from edge.core.scenes import DAYTIME, HEATING, Scene
from edge.core.sequences import Sequence
from trainer.corpus import Population, Sample
from trainer.gguf_export import child
from trainer.lessons import EDITING, Request

_WRITE = """
import json, sys, time, llama_cpp
jobs = json.load(open(sys.argv[2], encoding="utf-8"))
model = llama_cpp.Llama(sys.argv[1], n_ctx=2048, n_threads=1, seed=0, verbose=False)
out, tokens, began = [], 0, time.monotonic()
for job in jobs:
    grammar = llama_cpp.LlamaGrammar.from_string(job["grammar"], verbose=False)
    replies = []
    for request in job["requests"]:
        done = model.create_completion(job["prefix"] + request, max_tokens=200, temperature=float(sys.argv[3]),
                                       grammar=grammar, stop=["\\n"])
        replies.append(done["choices"][0]["text"])
        tokens += done["usage"]["completion_tokens"]
    out.append(replies)
print(json.dumps({"replies": out, "tokens": tokens, "seconds": time.monotonic() - began}))
"""


@dataclass(frozen=True)
class Written:
    """One reply beside the sequence it rewrites and what the simulated people really did."""

    sample: Sample
    request: Request
    reply: Sequence | None  # None: not a sequence of this home

    def joins(self) -> bool:
        """Tell whether the device that is to join does."""
        return any(step.device == self.request.joining[0][0] for step in self.reply or ())

    def controls(self, sequence: Sequence | None) -> list[tuple[str, str]]:
        """Return the (device, control) pairs of a sequence."""
        return [(step.device, step.control) for step in sequence or ()]

    def kinds(self, sequence: Sequence) -> list[str]:
        """Return the device classes of a sequence's behaviors."""
        return [self.sample.dictionary.kind(step.device) for step in sequence]


def samples_for(scenes: tuple[str, str], seed: int, count: int, requests: int) -> list[Sample]:
    """Return samples of held-out homes from one scene to another."""
    population = Population(seed, held_out=True)
    source, target = (Scene.parse(name) for name in scenes)
    drawn = (population.sample(number, EDITING, requests, (source, target)) for number in range(50_000, 60_000))
    found: list[Sample] = []
    for sample in drawn:
        found += [sample] if sample and len(sample.prefix) < 5000 else []
        if len(found) == count:
            break
    return found


def write(model: Path, samples: list[Sample], temperature: float) -> tuple[list[Written], float]:
    """Let the model answer every request; return the replies and the tokens a second."""
    jobs = [
        {
            "prefix": sample.prefix,
            "requests": [sample.asked(request) for request in sample.requests],
            "grammar": grammar(_named(sample)),
        }
        for sample in samples
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.json"
        path.write_text(json.dumps(jobs), encoding="utf-8")
        answer = json.loads(child(_WRITE, str(model), str(path), str(temperature)).splitlines()[-1])
    out: list[Written] = []
    for sample, replies in zip(samples, answer["replies"], strict=True):
        for request, text in zip(sample.requests, replies, strict=True):
            try:
                out.append(Written(sample, request, read_reply(text, request.sequence, sample.labels)))
            except MessageError:
                out.append(Written(sample, request, None))
    return out, answer["tokens"] / answer["seconds"]


def _named(sample: Sample) -> Labels:
    """Return the names a hub would hold the replies to: the prompt's and those of what is to join."""
    named = {*sample.told, *(pair for request in sample.requests for pair in request.joining)}
    return Labels({pair: text for pair, text in sample.labels.texts.items() if pair in named})


def _share(numbers: list[bool]) -> float:
    return round(sum(numbers) / len(numbers), 4) if numbers else 0.0


def figures(model: Path, seed: int = 0, homes: int = 40, temperature: float = 0.7) -> dict[str, float]:
    """Return what share of the behaviors written fits the scene, and of the replies what the people really did."""
    night, speed = write(model, samples_for(("daytime", "night"), seed, homes, 3), temperature)
    spring, _ = write(model, samples_for(("winter", "spring"), seed, homes, 6), temperature)
    heated = [each for each in spring if set(each.kinds(each.request.sequence)) & HEATING]
    joined = [each for each in [*night, *spring] if each.request.joining]
    explained = [each for each in [*night, *spring] if each.request.sequence and not each.request.joining]
    return {
        "valid_replies": _share([each.reply is not None for each in [*night, *spring]]),
        "night_at_night": _share([step.hour not in DAYTIME for each in night for step in each.reply or ()]),
        "night_exact": _share([each.reply == each.request.reply for each in night]),
        "heating_left_in_spring": _share([kind in HEATING for each in heated for kind in each.kinds(each.reply or ())]),
        "heating_in_their_source": _share(
            [kind in HEATING for each in heated for kind in each.kinds(each.request.sequence)]
        ),
        "spring_exact": _share([each.reply == each.request.reply for each in spring]),
        "joining_written": _share([each.joins() for each in joined]),
        "nothing_added": _share(
            [set(each.controls(each.reply)) <= set(each.controls(each.request.sequence)) for each in explained]
        ),
        "tokens_per_second_one_thread": round(speed, 1),
    }
