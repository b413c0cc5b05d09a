"""The live page shows data, so everybody but this machine's user is refused: rebinding, other tabs, no token."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil
import pytest

from tests.support import ProjectDir, empty_project
from tests.ui import LivePage, ask, live_page

PATHS = (
    "/",
    "/logs",
    "/stream/stack",
    "/stream/logs",
    "/static/ui.css",
    "/static/ui.js",
    "/confirm/reset",
    "/?format=json",
)
HOSTS = ("evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1.evil.example:{port}", "127.0.0.1:1", "")
OUTSIDE = ("/static/../guard.py", "/static/%2e%2e/guard.py", "/static/..%2fguard.py", "/static//etc/passwd")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePage]:
    """A page that may write, of a project that is stopped."""
    project = empty_project(tmp_path_factory.mktemp("ui"))
    try:
        with live_page(project, "--write") as found:
            yield found
    finally:
        project.remove()


def test_the_page_opens_with_its_token_and_then_with_its_cookie_alone(page: LivePage) -> None:
    first = ask(page.host, page.entry.removeprefix(page.origin), "GET", None, {}, page.origin)
    assert (first.status, first.headers["location"]) == (303, "/")
    assert first.headers["set-cookie"].split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert "empty" in page.ask("/").text


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_there_is_nothing(page: LivePage, path: str) -> None:
    name, session = page.cookie.split("=")
    for cookie in (None, "", f"{page.cookie}x", f"{name}x={session}", f"devenv_ui_1={session}"):
        answer = page.ask(path, Cookie=cookie)
        assert (answer.status, b"empty" in answer.body) == (401, False), cookie


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", HOSTS)
def test_a_rebound_name_is_refused(page: LivePage, path: str, host: str) -> None:
    assert page.ask(path, Host=host.format(port=page.host.split(":")[1])).status == 421


@pytest.mark.parametrize("path", ["/stream/stack", "/stream/logs"])
def test_another_pages_event_source_is_refused(page: LivePage, path: str) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", page.origin.replace("http", "https")):
        assert page.ask(path, Origin=origin).status == 403
    assert page.ask(path, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors").status == 403


def test_another_pages_form_changes_nothing(page: LivePage) -> None:
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate"},
    ):
        for action in ("up", "reset", "stop"):
            assert page.ask(f"/do/{action}", "POST", {}, **headers).status == 403, headers
    assert page.ask("/do/up", "POST", {}, Cookie=None).status == 401
    token = page.entry.split("?")[1]
    assert page.ask(f"/do/up?{token}", "POST", {}, Cookie=None).status == 401, "a token alone changes nothing"
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        assert page.ask("/do/up", method).status == 405
    assert page.ask("/do/up").status == 405, "a link changes nothing"
    assert {service["state"] for service in page.json("/")["services"]} == {"stopped"}


def test_no_answer_lets_another_page_read_or_frame_it_or_run_a_script(page: LivePage) -> None:
    for answer in (page.ask("/"), page.ask("/nothing"), page.ask("/static/ui.js"), page.ask("/", Cookie=None)):
        headers = answer.headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert not [name for name in headers if name.startswith("access-control")]
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


def test_no_page_has_a_script_or_a_style_in_it(page: LivePage) -> None:
    for path in ("/", "/logs", "/confirm/reset", "/nothing"):
        text = page.ask(path).text
        assert "<style" not in text
        assert " style=" not in text
        assert text.count("<script") == text.count('<script src="/static/') == 2
        assert " on" + "click" not in text


def test_it_listens_on_loopback_only(page: LivePage) -> None:
    sockets = psutil.Process(page.process.pid).net_connections(kind="tcp")
    assert {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_the_token_is_in_a_file_of_the_user_alone_and_in_no_answer(page: LivePage) -> None:
    token = page.entry.split("token=")[1]
    file = page.project.path / ".devstate" / "ui.json"
    assert token in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    session = page.cookie.split("=")[1]
    for path in ("/", "/logs", "/?format=json"):
        assert not {token, session} & set(page.ask(path).text.replace('"', " ").replace("=", " ").split())


@pytest.mark.parametrize("path", OUTSIDE)
def test_files_other_than_its_own_are_not_served(page: LivePage, path: str) -> None:
    assert page.ask(path).status == 404


def test_a_request_that_is_too_large_is_refused(page: LivePage) -> None:
    assert page.ask("/?filter=" + "x" * 20_000).status in (400, 413)
    assert page.ask("/do/up", "POST", {"name": "x" * 100_000}).status == 413


@pytest.mark.parametrize("name", ["../x", "-y", "--data", "a b", "", "a\n", "$(id)", "x" * 100])
def test_a_snapshot_has_no_name_that_is_an_option_or_a_path(page: LivePage, name: str) -> None:
    answer = page.ask("/do/snapshot-save", "POST", {"name": name})
    assert (answer.status, "snapshot" in answer.text) == (400, True)


def test_a_page_without_write_changes_no_data(tmp_path: Path) -> None:
    project = empty_project(tmp_path / "looks")
    try:
        with live_page(project) as page:
            for action in ("setup", "schema-load", "seed", "reset", "snapshot-save", "snapshot-restore"):
                assert page.ask(f"/confirm/{action}?name=x").status == 400
                answer = page.ask(f"/do/{action}", "POST", {"name": "x"})
                assert (answer.status, "devenv ui --write" in answer.text) == (400, True)
    finally:
        project.remove()


def test_a_folder_that_is_not_trusted_runs_nothing(tmp_path: Path) -> None:
    text = '[project]\nname = "stranger"\n[backend]\ncommand = ["touch", "ran"]\nhealth = "/"\n'
    made = empty_project(tmp_path / "stranger", text)
    project = ProjectDir(made.path, {"DEVENV_TRUST": "", "XDG_STATE_HOME": str(tmp_path / "state")})
    try:
        with live_page(project) as page:
            answer = page.ask("/do/up", "POST", {})
            assert (answer.status, "not trusted" in answer.text, "touch ran" in answer.text) == (400, True, True)
            assert not (project.path / "ran").exists()
    finally:
        project.remove()


def test_down_ends_the_page_and_so_does_ctrl_c(tmp_path: Path) -> None:
    project = empty_project(tmp_path / "ended")
    try:
        with live_page(project) as page:
            again = project.ok("ui", "--no-open")
            assert page.entry in again.out, "a second one names the first"
            assert project.json("down")["stopped"] == ["ui"]
            assert page.process.wait(20) == 143 or os.name != "posix"
        with live_page(project) as page:
            page.process.send_signal(2)
            assert page.process.wait(20) == 130
        assert not (project.path / ".devstate" / "ui.json").exists()
    finally:
        project.remove()


def test_the_streams_send_parts_of_the_page(page: LivePage) -> None:
    with contextlib.closing(page.events("/stream/stack")) as parts:
        sent = {part["target"]: part["html"] for part in itertools.islice(parts, 3)}
    assert list(sent) == ["controls", "services", "steps"]
    assert "postgres" in sent["services"]


def test_up_starts_the_page_beside_the_services(tmp_path: Path) -> None:
    project = empty_project(tmp_path / "beside")
    try:
        printed = project.ok("up", "--ui").err
        entry = next(word for word in printed.split() if "token=" in word)
        url = urlsplit(entry)
        came = ask(url.netloc, f"/?{url.query}", "GET", None, {}, f"http://{url.netloc}")
        assert came.status == 303
        assert entry in project.ok("up", "--ui").err, "a second one names the first"
        assert project.json("down")["stopped"][-1] == "ui"
        with pytest.raises(ConnectionError):
            ask(url.netloc, "/", "GET", None, {}, f"http://{url.netloc}")
    finally:
        project.remove()


def test_the_way_back_leads_to_this_page_only(page: LivePage) -> None:
    job = page.do("/do/stop")
    assert page.finish(job)["state"] == "done"
    identity = job.rsplit("/", 1)[1]
    for address, leads in (("/doctor/fix/x", "/doctor/fix/x"), ("//evil.example", "/"), ("/\\evil.example", "/")):
        parts = list(page.events(f"/stream/then/{identity}?{urlencode({'to': address})}"))
        assert parts == [{"target": "", "how": "go", "html": leads}]
