"""Requests that name the stores or the application by a foreign host, or come from a web page."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import pytest

from tests.e2e import world
from tests.support import ProjectDir

FOREIGN = ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1",
           "169.254.169.254", "[::2]:{port}", "evil.example@127.0.0.1", "", "localhost:80@evil.example"]  # fmt: skip
LOOPBACK = ["localhost:{port}", "127.0.0.1:{port}", "localhost", "127.0.0.1", "[::1]:{port}", "LOCALHOST:{port}"]
AWS = {
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "Content-Type": "application/x-amz-json-1.0",
    "Authorization": "AWS4-HMAC-SHA256 Credential=devenvlocal/20261129/us-east-1/dynamodb/aws4_request,"
    " SignedHeaders=host, Signature=0",
    "X-Amz-Date": "20261129T000000Z",
}


def ask(
    port: int, method: str, path: str, host: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    """One request with exactly this Host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": host, **headers}.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def port_of(project: ProjectDir, name: str) -> int:
    return int(urlsplit(project.env()[name]).port or 0)


@pytest.mark.parametrize("host", FOREIGN)
def test_dynamodb_answers_no_foreign_host(running: ProjectDir, host: str) -> None:
    port = port_of(running, "AWS_ENDPOINT_URL_DYNAMODB")
    name = host.replace("{port}", str(port))
    for method, body in (("POST", b"{}"), ("OPTIONS", None), ("GET", None)):
        status, headers, answer = ask(port, method, "/", name, {**AWS, "Origin": f"http://{name}"}, body)
        assert status in (400, 403, 421), (method, status, answer)
        assert b"TableNames" not in answer
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", LOOPBACK)
def test_dynamodb_answers_loopback(running: ProjectDir, host: str) -> None:
    port = port_of(running, "AWS_ENDPOINT_URL_DYNAMODB")
    status, _, answer = ask(port, "POST", "/", host.replace("{port}", str(port)), AWS, b"{}")
    assert (status, b"TableNames" in answer) == (200, True)


def test_a_request_without_a_host_is_refused(running: ProjectDir) -> None:
    """HTTP/1.0, and two Host lines of which only one is loopback."""
    port = port_of(running, "AWS_ENDPOINT_URL_DYNAMODB")
    head = "".join(f"{name}: {value}\r\n" for name, value in AWS.items())
    for line, hosts in (("POST / HTTP/1.0", ""), ("POST / HTTP/1.1", "Host: 127.0.0.1\r\nHost: evil.example\r\n"),
                        ("POST http://evil.example/ HTTP/1.1", "Host: 127.0.0.1\r\n")):  # fmt: skip
        with socket.create_connection(("127.0.0.1", port), 20) as raw:
            raw.sendall(f"{line}\r\n{hosts}{head}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
            answer = b""
            while chunk := raw.recv(65536):
                answer += chunk
        assert b"TableNames" not in answer, (line, hosts)


@pytest.mark.parametrize(
    "origin",
    [
        "http://devenv.invalid",
        "http://localhost:3000",
        "null",
        "https://evil.example",
        "http://127.0.0.1:8000",
        "file://",
    ],
)
def test_no_web_origin_may_read_dynamodb(running: ProjectDir, origin: str) -> None:
    """Not even one that a resolver could lead to a page: what `-cors` names is no origin that a browser has."""
    port = port_of(running, "AWS_ENDPOINT_URL_DYNAMODB")
    for method, body in (("POST", b"{}"), ("OPTIONS", None)):
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-amz-target"}
        _, headers, _ = ask(port, method, "/", f"127.0.0.1:{port}", {**AWS, **asked, "Origin": origin}, body)
        allowed = headers.get("access-control-allow-origin", "")
        assert allowed not in ("*", origin)
        assert not allowed.startswith(("http:", "https:", "file:", "null")), allowed


@pytest.mark.parametrize("path", ["/api/activities/home", "/docs", "/openapi.json", "/api/health-check", "/none"])
@pytest.mark.parametrize("host", FOREIGN)
def test_the_application_answers_no_foreign_host(running: ProjectDir, host: str, path: str) -> None:
    port = port_of(running, "BACKEND_URL")
    status, _, answer = ask(port, "GET", path, host.replace("{port}", str(port)), {})
    assert status in (400, 403, 421), answer


@pytest.mark.parametrize("host", LOOPBACK)
def test_the_application_answers_loopback(running: ProjectDir, host: str) -> None:
    port = port_of(running, "BACKEND_URL")
    assert ask(port, "GET", "/api/health-check", host.replace("{port}", str(port)), {})[0] == 200


def test_the_stores_are_as_they_were(running: ProjectDir) -> None:
    assert world.orphans(running) == set()
