"""No control byte of data or configuration reaches a terminal, and no value becomes a command."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.attack.outside import Outside
from tests.support import ProjectDir, empty_project

# OSC 52 (clipboard), OSC 0 (title), CSI, C1's CSI, a bell, a carriage return, a direction override.
STEERING = "\x1b]52;c;ZXZpbA==\x07\x1b]0;evil\x07\x1b[2J\x9b2J\x07\x08\r\u202eevil"
TOML = "\\u001b]52;c;ZXZpbA==\\u0007\\u001b]0;evil\\u0007\\u001b[2J\\u009b2J\\u0007\\u0008\\r\\u202eevil"
FORBIDDEN = [*map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u202e", "\u2066"]
ALLOWED = {"\n", "\t"}


def on_terminal(project: ProjectDir, *words: str) -> str:
    """What a command writes to a terminal, without the carriage returns that the terminal itself adds."""
    reader, writer = pty.openpty()
    process = subprocess.Popen(
        project.command("--color", "never", *words),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        env=project.environment(TERM="xterm", COLUMNS="100", NO_COLOR="1"),
        cwd=project.path,
    )
    os.close(writer)
    found = b""
    while True:
        try:
            chunk = os.read(reader, 65536)
        except OSError:
            break
        if not chunk:
            break
        found += chunk
    process.wait()
    os.close(reader)
    return found.decode("utf-8", "replace").replace("\r\n", "\n")


def steering_in(text: str) -> list[str]:
    return sorted({repr(each) for each in FORBIDDEN if each in text and each not in ALLOWED})


HOSTILE = f"""
[project]
name = "hostile"
[postgres]
database = "{TOML}"
user = "{TOML}"
[env]
A = "{TOML}"
[backend]
command = ["true", "{TOML}"]
url = "http://127.0.0.1:{{port}}/{TOML}"
health = "/{TOML}"
[patterns.p]
purpose = "{TOML}"
sql = "SELECT '{TOML}'"
[patterns.q]
table = "{TOML}"
purpose = "{TOML}"
key = {{ pk = "{TOML}" }}
[entities.e]
table = "{TOML}"
match = {{ pk = "{TOML}" }}
[trace.t]
title = "{TOML}"
pattern = "p"
"""


@pytest.mark.parametrize(
    "words",
    [
        ("env",),
        ("env", "--format", "dotenv"),
        ("env", "--format", "json"),
        ("env", "--format", "fish"),
        ("env", "--format", "powershell"),
        ("env", "--json"),
        ("status",),
        ("status", "--json"),
        ("config", "show"),
        ("config", "show", "--json"),
        ("config", "check"),
        ("patterns", "list"),
        ("patterns", "explain", "q"),
        ("patterns", "run", "p"),
        ("up", "--dry-run"),
        ("doctor",),
        ("trace", "t"),
        ("ps",),
        ("logs",),
        ("policy",),
        ("db", STEERING.replace("\x00", "")),
        ("trace", STEERING),
        ("logs", STEERING),
        (STEERING,),
    ],
    ids=lambda words: " ".join(words)[:30].encode("ascii", "replace").decode(),
)
@pytest.mark.matrix(4)
def test_configuration_steers_no_terminal(tmp_path: Path, words: tuple[str, ...]) -> None:
    project = empty_project(tmp_path / "p", HOSTILE)
    try:
        text = on_terminal(project, *words)
        assert text.strip() or words == ("logs",)
        assert steering_in(text) == [], text
    finally:
        if words[0] == "env":
            project.remove()


def test_data_steers_no_terminal(running: ProjectDir, outside: Outside, tmp_path: Path) -> None:
    sql = "SELECT U&'" + STEERING.translate({ord(c): f"\\{ord(c):04x}" for c in STEERING if not c.isalnum()}) + "' AS a"
    for words in (("db", sql), ("db", sql, "--json"), ("db", f"SELECT '{STEERING}'::int")):
        text = on_terminal(running, *words)
        assert "52;c" in text
        assert steering_in(text) == [], text


def test_a_log_steers_no_terminal(running: ProjectDir) -> None:
    log = running.path / ".devstate" / "logs" / "postgres.log"
    kept = log.read_bytes()
    try:
        log.write_bytes(kept + STEERING.encode() + b"\n")
        for words in (("logs", "postgres"), ("logs", "postgres", "--json")):
            text = on_terminal(running, *words)
            assert "52;c" in text
            assert steering_in(text) == [], text
    finally:
        log.write_bytes(kept)


def test_env_gives_programs_the_bytes_as_they_are(tmp_path: Path) -> None:
    """What goes to a program, not to a terminal, is exact: `eval "$(devenv env)"`."""
    project = empty_project(tmp_path / "p", '[project]\nname = "p"\n[env]\nA = "\\u001b[1m"\n')
    try:
        assert "\x1b[1m" in project.ok("env").out
    finally:
        project.remove()


VALUES = {
    "BACKTICK": "it's `touch {canary}`",
    "BOTH": "'`touch {canary}`\"$(touch {canary})",
    "DOLLAR": "it's $(touch {canary}) ${{HOME}}",
    "BACKSLASH": "it's \\`touch {canary}\\` \\$(touch {canary})",
    "NEWLINE": "it's\ntouch {canary}\n`touch {canary}`",
    "BANG": "it's !! `touch {canary}`",
    "SEMICOLON": "'; touch {canary}; '",
    "SMART": "\u2019; touch {canary}; \u2018",
    "END": "'\\",
}
SHELLS = [
    *(shell for shell in ("sh", "dash", "bash", "ksh", "busybox") if shutil.which(shell)),
    pytest.param("zsh", marks=pytest.mark.needs_shells),
]


@pytest.mark.parametrize("form", ["dotenv", "shell"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_dotenv_file_runs_nothing_in_any_shell(tmp_path: Path, shell: str, form: str) -> None:
    from tests.attack.places import format_environment

    canary = tmp_path / "canary"
    values = {name: text.replace("{canary}", str(canary)) for name, text in VALUES.items()}
    file = tmp_path / ".env"
    file.write_text(format_environment(values, form) + "\n")
    names = " ".join(f'"${name}"' for name in values)
    command = [shell, *(["sh"] if shell == "busybox" else []), "-c", f". {file}; printf '%s\\0' {names}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert not canary.exists()
    assert ran.stdout.split("\0")[:-1] == list(values.values()), ran.stderr


def test_smart_quotes_end_no_string_in_powershell() -> None:
    """PowerShell takes four further characters for a single quote."""
    from tests.attack.places import format_environment

    text = format_environment({"A": VALUES["SMART"]}, "powershell")
    inner = text.partition("= '")[2].removesuffix("'")
    for sign in "'\u2018\u2019\u201a\u201b":
        assert inner.count(sign) % 2 == 0
