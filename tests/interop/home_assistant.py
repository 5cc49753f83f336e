"""A real Home Assistant Core in a process of its own: installed once, configured by files, spoken to over its API.

Nobody is onboarded: a long-lived token of an owner is written where Home Assistant keeps its own. Every version lies in
.cache/interop/<version>, a virtual environment; its configuration is thrown away with the test's folder.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import free_port

CACHE = Path(__file__).parents[2] / ".cache/interop"
PYTHONS = {"2024.3.3": ("3.11", "3.12"), "2025.4.4": ("3.13",)}  # what each version runs on
# What each needs that it does not say: josepy 2 took away what its acme imports.
BESIDE = {"2024.3.3": ("josepy<2",), "2025.4.4": ()}
USER, SECRET, REFRESH = "0" * 31 + "1", "5ce" * 20, "0" * 31 + "2"
START = 400.0  # seconds; the first start installs what its integrations need


def python_for(version: str) -> str:
    """Return a Python that a version runs on; the test is skipped, with the reason, where there is none."""
    for wanted in PYTHONS[version]:
        homes = [os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv")]
        built = [str(each) for home in homes if home for each in Path(home).glob(f"versions/{wanted}.*/bin/python")]
        for found in [shutil.which(f"python{wanted}"), *built]:
            if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
                return found
    pytest.skip(f"Home Assistant {version} needs Python {' or '.join(PYTHONS[version])}, which is NOT installed here")


def installed(version: str) -> Path:
    """Return the program of a version, installed where it is not."""
    folder = CACHE / version
    program = folder / "bin/hass"
    if not program.exists():
        python = python_for(version)
        folder.unlink(missing_ok=True) if folder.is_symlink() else shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        wanted = [f"homeassistant=={version}", *BESIDE[version]]
        subprocess.run([str(folder / "bin/pip"), "install", "--quiet", "--prefer-binary", *wanted], check=True)
    return program


def token() -> str:
    """Return the owner's access token: a JSON web token, signed as Home Assistant signs its own."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    now = int(time.time())
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = part(json.dumps({"iss": REFRESH, "iat": now, "exp": now + 10**8}).encode())
    return f"{head}.{body}.{part(hmac.digest(SECRET.encode(), f'{head}.{body}'.encode(), hashlib.sha256))}"


@dataclass
class HomeAssistant:
    """One installation: `start`, `stop`, and what a person does with it."""

    version: str
    folder: Path
    broker_port: int
    more: str = ""  # of the configuration
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def configure(self) -> None:
        """Write its configuration: MQTT, the API, a recorder that commits every second, an owner with a token."""
        storage = self.folder / ".storage"
        storage.mkdir(parents=True)
        (self.folder / "configuration.yaml").write_text(
            "homeassistant: {name: Home, latitude: 48.85, longitude: 2.35, elevation: 30, unit_system: metric, "
            "time_zone: Europe/Paris, country: FR, currency: EUR}\n"
            f"http: {{server_host: 127.0.0.1, server_port: {self.port}}}\n"
            f'recorder: {{db_url: "sqlite:///{self.database}", commit_interval: 1}}\n'
            f"api:\nlogger: {{default: warning}}\n{self.more}",
            encoding="utf-8",
        )
        broker = {"broker": "127.0.0.1", "port": self.broker_port, "discovery": True}
        entry = {
            "entry_id": "mqtt1", "version": 1, "domain": "mqtt", "title": "broker", "source": "user", "options": {},
            "data": {**broker, "discovery_prefix": "homeassistant"}, "unique_id": None, "disabled_by": None,
            "pref_disable_new_entities": False, "pref_disable_polling": False,
        }  # fmt: skip
        self._store(storage, "core.config_entries", {"entries": [entry]})
        user = {
            "id": USER, "group_ids": ["system-admin"], "is_owner": True, "is_active": True, "name": "Owner",
            "system_generated": False, "local_only": False,
        }  # fmt: skip
        refresh = {
            "id": REFRESH, "user_id": USER, "client_id": None, "client_name": "interop", "client_icon": None,
            "token_type": "long_lived_access_token", "created_at": "2024-01-01T00:00:00+00:00",
            "access_token_expiration": 1e9, "token": "0" * 128, "jwt_key": SECRET, "last_used_at": None,
            "last_used_ip": None, "credential_id": None, "version": self.version,
        }  # fmt: skip
        groups = [{"id": f"system-{name}", "name": name} for name in ("admin", "users", "read-only")]
        self._store(
            storage, "auth", {"users": [user], "groups": groups, "credentials": [], "refresh_tokens": [refresh]}
        )
        self._store(storage, "onboarding", {"done": ["user", "core_config", "analytics", "integration"]}, version=4)

    def _store(self, storage: Path, key: str, data: Any, version: int = 1) -> None:
        text = json.dumps({"version": version, "minor_version": 1, "key": key, "data": data})
        (storage / key).write_text(text, encoding="utf-8")

    @property
    def database(self) -> Path:
        """Where its recorder writes."""
        return self.folder / "ha.db"

    def start(self) -> None:
        """Start it and wait until it says that it runs."""
        program = installed(self.version)
        environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
        with (self.folder / "output.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(program), "-c", str(self.folder)], stdout=log, stderr=log, env=environment
            )
        self.wait(self._runs, START)

    def _runs(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return bool(self.get("config").get("state") == "RUNNING")
        except (httpx.HTTPError, ValueError):
            return False

    def stop(self) -> None:
        """Stop it as its supervisor does; it writes its registries and its record."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(180)
            self.process = None

    def get(self, path: str) -> Any:
        """Return what its API says."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/api/{path}", headers=self._headers(), timeout=20)
        answer.raise_for_status()
        return answer.json()

    def call(self, service: str, entity: str, **data: Any) -> None:
        """Call a service, such as `button.press`, as the owner would in the dashboard."""
        url = f"http://127.0.0.1:{self.port}/api/services/{service.replace('.', '/')}"
        answer = httpx.post(url, headers=self._headers(), json={"entity_id": entity, **data}, timeout=60)
        answer.raise_for_status()

    def states(self) -> dict[str, dict[str, Any]]:
        """Return every entity's state."""
        return {each["entity_id"]: each for each in self.get("states")}

    def state(self, entity: str) -> str:
        """Return one entity's state, "" where there is none."""
        return str(self.states().get(entity, {}).get("state", ""))

    def registered(self, platform: str = "mqtt") -> list[str]:
        """Return unique id and entity id of all it has registered, from the file that it writes when it stops."""
        kept = json.loads((self.folder / ".storage/core.entity_registry").read_text(encoding="utf-8"))
        entities = kept["data"]["entities"]
        return sorted(f"{each['unique_id']} {each['entity_id']}" for each in entities if each["platform"] == platform)

    def wait(self, condition: Any, seconds: float = 180.0) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"nothing happened in time\n{self.log()}"
            time.sleep(0.3)

    def log(self) -> str:
        """Return what it has logged lately, without colors."""
        return self._logged()[-20_000:]

    def complaints(self) -> list[str]:
        """Return every warning and error about MQTT, a template or us.

        That there is nothing to clean up is no complaint: what is removed was handed over to another topic before.
        """
        lines = re.findall(r"^.* (?:WARNING|ERROR) .*$", self._logged(), re.MULTILINE)
        ours = [line for line in lines if re.search("mqtt|template|value_json|sceneshift", line)]
        return [line for line in ours if "No device components to cleanup" not in line]

    def _logged(self) -> str:
        text = (self.folder / "output.log").read_text(encoding="utf-8", errors="replace")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {token()}"}
