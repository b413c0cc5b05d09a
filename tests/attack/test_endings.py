"""A machine at its limits: the right code, one document, a true sentence, no traceback (56, 58, 60)."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ProjectDir, empty_project


@pytest.fixture
def small(tmp_path: Path) -> ProjectDir:
    return empty_project(tmp_path / "small")


def limited(project: ProjectDir, limit: Callable[[], None], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command after `limit` has narrowed what its process may use."""
    return subprocess.run(
        project.command(*words),
        capture_output=True,
        text=True,
        timeout=60,
        env=project.environment(),
        cwd=project.path,
        preexec_fn=limit,
        check=False,
    )


def no_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (300_000 << 10, 300_000 << 10))


def no_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))


@pytest.mark.parametrize("words", [("doctor",), ("status",)], ids=" ".join)
def test_a_process_without_means_could_not_check(small: ProjectDir, words: tuple[str, ...]) -> None:
    for limit in (no_memory, no_files):
        ran = limited(small, limit, *words, "--json")
        assert "Traceback" not in ran.stdout + ran.stderr
        if ran.returncode == 1 and not ran.stdout:
            # The interpreter itself could not start: nothing of devenv has run.
            assert "Python" in ran.stderr or "import" in ran.stderr
            continue
        found = json.loads(ran.stdout)
        assert found["exit_code"] == ran.returncode
        assert "devenv itself failed" not in ran.stdout
        if ran.returncode:
            assert ran.returncode in (1, 3)
            assert "error" not in found or (ran.returncode, bool(found["error"]["hint"])) == (3, True)


def test_no_thread_is_not_checked(small: ProjectDir) -> None:
    ran = limited(small, no_memory, "doctor", "--json")
    if "new thread" in ran.stdout:
        assert (ran.returncode, json.loads(ran.stdout)["exit_code"]) == (3, 3)


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(
    "words", [("status",), ("config", "show"), ("env",), ("help", "protection"), ("nothing",)], ids=" ".join
)
def test_a_full_stdout_is_said_once(small: ProjectDir, words: tuple[str, ...], form: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            small.command(*words, *form),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=small.environment(),
            check=False,
        )
    assert ran.returncode == (2 if words == ("nothing",) else 1)
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("error:") == 1
    assert words == ("nothing",) or "the output cannot be written" in ran.stderr


@pytest.mark.parametrize("closed", ["1", "2", "0", "1,2"])
def test_a_closed_stream_is_no_crash(small: ProjectDir, closed: str) -> None:
    def close() -> None:
        for number in closed.split(","):
            os.close(int(number))

    ran = limited(small, close, "status")
    assert (ran.returncode, "Traceback" in ran.stdout + ran.stderr) == (0, False)


@pytest.mark.parametrize("words", [("status",), ("init",), ("doctor",), ("up",), ("down",)], ids=" ".join)
def test_a_deleted_folder_is_a_usage_error(small: ProjectDir, words: tuple[str, ...]) -> None:
    gone = small.path / "gone"
    gone.mkdir()
    command = [part for part in small.command(*words, "--json") if part not in ("--project", str(small.path))]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env=small.environment(),
        cwd=gone,
        preexec_fn=gone.rmdir,
        check=False,
    )
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["exit_code"]) == (2, 2)
    assert "deleted" in found["error"]["what"]


def test_an_interrupt_while_modules_are_imported_leaves_no_traceback(small: ProjectDir, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    environment = small.environment()
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"
    ran = subprocess.run(
        small.command("status"),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=small.path,
        check=False,
    )
    assert ran.returncode == -signal.SIGINT
    assert "Traceback" not in ran.stderr


def test_an_interrupt_does_not_wait_for_the_program_under_way(tmp_path: Path) -> None:
    from tests.attack.places import run_program

    started = tmp_path / "pid"

    def halt() -> None:
        if started.exists() and started.read_text().strip():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_program(["sh", "-c", 'echo $$ > "$0"; exec sleep 600', str(started)], halt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert run_program(["cat"], lambda: None, given=b"x" * 1_000_000).stdout == b"x" * 1_000_000
