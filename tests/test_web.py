"""The page on its real server, with a real store: every page in every state, and everybody who may not come in."""

import logging
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import doctor
from edge.core.errors import SettingsError
from edge.core.phrases import Phrases
from edge.sections import Home, Web, local
from edge.settings import Settings
from edge.store import Store
from edge.web import today
from edge.web.access import LASTS, TRIES, WITHIN, Access, read_token
from edge.web.asking import way_back
from edge.web.live import MOST, WAITING, Live, event
from edge.web.pages import PAGES
from edge.web.server import serve
from edge.web.strings import texts
from edge.web.visits import Visit
from tests.conftest import free_port
from tests.looking import IDLE, STATES, TODAY, Answering, ahead, filled, looking, mark
from tests.looking import settings as settings_of

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'; DROP TABLE alerts; --", "{{ 7 * 7 }}",
    "🛋️ Lampe “Küche” & <b>Bad</b>", "\u202e\u05d0\u05d1 drawkcab", "a/b/../c?d#e%00", "</title></table>",
)  # fmt: skip
NUMBERED = {"/alerts/{number:int}": "/alerts/1", "/scenes/{number:int}": "/scenes/2"}  # what tests/looking.py fills in
PATHS = [NUMBERED.get(page.path, page.path) for page in PAGES]
SHOWN = [*PATHS, "/alerts?show=quiet", "/alerts?show=all", "/alerts/12", f"/?day={ahead(-3)}"]


class Seen(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module", params=["empty store", "full store"])
def home(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    full = request.param == "full store"
    with looking(folder, store=filled(folder) if full else None) as (agent, client):
        yield agent, client, full


@pytest.mark.parametrize("snapshot", STATES.values(), ids=STATES)
def test_every_page_is_shown_in_every_state(home, snapshot):
    agent, client, full = home
    agent.snapshot = snapshot
    for path in SHOWN:
        answer = client.get(path)
        missing = not full and path[-1].isdigit() and "?" not in path
        assert answer.status_code == (404 if missing else 200), path
        seen = Seen(answer.text)
        assert seen.tags.count("h1") == 1
        assert seen.tags.count("main") == 1


def test_where_nothing_is_there_yet_the_page_says_how_far_it_is(tmp_path):
    with looking(tmp_path) as (_, client):
        assert "No model yet: 0 of 14 days recorded." in client.get("/").text
        assert "No model yet" in client.get("/models").text
        assert "No alert yet" in client.get("/alerts").text


def test_today_tells_what_was_done_with_its_score_and_what_was_told_of_it(tmp_path):
    with looking(tmp_path, store=filled(tmp_path)) as (_, client):
        rows = re.findall(r'<tr class="(\w+)" data-t="[\d.]+" data-score="([\d.]*)">', client.get("/").text)
        assert [mark for mark, _ in rows] == ["told"] * 3 + ["quiet"] * 6
        assert rows[0][1] == "0.17"
        assert rows[-1][1] == ""
        before = client.get(f"/?day={ahead(-1)}").text
        assert "Hall lamp turned on" in before
        assert client.get("/?day=yesterday").status_code == 404
        assert client.get("/?day=0001-01-01").status_code in {200, 404}
        assert client.get("/?day=9999-12-31").status_code in {200, 404}


def test_a_day_on_which_the_clock_is_turned_has_its_own_hours(tmp_path):
    told = Settings(home=Home(time_zone="Europe/Paris"))
    store = Store.open(tmp_path)
    for day, length in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)):
        visit = Visit(store, told, {}, store.scores, Phrases(), TODAY, TODAY, query={"day": day})
        found = today.view(visit)
        assert found.end - found.start == length * 3600
        assert [hour for _, hour in found.hours] == ["00", "03", "06", "09", "12", "15", "18", "21", "00"]
        assert [f"{visit.local(moment):%H}" for moment, _ in found.hours] == [hour for _, hour in found.hours]
    store.close()


def test_while_the_agent_closes_the_page_says_so(tmp_path):
    with looking(tmp_path) as (agent, client):
        agent.store.close()
        answer = client.get("/")
        assert answer.status_code == 503
        assert "Not done" in answer.text


