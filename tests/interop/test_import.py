"""History from real servers and a real Home Assistant: MariaDB, PostgreSQL, what `make interop` has recorded."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from datetime import UTC
from pathlib import Path

import pytest
import sqlalchemy as sa

from edge.agent import Agent
from edge.importers import Wanted, opened
from edge.importers.past import AUTOMATION, PERSON
from edge.importing import Rules
from edge.settings import load
from edge.store import Store
from tests.conftest import free_port, listens
from tests.recorders import GENERATIONS, Recording
from tests.test_import import lived
from tests.test_import_learn import told
from tests.test_import_recorder import STREAM, bring, morning

CACHE = Path(__file__).parents[2] / ".cache/interop"
PLACES = "/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin:" + os.environ.get("PATH", "")
SECRET = "pass word/with@signs"


def program(*names):
    found = next((found for name in names if (found := shutil.which(name, path=PLACES))), None)
    if found is None:
        pytest.skip(f"{names[0]} IS NOT INSTALLED: imports from its databases are NOT tested")
    return found


class Server:
    """A private database server on a free port, run by its own user where we are root."""

    def __init__(self, user, *, stops_by_interrupt=False):
        self.stops_by_interrupt = stops_by_interrupt
        self.folder = Path(tempfile.mkdtemp(prefix="sceneshift-"))
        self.port = free_port()
        self.as_user = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
        if self.as_user:
            shutil.chown(self.folder, user, user)

    def run(self, *words):
        subprocess.run(words, check=True, capture_output=True, cwd=self.folder, **self.as_user)

    def serve(self, *words):
        self.process = subprocess.Popen(
            words, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.as_user
        )
        deadline = time.monotonic() + 60
        while not listens(self.port):
            assert self.process.poll() is None, f"{words[0]} does not start"
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def stop(self):
        self.process.send_signal(signal.SIGINT if self.stops_by_interrupt else signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def mariadb():
    """Return how databases are made there: a name to the addresses of its owner and of one who may only read."""
    installer, daemon = program("mariadb-install-db", "mysql_install_db"), program("mariadbd", "mysqld")
    server = Server("mysql")
    data, socket = server.folder / "data", server.folder / "socket"
    server.run(installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal")
    server.serve(daemon, "--no-defaults", f"--datadir={data}", f"--socket={socket}", f"--port={server.port}",
                 "--bind-address=127.0.0.1", "--skip-name-resolve")  # fmt: skip
    root = sa.create_engine(f"mysql+pymysql://root@127.0.0.1:{server.port}/mysql")

    def made(name):
        with root.begin() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            connection.exec_driver_sql(f"CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY '{SECRET}'")
            connection.exec_driver_sql(f"GRANT SELECT ON {name}.* TO reader@'127.0.0.1'")
        return address("mysql", "root", None, server.port, name), address("mysql", "reader", SECRET, server.port, name)

    yield made
    root.dispose()
    server.stop()


@pytest.fixture(scope="module")
def postgresql():
    """Return how databases are made there, as for MariaDB."""
    initdb, daemon = program("initdb"), program("postgres")
    server = Server("postgres", stops_by_interrupt=True)  # at once, whoever is connected
    data, secret = server.folder / "data", server.folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    server.run(initdb, "-D", str(data), "-U", "owner", f"--pwfile={secret}", "--auth=scram-sha-256", "-E", "UTF8")
    server.serve(daemon, "-D", str(data), "-p", str(server.port), "-k", str(server.folder), "-c", "fsync=off",
                 "-c", "listen_addresses=127.0.0.1", "-c", "timezone=Asia/Tokyo")  # fmt: skip
    whole = address("postgresql", "owner", SECRET, server.port, "postgres").set(drivername="postgresql+psycopg")
    root = sa.create_engine(whole, isolation_level="AUTOCOMMIT")
    deadline = time.monotonic() + 30
    while True:
        try:
            with root.connect() as connection:
                connection.exec_driver_sql(f"CREATE USER reader PASSWORD '{SECRET}'")
            break
        except sa.exc.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def made(name):
        with root.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        owner = address("postgresql", "owner", SECRET, server.port, name)
        engine = sa.create_engine(owner.set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader")
        engine.dispose()
        return owner, address("postgresql", "reader", SECRET, server.port, name)

    yield made
    root.dispose()
    server.stop()


def address(backend, user, password, port, name):
    return sa.URL.create(backend, user, password, "127.0.0.1", port, name)


USED = ("light.lamp_", "switch.plug_", "binary_sensor.motion_")
DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}


@pytest.fixture
def recording():
    """Return how a recorder is made on a server; its connections are closed at the end."""
    engines = []

    def made(url, version):
        engines.append(sa.create_engine(url.set(drivername=DRIVERS[url.drivername])))
        return Recording(engines[-1], version)

    yield made
    for engine in engines:
        engine.dispose()


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "data")
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
@pytest.mark.parametrize("version", GENERATIONS)
def test_a_server_tells_what_a_file_tells_to_one_who_may_only_read(  # noqa: PLR0917
    request, store, recording, kind, version, monkeypatch
):
    owner, reader = request.getfixturevalue(kind)(f"ha{version}")
    done, causes = morning(recording(owner, version))
    monkeypatch.setenv("SCENESHIFT_SOURCE_PASSWORD", SECRET)
    without = sa.URL.create(reader.drivername, "reader", None, reader.host, reader.port, reader.database)
    first = bring(without.render_as_string(), store)
    assert lived(store) == done
    assert (first.rows, first.causes) == (24, causes)
    again = bring(reader.render_as_string(hide_password=False), store)
    assert (again.rows, again.resumed) == (0, True)
    since = bring(without, None, Rules(done[3][0], done[-1][0]), since=done[3][0])
    assert since.rows < 24


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_while_a_server_is_written_to_it_is_only_read(request, store, recording, kind):
    owner, _ = request.getfixturevalue(kind)("written")
    recorder = recording(owner, 43)
    done, _ = morning(recorder)
    with recorder.engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO states (state_id, state, metadata_id) VALUES (900, 'never', 1)")
        bring(owner.render_as_string(hide_password=False), store)  # a transaction is open meanwhile
        connection.rollback()
    assert lived(store) == done
    source = opened(owner.render_as_string(hide_password=False), Wanted(UTC), STREAM, [])
    with closing(source), source._engine.connect() as connection, pytest.raises(sa.exc.DBAPIError):
        connection.exec_driver_sql("DELETE FROM states")
    with recorder.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM states").scalar_one() == 24


# The database of a real Home Assistant, left by tests/interop/test_home_assistant.py


@pytest.fixture(params=["2024.3.3", "2025.4.4"])
def recorded(request, tmp_path):
    path = CACHE / f"recorder-{request.param}.db"
    if not path.exists():
        pytest.skip(f"{path.name} IS MISSING: tests/interop/test_home_assistant.py leaves it; NOT tested")
    shutil.copy(path, tmp_path / "home-assistant_v2.db")
    return tmp_path / "home-assistant_v2.db"


def test_what_a_real_home_assistant_has_recorded_is_what_was_done_there(recorded, store):
    with closing(sqlite3.connect(recorded)) as connection:
        version = connection.execute("SELECT max(schema_version) FROM schema_changes").fetchone()[0]
        rows = connection.execute(
            "SELECT m.entity_id, s.state FROM states s JOIN states_meta m USING (metadata_id) ORDER BY s.state_id"
        ).fetchall()
    tally = bring(recorded, store, now=time.time())
    assert version >= 42
    assert tally.rows == len(rows)
    assert tally.new > 100
    assert tally.causes[AUTOMATION] > 0
    assert tally.causes[PERSON] > 0
    expected, before = [], {}
    for entity, state in rows:  # every change of what is used there, in the words of Home Assistant itself
        if entity.startswith(USED) and state in {"on", "off"}:
            if before.get(entity, state) != state:
                expected.append((entity, f"state {state}"))
            before[entity] = state
        else:
            before.pop(entity, None)
    found = [(device, control) for _, device, control in lived(store) if device.startswith(USED)]
    assert len(expected) > 100
    assert sorted(found) == sorted(expected)


def test_what_a_real_home_assistant_has_recorded_is_learned(recorded, tmp_path):
    """The minutes it was recorded in are stretched to weeks: what is learned from must have days."""
    with closing(sqlite3.connect(recorded)) as connection, connection:
        connection.execute("UPDATE recorder_runs SET start = '2020-01-01 00:00:00'")
        first, last = connection.execute("SELECT min(last_updated_ts), max(last_updated_ts) FROM states").fetchone()
        stretched = 50 * 86400.0 / (last - first)
        connection.execute("UPDATE states SET last_updated_ts = ? - (? - last_updated_ts) * ?", (last, last, stretched))
    settings = tmp_path / "sceneshift.toml"
    settings.write_text(
        f'[broker]\nurl = "mqtt://127.0.0.1:1"\n[data]\ndirectory = "{tmp_path / "learned"}"\n[adapt]\nsteps = 40\n'
        '[[sources]]\ndialect = "statestream"\n'
    )
    done = told(recorded, settings)
    assert done.returncode == 0, done.stderr
    assert "it scores from the first minute" in done.stdout
    agent = Agent(load(settings))
    try:
        assert agent.watch.model is not None
        assert set(agent.watch.model.scorer.vocabulary.devices) >= {"light.lamp_0", "switch.plug_0"}
        assert json.dumps(agent.status())
    finally:
        agent.close()
