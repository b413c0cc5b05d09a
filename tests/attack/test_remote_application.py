"""An application on another machine is asked nothing unless that was allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.host.addresses import reaches_here
from tests.support import ProjectDir

TOML = '[project]\nname = "shop"\n[backend]\nurl = "{url}"\nhealth = "/"\n'
AWAY = ("http://192.0.2.1:8080", "http://127.0.0.1@192.0.2.1", "http://localhost.example:80", "https://[2001:db8::1]")


@pytest.mark.parametrize("url", AWAY)
@pytest.mark.parametrize("words", [("status",), ("doctor",), ("trace", "thing", "1")], ids=" ".join)
def test_looking_asks_no_other_machine(tmp_path: Path, words: tuple[str, ...], url: str) -> None:
    (tmp_path / "devenv.toml").write_text(TOML.format(url=url))
    ran = ProjectDir(tmp_path).devenv(*words, "--json")
    assert ran.code == 2, ran.all
    assert "[backend]" in ran.document["error"]["what"]
    assert "--allow-remote" in ran.document["error"]["hint"]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "0.0.0.0", "app.localhost", "::ffff:127.0.0.1"]
)
def test_this_machine_is_allowed_by_any_name(host: str) -> None:
    assert reaches_here(host)


@pytest.mark.parametrize("host", [None, "", "192.0.2.1", "localhost.example", "127.0.0.1.example", "2001:db8::1"])
def test_other_hosts_are_not_this_machine(host: str | None) -> None:
    assert not reaches_here(host)
