"""Run Docker Compose: find it, call it with a project's settings in a private file, and understand its errors."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from devenv.core.errors import DevenvError, Exit
from devenv.host.installation import install_command

# service_completed_successfully, --wait and profiles as the compose file has them.
OLDEST: Final = (2, 20)
PLUGIN_FOLDERS: Final = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)
# Variables of the shell outrank those of the file that devenv gives, so none of them may come along.
OWN: Final = re.compile(r"(COMPOSE_|POSTGRES_PASSWORD$|DEVENV_(POSTGRES|DYNAMODB|BACKEND|DOCKER)_|DOCKER_CONTEXT$)")
TAKEN: Final = re.compile(r"already allocated|already in use|forbidden by its access permissions")
PORT: Final = re.compile(r"(?:\d+\.\d+\.\d+\.\d+|\]|\blocalhost):(\d+)")
POLL_S: Final = 0.1


@dataclass(frozen=True)
class Compose:
    """Docker Compose on this machine: how it is called, and its version (`5.6.1`)."""

    program: Path
    version: str

    @property
    def is_old(self) -> bool:
        """True if it cannot read the compose file."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:2]) < OLDEST


@dataclass(frozen=True)
class Failed(Exception):
    """Compose ended with an error; its last words."""

    words: str

    @property
    def port(self) -> int | None:
        """The port that somebody else has, when that is why."""
        for line in self.words.splitlines():
            if TAKEN.search(line) and (found := PORT.findall(line)):
                return int(found[-1])
        return None


def candidates(environ: Mapping[str, str]) -> list[Path]:
    """Return where Compose may be, in order: the user's plugin, the system's, devenv's extra `docker`, PATH."""
    config = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME") or str(Path.home()), ".docker")
    folders = [os.path.join(config, "cli-plugins"), *PLUGIN_FOLDERS, os.path.dirname(sys.executable)]
    names = ("docker-compose.exe",) if os.name == "nt" else ("docker-compose",)
    found = [Path(folder, name) for folder in folders for name in names]
    on_path = shutil.which("docker-compose", path=environ.get("PATH"))
    return [*found, *([Path(on_path)] if on_path else [])]


def find_compose(environ: Mapping[str, str]) -> Compose:
    """The first Compose that is new enough. DevenvError (10) when there is none, or only older ones."""
    old: Compose | None = None
    for program in candidates(environ):
        if not os.access(program, os.X_OK) or program.is_dir():
            continue
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            told = subprocess.run(
                [str(program), "version", "--short"], capture_output=True, text=True, timeout=30, check=True
            )
            found = Compose(program, told.stdout.strip().removeprefix("v"))
            if not found.is_old:
                return found
            old = old or found
    wanted = ".".join(map(str, OLDEST))
    if old:
        raise DevenvError(
            f"Docker Compose {old.version} is too old",
            exit_code=Exit.MISSING,
            detail=f"{old.program}; devenv needs {wanted} or newer",
            hint=install_command("docker"),
        )
    raise DevenvError(
        "Docker Compose is not installed",
        exit_code=Exit.MISSING,
        cause="found neither the plugin `docker compose` nor docker-compose (beside devenv or on PATH)",
        hint=install_command("docker"),
    )


def quote_value(value: str) -> str:
    """A value for an env file that Compose reads: literal where it can be, since `$` means something elsewhere."""
    if "'" not in value and "\n" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("$", "\\$")
    return f'"{escaped}"'


def env_file(values: Mapping[str, str]) -> bytes:
    """The variables as a file for --env-file. Pure."""
    return "".join(f"{name}={quote_value(value)}\n" for name, value in values.items()).encode()


def clean_environment(environ: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """The shell's variables without those that would outrank the project's settings; the engine is named. Pure."""
    kept = {name: value for name, value in environ.items() if not OWN.match(name)}
    return {**kept, "DOCKER_HOST": endpoint}


def call(
    command: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path,
    check: Callable[[], None] = lambda: None,
    *,
    source: IO[bytes] | None = None,
    target: IO[bytes] | None = None,
) -> None:
    """Run one Compose command to its end. Failed when it fails; `check` may raise meanwhile, which ends it.

    `source` and `target` are files for its input and output; without them there is neither.
    """
    with subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL if source is None else source,
        stdout=subprocess.DEVNULL if target is None else target,
        stderr=subprocess.PIPE,
        env=dict(environ),
        cwd=cwd,
        # A Ctrl-C in the terminal is devenv's to handle.
        start_new_session=True,
    ) as child:
        words = b""
        while True:
            try:
                _, words = child.communicate(timeout=POLL_S)
                break
            except subprocess.TimeoutExpired:
                try:
                    check()
                except BaseException:
                    child.terminate()
                    raise
    if child.returncode:
        raise Failed("\n".join(words.decode("utf-8", "replace").strip().splitlines()[-12:]))


@contextmanager
def running(
    command: Sequence[str], environ: Mapping[str, str], cwd: Path, patience_s: float
) -> Iterator[subprocess.Popen[str]]:
    """One Compose command that runs during the block; the end of its input, which also a killed devenv gives, ends it.

    After `patience_s` in all it is killed.
    """
    with subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environ),
        cwd=cwd,
        text=True,
        start_new_session=True,
    ) as child:
        clock = threading.Timer(patience_s, child.kill)
        clock.start()
        try:
            yield child
        finally:
            assert child.stdin is not None  # noqa: S101 - it is a pipe
            with contextlib.suppress(OSError):
                child.stdin.close()
            child.wait()
            clock.cancel()
