"""Completion, driven in real shells on a terminal, with names from a project's live data."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REPOSITORY, ProjectDir, reference_project
from tests.terminal import Terminal, open_terminal

UUID = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(devenv completion bash)"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='> '; autoload -Uz compinit; compinit -u -d $HOME/dump; source <(devenv completion zsh)",
    ),
    "fish": (["fish", "--no-config", "-i"], "devenv completion fish | source"),
}
# Words that are typed, the rest that a TAB must add, by what it needs: the commands, devenv.toml, the data.
CASES = {
    "command": ("devenv sch", "ema-load"),
    "option": ("devenv up --no-b", "ackend"),
    "step": ("devenv up --from sch", "ema-load"),
    "service": ("devenv logs pos", "tgres"),
    "flag": ("devenv trace conversations --us", "er"),
    "uuid": (f"devenv trace conversation {UUID[:4]}", UUID[4:]),
    "handle": ("devenv trace conversations --user pri", "ya"),
    "table": ("devenv ddb scan crud", "dur-messages"),
    "snapshot": ("devenv snapshot restore before-", "lunch"),
    "pattern": ("devenv patterns explain mess", "ages"),
    "code": ("devenv doctor --explain XS", "T00"),
    "choice": ("devenv env --format power", "shell"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    made = reference_project(tmp_path_factory.mktemp("completion") / "project")
    made.ok("up", "--no-backend")
    made.ok("snapshot", "save", "before-lunch")
    yield made
    made.remove()


def shell_environment(project: ProjectDir, home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return project.environment(
        PATH=path,
        HOME=str(home),
        TERM="xterm",
        PS1="> ",
        LC_ALL="C.UTF-8",
        PYTHONPATH=str(REPOSITORY),
        ZDOTDIR=str(home),
    )


def gathered(project: ProjectDir, home: Path) -> None:
    """As after the first TAB in a project: the names out of its stores are there."""
    import subprocess

    for what in (["words"], ["names", str(project.path.resolve())]):
        subprocess.run(
            [sys.executable, "-P", "-m", "devenv.cli.completion", *what],
            env=shell_environment(project, home),
            check=True,
            timeout=60,
        )


def typed(terminal: Terminal, words: str, rest: str) -> float:
    """Type words, press TAB, and wait for the rest; the seconds that it took."""
    terminal.press(words)
    terminal.until(words.rpartition(" ")[2])
    began = time.monotonic()
    terminal.press("\t")
    terminal.until(rest)
    spent = time.monotonic() - began
    # Empty the line: Ctrl-U.
    terminal.press("\x15")
    return spent


@pytest.mark.parametrize(
    "shell",
    ["bash", pytest.param("zsh", marks=pytest.mark.needs_shells), pytest.param("fish", marks=pytest.mark.needs_shells)],
)
def test_a_tab_completes_in_a_real_shell(project: ProjectDir, tmp_path: Path, shell: str) -> None:
    gathered(project, tmp_path)
    command, load = SHELLS[shell]
    spent = {}
    with open_terminal(command, shell_environment(project, tmp_path), width=200) as terminal:
        terminal.press(f"cd {project.path}; {load}; echo lo''aded\n")
        terminal.until("loaded")
        for kind, (words, rest) in CASES.items():
            if rest is not None:
                spent[kind] = typed(terminal, words, rest)
        terminal.press("exit\n")
        assert "Traceback" not in terminal.seen
    # With -s: on an idle machine each takes less than 0.3 s.
    print(f"{shell}: " + ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in spent.items()))
