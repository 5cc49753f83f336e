"""The page attacked: by other sites, by guessers, by who connects and asks nothing, by names of files and headers."""

import socket
import ssl
import stat
import time
from contextlib import ExitStack, closing

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import SettingsError
from edge.sections import Web
from edge.web import connections
from edge.web.access import TRIES, Access, network, read_token
from edge.web.live import MOST as STREAMS
from edge.web.server import serve
from tests.certificates import Authority
from tests.looking import Answering, looking, mark, settings
from tests.test_mqtt import until

PATIENT = 15.0  # seconds an answer may take on a loaded machine
PROTECTING = ("content-security-policy", "x-content-type-options", "referrer-policy", "cross-origin-opener-policy")


@pytest.fixture
def shown(tmp_path):
    with looking(tmp_path) as found:
        yield found


def raw(client, text, seconds=PATIENT):
    """Send bytes as they are, and return all that comes back until the page hangs up."""
    with socket.create_connection((client.base_url.host, client.base_url.port), seconds) as spoken:
        spoken.sendall(text)
        found = b""
        while part := spoken.recv(65536):
            found += part
    return found


def test_an_unexpected_error_is_answered_through_the_door_too(shown, monkeypatch):
    _, client = shown

    def broken(*_):
        raise ZeroDivisionError("planted-secret")

    monkeypatch.setattr("edge.web.situation.home_now", broken)
    answer = client.get("/")
    assert answer.status_code == 500
    assert all(answer.headers[name] for name in PROTECTING)
    assert answer.headers["cache-control"] == "no-store"
    assert "planted-secret" not in answer.text
    monkeypatch.undo()
    assert httpx.get(f"{client.base_url}", timeout=PATIENT).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../door.py", "/static/..%2f..%2fdoor.py", "/static/%2e%2e/door.py", "/static//etc/passwd",
        "/static/....//door.py", "/static/..\\..\\door.py", "/static/%00", "/static/%ff", "/static/" + "a" * 5000,
        "/static/", "/static/vendor", "//evil.example/", "/do/../../etc/passwd", "/static/page.js/../../door.py",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_pages_own_files(shown, path):
    _, client = shown
    told = raw(client, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert told.split(b" ", 2)[1] in {b"404", b"400", b"403", b"405", b"307"}
    assert b"class Door" not in told
    assert b"root:" not in told


@given(st.binary(max_size=80))
def test_no_bytes_stop_the_page(answered, content):
    client = answered
    with socket.create_connection((client.base_url.host, client.base_url.port), PATIENT) as spoken:
        spoken.sendall(content.replace(b"\n", b"") + b"\r\n\r\n")
        assert spoken.recv(100).startswith((b"HTTP/1.1 400", b""))
    assert client.get("/login").status_code in {200, 303}


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    with looking(tmp_path_factory.mktemp("home")) as (_, client):
        yield client


@pytest.mark.parametrize("injected", ["/alerts%0d%0aSet-Cookie:%20x=1", "/alerts\r\nSet-Cookie: x=1", "/a\u2028b"])
def test_no_header_comes_from_what_a_form_says(shown, injected):
    _, client = shown
    answer = client.post("/do/learn", data={"mark": mark(client), "back": injected})
    assert answer.status_code == 303
    assert "x=1" not in answer.headers.get("set-cookie", "")
    assert "\r" not in answer.headers["location"]


def test_a_form_without_end_is_cut_and_its_sender_let_go(shown):
    agent, client = shown
    key = mark(client)
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = f"POST /do/learn HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nContent-Length: 100000000\r\n\r\n"
    told = raw(client, head.encode() + b"mark=" + key.encode() + b"&x=" + b"y" * 20_000)
    assert told.startswith(b"HTTP/1.1 400")
    assert not agent.asked


def test_nothing_private_is_framed_cached_or_read_by_another_site(shown):
    _, client = shown
    for path in ("/", "/alerts", "/settings", "/login"):
        headers = client.get(path).headers
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    asked = client.request("OPTIONS", "/do/learn", headers={"Origin": "http://evil.example"})
    assert asked.status_code in {403, 405}
    assert "access-control-allow-origin" not in asked.headers


def test_a_name_pointed_at_a_page_with_a_token_has_no_session_and_gets_none(tmp_path):
    """DNS rebinding off loopback: the browser keeps our cookie for our name, and another name shows only the login."""
    with looking(tmp_path, address="0.0.0.0") as (_, client):
        token = (tmp_path / "web-token").read_text().strip()
        client.post("/login", data={"mark": mark(client, "/login"), "token": token})
        assert client.get("/").status_code == 200
        stranger = httpx.get(f"{client.base_url}", headers={"Host": "evil.example"}, follow_redirects=False)
        assert (stranger.status_code, stranger.headers["location"]) == (303, "/login")


@pytest.mark.parametrize(
    ("address", "visitor"),
    [
        ("192.168.1.2", "192.168.1.2"), ("::ffff:192.168.1.2", "192.168.1.2"), ("", ""), ("unix", "unix"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)  # fmt: skip
def test_who_has_many_addresses_is_one_visitor(address, visitor):
    assert network(address) == visitor


def test_guessing_from_every_address_of_a_network_is_guessing_from_one():
    access = Access("correct horse battery")
    for number in range(TRIES):
        assert not access.wait(f"2001:db8::{number}", 100.0)
        access.right("guess", f"2001:db8::{number}", 100.0)
    assert access.wait("2001:db8::ffff", 101.0)
    assert not access.wait("2001:db8:0:1::1", 101.0)


def test_who_connects_and_asks_nothing_is_let_go_and_others_are_served(shown, monkeypatch):
    monkeypatch.setattr(connections, "ASKING", 0.3)
    _, client = shown
    begun = time.monotonic()
    for part in (
        b"",
        b"GET / HTTP/1.1\r\nHost: local",
        b"POST /do/learn HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
    ):
        with socket.create_connection((client.base_url.host, client.base_url.port), PATIENT) as slow:
            slow.sendall(part)
            assert client.get("/").status_code == 200
            until(lambda slow=slow: _hung_up(slow), PATIENT)
    assert time.monotonic() - begun < PATIENT
    with socket.create_connection((client.base_url.host, client.base_url.port), PATIENT) as kept:
        for _ in range(2):  # one byte a while, behind a request that was answered
            kept.sendall(b"GET /static/logo.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            told = b""
            while not told.endswith(b"</svg>\n"):
                told += kept.recv(4096)
            assert told.startswith(b"HTTP/1.1 200")
        until(lambda: not _taken(kept, b"G"), PATIENT)


def test_a_stream_is_not_let_go_though_it_asks_no_more(shown, monkeypatch):
    monkeypatch.setattr(connections, "ASKING", 0.2)
    agent, client = shown
    with client.stream("GET", "/events") as answer:
        lines = answer.iter_lines()
        for _ in range(4):
            next(lines)
        time.sleep(0.6)
        agent.publish("progress", {"job": "still told"})
        assert "event: progress" in [next(lines) for _ in range(2)]


def test_a_flood_of_connections_costs_the_page_alone(tmp_path, monkeypatch):
    """Of some hundred connections of one address its share is held, and the rest is hung up on."""
    import psutil

    monkeypatch.setattr(connections, "ASKING", 3600.0)
    with looking(tmp_path) as (_, client), ExitStack() as held:
        before = psutil.Process().num_fds()
        flood = [
            held.enter_context(socket.create_connection((client.base_url.host, client.base_url.port), PATIENT))
            for _ in range(4 * connections.SHARE)
        ]
        until(lambda: sum(_hung_up(each) for each in flood) >= 3 * connections.SHARE, PATIENT)
        until(lambda: psutil.Process().num_fds() - before <= len(flood) + connections.SHARE, PATIENT)
        for each in flood:
            each.close()
        until(lambda: _served(client), PATIENT)


def _taken(spoken, part):
    try:
        spoken.sendall(part)
    except OSError:
        return False
    return True


def _hung_up(spoken):
    spoken.setblocking(False)
    try:
        return spoken.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _served(client):
    try:
        return client.get("/static/logo.svg").status_code == 200
    except httpx.TransportError:
        return False


def test_more_streams_than_there_is_room_for_are_refused_and_pages_still_shown(shown):
    _, client = shown
    with ExitStack() as held, httpx.Client(base_url=client.base_url, limits=httpx.Limits(), timeout=PATIENT) as many:
        answers = [held.enter_context(many.stream("GET", "/events")) for _ in range(STREAMS)]
        lines = [answer.iter_lines() for answer in answers]  # kept: one that is gone closes its answer
        for each in lines:
            next(each)
        assert many.get("/events").status_code == 503
        assert client.get("/").status_code == 200


def test_with_a_certificate_the_page_speaks_tls_alone_and_its_cookie_too(tmp_path):
    authority = Authority(tmp_path)
    shown = authority.sign("page")
    told = settings(tmp_path / "data", tls_cert=shown.cert, tls_key=shown.key, token_file=tmp_path / "token")
    (tmp_path / "token").write_text("correct horse battery")
    from edge.store import Store

    agent = Answering(told, Store.open(tmp_path / "data"))
    with closing(serve(agent, told.web)) as page:
        assert page.url.startswith("https://127.0.0.1:")
        believed = ssl.create_default_context(cafile=str(authority.ca))
        believed.verify_flags &= ~ssl.VERIFY_X509_STRICT
        with httpx.Client(base_url=page.url, verify=believed, timeout=PATIENT) as client:
            entered = client.post("/login", data={"mark": mark(client, "/login"), "token": "correct horse battery"})
            assert entered.status_code == 303
            assert "Secure" in entered.headers["set-cookie"]
            assert client.get("/").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(page.url, timeout=PATIENT)
        with pytest.raises(httpx.TransportError):
            httpx.get(page.url.replace("https", "http"), timeout=PATIENT)
    agent.store.close()


@pytest.mark.parametrize("missing", ["tls_cert", "tls_key"])
def test_a_certificate_of_the_page_that_cannot_be_used_ends_the_start(tmp_path, missing):
    pair = Authority(tmp_path).sign("page")
    files = {"tls_cert": pair.cert, "tls_key": pair.key, missing: tmp_path / "none"}
    agent = Answering(settings(tmp_path, **files), None)
    with pytest.raises(SettingsError, match="web.tls_cert"):
        serve(agent, agent.settings.web)
    with pytest.raises(ValueError, match="tls_cert"):
        Web(tls_key=pair.key)


def test_a_token_is_its_owners_alone_though_its_file_was_there(tmp_path):
    file = tmp_path / "web-token"
    file.touch()
    file.chmod(0o644)
    assert read_token(Web(address="0.0.0.0"), tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
