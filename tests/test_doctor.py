"""The doctor: each thing that can be wrong is found, with what mends it."""

from pathlib import Path

import pytest

from edge import doctor
from edge.mqtt import Session
from edge.sections import Broker
from edge.settings import Settings
from tests.conftest import Mosquitto, free_port


def settings_with(folder: Path, url: str, **sections: object) -> Settings:
    return Settings.model_validate({"broker": {"url": url}, "data": {"directory": folder}, **sections})


def test_all_is_looked_at_and_what_is_wrong_can_be_mended(tmp_path):
    found = doctor.checks(settings_with(tmp_path, f"mqtt://127.0.0.1:{free_port()}"), wait=0.3)
    names = [check.name for check in found]
    assert len(set(names)) == len(names) == 11
    assert all(check.detail for check in found)
    assert all(check.ok or check.mend for check in found)
    (broker,) = (check for check in found if check.name == "broker")
    assert not broker.ok
    assert "refused" in broker.detail
    assert "mosquitto" in broker.mend


def test_a_broker_that_is_there_and_the_agent_undisturbed(broker: Mosquitto, tmp_path):
    agent = Session(broker.address(), first_wait=0.05)
    agent.subscribe(["sceneshift/availability"])
    agent.open()
    assert agent.wait(5)
    assert [message.payload for message in agent.take(1, 2)] == [b"online"]
    check = doctor.broker(settings_with(tmp_path, broker.url), 5)
    assert (check.ok, check.detail, check.mend) == (True, f"{broker.url}, MQTT 5", "")
    assert agent.connected
    assert agent.take(1, 0.2) == []
    agent.close()


def test_models(tmp_path):
    missing = settings_with(
        tmp_path, "mqtt://[::1]", model={"directory": tmp_path}, llm={"file": tmp_path / "none.gguf"}
    )
    assert not doctor.model(missing).ok
    assert not doctor.language_model(missing).ok
    (tmp_path / "none.gguf").write_bytes(b"PK\x03\x04")
    assert "not a GGUF" in doctor.language_model(missing).detail
    (tmp_path / "none.gguf").write_bytes(b"GGUF" + bytes(100))
    assert doctor.language_model(missing).ok
    assert doctor.model(settings_with(tmp_path, "mqtt://[::1]")).ok


def test_places_and_secrets(tmp_path, monkeypatch: pytest.MonkeyPatch):
    assert doctor.directory(tmp_path / "new/deep").ok
    (tmp_path / "file").write_text("x", encoding="ascii")
    assert not doctor.directory(tmp_path / "file").ok
    assert doctor.disk(tmp_path / "new/deep").ok
    monkeypatch.setattr(doctor, "FREE", 2**63)
    assert "make room" in doctor.disk(tmp_path).mend
    secret = tmp_path / "password"
    secret.write_text("planted-secret", encoding="ascii")
    secret.chmod(0o644)
    for key in ("password_file", "tls_key"):
        secret.chmod(0o644)
        broker = Broker.model_validate({key: secret, "tls_cert": tmp_path})
        check = doctor.secrets(broker)
        assert (check.ok, check.mend) == (False, f"chmod o= {secret}")
        secret.chmod(0o600)
        assert doctor.secrets(broker).ok
    assert not doctor.secrets(Broker(password_file=tmp_path / "gone")).ok
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    record = data / "sceneshift.db"
    record.touch()
    record.chmod(0o644)
    assert doctor.directory(data).mend == f"chmod o= {data}"
    data.chmod(0o750)
    assert doctor.directory(data).ok


def test_the_clock(monkeypatch: pytest.MonkeyPatch):
    assert doctor.clock().detail
    monkeypatch.setattr("time.time", lambda: 0.0)  # a Raspberry Pi without a battery, before the first sync
    check = doctor.clock()
    assert (check.ok, check.mend) == (False, "sudo timedatectl set-ntp true")
