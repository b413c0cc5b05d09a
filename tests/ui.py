"""The live page for tests: `devenv ui` started on a project, and asked as a browser asks it."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support import ProjectDir

START_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What the page answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class LivePage:
    """A running page. `entry` has the token; `cookie` is what it gives for it."""

    project: ProjectDir
    entry: str
    process: subprocess.Popen[str]
    cookie: str

    @property
    def host(self) -> str:
        return urlsplit(self.entry).netloc

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    def ask(self, path: str, method: str = "GET", body: dict[str, str] | None = None, **headers: str | None) -> Answer:
        """One request as the page itself makes it; a header given as None is left out."""
        return ask(self.host, path, method, body, {"Cookie": self.cookie, **dashed(headers)}, self.origin)

    def json(self, path: str) -> dict[str, Any]:
        """A page's JSON document."""
        answer = self.ask(f"{path}{'&' if '?' in path else '?'}format=json")
        found = json.loads(answer.body)
        assert isinstance(found, dict)
        return found

    def events(self, path: str, limit_s: float = 60.0) -> Generator[dict[str, Any], None, None]:
        """The parts that a stream sends, until it ends."""
        with closing(http.client.HTTPConnection(self.host, timeout=limit_s)) as connection:
            connection.request("GET", path, headers={"Cookie": self.cookie})
            with connection.getresponse() as answer:
                assert answer.status == 200, answer.read()
                end = time.monotonic() + limit_s
                while time.monotonic() < end and (line := answer.readline().decode()):
                    if line.startswith("event: end"):
                        break
                    if line.startswith("data: "):
                        yield json.loads(line[6:])

    def do(self, path: str, **form: str) -> str:
        """A change: where it leads to."""
        answer = self.ask(path, "POST", form)
        assert answer.status == 303, answer.text
        return answer.headers["location"]

    def finish(self, path: str, limit_s: float = 120.0) -> dict[str, Any]:
        """The document of a job, when it has ended."""
        end = time.monotonic() + limit_s
        while (found := self.json(path))["state"] == "running":
            assert time.monotonic() < end, f"{path} still runs"
            time.sleep(0.1)
        return found


def dashed(headers: dict[str, str | None]) -> dict[str, str | None]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def ask(
    host: str, path: str, method: str, body: dict[str, str] | None, headers: dict[str, str | None], origin: str
) -> Answer:
    """One request with exactly these headers."""
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=30)
    data = urlencode(body or {}).encode() if method == "POST" else None
    wanted: dict[str, str | None] = {"Host": host}
    if method == "POST":
        wanted |= {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
        wanted["Content-Length"] = str(len(data or b""))
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {**wanted, **headers}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(data)
    answer = connection.getresponse()
    found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    connection.close()
    return found


@contextmanager
def live_page(project: ProjectDir, *options: str, **environ: str) -> Iterator[LivePage]:
    """`devenv ui` on a project, until the block ends."""
    process = subprocess.Popen(
        project.command("ui", "--no-open", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=project.environment(**environ),
        cwd=project.path,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, line + process.stdout.read()
        entry = line.split()[-1]
        url = urlsplit(entry)
        came = ask(url.netloc, f"/?{url.query}", "GET", None, {}, f"http://{url.netloc}")
        assert came.status == 303
        yield LivePage(project, entry, process, came.headers["set-cookie"].split(";")[0])
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)