def test_an_alert_is_told_in_full_with_its_hours_and_its_parts(tmp_path):
    with looking(tmp_path, store=filled(tmp_path)) as (_, client):
        text = Seen(client.get("/alerts/1").text).text
        for told in (
            "Alert 1",
            "Hall lamp turned off",
            "60 %",
            "Surprise against limit",
            "9.00",
            "beyond",
            "this time",
        ):
            assert told in text, told
        old = Seen(client.get("/alerts/12").text).text
        assert "from before more was kept" in old
        for number in ("13", "0", str(2**53), str(10**40)):
            assert client.get(f"/alerts/{number}").status_code == 404
        assert client.get("/alerts/one").status_code == 404
        assert client.get("/alerts?show=everything").status_code == 404


def test_models_tell_slots_figures_and_every_kind_of_change(tmp_path):
    with looking(tmp_path, store=filled(tmp_path)) as (_, client):
        damaged = tmp_path / "slots" / "0001-winter" / "parameters.npy"
        damaged.write_bytes(damaged.read_bytes()[:-4])
        text = Seen(client.get("/models").text).text
        for told in ("scores now", "the one before", "damaged", "0.980", "0.900 →", "0.990", "taken up again",
                     "gone back", "not taken", "adapted", "learned", "Yes, go back to 0002-spring"):  # fmt: skip
            assert told in text, told
        assert "nan" not in text
        (tmp_path / "slots" / "current.json").write_text("{")
        assert "current.json is corrupt" in client.get("/models").text


def test_settings_tell_every_key_with_its_meaning_and_no_secret(tmp_path):
    told = settings_of(tmp_path, address="127.0.0.1")
    broker = told.broker.model_validate({"user": "us", "password": "swordfish", "url": "mqtts://broker.home"})
    told = told.model_copy(update={"broker": broker})
    agent = Answering(told, Store.open(tmp_path), {**IDLE, "mode": "guests", "alarms_per_week": 3.5, "alerts": True})
    page = serve(agent, told.web, tmp_path / "sceneshift.toml")
    text = httpx.get(f"{page.url}/settings").text
    page.close()
    assert "swordfish" not in text
    assert "set, not shown" in text
    assert "mqtts://broker.home" in text
    assert str(tmp_path / "sceneshift.toml") in text
    assert "3.5" in text
    for name in type(told).model_fields:
        assert f"<code>{name}" in text
    for key, field in Web.model_fields.items():
        assert f"<code>{key}</code>" in text
        assert field.description.replace("`", "").split("'")[0][:30] in text


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return shapes(tmp_path_factory.mktemp("plain"), "Desk fan")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_nothing_else(tmp_path, plain, name):
    for path, shape in shapes(tmp_path, name).items():
        assert shape == plain[path], path


def shapes(directory, name):
    """Return the elements and attributes of every page of a home with a device of this name."""
    with looking(directory, store=filled(directory, name)) as (_, client):
        seen = {path: Seen(client.get(path).text) for path in SHOWN}
    return {path: (each.tags, [(tag, key) for tag, key, _ in each.attributes]) for path, each in seen.items()}


@given(st.text(max_size=60).filter(lambda text: text.strip()))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_agent_says_is_wrong_is_shown_as_text(shown, key, text):
    agent, client = shown
    told = []
    for said in ("no", text):
        agent.answer = {"status": "error", "error": said, "data": {}}
        answer = client.post("/do/learn", data={"mark": key})
        told.append((answer.status_code, Seen(answer.text).tags))
    assert told[0] == told[1]
    assert told[0][0] == 409


@pytest.fixture
def shown(tmp_path):
    with looking(tmp_path, store=filled(tmp_path)) as found:
        yield found


@pytest.fixture
def key(shown):
    return mark(shown[1])


