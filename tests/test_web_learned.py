"""What a home has learned and what its scenes changed, as pages: counted truly, and readable by everybody."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge.web
from edge.core.behaviors import Behavior
from edge.core.devices import Device
from edge.core.phrases import Phrases
from edge.core.profile import profile
from edge.store import Store
from edge.web import heat, learned, scenes
from edge.web.visits import MissingError, Visit
from tests import homes
from tests.looking import TODAY, looking
from tests.looking import settings as settings_of

DEVICES = (*homes.DEVICES, Device("odd", '<b>"Lampe" & 🛋️</b>', "light"))
REAL = {
    "lamp1": [0] * 7 + [30, 10] + [0] * 15,
    "heat1": [0] * 18 + [40] + [0] * 5,
    "kettle1": [0] * 7 + [20] + [0] * 16,
}
WRITTEN = {"lamp1": [0] * 7 + [6, 2] + [0] * 15, "fan1": [0] * 18 + [12] + [0] * 5}
GATE = {"auroc": 0.9, "recall": 0.8, "false_positive_rate": 0.1, "next_nll": 2.0, "normals": 40}
REPORT = {
    "scene": {"from": "winter", "to": "spring"},
    "llm": {"seconds": 11.2},
    "synthetic": {
        "generated": 60, "kept": 50, "mended": 1, "nothing_left": 0, "by_hour": WRITTEN,
        "rejected": {"heating in spring": 3, "outlying transitions": 7}, "why": ["Desk fan joins: spring", "<i>no</i>"],
    },
    "source": {"lived": 100, "valid_in_scene": 90, "by_hour": REAL},
    "gate": {"accepted": True, "reasons": ["not worse"], "incumbent": GATE, "candidate": {**GATE, "auroc": 0.95}},
    "swap": {"from": "0001-winter", "to": "0002-spring"},
}  # fmt: skip


def lived(days=42):
    """Return the small home of tests/homes.py, the last days before today."""
    start = TODAY - days * 86400
    return [Behavior(start + each.time - homes.MONDAY, each.device, each.control) for each in homes.behaviors(2 * days)]


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path)
    names = {device.id: device.name for device in DEVICES}
    store.merge([(each, names[each.device]) for each in lived()], DEVICES)
    yield store
    store.close()


def visit(store, tmp_path, **more):
    return Visit(store, settings_of(tmp_path), {}, store.scores, Phrases(), TODAY, TODAY, **more)


# The profile.

BEHAVIORS = st.lists(
    st.builds(
        Behavior, st.integers(0, 60 * 86400).map(lambda after: TODAY - float(after)), st.sampled_from("abc"),
        st.sampled_from(["state ON", "state OFF"]),
    ), max_size=60,
)  # fmt: skip


@given(BEHAVIORS)
def test_a_profile_counts_every_behavior_once(behaviors):
    found = profile(behaviors, settings_of(Path()).home.zone, lambda _: "light")
    assert sum(found.week()) == len(behaviors)
    assert found.devices.keys() == {each.device for each in behaviors}
    for device, seen in found.devices.items():
        times = [each.time for each in behaviors if each.device == device]
        assert (seen.first, seen.last, seen.count) == (min(times), max(times), len(times))
        assert sum(found.week(device)) == len(times)
        place = int((min(times) / 86400 + 3) % 7) * 24 + int(min(times) % 86400 // 3600)  # 1970 began on a Thursday
        assert found.week(device)[place] >= 1


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_levels_rise_with_what_they_tell_and_never_alone_has_none(values):
    most = max(values)
    levels = [heat.level(each, most) for each in sorted(values)]
    assert levels == sorted(levels)
    assert all((level == 0) == (value <= 0) for level, value in zip(levels, sorted(values), strict=True))
    assert levels[-1] == (heat.LEVELS if most else 0)


# Learned.


def test_the_page_tells_routines_week_and_devices(store, tmp_path):
    found = learned.view(visit(store, tmp_path))
    assert [each.head for each in found.week] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    told = sum(int(cell.told or 0) for row in found.week for cell in row.cells)
    assert told == store.count() == len(lived())
    assert any("Hall lamp" in each.sentence and "07" in each.sentence for each in found.routines)
    lamp = next(each for each in found.devices if each.id == "lamp1")
    assert (lamp.kind, lamp.count) == ("light", sum(each.device == "lamp1" for each in lived()))
    assert [each.name for each in found.devices] == sorted((each.name for each in DEVICES), key=str.lower)
    assert next(each for each in found.devices if each.id == "odd").first == ""


def test_one_device_can_be_looked_at(store, tmp_path):
    found = learned.view(visit(store, tmp_path, query={"device": "kettle1"}))
    assert found.name == "Kettle"
    assert all("Kettle" in each.sentence for each in found.routines)
    told = sum(int(cell.told or 0) for row in found.week for cell in row.cells)
    assert told == sum(each.device == "kettle1" for each in lived())
    assert learned.view(visit(store, tmp_path, query={"device": "odd"})).week == ()
    with pytest.raises(MissingError):
        learned.view(visit(store, tmp_path, query={"device": "nobody"}))


def test_what_was_found_is_made_anew_only_after_a_while(store, tmp_path):
    before = learned.view(visit(store, tmp_path))
    store.merge([(Behavior(TODAY + 60, "odd", "state ON"), "odd")], ())
    again = learned.view(visit(store, tmp_path))
    assert again == before
    late = Visit(store, settings_of(tmp_path), {}, store.scores, Phrases(), TODAY, TODAY + learned.FRESH + 1)
    assert next(each for each in learned.view(late).devices if each.id == "odd").count == 1


# Scenes.


def test_a_scene_change_tells_what_was_said_kept_refused_and_measured(store, tmp_path):
    store.add_adaptation(TODAY, "spring", REPORT)
    found = scenes.view(visit(store, tmp_path)).shown
    assert found.why == ("Desk fan joins: spring", "<i>no</i>")
    assert (found.written, found.kept, found.mended, found.valid, found.lived) == (60, 50, 1, 90, 100)
    assert found.rejected == (("outlying transitions", 7), ("heating in spring", 3))
    assert next((each.value, each.before) for each in found.change.figures) == ("0.950", "0.900")


def test_real_and_written_stand_on_one_scale(store, tmp_path):
    store.add_adaptation(TODAY, "spring", REPORT)
    beside = scenes.view(visit(store, tmp_path)).shown.beside
    assert (beside.real_count, beside.written_count) == (100, 20)
    assert [row.head for row in beside.real] == [row.head for row in beside.written]
    by_name = {row.head: row.cells for row in beside.real}
    assert by_name["Hall lamp"][7] == heat.Cell("300", heat.level(300, 600), "30 times")
    assert by_name["Hall lamp"][6] == heat.Cell("", 0)
    assert {row.head: row.cells for row in beside.written}["Desk fan"][18].level == heat.LEVELS
    assert beside.changes[0] == scenes.Pair("Desk fan", 0, 600)
    assert {each.name for each in beside.changes} == {"Desk fan", "Bath heater", "Kettle"}


COUNTS = st.dictionaries(
    st.sampled_from([f"d{n}" for n in range(50)]), st.lists(st.integers(0, 900), min_size=24, max_size=24)
)


@given(COUNTS, COUNTS)
def test_shares_of_each_side_are_of_all_of_it(real, written):
    sides = [scenes._Side.of(each) for each in (real, written)]
    if not all(side.total for side in sides):
        return
    beside = scenes._beside(*sides, {})
    assert len(beside.real) == len(beside.written) <= scenes.DEVICES
    assert len(beside.real) + beside.more == len({*sides[0].counts, *sides[1].counts})
    cells = [cell for rows in (beside.real, beside.written) for row in rows for cell in row.cells]
    assert all((cell.told == "") == (cell.level == 0) for cell in cells)
    if not beside.more:
        assert max(cell.level for cell in cells) == heat.LEVELS
    assert all(abs(each.written - each.real) >= scenes.LEAST for each in beside.changes)


@pytest.mark.parametrize(
    "report",
    [
        {"scene": {"from": "winter", "to": "spring"}, "abandoned": "the language model gave nothing"},
        {"scene": {"from": "winter", "to": "spring"}, "reused": "0002-spring", "swap": {"from": "a", "to": "b"}},
        {**REPORT, "source": {"lived": 9, "valid_in_scene": 9}, "synthetic": {"generated": 9, "kept": 9}},
        {**REPORT, "synthetic": {**REPORT["synthetic"], "by_hour": {}}},
        {**REPORT, "synthetic": {**REPORT["synthetic"], "by_hour": {"lamp1": [1, 2]}}},
    ],
)
def test_reports_from_before_or_without_a_reply_are_shown_without_heat_maps(store, tmp_path, report):
    number = store.add_adaptation(TODAY, "spring", report)
    with looking(tmp_path, store=store) as (_, client):
        answer = client.get(f"/scenes/{number}")
        assert answer.status_code == 200
        assert 'class="heat"' not in answer.text


def test_the_newest_is_shown_the_others_are_listed_and_a_wrong_number_is_nothing(store, tmp_path):
    for target in ("spring", "summer"):
        store.add_adaptation(TODAY, target, {**REPORT, "scene": {"from": "winter", "to": target}})
    store.add_adaptation(TODAY, "summer", {"retrain": {}, "swap": {"from": "a", "to": "b"}})
    found = scenes.view(visit(store, tmp_path))
    assert [each.number for each in found.others] == [2, 1]
    assert found.shown.number == 2
    assert scenes.view(visit(store, tmp_path, number=1)).shown.number == 1
    with pytest.raises(MissingError):
        scenes.view(visit(store, tmp_path, number=9))


# The pages themselves.


def test_both_pages_are_tables_with_heads_in_regions_that_keys_reach(store, tmp_path):
    store.add_adaptation(TODAY, "spring", REPORT)
    with looking(tmp_path, store=store) as (_, client):
        for path, maps in (("/learned", 1), ("/scenes", 2), ("/scenes/1", 2), ("/learned?device=lamp1", 1)):
            page = client.get(path).text
            assert page.count('<table class="heat">') == maps
            for region in re.findall(r'<div class="scroll[^>]*>', page):
                assert 'role="region"' in region
                assert 'tabindex="0"' in region
                assert re.search(r'aria-label="\w', region)
            for table in re.findall(r'<table class="heat">.*?</table>', page, re.DOTALL):
                assert table.count('<th scope="col">') == 25
                assert table.count('<th scope="row">') == len(re.findall("<tr>", table)) - 1
                assert "<caption" in table
            assert "style=" not in page
            assert "<i>no</i>" not in page
            assert "<b>" + '"Lampe"' not in page


def test_a_home_that_nothing_is_known_of_is_told_so(tmp_path):
    with looking(tmp_path) as (_, client):
        assert "No routine yet" in client.get("/learned").text
        assert "No scene change yet" in client.get("/scenes").text
        assert client.get("/learned?device=x").status_code == 404


# The command.


def command(folder, *words, dictionary=""):
    path = folder / "sceneshift.toml"
    home = f'[home]\ndictionary = "{dictionary}"\n' if dictionary else ""
    path.write_text(f'[data]\ndirectory = "{folder}"\n{home}', encoding="utf-8")
    told = [sys.executable, "-m", "edge", "routines", "--settings", str(path), *words]
    return subprocess.run(told, capture_output=True, text=True, timeout=60)


def test_the_command_says_the_same_routines_as_the_page(store, tmp_path):
    said = command(tmp_path).stdout.splitlines()
    assert said == [each.sentence for each in learned.view(visit(store, tmp_path)).routines]
    of_one = command(tmp_path, "--device", "Kettle", "--json").stdout.splitlines()
    assert [json.loads(line)["sentence"] for line in of_one] == [each for each in said if "Kettle" in each]
    named = {"devices": [{"id": "kettle1", "name": "Tea kettle", "kind": "kettle"}], "controls": []}
    (tmp_path / "home.json").write_text(json.dumps(named), encoding="utf-8")
    renamed = command(tmp_path, "--device", "Tea kettle", dictionary="home.json").stdout.splitlines()
    assert renamed == [each.replace("Kettle", "Tea kettle") for each in said if "Kettle" in each]
    wrong = command(tmp_path, "--device", "Kettel")
    assert wrong.returncode == 2
    assert "Bath heater" in wrong.stderr


# Contrast.


def _palettes():
    """Return the inks and grounds of the heat maps, light and dark, as the style sheet says."""
    text = (Path(edge.web.__file__).parent / "static/heat.css").read_text(encoding="utf-8")
    light, dark = text.split("prefers-color-scheme: dark")
    first = dict(re.findall(r"--heat-(\w+): (#\w+)", light))
    return [first, {**first, **dict(re.findall(r"--heat-(\w+): (#\w+)", dark))}]


def _luminance(color):
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", _palettes(), ids=["light", "dark"])
def test_every_number_can_be_read_on_its_ground(palette):
    """WCAG 2.1 AA: 4.5 to 1; and each ground can be told from the next."""
    grounds = [_luminance(palette[str(level)]) for level in range(1, heat.LEVELS + 1)]
    assert grounds in (sorted(grounds), sorted(grounds, reverse=True))
    for level, ground in enumerate(grounds, 1):
        ink = _luminance(palette["low" if level <= 3 else "high"])
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5
