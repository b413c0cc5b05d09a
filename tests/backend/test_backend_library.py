"""The application's functions called alone, in an interpreter of their own, as somebody who debugs would."""

from __future__ import annotations

import json
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import jwt

if TYPE_CHECKING:
    from tests.backend.conftest import Seeded

Run = Callable[..., CompletedProcess[str]]
TELESCOPE = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"


def call(run_python: Run, function: str, **arguments: str) -> list[dict[str, str]]:
    """What a function of messages.py returns, through JSON."""
    code = f"import json; from devenv.example.messages import {function} as f; print(json.dumps(f(**{arguments!r})))"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_list_messages_alone_returns_all_of_them(run_python: Run, seeded: Seeded) -> None:
    found = call(run_python, "list_messages", message_group_uuid=TELESCOPE)
    assert [each["uuid"] for each in found] == [item["message_uuid"] for item in seeded.items(pk=f"MSG#{TELESCOPE}")]


def test_list_conversations_alone_returns_all_of_them(run_python: Run, seeded: Seeded) -> None:
    mei = seeded.person("mei")
    found = call(run_python, "list_conversations", user_uuid=mei.uuid)
    items = seeded.items(pk=f"GRP#{mei.uuid}")
    assert len(items) == 2
    assert [each["uuid"] for each in found] == [item["message_group_uuid"] for item in reversed(items)]


def test_a_write_that_never_gets_through_gives_up(run_python: Run) -> None:
    code = f"""
from devenv.example import messages
messages.PATIENCE = 0.1
taken = {{"pk": {{"S": "MSG#{TELESCOPE}"}}, "sk": {{"S": "2023-06-24T20:57:02.000000+00:00"}}}}
try:
    messages.write(lambda: (None, [messages.put(taken)]))
except messages.Busy:
    print("busy")
"""
    done = run_python("-c", code)
    assert (done.returncode, done.stdout) == (0, "busy\n"), done.stderr


def test_a_write_that_can_never_be_right_is_not_tried_again(run_python: Run) -> None:
    code = """
from devenv.example import messages
messages.write(lambda: print("try") or (None, [messages.put({"pk": {"S": "MSG#x"}, "sk": {"N": "1"}})]))
"""
    done = run_python("-c", code)
    assert (done.returncode, done.stdout) == (1, "try\n")
    assert done.stderr.splitlines()[-1].startswith("botocore.errorfactory.")


def test_missing_variables_stop_the_application_by_name(run_python: Run) -> None:
    command = ("-m", "uvicorn", "devenv.example.app:app", "--port", "0")
    done = run_python(*command, AUTH_SECRET="", DATABASE_URL="")
    assert done.returncode != 0
    assert "SettingsError: not set: DATABASE_URL, AUTH_SECRET" in done.stderr


def test_a_token_can_be_had_for_a_handle(run_python: Run, seeded: Seeded) -> None:
    done = run_python("-m", "devenv.example.auth", "ines")
    assert done.returncode == 0, done.stderr
    claims = jwt.decode(done.stdout.strip(), seeded.environ["AUTH_SECRET"], ["HS256"])
    assert claims["sub"] == seeded.person("ines").cognito_user_id


def test_there_is_no_token_for_no_one(run_python: Run) -> None:
    done = run_python("-m", "devenv.example.auth", "nobody")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "no user has the handle 'nobody'\n")
    assert run_python("-m", "devenv.example.auth").returncode == 2