def test_every_answer_carries_the_headers_that_protect_it_and_no_page_holds_script_or_style(shown):
    _, client = shown
    for path in [*SHOWN, "/nothing", "/static/page.js", "/login"]:
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers.get("server") is None
        if path in SHOWN:
            seen = Seen(answer.text)
            assert "style" not in seen.tags
            assert not [each for each in seen.attributes if each[1] == "style" or each[1].startswith("on")]
            assert all(value for tag, key, value in seen.attributes if tag == "script" and key == "src")
            assert not re.search(r'(src|href|action)="(https?:)?//', answer.text)
            assert answer.headers["cache-control"] == "no-store"


def test_forms_ask_what_they_say_and_lead_back(shown):
    agent, client = shown
    told = {
        "adapt": {"scene": "spring"}, "learn": {}, "rollback": {}, "mode": {"mode": "guests"},
        "alarms": {"number": "2.5"}, "alerts": {"on": "off"}, "mute": {"device": "fan1", "minutes": "120"},
        "feedback": {"alert": "1", "verdict": "fine"},
    }  # fmt: skip
    key = mark(client)
    for what, fields in told.items():
        answer = client.post(f"/do/{what}", data={**fields, "mark": key, "back": "/models"})
        assert answer.status_code == 303, what
        assert answer.headers["location"] == f"/models?done={what}"
        assert 'role="status"' in client.get(answer.headers["location"]).text
    whats = [request.what for request in agent.asked]
    assert whats == list(told)
    assert str(agent.asked[0].scene) == "spring"
    assert agent.asked[4].number == 2.5
    assert not agent.asked[5].on
    assert (agent.asked[6].device, agent.asked[6].minutes) == ("fan1", 120)
    assert (agent.asked[7].alert, agent.asked[7].verdict) == (1, "fine")


def test_what_takes_long_is_said_to_have_begun(tmp_path, monkeypatch):
    monkeypatch.setattr("edge.web.asking.PATIENCE", 0.05)
    with looking(tmp_path, answer="at work") as (_, client):
        answer = client.post("/do/learn", data={"mark": mark(client)})
        assert answer.headers["location"] == "/?done=begun"


def test_what_cannot_be_asked_is_told_and_asked_of_nobody(shown):
    agent, client = shown
    key = mark(client)
    for path, fields, said in (
        ("/do/adapt", {"scene": "monsoon"}, "no scene is called"),
        ("/do/mute", {"device": "fan1", "minutes": "soon"}, "minutes"),
        ("/do/explode", {}, "unknown request"),
        ("/do/learn", {"x": "y" * 20_000}, "too long"),
        ("/do/learn", {f"x{n}": "y" for n in range(50)}, "cannot be read"),
    ):
        answer = client.post(path, data={**fields, "mark": key})
        assert answer.status_code == 400, path
        assert said in answer.text
    assert not agent.asked


def test_a_form_that_is_not_ours_is_refused(shown):
    agent, client = shown
    key = mark(client)
    stranger = httpx.Client(base_url=client.base_url)
    other = mark(stranger)
    for sent, headers in (
        ({}, {}),
        ({"mark": "0" * 64}, {}),
        ({"mark": other}, {}),
        ({"mark": key}, {"Origin": "http://evil.example"}),
        ({"mark": key}, {"Origin": "null"}),
        ({"mark": key}, {"Origin": "http://["}),
        ({"mark": key}, {"Sec-Fetch-Site": "cross-site"}),
        ({"mark": key}, {"Sec-Fetch-Site": "same-site"}),
        ({"mark": key}, {"Sec-Fetch-Site": "none", "Origin": str(client.base_url).rstrip("/")}),
    ):
        answer = client.post("/do/learn", data=sent, headers=headers)
        assert answer.status_code == 403, (sent, headers)
    assert client.get("/do/learn").status_code == 405
    assert not agent.asked
    same = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/do/learn", data={"mark": key}, headers=same).status_code == 303
    assert stranger.post("/do/learn", data={"mark": other}, headers={"Cookie": "sceneshift=forged"}).status_code == 403
    stranger.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "localhost.evil"]
)
def test_a_foreign_name_for_this_computer_is_refused(shown, host):
    _, client = shown
    assert client.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:80"])
