"""A life of thousands of events and some adaptations in one process: what it holds stays as it was."""

import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from benchmarks.long_life import growth, live


@pytest.mark.slow
def test_nothing_grows_with_what_was_lived(tmp_path, shipped_llm):
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") is None:
        pytest.skip("MOSQUITTO IS MISSING: apt-get install mosquitto; a long life is NOT tested")
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # other tests' memory is not this life's
        report = alone.submit(live, 14_000, 3, tmp_path, first=8000).result()
    assert report["events"] == 14_000
    assert report["behaviors"] == 1400
    assert report["outcomes"].get("swapped", 0) >= 2, "models came and went"
    assert set(report["outcomes"]) <= {"swapped", "refused by the gate"}
    first, *_, last = report["samples"]
    for name in ("handles", "threads", "children"):
        assert last[name] <= first[name], name
    assert last["rss_mb"] < first["rss_mb"] + 40, "an adaptation's memory is given back"
    assert last["slots"] <= 7
    assert last["database_mb"] + last["log_mb"] < 4


def test_growth_is_told_for_every_figure():
    samples = [
        {"seconds": n, "events": 1e5 * n, "behaviors": n, "adaptations": 50 * n, "rss_mb": 100 + 2 * n, "handles": 7}
        for n in range(5)
    ]
    grown = growth(samples)
    assert grown["rss_mb"]["slope_per_100000_events"] == pytest.approx(2)
    assert grown["rss_mb"]["slope_per_100_adaptations"] == pytest.approx(4)
    assert (grown["handles"]["least"], grown["handles"]["most"]) == (7, 7)
    assert growth(samples[:2]) == {}
