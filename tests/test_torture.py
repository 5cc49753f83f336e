"""A home is killed at the worst moments, and has kept all it must: `make torture`, a few kills of it."""

import threading

import pytest

from benchmarks.torture.__main__ import KINDS, torture
from benchmarks.torture.processes import mosquitto

NEVER = (
    "lost", "doubled", "disordered", "slots_unloadable", "alerts_never_told", "alerts_told_twice", "orphans",
    "ended_by_itself", "scratch",
)  # fmt: skip
CHOSEN = {
    "before a commit",
    "after a commit, before it is acknowledged",
    "after it was acknowledged, before it is scored",
    "between an alert's keeping and its telling",
    "while a slot is written or pointed to",
    "between the pointer and the swap",
    "while it retrains",
    "while it generates",
    "with its network failing",
    "with its broker killed",
    "within a migration",
    "within an import",
    "within a restoring",
    "within a backup",
}


def test_killed_at_the_worst_moments_a_home_keeps_all_it_must(shipped_llm):
    if mosquitto() is None:
        pytest.skip("MOSQUITTO IS MISSING: apt-get install mosquitto; what needs a broker is NOT tested")
    kinds = [kind for kind in KINDS if kind.name in CHOSEN]
    found = torture(kinds, seed=0, stop=threading.Event())
    assert found["kills"] == len(kinds) == len(CHOSEN)
    assert {what: found[what] for what in NEVER} == dict.fromkeys(NEVER, 0), found["words"]
    assert found["stored"] > 100
