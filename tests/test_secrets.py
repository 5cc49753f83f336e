"""Secrets: from a file or the environment alone, and in no error text, whatever goes wrong with them."""

import os
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.core.errors import EdgeError, SettingsError
from edge.secrecy import spared
from edge.sections import Web
from edge.settings import SECRETS, load
from edge.tls import context
from edge.trust import trusted
from edge.web.access import read_token
from tests.test_cli import ROOT
from trainer.bundle import new_keys, signing_key

SECRET = "planted-secret"
# Signs that part an address, and some that are read as such ones (NFKC).
SIGNS = st.text(alphabet=":/@[]?#%.0\\\u2100\uff0f \n", max_size=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("settings")


def refused(folder, text):
    """Return what is said of settings that cannot be used."""
    path = folder / "sceneshift.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as told:
        load(path)
    return str(told.value)


@pytest.mark.parametrize(("section", "key"), SECRETS)
def test_a_secret_in_the_settings_file_is_an_error_that_names_where_it_belongs(folder, section, key):
    told = refused(folder, f'[{section}]\n{key} = "{SECRET}"\n')
    assert f"name that as {section}.{key}_file" in told
    assert SECRET not in told


@given(before=SIGNS, behind=SIGNS, user=st.sampled_from(["", "user", "user:"]))
@example(before="", behind="", user="user:")  # a password where a port is looked for
@example(before="[", behind="]@broker", user="user:")
@example(before="", behind="\u2100@broker", user="user:")
def test_an_address_is_never_repeated_where_it_cannot_be_used(folder, before, behind, user):
    typed = f"mqtt://{user}{before}{SECRET}{behind}".replace("\\", "\\\\").replace("\n", "\\n")
    path = folder / "sceneshift.toml"
    path.write_text(f'[broker]\ninsecure = true\nurl = "{typed}"\n', "utf-8")
    told = ""
    try:
        assert SECRET in load(path).broker.host, "it was a name after all"
    except SettingsError as error:
        told = str(error)
    assert SECRET not in told


@pytest.mark.parametrize(
    "text",
    [
        f'[broker]\npassword = "{SECRET}', f'[broker]\npassword = "{SECRET}"\npassword = "x"\n',
        f'[broker]\nuser = ["{SECRET}"]\n', f'broker = "{SECRET}"\n', f'[broker]\npasswort = "{SECRET}"\n',
        f'[broker]\npassword_file = {{ is = "{SECRET}" }}\n', f'[web]\nport = "{SECRET}"\n',
        f'[broker]\nuser = "a" {SECRET}\n', f'[[web]]\ntoken = "{SECRET}"\n',
    ],
)  # fmt: skip
def test_no_value_is_repeated_where_it_cannot_be_used(folder, text):
    assert SECRET not in refused(folder, text)


@pytest.mark.parametrize("name", ["BROKER", "BROKER__PASWORD", "WEB__TOKEN", "SOURCES", "WEB__PORT"])
def test_nor_one_of_the_environment(folder, monkeypatch, name):
    monkeypatch.setenv(f"SCENESHIFT_{name}", SECRET)
    assert SECRET not in refused(folder, "")


@pytest.mark.parametrize("content", [SECRET[:8].encode(), b"\xff" + SECRET.encode(), b""])
def test_a_token_that_cannot_be_used_is_not_repeated(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(SettingsError) as told:
        read_token(Web(token_file=tmp_path / "token"), tmp_path)
    assert SECRET[:8] not in str(told.value)


def test_a_damaged_key_is_not_repeated_and_a_private_one_is_none_to_trust(tmp_path):
    secret, _ = new_keys(tmp_path)
    lines = secret.read_text().splitlines()
    for text in (
        "\n".join(lines[:2]),
        "\n".join([lines[0], lines[1][:-4], lines[2]]),
        lines[1],
        f"{lines[0]}\n{SECRET}\n",
    ):
        secret.write_text(text)
        with pytest.raises(SettingsError) as told:
            signing_key(secret)
        assert lines[1] not in str(told.value)
        assert SECRET not in str(told.value)
    secret.write_text("\n".join(lines))
    with pytest.raises(SettingsError) as told:
        trusted(None, secret)
    assert lines[1] not in str(told.value)


def test_an_unusable_key_of_a_certificate_is_not_repeated(tmp_path, folder):
    for name in ("cert", "key"):
        (tmp_path / name).write_text(f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n")
    (folder / "sceneshift.toml").write_text(f'[broker]\ntls_cert = "{tmp_path}/cert"\ntls_key = "{tmp_path}/key"\n')
    with pytest.raises(EdgeError) as told:
        context(load(folder / "sceneshift.toml").broker)
    assert SECRET not in str(told.value)


def test_an_error_nobody_foresaw_shows_no_value(folder):
    path = folder / "sceneshift.toml"
    path.write_text("")
    code = (
        "import sys, edge.report; from edge.__main__ import main\n"
        "def broken(settings):\n"
        "    secret = settings.broker.secret(); print(settings, len(secret)); raise KeyError('x')\n"
        f"edge.report.status_of = broken; sys.argv[1:] = ['status', '--settings', {str(path)!r}]; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT,
        env={**os.environ, "SCENESHIFT_BROKER__PASSWORD": SECRET},
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert str(len(SECRET)) in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_a_child_is_handed_the_environment_without_our_settings(monkeypatch):
    for name in ("SCENESHIFT_BROKER__PASSWORD", "sceneshift_broker__password", "Sceneshift_Source_Password"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("OTHER", "stays")
    assert spared()["OTHER"] == "stays"
    assert SECRET not in spared().values()


@pytest.mark.parametrize(("umask", "file"), [("000", 0o640), ("022", 0o640), ("077", 0o600), ("002", 0o640)])
def test_what_is_written_is_for_the_owner_or_stricter_and_no_core_is_dumped(tmp_path, umask, file):
    code = (
        "import os, resource, sys; from edge.secrecy import withdraw; withdraw(); open(sys.argv[1], 'w').close()\n"
        "os.mkdir(sys.argv[1] + 'd'); print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    command = f'umask {umask}; exec "$0" -c "$1" "$2"'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, code, str(tmp_path / "x")],
        capture_output=True, text=True, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.strip() == "(0, 0)", done.stderr
    assert (tmp_path / "x").stat().st_mode & 0o777 == file
    assert (tmp_path / "xd").stat().st_mode & 0o777 == file | (file & 0o440) >> 2
