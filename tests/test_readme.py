"""The README says what is there: every file, every setting, in at most 200 lines."""

import re
from collections import Counter
from pathlib import Path

import pytest

from edge.settings import settings_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_table_is_the_settings():
    assert settings_table().strip() in (ROOT / "deploy/SETTINGS.md").read_text(encoding="utf-8")


def test_every_module_has_its_line_in_the_tree():
    tree = README.split("## The tree")[1].split("## ")[0]
    told = Counter(re.findall(r"(\w+\.py)\b", tree))
    there = Counter(
        path.name
        for package in ("edge", "trainer")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    )
    assert not there - told


def test_it_is_short():
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("command", ["make demo", "make test", "make bench"])
def test_its_commands_exist(command):
    assert command in README
    assert f"\n{command.removeprefix('make ')}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
