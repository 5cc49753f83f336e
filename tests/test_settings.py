"""The settings: one file and the environment; an unknown key is an error that names key and file."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import SettingsError
from edge.sections import Broker
from edge.settings import Settings, load, settings_table

FULL = """
[broker]
url = "mqtts://broker.lan"
user = "edge"
password_file = "password"
[data]
directory = "data"
[[sources]]
dialect = "zigbee2mqtt"
base_topic = "z2m"
exclude = ["0x01*", "Guest *"]
[[sources]]
dialect = "generic"
topic = "home/{device}/{property}"
[home]
latitude = 48.9
longitude = 2.3
time_zone = "Europe/Paris"
scene = "winter+multiple"
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("SCENESHIFT_"):
            monkeypatch.delenv(name)

    def written(text):
        path = tmp_path / "sceneshift.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_a_whole_file(write, tmp_path):
    (tmp_path / "password").write_text("planted-secret\n", encoding="utf-8")
    settings = load(write(FULL))
    assert (settings.broker.host, settings.broker.port, settings.broker.tls) == ("broker.lan", 8883, True)
    assert settings.broker.secret() == "planted-secret"
    assert "planted-secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.data.directory == tmp_path / "data"
    first, second = settings.sources
    assert (first.dialect, first.options()["exclude"]) == ("zigbee2mqtt", ("0x01*", "Guest *"))
    assert (second.dialect, second.options()["topic"]) == ("generic", "home/{device}/{property}")
    assert str(settings.home.zone) == "Europe/Paris"


def test_an_empty_file_is_all_defaults(write):
    settings = load(write(""))
    assert settings.broker == Settings().broker
    assert (settings.broker.host, settings.broker.port, settings.broker.tls) == ("127.0.0.1", 1883, False)
    assert settings.data.directory.is_absolute()
    assert settings.llm.count == 200
    with pytest.raises(ValueError, match="frozen"):
        settings.broker.url = "mqtt://other"  # type: ignore[misc]


def test_the_environment_wins(write, monkeypatch):
    monkeypatch.setenv("SCENESHIFT_BROKER__URL", "mqtts://elsewhere:1999")
    monkeypatch.setenv("SCENESHIFT_BROKER__PASSWORD", "planted-secret")
    monkeypatch.setenv("SCENESHIFT_MODEL__ALARMS_PER_WEEK", "3")
    settings = load(write('[broker]\nuser = "edge"\npassword_file = "missing"\n[model]\nalarms_per_week = 2\n'))
    assert (settings.broker.host, settings.broker.port, settings.broker.user) == ("elsewhere", 1999, "edge")
    assert settings.broker.secret() == "planted-secret"
    assert "planted-secret" not in repr(settings)
    assert settings.model.alarms_per_week == 3
    assert Settings().broker.url == "mqtt://127.0.0.1:1883"  # only load reads the environment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[broker]\nulr = 1\n", "unknown key broker.ulr"),
        ("[brokr]\nurl = 1\n", "unknown key brokr"),
        ("nothing = 1\n", "unknown key nothing"),
        ('[[sources]]\ndialect = "zigbee2mqtt"\ntopc = "x"\n', "unknown key sources[0].topc"),
        ('[[sources]]\ndialect = "generic"\n', "sources[0].topic"),
        ('[[sources]]\ndialect = "tasmata"\n', "sources[0]"),
        ('[[sources]]\ndialect = "generic"\ntopic = "a/{dvice}"\n', "sources[0].topic"),
        ('[[sources]]\ndialect = "generic"\ntopic = "a/#"\n', "sources[0].topic"),
        ('[[sources]]\ndialect = "generic"\ntopic = "{device}/{device}"\n', "sources[0].topic"),
        ('[broker]\nurl = "http://x"\n', "broker.url"),
        ('[broker]\nurl = "mqtt://"\n', "broker.url"),
        ('[broker]\nurl = "mqtt://h:99999"\n', "broker.url"),
        ('[broker]\nurl = "mqtt://u:planted-secret@h"\n', "broker.url"),
        ('[broker]\npassword = "planted-secret"\n', "broker.password"),
        ('[broker]\npassword_file = "missing"\n', "broker.password_file"),
        ('[broker]\nprefix = "a/#"\n', "broker.prefix"),
        ('[home]\ntime_zone = "Mars/Olympus"\n', "home.time_zone"),
        ('[home]\ntime_zone = "../../etc/passwd"\n', "home.time_zone"),
        ('[home]\nscene = "sprung"\n', "spring"),
        ("[home]\nlatitude = 91\n", "home.latitude"),
        ("[data]\ncommit_seconds = 0\n", "data.commit_seconds"),
        ("[data\n", "not a TOML file"),
        ("a = " + "[" * 5000, "not a TOML file"),
        ("a = " + "9" * 5000, "not a TOML file"),
        ('[llm]\nfile = "~nobody-at-all/x.gguf"\n', "llm.file"),
        ('[data]\ndirectory = "a\\u0000b"\n', "data.directory"),
        ('[broker]\npassword_file = "a\\u0000b"\n', "broker.password_file"),
        ('[[sources]]\ndialect = "zigbee2mqtt"\nbase_topic = "home/#"\n', "sources[0].base_topic"),
        ('[[sources]]\ndialect = "generic"\ntopic = "a\\u0000b"\n', "sources[0].topic"),
    ],
)
def test_what_is_wrong_is_named_with_key_and_file(write, text, said):
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "planted-secret" not in str(caught.value)


def test_what_is_wrong_in_the_environment_is_named(write, monkeypatch):
    monkeypatch.setenv("SCENESHIFT_BROKER__ULR", "mqtt://x")
    with pytest.raises(SettingsError, match="SCENESHIFT_BROKER__ULR in the environment: unknown key"):
        load(write(""))
    monkeypatch.delenv("SCENESHIFT_BROKER__ULR")
    monkeypatch.setenv("SCENESHIFT_SOURCES", "[nonsense")
    with pytest.raises(SettingsError, match="environment"):
        load(write(""))


def test_a_missing_file_and_one_that_is_no_text(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not a TOML file"):
        load(tmp_path / "bytes.toml")


def test_the_table_has_every_key_explained():
    table = settings_table()
    for section, model in Settings.model_fields.items():
        if section != "sources":
            for key, field in model.annotation.model_fields.items():
                assert f"| `{section}.{key}` |" in table
                assert field.description
    assert "| `sources[].topic` | needed |" in table
    assert "None" not in table


@given(st.text())
def test_any_url_is_taken_or_refused(text):
    try:
        broker = Broker(url=text)
    except ValueError:
        return
    assert broker.host
    assert 0 < broker.port < 65536
