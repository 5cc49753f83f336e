"""The sources of the settings: what of each dialect is taken, and what is an error that names its key."""

from pathlib import Path

import pytest

from edge.core.errors import SettingsError
from edge.dialects import dialect
from edge.settings import load


def sources(folder: Path, text: str):
    path = folder / "sceneshift.toml"
    path.write_text(f"[[sources]]\n{text}\n", encoding="utf-8")
    return load(path).sources


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ('dialect = "tasmota"', "stat/lamp/POWER"),
        ('dialect = "tasmota"\nfull_topic = "home/+/%topic%/%prefix%/"', "home/x/lamp/stat/POWER"),
        ('dialect = "tasmota"\nfull_topic = "%prefix%/%id%"\nstat = "says"', "says/5CCF7F/RESULT"),
        ('dialect = "esphome"', "esphome/attic/switch/relay/state"),
        ('dialect = "esphome"\ntopic_prefix = "{device}"', "attic/switch/relay/state"),
        ('dialect = "shelly"', "shellyplus1-a8032abe54dc/events/rpc"),
        ('dialect = "shelly"\ntopic_prefix = "home/{device}"\ngen1_root = "old"', "old/shelly1-B929CC/relay/0"),
        ('dialect = "statestream"', "statestream/light/sofa/state"),
        ('dialect = "statestream"\nbase_topic = "home/ha"\ninclude = ["light.*"]', "home/ha/light/sofa/state"),
        ('dialect = "generic"\ntopic = "100%/{device}"', "100%/lamp"),
    ],
)
def test_what_a_source_hears(tmp_path, text, topic):
    (source,) = sources(tmp_path, text)
    assert dialect(source.dialect, source.options()).matches(topic)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('dialect = "tasmota"\nfull_topic = "%topic%/"', "full_topic"),
        ('dialect = "tasmota"\nfull_topic = "%prefix%/"', "full_topic"),
        ('dialect = "tasmota"\nfull_topic = "%prefix%/home-%topic%/"', "full_topic"),
        ('dialect = "tasmota"\nfull_topic = "%prefix%/%prefix%/%topic%"', "full_topic"),
        ('dialect = "tasmota"\nstat = "+"', "stat"),
        ('dialect = "tasmota"\ntopic = "x"', "topic"),
        ('dialect = "esphome"\ntopic_prefix = "+/{device}"', "topic_prefix"),
        ('dialect = "esphome"\ntopic_prefix = "esphome/#"', "topic_prefix"),
        ('dialect = "shelly"\ntopic_prefix = "{device}/{device}"', "topic_prefix"),
        ('dialect = "shelly"\ngen1_root = ""', "gen1_root"),
        ('dialect = "statestream"\nbase_topic = "#"', "base_topic"),
        ('dialect = "statestream"\nbirth_topic = "/"', "birth_topic"),
        ('dialect = "generic"\ntopic = "{room}/{device}"', "topic"),
        ('dialect = "matter"', "dialect"),
    ],
)
def test_what_no_source_can_hear_is_an_error_that_names_its_key(tmp_path, text, key):
    with pytest.raises(SettingsError, match=key):
        sources(tmp_path, text)
