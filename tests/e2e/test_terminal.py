"""devenv as a person meets it: on a real (pseudo) terminal, with questions, and quietly."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import threading
import tomllib
from collections.abc import Iterator

import pytest

from tests.e2e import world
from tests.support import ProjectDir, empty_project, reference_project


class Terminal:
    """A command whose three streams are one pseudo terminal of 100 columns."""

    def __init__(self, project: ProjectDir, *arguments: str, **environ: str) -> None:
        self.master, slave = pty.openpty()
        self.child = subprocess.Popen(
            project.command(*arguments),
            env={**project.environment(**environ), "TERM": "xterm", "COLUMNS": "100"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.seen = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        """Collect what is shown until the command has ended and all is read."""
        while True:
            ended = self.child.poll() is not None
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    block = os.read(self.master, 65536)
                except OSError:  # the other end is closed
                    return
                self.seen += block
            elif ended:
                return

    @property
    def text(self) -> str:
        return self.seen.decode("utf-8", "replace")

    def wait_for(self, words: str) -> None:
        world.until(lambda: words in self.text or self.child.poll() is not None, words)

    def type(self, words: str) -> None:
        os.write(self.master, words.encode())

    def end(self) -> int:
        code = self.child.wait(120)
        self.reader.join()
        os.close(self.master)
        return code


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    made = empty_project(tmp_path_factory.mktemp("terminal"))
    try:
        yield made
    finally:
        made.remove()


def test_the_live_view_has_a_line_per_service_and_ends_with_the_endpoints(project: ProjectDir) -> None:
    terminal = Terminal(project, "up")
    assert terminal.end() == 0, terminal.text
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.text)
    for service in ("postgres", "dynamodb"):
        assert re.search(rf"✓ {service} +\d+\.\d s +ready in", shown), shown
    assert "postgresql://postgres@127.0.0.1:" in shown
    assert "next: " in shown
    assert "\x1b[?25h" in terminal.text, "the cursor is shown again"


def test_no_color_is_obeyed_on_a_terminal(project: ProjectDir) -> None:
    terminal = Terminal(project, "status", NO_COLOR="1")
    assert terminal.end() == 0
    assert "\x1b[3" not in terminal.text
    assert Terminal(project, "status").end() == 0


def test_an_error_stands_below_the_view(project: ProjectDir) -> None:
    (project.path / "bad.sql").write_text("SELECT 1/0;\n")
    with (project.path / "devenv.toml").open("a") as file:
        file.write('[steps.setup]\nfiles = ["bad.sql"]\n')
    terminal = Terminal(project, "up", NO_COLOR="1")
    assert terminal.end() == 8
    assert terminal.text.rindex("✗") < terminal.text.index("error: bad.sql:1: division by zero")
    assert "hint: " in terminal.text


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"])
@pytest.mark.matrix(3)
def test_data_is_deleted_only_when_the_answer_is_yes(project: ProjectDir, answer: str) -> None:
    project.ok("up")
    terminal = Terminal(project, "down", "--data")
    terminal.wait_for("?")
    terminal.type(answer)
    assert terminal.end() in (2, 130)
    assert "Traceback" not in terminal.text
    assert all(world.servers(project).values())
    terminal = Terminal(project, "down", "--data")
    terminal.wait_for("?")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert world.servers(project) == {"postgres": [], "dynamodb": []}


def test_ctrl_c_at_a_question_changes_nothing(project: ProjectDir) -> None:
    project.ok("up")
    terminal = Terminal(project, "down", "--data")
    terminal.wait_for("?")
    os.kill(terminal.child.pid, 2)
    assert terminal.end() == 130
    assert all(world.servers(project).values())


def test_quiet_says_nothing_but_the_result(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = reference_project(tmp_path_factory.mktemp("quiet") / "project")
    try:
        ran = project.ok("up", "-q")
        assert ran.err == ""
        assert ran.out.startswith("cruddur: up in ")
    finally:
        project.remove()


def test_init_asks_about_what_is_not_sure(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = ProjectDir(tmp_path_factory.mktemp("asks"))
    item = (
        "{'id': {'S': 'x'}, 'my_user_uuid': {'S': mine}, 'other_user_uuid': {'S': other}, 'old_user_uuid': {'S': old}}"
    )
    for name, text in {
        "schema.sql": "CREATE TABLE users (uuid uuid PRIMARY KEY, handle text);",
        "table.json": '{"TableName": "things", "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],'
        ' "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}',
        "app.py": f"import boto3\ndef put_t(mine, other, old):\n    client.put_item(TableName='things', Item={item})\n",
        "edit": '#!/bin/sh\nsed -i s/old_user/edited/ "$1"\n',
    }.items():
        (project.path / name).write_text(text)
    (project.path / "edit").chmod(0o755)
    terminal = Terminal(project, "init", EDITOR=str(project.path / "edit"))
    terminal.wait_for("my_user_uuid hold ids of users.uuid?")
    terminal.wait_for('from = "dynamodb:things.my_user_uuid"')
    terminal.type("what\ny\n")
    terminal.wait_for("other_user_uuid hold ids")
    terminal.type("n\n")
    terminal.wait_for("old_user_uuid hold ids")
    terminal.type("edit\n")
    assert terminal.end() == 0
    links = tomllib.loads((project.path / "devenv.toml").read_text())["links"]
    assert [link["name"] for link in links] == ["my_user", "edited"]
    assert project.ok("config", "check")


def test_a_shell_for_sql_is_read_only_unless_asked(project: ProjectDir) -> None:
    project.ok("up")
    ran = project.devenv("db", stdin="SELECT 40 + 2;\nCREATE TABLE t (a int);\n")
    assert "42" in ran.out
    assert "read-only" in ran.err
    assert world.sql(project, "SELECT count(*) FROM pg_tables WHERE tablename = 't'") == [(0,)]
    project.devenv("db", "--write", stdin="CREATE TABLE t (a int);\n")
    assert world.sql(project, "SELECT count(*) FROM pg_tables WHERE tablename = 't'") == [(1,)]
