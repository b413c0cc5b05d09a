"""Fetching DynamoDB Local: over HTTP from a server of our own, and the pinned npm package for real."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError, Exit
from devenv.engines.embedded.parts import NPM, Download, NpmPackage, find_local
from tests.e2e.world import free_port
from tests.integration.dynamodb_support import say_nothing, wait_for
from tests.unit.engines.test_embedded_parts import FILES, make_archive

FETCH = """
import sys
from pathlib import Path
from devenv.engines.embedded.parts import Download, find_local
find_local(Path(sys.argv[1]), None, None, lambda *_: None, [Download(sys.argv[2])])
"""


@contextlib.contextmanager
def serving(pages: dict[str, bytes], stop_after: int | None = None) -> Iterator[tuple[str, threading.Event]]:
    """A web server. With `stop_after`, archives stall after so many bytes until the server ends (then: cut off).

    Yields its address, and an event that is set when an archive has stalled.
    """
    stalled, ended = threading.Event(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            if page is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            if stop_after is None or self.path.endswith(".sha256"):
                self.wfile.write(page)
                return
            self.wfile.write(page[:stop_after])
            self.wfile.flush()
            stalled.set()
            ended.wait(3)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/a.tar.gz", stalled
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return make_archive(tmp_path / "a.tar.gz", FILES, prefix="").read_bytes()


def pages(archive: bytes, sha256: str | None = None) -> dict[str, bytes]:
    sha256 = sha256 or hashlib.sha256(archive).hexdigest()
    return {"/a.tar.gz": archive, "/a.tar.gz.sha256": f"{sha256}  a.tar.gz\n".encode()}


def reason(cache: Path, url: str) -> str:
    with pytest.raises(DevenvError) as caught:
        find_local(cache, None, None, say_nothing, [Download(url)])
    assert caught.value.exit_code == Exit.MISSING
    assert not list(cache.glob("tmp-*"))
    assert not (cache / "dynamodb-local").exists()
    return (caught.value.detail or "").removeprefix(f"{url}: ")


def test_an_archive_is_downloaded_with_progress_and_checked(tmp_path, archive):
    told: list[tuple[str, int, int | None]] = []
    with serving(pages(archive)) as (url, _):
        local = find_local(tmp_path / "cache", None, None, lambda *what: told.append(what), [Download(url)])
    assert local.version == "1.25.1"
    assert told[0] == (f"fetching DynamoDB Local (57 MB, once, under Amazon's licence) from {url}", 0, None)
    assert told[-1] == (f"from {url}", len(archive), len(archive))
    assert (tmp_path / "cache/dynamodb-local/source.txt").read_text() == f"{url}\n"


def test_an_archive_with_another_checksum_is_refused(tmp_path, archive):
    with serving(pages(archive, "0" * 64)) as (url, _):
        found = hashlib.sha256(archive).hexdigest()
        assert reason(tmp_path / "cache", url) == f"checksum does not match: expected sha256 {'0' * 64}, got {found}"


def test_an_archive_without_a_checksum_is_refused(tmp_path, archive):
    with serving({"/a.tar.gz": archive}) as (url, _):
        assert reason(tmp_path / "cache", url) == "Not Found"
    with serving({"/a.tar.gz": archive, "/a.tar.gz.sha256": b"<html>"}) as (url, _):
        assert reason(tmp_path / "cache", url) == "its published checksum is not a SHA-256 sum"


def test_a_host_that_is_not_there_is_reported(tmp_path):
    assert "refused" in reason(tmp_path / "cache", f"http://127.0.0.1:{free_port()}/a.tar.gz").lower()


def test_a_download_that_is_cut_off_is_reported(tmp_path, archive):
    with serving(pages(archive), stop_after=100) as (url, _):
        assert "100" in reason(tmp_path / "cache", url)


def test_a_fetch_killed_half_way_leaves_nothing_that_counts(tmp_path, archive):
    cache = tmp_path / "cache"
    with serving(pages(archive), stop_after=100) as (url, stalled):
        fetcher = subprocess.Popen([sys.executable, "-c", FETCH, str(cache), url])
        wait_for(stalled.is_set)
        fetcher.kill()
        fetcher.wait()
    assert not (cache / "dynamodb-local").exists()
    assert list(cache.glob("tmp-*"))
    with serving(pages(archive)) as (url, _):
        assert find_local(cache, None, None, say_nothing, [Download(url)]).version == "1.25.1"
    assert not list(cache.glob("tmp-*"))


def test_four_processes_at_once_all_get_it(tmp_path, archive):
    with serving(pages(archive)) as (url, _):
        command = [sys.executable, "-c", FETCH, str(tmp_path / "cache"), url]
        fetchers = [subprocess.Popen(command) for _ in range(4)]
        assert [fetcher.wait(60) for fetcher in fetchers] == [0, 0, 0, 0]
    assert len(list((tmp_path / "cache").glob("launch-*"))) == 1


def test_the_pinned_npm_package_holds_dynamodb_local(tmp_path):
    local = find_local(tmp_path / "cache", None, None, say_nothing, [NpmPackage(*NPM, bundled=True)])
    assert local.version == "1.25.1"
    assert list(local.libraries.glob("*sqlite4java*"))


def test_a_package_that_npm_cannot_find_is_reported(tmp_path):
    missing = NpmPackage("amplify-dynamodb-simulator@0.0.0-none", NPM[1], bundled=True)
    with pytest.raises(DevenvError) as caught:
        find_local(tmp_path / "cache", None, None, say_nothing, [missing])
    assert "0.0.0-none" in (caught.value.detail or "")
    assert not list((tmp_path / "cache").glob("tmp-*"))


def test_another_package_than_the_pinned_one_is_refused(tmp_path):
    with pytest.raises(DevenvError) as caught:
        find_local(tmp_path / "cache", None, None, say_nothing, [NpmPackage(NPM[0], "0" * 64, bundled=True)])
    assert "checksum does not match" in (caught.value.detail or "")
