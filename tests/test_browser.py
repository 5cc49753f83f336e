"""The page in a real browser: the system's Chromium before the real agent on a real mosquitto.

Every page is used, every button pressed, and what it does is looked for in the agent and its store. Nothing may be
asked of another host, nothing may be said on the console, and axe-core may find nothing, in light and dark, on a phone
and on a desk.
"""

import shutil
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edge.core.behaviors import Behavior
from edge.report import ask
from edge.sections import Adapt, Llm, Web
from edge.web.pages import PAGES
from edge.web.server import serve
from tests import homes
from tests.conftest import Mosquitto, free_port
from tests.ingress import ingress
from tests.running import Running, settings_for

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
WIDTHS = (1280, 375)
SCHEMES = ("light", "dark")
SECONDS = 60_000  # milliseconds of the slowest thing waited for


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("CHROMIUM IS MISSING: apt-get install chromium; the page is NOT tested in a browser")
    with playwright.sync_playwright() as started:
        playwright.expect.set_options(timeout=15_000)
        launched = started.chromium.launch(executable_path=program, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory, shipped_llm):
    """A home that was lived, learned and alarmed, with its page."""
    folder = tmp_path_factory.mktemp("home")
    broker = Mosquitto(folder)
    broker.start()
    few = {"web": Web(port=free_port()), "llm": Llm(count=20), "adapt": Adapt(steps=300, notice=False)}
    settings = settings_for(broker, folder).model_copy(update=few)
    lived = homes.behaviors(160)
    with Running(settings) as running, closing(serve(running.agent, settings.web)) as page:
        running.live(lived)
        assert ask(settings.broker, "learn", {}, 60)["status"] == "ok"
        for days in (2, 4):
            running.live(odd(lived[-1].time + days * 86400))
            running.wait(lambda days=days: len(running.said("alert")) >= days // 2)
        running.url = page.url
        yield running
    broker.stop()


def odd(time):
    """Return what the small home never does: its fan and its heater in the middle of the night."""
    night = time - time % 86400 + 3 * 3600
    return [Behavior(night + 10 * n, device, "state ON") for n, device in enumerate(("fan1", "heat1", "fan1"))]


@contextmanager
def opened(browser, url, *, quiet=True, **more):
    """Open a page; whatever it says on the console or asks of another host is a failure."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **more})
    page = context.new_page()
    page.set_default_timeout(15_000)
    said, asked = [], []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    context.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    try:
        yield page
        assert not quiet or not said, said
        host = "/".join(url.split("/")[:3])
        assert asked
        assert [each for each in asked if not each.startswith((f"{host}/", "data:"))] == []
    finally:
        context.close()


def axe(page):
    """Let axe-core look at a page in light and dark, on a phone and on a desk."""
    page.evaluate(AXE)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate("async () => (await axe.run({resultTypes: ['violations']})).violations")
            told = [(each["id"], [node["html"][:160] for node in each["nodes"]]) for each in found]
            assert told == [], (scheme, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", [*(page.path for page in PAGES if page.menu), "/alerts/1", "/nothing"])
def test_axe_finds_nothing_on_any_page(browser, home, path):
    with opened(browser, home.url + path, quiet=path != "/nothing") as page:
        axe(page)


def test_today_shows_what_was_done_and_what_is_done_now(browser, home):
    agent = home.agent
    with opened(browser, home.url) as page:
        page.evaluate("window.same = true")
        rows = page.locator("#rows tr")
        before = rows.count()
        assert before >= 3
        assert page.locator("#chart canvas").is_visible()
        assert page.locator("#chart canvas").evaluate("each => each.width") > 500
        last = agent.watch.window.last
        home.live([Behavior(last + 60, "lamp1", "state ON"), Behavior(last + 120, "lamp1", "state OFF")])
        playwright.expect(rows).to_have_count(before + 2)  # by itself
        assert "Hall lamp turned off" in rows.first.inner_text()
        assert page.locator("#next-card li").count() > 0
        assert page.evaluate("window.same")  # it was never loaded again
        alerts = len(agent.store.alerts())
        home.live(odd(last + 3 * 86400))
        home.wait(lambda: len(agent.store.alerts()) > alerts)
        playwright.expect(page.locator("#heard")).to_contain_text(agent.store.alerts()[-1].sentence)


def test_one_walks_through_the_days(browser, home):
    with opened(browser, home.url) as page:
        title = page.locator("h1").inner_text()
        page.get_by_role("link", name="Day before").click()
        assert page.locator("h1").inner_text() != title
        page.get_by_role("link", name="Day after").click()
        assert page.locator("h1").inner_text() == title


def test_what_a_person_says_of_an_alert_is_kept(browser, home):
    store = home.agent.store
    first, second = store.alerts()[:2]
    with opened(browser, f"{home.url}/alerts") as page:
        page.locator(f'a[href="/alerts/{first.id}"]').click()
        page.get_by_role("button", name="That was fine").click()
        playwright.expect(page.get_by_role("button", name="That was fine")).to_have_attribute("aria-pressed", "true")
        assert store.alert(first.id).state == "fine"
        page.get_by_role("button", name="That was wrong").click()
        playwright.expect(page.get_by_role("button", name="That was wrong")).to_have_attribute("aria-pressed", "true")
        assert store.alert(first.id).state == "wrong"
        page.get_by_role("link", name="Alerts").first.click()
        card = page.locator("#alerts > li").filter(has=page.locator(f'a[href="/alerts/{second.id}"]'))
        card.get_by_role("button", name="That was fine").click()
        playwright.expect(page.locator(".note.good")).to_contain_text("Thank you")
        assert store.alert(second.id).state == "fine"
        for shown in ("Kept quiet", "All that was unusual", "Told"):
            page.locator("#tabs").get_by_role("link", name=shown).click()
            assert page.locator("#tabs [aria-current]").inner_text().startswith(shown)


def test_an_alert_shows_its_hours_and_mutes_its_device(browser, home):
    alert = home.agent.store.alerts()[0]
    with opened(browser, f"{home.url}/alerts/{alert.id}") as page:
        assert page.locator("svg.bars").is_visible()
        page.get_by_text("As a table").click()
        assert page.locator("details table").is_visible()
        page.get_by_role("button", name="Mute").click()
        playwright.expect(page.locator(".note.good")).to_contain_text("Done")
        assert home.agent.snapshot["mutes"].keys() == {alert.explanation.device}
    home.agent.watch.alerts.quiet.unmute(alert.explanation.device)


def test_everything_is_muted_and_alerts_are_turned_off_and_on(browser, home):
    with opened(browser, home.url) as page:
        page.get_by_role("button", name="Mute for 2 hours").click()
        playwright.expect(page.locator("#now-card")).to_contain_text("Everything is muted until")
        assert "*" in home.agent.snapshot["mutes"]
        page.get_by_role("button", name="End the mute").click()
        playwright.expect(page.get_by_role("button", name="Mute for 2 hours")).to_be_visible()
        assert "*" not in home.agent.snapshot["mutes"]
        page.get_by_role("button", name="Turn alerts off").click()
        playwright.expect(page.locator("#now-card")).to_contain_text("Alerts are turned off")
        assert not home.agent.jobs.choices.alerts
        page.get_by_role("button", name="Turn alerts on").click()
        playwright.expect(page.get_by_role("button", name="Turn alerts off")).to_be_visible()
        assert home.agent.jobs.choices.alerts


def test_the_house_mode_is_picked(browser, home):
    with opened(browser, home.url) as page:
        for mode, shown in (("cleaner", "A cleaner is in the house"), ("home", "")):
            page.get_by_label("House mode").select_option(mode)
            page.locator("form", has=page.get_by_label("House mode")).get_by_role("button").click()
            playwright.expect(page.get_by_label("House mode")).to_have_value(mode)
            assert home.agent.jobs.choices.mode == mode
            playwright.expect(page.locator("#now-card")).to_contain_text(shown)


def test_alarms_a_week_are_chosen(browser, home):
    with opened(browser, f"{home.url}/settings") as page:
        page.get_by_label("False alarms you accept a week").fill("2.5")
        page.get_by_role("button", name="Set").click()
        playwright.expect(page.get_by_role("row", name="Alarms a week")).to_contain_text("2.5", timeout=SECONDS)
        assert home.agent.jobs.choices.alarms_per_week == 2.5
        assert page.get_by_text(str(home.settings.data.directory)).count()
    home.wait(lambda: not home.agent.jobs.status()["busy"])


def test_a_scene_is_adapted_to_live_and_gone_back_from(browser, home):
    agent = home.agent
    first = agent.watch.model.slot
    with opened(browser, home.url) as page, opened(browser, home.url) as beside:
        page.get_by_label("Scene").select_option("spring")
        # Another open page shows it, too: on a fast machine the form is answered when all is done.
        page.get_by_role("button", name="Adapt to it").click(no_wait_after=True)
        playwright.expect(beside.locator("#progress")).to_be_visible()
        playwright.expect(beside.locator("#progress-told")).to_contain_text("Adapting · spring")
        playwright.expect(beside.locator("#progress")).to_be_hidden(timeout=SECONDS)  # by itself
        playwright.expect(page.locator("#progress")).to_be_hidden(timeout=SECONDS)
        playwright.expect(page.locator("#scene")).to_have_text("spring")
        adapted = agent.store.adaptations()[-1]
        assert adapted.report["synthetic"]["generated"] == 20
        page.goto(f"{home.url}/models")
        assert "spring" in page.locator("#history-card").inner_text()
        page.goto(f"{home.url}/scenes/{adapted.id}")
        playwright.expect(page.locator("main")).to_contain_text("to spring")
        axe(page)
        page.goto(f"{home.url}/models")
        if "swap" not in adapted.report:  # the gate refused: it says so, and there is nothing to go back from
            assert adapted.report["gate"]["reasons"][0] in page.locator("#history-card").inner_text()
            return
        assert agent.watch.model.slot != first
        page.get_by_text("Go back to the model before").click()
        page.get_by_role("button", name=f"Yes, go back to {first}").click()
        playwright.expect(page.locator(".note.good")).to_contain_text("the previous model scores again")
        assert agent.watch.model.slot == first


def test_adapting_now_looks_for_what_has_changed(browser, home):
    done = home.agent.jobs.outcomes
    with opened(browser, home.url) as page:
        page.get_by_role("button", name="Adapt now").click()
        page.wait_for_url("**/?done=*")
        home.wait(lambda: home.agent.jobs.outcomes > done, 60)


def test_it_is_used_by_keyboard(browser, home):
    with opened(browser, home.url) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"


def test_it_is_read_and_answered_without_a_script(browser, home):
    alert = home.agent.store.alerts()[0]
    with opened(browser, f"{home.url}/alerts/{alert.id}", java_script_enabled=False) as page:
        page.get_by_role("button", name="That was fine").click()
        assert home.agent.store.alert(alert.id).state == "fine"
        page.goto(home.url)
        assert page.locator("#rows tr").count() >= 3


def test_a_page_left_open_finds_the_agent_again(browser, home, tmp_path):
    told = Web(port=free_port())
    last = home.agent.watch.window.last
    page_of = serve(home.agent, told)
    with opened(browser, page_of.url, quiet=False) as page:
        playwright.expect(page.locator("html")).to_have_attribute("data-stream", "on")
        page_of.close()
        playwright.expect(page.locator("#away")).to_be_visible(timeout=SECONDS)
        with closing(serve(home.agent, told)):
            home.live([Behavior(last + 30, "lamp1", "state ON")])
            shown = home.agent.watch.window.last
            assert shown == last + 30
            playwright.expect(page.locator(f'#rows tr[data-t="{shown}"]')).to_have_count(1)
            playwright.expect(page.locator("#away")).to_be_hidden()


def test_it_is_used_behind_home_assistants_ingress(browser, home):
    with ingress(home.url) as shown, opened(browser, f"{shown}/") as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        playwright.expect(page.locator("html")).to_have_attribute("data-stream", "on")
        page.get_by_role("button", name="Mute for 2 hours").click()
        page.get_by_role("button", name="End the mute").click()
        playwright.expect(page.get_by_role("button", name="Mute for 2 hours")).to_be_visible()
        for name in ("Alerts", "Learned", "Scenes", "Models", "Settings", "Today"):
            page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
            playwright.expect(page.locator("h1")).to_contain_text(name)
        assert page.locator("#chart canvas").is_visible()
        assert asked
        assert [each for each in asked if not each.startswith(f"{shown}/")] == []


def test_the_token_is_asked_for_once(browser, home, tmp_path):
    file = tmp_path / "token"
    file.write_text("correct horse battery\n")
    told = Web(port=free_port(), token_file=file)
    with closing(serve(home.agent, told)) as served, opened(browser, served.url, quiet=False) as page:
        axe(page)
        page.get_by_label("Token").fill("wrong horse battery")
        page.get_by_role("button", name="Log in").click()
        assert page.get_by_role("alert").inner_text() == "That is not the token."
        page.get_by_label("Token").fill("correct horse battery")
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#rows")).to_be_visible()
        page.goto(f"{served.url}/models")
        assert page.locator("#slots").is_visible()
        page.get_by_role("button", name="Log out").click()
        playwright.expect(page.get_by_label("Token")).to_be_visible()
        page.goto(served.url)
        assert page.url.endswith("/login")
