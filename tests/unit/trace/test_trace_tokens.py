"""Tokens that are no JWT: a column of the user's row, or what the project's own command prints."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.config.token_mistakes import token_mistakes
from devenv.config.trace import TraceRequest
from devenv.core.errors import DevenvError
from devenv.core.model import DynamoTarget, PostgresTarget, Targets
from devenv.trace.layers.requests import needs_token
from devenv.trace.tokens import made

GROWERS: dict[str, Any] = {
    "project": {"name": "garden"},
    "person": {"table": "public.growers", "id": "id", "name": "email"},
}
ROW = {"user": "ada@garden.test", "person.id": "7", "person.api_token": "tok-ada-1"}


def garden(token: dict[str, Any]) -> Settings:
    return msgspec.convert({**GROWERS, "token": token}, Settings)


def test_a_token_is_a_column_or_what_a_command_prints(tmp_path: Path) -> None:
    program = tmp_path / "sign-in"
    program.write_text('#!/bin/sh\necho "note: for $1" && echo "tok-$2-$STAGE-$(basename "$PWD")"\n')
    program.chmod(0o755)
    targets = Targets.of(PostgresTarget("127.0.0.1", 1, "u", "p"), DynamoTarget("http://127.0.0.1:1", "r", "k", "s"))
    environ = {"STAGE": "local", "PATH": os.environ["PATH"]}
    make = partial(made, targets=targets, root=tmp_path, values=ROW, environ=environ)
    assert make(garden({"column": "api_token"})) == "tok-ada-1"
    command = garden({"command": ["./sign-in", "{user}", "{person.id}"]})
    assert make(command) == f"tok-7-local-{tmp_path.name}"
    with pytest.raises(DevenvError, match=r"ada@garden.test has no api_key"):
        make(garden({"column": "api_key"}))
    with pytest.raises(DevenvError, match=r"needs \{person.mail\}") as raised:
        make(garden({"command": ["./sign-in", "{person.mail}"]}))
    assert "{user} and {person.COLUMN}" in (raised.value.detail or "")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({**GROWERS, "token": {"column": "api_token", "env": "KEY"}}, "with `env` or with `column`, not with both"),
        ({"project": {"name": "garden"}, "token": {"column": "api_token"}}, "needs a section [person]"),
    ],
)
def test_a_column_of_a_token_that_cannot_be(settings: dict[str, Any], said: str) -> None:
    ((_, text),) = token_mistakes(msgspec.convert(settings, Settings))
    assert said in text


def test_a_column_in_a_header_identifies_the_user() -> None:
    named = TraceRequest(path="/", headers={"Authorization": "Bearer {person.api_token}"})
    assert needs_token(named)
    assert not needs_token(TraceRequest(path="/{person.id}", headers={"Accept": "text/html"}))
