"""A real browser on a page of another name that leads to 127.0.0.1 (DNS rebinding) reads and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver

from tests.attack.rebinding import Resolver, resolver
from tests.attack.test_neighbours import AWS
from tests.browser import open_browser
from tests.e2e import world
from tests.support import ProjectDir

pytestmark = pytest.mark.needs_browser
FETCH = """
const [url, method, headers, body, done] = arguments;
fetch(url, {method, headers, body: body || undefined})
  .then(async answer => done({status: answer.status, text: (await answer.text()).slice(0, 4000)}))
  .catch(error => done({status: 0, text: String(error)}));
"""


@pytest.fixture(scope="module")
def names() -> Iterator[Resolver]:
    with resolver() as made:
        yield made


@pytest.fixture(scope="module")
def browser(names: Resolver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    proxy = f"--proxy-server=socks5://127.0.0.1:{names.server_address[1]}"
    with open_browser(tmp_path_factory.mktemp("chromium"), proxy) as driver:
        driver.set_script_timeout(60)
        yield driver


def open_page(browser: webdriver.Chrome, names: Resolver, url: str) -> None:
    """Load the attacker's page under a name of his; then the name leads to this machine."""
    names.reset()
    browser.get(url)
    assert browser.title == "attacker"
    names.rebind()


def fetch(browser: webdriver.Chrome, url: str, method: str = "GET", headers: Any = None, body: str = "") -> Any:
    return browser.execute_async_script(FETCH, url, method, headers or {}, body)


def requests_of(endpoint: str) -> list[tuple[str, str, dict[str, str], str]]:
    """Reads and writes, as a page would try them on `endpoint`."""
    put = json.dumps({"TableName": world.TABLE, "Item": {"pk": {"S": "evil"}, "sk": {"S": "evil"}}})
    insert = json.dumps({"Statement": f"INSERT INTO \"{world.TABLE}\" VALUE {{'pk': 'evil', 'sk': 'other'}}"})
    scan = json.dumps({"TableName": world.TABLE})
    headers = {name: value for name, value in AWS.items() if name != "Host"}
    return [
        (endpoint, "POST", {**headers, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}, body)
        for operation, body in (("ListTables", "{}"), ("Scan", scan), ("PutItem", put), ("ExecuteStatement", insert))
    ]


def evil_items(running: ProjectDir) -> list[dict[str, Any]]:
    return [item for item in world.items(running) if item["pk"] == "evil"]


def test_a_rebound_page_of_the_stores_own_port_gets_nothing(
    browser: webdriver.Chrome, names: Resolver, running: ProjectDir
) -> None:
    """Same origin by name and port: no CORS is in the way, only the Host."""
    evil = f"http://evil.example:{urlsplit(running.env()['AWS_ENDPOINT_URL_DYNAMODB']).port}/"
    open_page(browser, names, evil)
    for url, method, headers, body in requests_of(evil):
        answer = fetch(browser, url, method, headers, body)
        assert answer["status"] == 421, answer
        assert "TableNames" not in answer["text"]
        assert "Items" not in answer["text"]
    assert evil_items(running) == []


def test_a_rebound_page_of_the_applications_port_gets_nothing(
    browser: webdriver.Chrome, names: Resolver, running: ProjectDir
) -> None:
    evil = f"http://evil.example:{urlsplit(running.env()['BACKEND_URL']).port}"
    open_page(browser, names, evil)
    for path in ("/api/activities/home", "/api/health-check", "/openapi.json", "/api/users/@ines/short"):
        answer = fetch(browser, evil + path)
        assert answer["status"] == 421, answer
        assert "ines" not in answer["text"]


@pytest.mark.parametrize("host", ["devenv.invalid", "evil.example"])
def test_a_page_of_another_origin_can_neither_read_nor_write(
    browser: webdriver.Chrome, names: Resolver, running: ProjectDir, host: str
) -> None:
    open_page(browser, names, f"http://{host}/")
    endpoint, backend = running.env()["AWS_ENDPOINT_URL_DYNAMODB"], running.env()["BACKEND_URL"]
    for url, method, headers, body in requests_of(f"{endpoint}/"):
        assert fetch(browser, url, method, headers, body)["status"] == 0
    assert fetch(browser, f"{backend}/api/activities/home")["status"] == 0
    assert evil_items(running) == []


def test_a_server_that_does_not_look_at_the_host_is_reached(browser: webdriver.Chrome, names: Resolver) -> None:
    """A proof that the tests above could fail: the same page, the same browser, and a server that answers anyone."""
    with resolver() as other:
        evil = f"http://evil.example:{other.page_port}/"
        open_page(browser, names, evil)
        assert fetch(browser, evil)["status"] == 200