def test_its_own_names_are_answered(shown, host):
    _, client = shown
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_beyond_this_computer_a_token_is_asked_for_and_made(tmp_path, capfd):
    with looking(tmp_path, address="0.0.0.0", store=filled(tmp_path)) as (agent, client):
        file = tmp_path / "web-token"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        token = file.read_text().strip()
        assert len(token) >= 24
        for path in SHOWN:
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
            assert "Desk fan" not in answer.text
        assert client.get("/events").status_code == 401
        assert client.post("/do/learn", data={"mark": mark(client, "/login")}).status_code == 401
        assert client.get("/static/page.css").status_code == 200
        wrong = client.post("/login", data={"mark": mark(client, "/login"), "token": token + "x"})
        assert wrong.status_code == 401
        assert client.post("/login", data={"token": token}).status_code == 403
        entered = client.post("/login", data={"mark": mark(client, "/login"), "token": f" {token}\n"})
        assert entered.status_code == 303
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert client.get("/").status_code == 200
        assert client.get("/login").status_code == 303
        assert client.get("/", headers={"Host": "hub.home:8765"}).status_code == 200
        assert client.post("/do/learn", data={"mark": mark(client)}).status_code == 303
        assert len(agent.asked) == 1
        assert client.post("/logout", data={"mark": "forged"}).status_code == 403
        assert client.get("/").status_code == 200
        assert client.post("/logout", data={"mark": mark(client)}).headers["location"] == "/login"
        assert client.get("/").status_code == 303
    out, err = capfd.readouterr()
    assert token not in out + err


def test_a_session_outlives_a_restart_and_ends_with_its_token(tmp_path):
    file = tmp_path / "token"
    file.write_text("correct horse battery\n")
    with looking(tmp_path, token_file=file) as (_, client):
        client.post("/login", data={"mark": mark(client, "/login"), "token": "correct horse battery"})
        port, cookies = client.base_url.port, dict(client.cookies)
    with looking(tmp_path, token_file=file, port=port) as (_, client):
        client.cookies.update(cookies)
        assert client.get("/").status_code == 200
    file.write_text("another one, longer\n")
    with looking(tmp_path, token_file=file, port=port) as (_, client):
        client.cookies.update(cookies)
        assert client.get("/").status_code == 303


def test_guessing_has_its_limit(tmp_path):
    file = tmp_path / "token"
    file.write_text("correct horse battery\n")
    with looking(tmp_path, token_file=file) as (_, client):
        key = mark(client, "/login")
        for _ in range(TRIES):
            assert client.post("/login", data={"mark": key, "token": "guess"}).status_code == 401
        answer = client.post("/login", data={"mark": key, "token": "correct horse battery"})
        assert answer.status_code == 429
        assert answer.headers["retry-after"]


def test_a_wait_ends_and_one_address_does_not_shut_out_another():
    access = Access("correct horse battery")
    for _ in range(TRIES):
        assert not access.wait("a", 100.0)
        assert not access.right("guess", "a", 100.0)
    assert access.wait("a", 101.0)
    assert not access.wait("b", 101.0)
    assert not access.wait("a", 100.0 + WITHIN)
    for number in range(200):
        access.right("guess", f"address {number}", 300.0)
    assert access.wait("a new one", 301.0)  # all together, too


@given(st.text(max_size=200))
def test_no_cookie_but_ours_is_a_session(text):
    access = Access("correct horse battery")
    assert access.session(text, 0.0) is None
    ours = access.begin(1000.0, known=True)
    cookie = access.cookie(ours)
    assert access.session(cookie, 1001.0) == ours
    assert access.session(cookie, 1000.0 + LASTS) is None
    assert access.session(cookie.replace("known", "guest"), 1001.0) is None
    assert Access("another token!").session(cookie, 1001.0) is None
    assert not access.marked(ours, text)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe\xff" * 9])
def test_a_token_that_is_none_is_told_with_its_file(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(str(file))):
        read_token(Web(token_file=file), tmp_path)
    with pytest.raises(SettingsError, match="missing"):
        read_token(Web(token_file=tmp_path / "missing"), tmp_path)


