"""Builds the tools of the slow loop from the settings; the agent and the batch commands use the same ones."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.adapt import Plan, SlowLoop
from edge.alerts import Alerts, Keeping
from edge.catalog import Models
from edge.core.dictionary import Dictionary, parse_dictionary
from edge.core.errors import ArtifactError, MessageError, SettingsError
from edge.core.growth import Layout, parse_layout
from edge.core.manifest import Described
from edge.core.phrases import Phrases
from edge.core.quiet import Quiet
from edge.core.vocabulary import Vocabulary
from edge.generator import Generator, Limits
from edge.learning import Base
from edge.retrainer import retrain
from edge.scorer import Scorer
from edge.sections import Llm
from edge.settings import Settings
from edge.slots import Slots, shipped, verify_model


def slow_loop(settings: Settings, slots: Slots, cancel: threading.Event, plan: Plan | None = None) -> SlowLoop:
    """Build the slow loop on the base model; raises ArtifactError where that is missing or corrupt."""
    models = Models.beside(settings.data.directory)
    directory = settings.model.directory or models.used("detector")

    @cache
    def earlier(name: str, version: int) -> Base:
        return _base(models.version(name, version), settings.model.threads)

    training = partial(
        retrain,
        model_dir=directory,
        steps=settings.adapt.steps,
        threads=2,
        limit_seconds=settings.adapt.seconds,
        memory_mb=settings.adapt.memory_mb,
        cancel=cancel,
    )
    wanted = plan or Plan(count=settings.llm.count, alarms_per_week=settings.model.alarms_per_week)
    return SlowLoop(slots, training, _base(directory, settings.model.threads), wanted, earlier)


def forget_models(settings: Settings, slots: Slots) -> None:
    """Delete installed models that nothing needs any more; called before anything runs on one.

    Where a slot cannot be read, nobody knows what it was learned on: all stay. Raises ArtifactError.
    """
    learned_on = {(manifest.model, manifest.model_version) for manifest, _ in map(slots.load, slots.names())}
    try:
        Models.beside(settings.data.directory).prune(learned_on)
    except OSError as error:
        raise ArtifactError(f"installed models cannot be deleted: {error}") from error


def _base(directory: Path, threads: int) -> Base:
    """Return a verified model to learn on, or whose slots are opened; raises ArtifactError."""
    manifest = verify_model(directory)
    if wrong := manifest.misfits():
        raise ArtifactError(f"the graphs in {directory} do not fit this version: {', '.join(wrong)}")

    def scorer_of(parameters: NDArray[np.float32], vocabulary: Vocabulary) -> Scorer:
        scorer = Scorer(directory, parameters, vocabulary, threads)
        scorer.probe()
        return scorer

    return Base(manifest.name, manifest.version, scorer_of, _layout(directory))


def _layout(directory: Path) -> Layout | None:
    """Return where what lies in a model's parameters, None for a model that does not say."""
    path = directory / "layout.json"
    try:
        return parse_layout(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error


def writer(llm: Llm, states: Path, models: Models | None = None) -> Generator:
    """Return the language model at work: the user's own file, or the one in use; `states`: where it keeps prompts.

    Ours is opened only as its manifest describes it; a file of the user's own has nobody to vouch for it but the user.
    """
    limits = Limits(seconds=llm.seconds, memory_mb=llm.memory_mb)
    if llm.file is not None:
        return Generator(llm.file, limits, states=states)
    file = language_model(models)
    expected = Described.parse((file.parent / "manifest.json").read_bytes()).files[file.name]
    return Generator(file, limits, sha256=expected, states=states)


def home_writer(settings: Settings) -> Generator:
    """Return the language model at work in a home: what is installed or ships, its prompts beside the record."""
    data = settings.data.directory
    return writer(settings.llm, data / "states", Models.beside(data))


def language_model(models: Models | None = None) -> Path:
    """Return the file of the language model in use, the most precise one; raises ArtifactError where none is whole.

    Without `models`, the one that ships.
    """
    folder = models.used("behavior-lm") if models else shipped("behavior-lm")
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        file = folder / str(max(files))  # q8_0 stands behind q4_k_m
        whole = hashlib.sha256(file.read_bytes()).hexdigest() == files[file.name]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"the language model in {folder} cannot be read: {error}") from error
    if not whole:
        raise ArtifactError(f"{file.name} is not the file its manifest describes")
    return file


def known_dictionary(path: Path | None) -> Dictionary:
    """Read what exists in a home though nobody has used it yet; raises SettingsError."""
    if path is None:
        return Dictionary({}, ())
    try:
        return parse_dictionary(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MessageError) as error:
        raise SettingsError(f"home.dictionary: {path} cannot be used: {error}") from error


def alerts(settings: Settings, store: Keeping, publish: Callable[[str, Mapping[str, Any]], None]) -> Alerts:
    """Return who decides what is told, by the settings; raises SettingsError where the language cannot be read."""
    said = settings.alerts
    quiet = Quiet(said.exclude, said.budget_per_day, said.cooldown_minutes * 60)
    return Alerts(store, publish, settings.home.zone, quiet, phrases(said.language))


def phrases(language: str | Path) -> Phrases:
    """Return the sentences of alerts: English, or those of a file; raises SettingsError."""
    if not isinstance(language, Path):
        return Phrases()
    try:
        return Phrases.parse(language.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"alerts.language: {language} cannot be read: {error}") from error
