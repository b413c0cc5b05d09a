"""The page of a trace in a real browser, and the files that `devenv trace` writes of a started project."""

from __future__ import annotations

import base64
import html
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from devenv.render.trace_html import write_html
from tests.browser import open_browser
from tests.e2e.world import TELESCOPE
from tests.support import REPOSITORY, ProjectDir
from tests.terminal import open_terminal
from tests.trace_samples import NAMES, SAMPLES, everywhere, mangled, wrong_query

pytestmark = pytest.mark.needs_browser
WIDTHS = {"desktop": 1280, "phone": 360}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def visit(browser: webdriver.Chrome, page: str, folder: Path, width: int = 1280, scheme: str = "light") -> None:
    """Open a page as a file; forget what the browser has said before."""
    file = folder / "trace.html"
    file.write_text(page)
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(file.as_uri())


def requests(browser: webdriver.Chrome) -> list[str]:
    """What was fetched since the page was opened."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def overflow(browser: webdriver.Chrome) -> int:
    script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(browser.execute_script(script))


def contrast(browser: webdriver.Chrome, selector: str) -> float:
    """How well the text of the first such element stands out from what is behind it (WCAG, 1 to 21)."""
    script = """
    const node = document.querySelector(arguments[0]);
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    let behind = node, color;
    do { color = rgb(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
    while (color.length > 3 && color[3] === 0);
    const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                         return .2126 * r + .7152 * g + .0722 * b; };
    const pair = [light(rgb(getComputedStyle(node).color)), light(color)].sort((a, b) => b - a);
    return (pair[0] + .05) / (pair[1] + .05);
    """
    return float(browser.execute_script(script, selector))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_it_opens_without_a_complaint_and_shows_the_broken_layer(
    browser: webdriver.Chrome, tmp_path: Path, name: str, width: str
) -> None:
    report = SAMPLES[name]()
    visit(browser, write_html(report), tmp_path, WIDTHS[width])
    broken = report.body["verdict"]["layer"]
    opened = browser.find_elements(By.CSS_SELECTOR, "details.layer[open]")
    assert [block.find_element(By.CSS_SELECTOR, ".name").text.split()[-1] for block in opened] == [broken] * bool(
        broken
    )
    for block in opened:
        assert block.find_element(By.CSS_SELECTOR, ".finding").is_displayed()
        assert report.body["verdict"]["summary"].lower() in block.text.lower()
    rows = browser.find_elements(By.CSS_SELECTOR, ".flow li")
    assert [row.find_element(By.CSS_SELECTOR, ".name").text for row in rows] == list(NAMES)
    assert overflow(browser) == 0
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert overflow(browser) == 0
    assert browser.get_log("browser") == []
    assert [url for url in requests(browser) if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_lie_one_behind_the_other_on_one_scale(browser: webdriver.Chrome, tmp_path: Path, width: str) -> None:
    visit(browser, write_html(wrong_query()), tmp_path, WIDTHS[width])
    tracks = browser.find_elements(By.CSS_SELECTOR, ".flow .track")
    assert len({(track.rect["x"], track.rect["width"]) for track in tracks}) == 1
    whole = tracks[0].rect
    bars = [bar.rect for bar in browser.find_elements(By.CSS_SELECTOR, ".flow .bar")]
    for bar, layer in zip(bars, wrong_query().body["layers"], strict=True):
        assert (bar["x"] - whole["x"]) / whole["width"] == pytest.approx(layer["began_ms"] / 350, abs=0.01)
        assert bar["width"] / whole["width"] == pytest.approx(layer["ms"] / 350, abs=0.01)


def test_the_keyboard_alone_reaches_every_layer(browser: webdriver.Chrome, tmp_path: Path) -> None:
    visit(browser, write_html(wrong_query()), tmp_path)
    browser.find_element(By.CSS_SELECTOR, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the layers"
    reached: list[Any] = []
    while len(reached) < 8:
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        assert active.tag_name != "body", "the end of the page came before the last layer"
        if active.tag_name == "summary" and "layer" in (
            active.find_element(By.XPATH, "..").get_attribute("class") or ""
        ):
            reached.append(active)
    reached[0].send_keys(Keys.ENTER)
    assert reached[0].find_element(By.XPATH, "..").get_attribute("open") == "true"


def test_a_row_of_the_overview_opens_its_layer(browser: webdriver.Chrome, tmp_path: Path) -> None:
    visit(browser, write_html(wrong_query()), tmp_path)
    browser.find_elements(By.CSS_SELECTOR, ".flow a")[3].send_keys(Keys.ENTER)
    block = browser.find_elements(By.CSS_SELECTOR, "details.layer")[3]
    assert block.get_attribute("open") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_colour_schemes(browser: webdriver.Chrome, tmp_path: Path, scheme: str) -> None:
    visit(browser, write_html(mangled()), tmp_path, scheme=scheme)
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(246, 247, 249)") is (scheme == "light")
    for selector in (
        "h1", ".meta", ".verdict .summary", ".verdict .chip.bad", ".chip.ok", ".chip.class", ".flow .first .name",
        ".flow .first .chip", ".flow .ms", ".remedy dt", ".command", ".question", ".finding p", ".entry .absent",
        ".chip.warn", "del", "ins", ".fields dt", ".facts dt", "summary .told", "footer", "a", "h2", ".sign.bad",
    ):  # fmt: skip
        assert contrast(browser, selector) >= 4.5, selector


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>window.owned=1</script>",
        "'\"><img src=x onerror=window.owned=1>",
        "</style></title></textarea><svg/onload=window.owned=1>",
        "\u202e\u2066 turned round",
        "W" * 5000,
        "日本語" * 500 + "\u0645\u0631\u062d\u0628\u0627" * 100,
    ],
)
@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_stored_cannot_act_or_break_the_layout(
    browser: webdriver.Chrome, tmp_path: Path, hostile: str, width: str
) -> None:
    visit(browser, write_html(everywhere(wrong_query(), hostile)), tmp_path, WIDTHS[width])
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.execute_script("return window.owned") is None
    assert browser.find_elements(By.CSS_SELECTOR, "script, img, iframe") == []
    assert browser.get_log("browser") == []
    assert overflow(browser) == 0


def test_scripts_would_not_run_even_if_one_were_there(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """The page's own policy holds in this browser: a proof that the other tests could fail."""
    page = write_html(wrong_query()).replace("</main>", "</main><script>window.owned=1</script>")
    visit(browser, page, tmp_path)
    assert browser.execute_script("return window.owned") is None
    (complaint,) = browser.get_log("browser")
    assert "Content Security Policy" in complaint["message"]


# --- of a started project ---


def seeded_texts() -> list[str]:
    """The words of the seeded messages of the traced conversation."""
    items = [
        item
        for file in (REPOSITORY / "seeds" / "dynamodb" / "items").glob("*.json")
        for item in json.loads(file.read_text())["items"]
    ]
    return [item["message"] for item in items if item["pk"] == f"MSG#{TELESCOPE}" and len(item["message"]) >= 8]


@pytest.fixture(scope="module")
def written(running: ProjectDir, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All that `devenv trace` tells of the project, without and with people's own words."""
    told = {}
    for name, more in (("plain", []), ("payloads", ["--show-payloads"])):
        folder = tmp_path_factory.mktemp(name)
        page, lines = folder / "trace.html", folder / "trace.jsonl"
        files = ["--html", str(page), "--otlp", str(lines)]
        ran = running.ok("trace", "conversation", TELESCOPE, "-v", *files, *more)
        told[f"{name} text"] = ran.all
        told[f"{name} json"] = running.ok("trace", "conversation", TELESCOPE, "--json", *more).all
        for kind, file in (("html", page), ("otlp", lines)):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            told[f"{name} {kind}"] = file.read_text()
    return told


def test_a_healthy_project_has_a_healthy_page(
    browser: webdriver.Chrome, tmp_path: Path, written: dict[str, str]
) -> None:
    for width in WIDTHS.values():
        visit(browser, written["plain html"], tmp_path, width)
        assert "Healthy" in browser.find_element(By.CSS_SELECTOR, ".verdict").text
        assert overflow(browser) == 0
        assert browser.get_log("browser") == []


def test_secrets_and_tokens_are_in_no_form(running: ProjectDir, written: dict[str, str]) -> None:
    environment = running.env()
    secrets = [environment[name] for name in ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AUTH_SECRET")]
    header = base64.urlsafe_b64encode(b'{"alg":').decode().rstrip("=")[:8]  # how every JSON web token begins
    for form, text in written.items():
        assert not [secret for secret in secrets if secret in text], form
        assert header not in text, form


def test_peoples_words_are_written_only_when_asked_for(written: dict[str, str]) -> None:
    texts = seeded_texts()
    assert len(texts) > 100
    for form in ("html", "otlp", "text", "json"):
        told = html.unescape(written[f"plain {form}"])
        assert not [text for text in texts if text in told], form
    assert all(text in html.unescape(written["payloads html"]) for text in texts)


def test_a_file_that_cannot_be_written_is_said(running: ProjectDir, tmp_path: Path) -> None:
    for option in ("--html", "--otlp"):
        ran = running.devenv("trace", "conversation", TELESCOPE, option, str(tmp_path / "none" / "file"))
        assert ran.code == 2
        assert "error: " in ran.err
        assert "cannot be written" in ran.err


def test_step_walks_through_the_real_layers_and_asks_them_again(running: ProjectDir) -> None:
    command = running.command("trace", "conversation", TELESCOPE, "--step")
    with open_terminal(command, running.environment()) as screen:
        screen.until("1/8 environment  n next")
        screen.press("a")
        assert "asked again" in screen.until("1/8 environment  n next")
        screen.press("n" * 8)
        screen.until("✓ ok: every layer agrees with the one before")
        assert screen.end() == 0


def test_ctrl_c_while_walking_is_130(running: ProjectDir) -> None:
    command = running.command("trace", "conversation", TELESCOPE, "--step")
    with open_terminal(command, running.environment(), width=40) as screen:
        screen.until("1/8 environment  n i w a q ? ")
        screen.press("\x03")
        assert screen.end() == 130


def test_step_needs_a_terminal_and_no_json(running: ProjectDir) -> None:
    for more, words in (([], "--step needs a terminal"), (["--json"], "exclude each other")):
        ran = running.devenv("trace", "conversation", TELESCOPE, "--step", *more)
        assert ran.code == 2
        assert words in ran.all
