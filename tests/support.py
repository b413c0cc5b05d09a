"""Projects for tests: a folder with a devenv.toml, and the real command run on it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import psutil

from devenv.config.load import cache_folder, data_home
from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import Dynamo

REPOSITORY = Path(__file__).resolve().parent.parent
LIMIT_S = 120.0
# What tests draw (moments of a kill, edits, examples) changes every day. Workers of a run inherit the day it began.
SEED = os.environ.setdefault("CHAOS_SEED", datetime.now(UTC).strftime("%Y%m%d"))
ENVIRONMENTS: dict[tuple[Any, ...], dict[str, str]] = {}


@dataclass(frozen=True)
class Ran:
    """How one devenv command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found = json.loads(self.out)
        assert found["exit_code"] == self.code, "the document and the process disagree"
        return found

    @property
    def all(self) -> str:
        """Everything printed."""
        return self.out + self.err


@dataclass(frozen=True)
class ProjectDir:
    """A project folder. `devenv(...)` runs the installed command on it, as a user would."""

    path: Path
    environ: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        """The command line, for `subprocess`."""
        return [sys.executable, "-m", "devenv", "--project", str(self.path), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of the command: the test's own, less what would steer it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEVENV_", "AWS_", "PG"))}
        cache = {"DEVENV_CACHE": os.environ["DEVENV_CACHE"]} if "DEVENV_CACHE" in os.environ else {}
        return {**kept, **cache, "DEVENV_TRUST": "1", "PYTHONPATH": str(REPOSITORY), **self.environ, **more}

    def devenv(self, *arguments: str, timeout: float = LIMIT_S, stdin: str = "", **environ: str) -> Ran:
        """Run one command to its end."""
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            input=stdin,
            env=self.environment(**environ),
            cwd=self.path,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, **more: Any) -> Ran:
        """Run one command that must succeed."""
        ran = self.devenv(*arguments, **more)
        assert ran.code == 0, f"{arguments} exited {ran.code}:\n{ran.all}"
        return ran

    def json(self, *arguments: str, **more: Any) -> dict[str, Any]:
        """Run one command with --json and return its document, whatever the exit code."""
        return self.devenv(*arguments, "--json", **more).document

    def dynamodb(self, timeout: float = 10.0) -> Dynamo:
        """A client of the project's DynamoDB, which may write; the caller closes it."""
        names = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        env = self.env()
        return Dynamo(DynamoTarget(*(env[name] for name in names)), timeout=timeout)

    def env(self) -> dict[str, str]:
        """What `devenv env` gives; asked again only when a file changed that decides it. A test asks it often."""
        key = (self.path, tuple(sorted(self.environ.items())), *self.stamps())
        if key not in ENVIRONMENTS:
            found = json.loads(self.ok("env", "--format", "json").out)
            # The first one generates the secrets.
            key = (*key[:2], *self.stamps())
            ENVIRONMENTS[key] = found
        return dict(ENVIRONMENTS[key])

    def stamps(self) -> list[tuple[int, int] | None]:
        """Which version each file has that decides what `devenv env` gives."""
        home = data_home(self.path.resolve())
        files = [self.path / "devenv.toml", self.path / ".devstate" / "state.json"]
        found: list[tuple[int, int] | None] = []
        for file in (*files, *(home / place / "secrets.json" for place in ("", "docker", "external"))):
            try:
                status = file.stat()
                found.append((status.st_ino, status.st_mtime_ns))
            except OSError:
                found.append(None)
        return found

    def remove(self) -> None:
        """Stop everything and delete the data, wherever it lies. Nothing is left to do for a folder that was moved."""
        if not self.path.exists():
            return
        self.devenv("down", "--data", "--no-backup", "-y")
        shutil.rmtree(data_home(self.path.resolve()), ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def cache_of_parts() -> Iterator[Path]:
    """A cache that the stores' account can reach: this machine's parts, and nothing that was made from projects."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        made.chmod(0o755)
        for part in cache_folder().iterdir():
            own = ("baselines", "completion", "pristine", "projects", "tests")
            if part.name not in own and part.suffix != ".lock":
                (made / part.name).symlink_to(part)
        yield made


def dice(name: str) -> random.Random:
    """Return random numbers for one test. CHAOS_SEED, which pytest prints at its end, repeats them."""
    print(f"CHAOS_SEED={SEED}")
    return random.Random(f"{SEED} {name}")


FULL = os.environ.get("CHAOS_SIZE") == "full"


def unwind_on_sigterm() -> None:
    """Let SIGTERM end this process as an exception does, so that what it started is cleaned up."""

    def leave(number: int, frame: object) -> NoReturn:
        # A command under way is not killed, as `subprocess.run` would: what it has started would go on without it.
        commands = psutil.Process().children()
        for each in commands:
            each.terminate()
        psutil.wait_procs(commands, LIMIT_S)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def reference_project(path: Path) -> ProjectDir:
    """A copy of the repository's own project: its devenv.toml and seeds."""
    path.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "devenv.toml", path)
    shutil.copytree(REPOSITORY / "seeds", path / "seeds", dirs_exist_ok=True)
    return ProjectDir(path)


def empty_project(path: Path, text: str = '[project]\nname = "empty"\n') -> ProjectDir:
    """A project with no steps: two bare stores."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "devenv.toml").write_text(text)
    return ProjectDir(path)