@pytest.mark.parametrize(
    ("address", "here"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("192.168.1.2", False), ("hub.home", False), ("::", False)],
)  # fmt: skip
def test_what_is_reached_from_this_computer_alone_needs_no_token(tmp_path, address, here):
    assert local(address) is here
    assert (read_token(Web(address=address), tmp_path) is None) is here


def test_behind_ingress_every_link_is_under_its_path(shown):
    _, client = shown
    root = "/api/hassio_ingress/abc-DEF_1"
    answer = client.get("/alerts", headers={"X-Ingress-Path": root})
    links = re.findall(r'(?:href|src|action)="([^"#]+)"', answer.text)
    assert links
    assert all(link.startswith(f"{root}/") for link in links)
    assert f'data-root="{root}"' in answer.text
    assert f"Path={root}" in client.get("/", headers={"X-Ingress-Path": root, "Cookie": ""}).headers["set-cookie"]
    key = mark(client)
    done = client.post("/do/learn", data={"mark": key}, headers={"X-Ingress-Path": root})
    assert done.headers["location"] == f"{root}/?done=learn"


@pytest.mark.parametrize(
    "root", ["//evil.example", "https://evil.example", "/a b", '/a"><script>', "/..", "/a/" * 9, "/"]
)
def test_a_path_that_is_none_is_ignored(shown, root):
    _, client = shown
    answer = client.get("/", headers={"X-Ingress-Path": root})
    assert 'data-root=""' in answer.text
    assert 'href="/alerts"' in answer.text


@given(st.text(max_size=40))
def test_no_form_leads_to_another_site(said):
    back = way_back(said)
    assert back.startswith("/")
    assert not back.startswith("//")
    assert "\\" not in back
    assert back.isprintable()


def test_what_happens_is_told_at_once(shown):
    agent, client = shown
    with client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "retry: 3000"
        assert next(lines) == "event: state"
        assert '"scene": "winter"' in next(lines)
        agent.publish("alert", {"sentence": "a\nb <i>"})
        agent.publish("secret", {"x": 1})
        agent.publish("progress", {"job": "adapt"})
        told = [next(lines) for _ in range(7)]
    assert event("state", {"x": float("nan")}) == 'event: state\ndata: {"x": null}\n\n'
    assert told[1:] == [
        "event: alert",
        'data: {"sentence": "a\\nb <i>"}',
        "",
        "event: progress",
        'data: {"job": "adapt"}',
        "",
    ]
    agent.publish("behavior", {"next": [{"device": "fan1", "control": "state ON", "probability": 0.25}]})
    assert "25 %" in client.get("/").text


def test_silence_has_its_heartbeat_and_a_closing_page_ends_its_streams(tmp_path, monkeypatch):
    monkeypatch.setattr("edge.web.live.HEARTBEAT", 0.05)
    monkeypatch.setattr(Live.__init__, "__defaults__", (0.05,))
    told = settings_of(tmp_path)
    agent = Answering(told, Store.open(tmp_path))
    page = serve(agent, told.web)
    beats, ended = threading.Event(), threading.Event()

    def listen():
        with httpx.stream("GET", f"{page.url}/events") as answer:
            for line in answer.iter_lines():
                if line.startswith(":"):
                    beats.set()
        ended.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert beats.wait(5)
    before = time.monotonic()
    page.close()
    assert time.monotonic() - before < 2.0
    assert ended.wait(5)
    page.close()  # twice is once
    with pytest.raises(httpx.ConnectError):
        httpx.get(page.url)
    agent.store.close()


def test_a_slow_browser_loses_the_oldest_and_nobody_waits_for_it():
    import asyncio

    async def watch():
        live = Live()
        live.open(asyncio.get_running_loop())
        stream = live.stream({})
        await anext(stream)
        for number in range(WAITING + 20):
            live.hear("behavior", {"n": number})
        await asyncio.sleep(0)
        heard = [await anext(stream) for _ in range(WAITING)]
        assert heard[0] == event("behavior", {"n": 20})
        others = [live.stream({}) for _ in range(MOST - 1)]
        for each in others:
            await anext(each)
        assert live.full
        live.end()
        await asyncio.sleep(0)
        for each in [stream, *others]:
            await each.aclose()
        assert not live.full

    asyncio.run(watch())


def test_a_port_in_use_is_told_and_the_agent_goes_on(tmp_path, caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = settings_of(tmp_path, port=taken.getsockname()[1])
        agent = Answering(told, Store.open(tmp_path))
        with caplog.at_level(logging.WARNING):
            page = serve(agent, told.web)
    assert "set [web] address and port" in caplog.text
    assert page.url == ""
    assert page.told.startswith("no page")
    page.close()
    agent.store.close()


def test_without_its_libraries_the_agent_goes_on_and_says_what_to_install(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    told = settings_of(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert serve(Answering(told, None), told.web).url == ""
    assert "pip install 'sceneshift[web]'" in caplog.text


def test_a_page_that_is_off_opens_nothing(tmp_path):
    told = settings_of(tmp_path, enabled=False)
    agent = Answering(told, None)
    assert serve(agent, told.web).url == ""
    assert not agent.on_publish


def test_every_text_a_page_names_is_there():
    known = texts()
    web = Path(serve.__code__.co_filename).parent
    used = set()
    for file in [*web.rglob("*.html"), *web.rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        used |= set(re.findall(r'say\(\s*"([a-z_.0-9]+)"\s*[,)]', text))
    assert used <= set(known)
    assert all(text.strip() for text in known.values())


def test_nothing_of_the_page_asks_another_host():
    web = Path(serve.__code__.co_filename).parent
    for file in [*web.rglob("*.html"), *web.rglob("*.css"), *web.rglob("*.js")]:
        if "vendor" not in file.parts:
            told = file.read_text(encoding="utf-8")
            assert not re.search(r"(https?:)?//[a-z]", re.sub(r"(^|\s)// .*", "", told)), file
    for folder in (web / "static" / "vendor").iterdir():
        assert (folder / "LICENSE").is_file()


def test_it_is_answered_while_the_home_is_written(tmp_path):
    with looking(tmp_path, store=filled(tmp_path)) as (agent, client):
        for number in range(20):
            agent.store.set_fact("n", number)
            assert client.get("/").status_code == 200
        assert agent.store.began() == pytest.approx(TODAY - 14 * 86400 + 7 * 3600)


def test_the_doctor_tells_what_the_page_lacks(tmp_path, monkeypatch):
    assert doctor.page(Web()).ok
    assert doctor.page(Web(enabled=False)).ok
    token = tmp_path / "token"
    token.write_text("correct horse battery")
    token.chmod(0o644)
    check = doctor.page(Web(token_file=token))
    assert (check.ok, check.mend) == (False, f"chmod o= {token}")
    assert doctor.page(Web(token_file=tmp_path / "none")).mend == "edit [web] token_file and tls_key"
    monkeypatch.setattr(doctor, "PAGE", ("no_such_library",))
    assert doctor.page(Web()).mend == "pip install 'sceneshift[web]'"


def test_it_comes_and_goes_with_the_command_though_somebody_looks_on(tmp_path):
    port = free_port()
    file = tmp_path / "sceneshift.toml"
    file.write_text(
        f'[broker]\nurl = "mqtt://127.0.0.1:{free_port()}"\n[data]\ndirectory = "data"\n'
        f'[web]\naddress = "0.0.0.0"\nport = {port}\n'
    )
    command = [sys.executable, "-m", "edge", "run", "--settings", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stdout.readline() == f"page: http://0.0.0.0:{port} (token: {tmp_path / 'data' / 'web-token'})\n"
        token = (tmp_path / "data" / "web-token").read_text().strip()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            client.post("/login", data={"mark": mark(client, "/login"), "token": token})
            assert str(file) in client.get("/settings").text
            with client.stream("GET", "/events") as answer:
                lines = answer.iter_lines()
                next(lines)
                agent.send_signal(signal.SIGINT)
                assert agent.wait(20) == 0
                assert not [line for line in lines if line.startswith("event: alert")]  # and it ends
        assert token not in agent.stderr.read()
