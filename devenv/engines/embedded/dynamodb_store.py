"""DynamoDB Local as a process of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from devenv.core.errors import DevenvError, Exit
from devenv.core.model import DynamoTarget
from devenv.engines.embedded.store import EmbeddedStore
from devenv.engines.process import Launch

if TYPE_CHECKING:
    import subprocess

    from devenv.engines.embedded.building import Progress
    from devenv.engines.embedded.engine import EmbeddedEngine

# Its temporary files, beside the data. They go with the server; of a killed one, with the next start.
TEMPORARY = "temp"
ACCESS_KEY = "devenvlocal"


class DynamodbStore(EmbeddedStore):
    """DynamoDB Local. One object an engine: it remembers what `improve` is to make."""

    name: ClassVar[str] = "dynamodb"
    program: ClassVar[str] = "java"
    option: ClassVar[str] = "-dbPath"
    keys: ClassVar[tuple[str, ...]] = ("port", "local", "version")

    def __init__(self) -> None:
        self._train: Callable[[], subprocess.Popen[bytes] | None] | None = None

    def target(self, engine: EmbeddedEngine) -> DynamoTarget:
        """On loopback; it takes any key."""
        endpoint = f"http://127.0.0.1:{engine.port(self.name)}"
        return DynamoTarget(endpoint, engine.settings.dynamodb.region, ACCESS_KEY, ACCESS_KEY)

    def launch(self, engine: EmbeddedEngine, progress: Progress) -> Launch:
        """The server; fetches it first when this machine does not have it."""
        from devenv.engines.embedded import dynamodb_local, trial, versions
        from devenv.engines.embedded import java as runtime

        account = engine.account()
        java = runtime.find_java(engine.cache, engine.environ, account, progress)
        choice = versions.choice_of(engine.settings.dynamodb, engine.root, engine.cache, account, progress)
        local = versions.choose_local(replace(choice, trial=partial(trial.try_out, java)))
        data, temp = self.data(engine), engine.home / TEMPORARY
        shutil.rmtree(temp, ignore_errors=True)
        for folder in (data, temp):
            folder.mkdir(mode=0o700, exist_ok=True)
            if account is not None:
                os.chown(folder, account.uid, account.gid)
        port = engine.port(self.name)
        command = dynamodb_local.launch_command(java, local, engine.cache, port, data, temp)
        self._train = partial(dynamodb_local.start_training, java, local, engine.cache, engine.environ)
        env = {**engine.service_environment(), **dynamodb_local.ENVIRONMENT}
        return Launch(command, env, engine.home, account, local.version)

    def confirm(self, engine: EmbeddedEngine) -> None:
        """Refuse one that does not listen on loopback only: Amazon's archive changes under the same name."""
        from devenv.engines.embedded import dynamodb_local

        if dynamodb_local.listens_beyond_loopback(engine.port(self.name)):
            engine.stop(self.name)
            raise DevenvError(
                "DynamoDB Local listened on every network interface, so it was stopped",
                exit_code=Exit.CRASHED,
                cause="this version is built differently from those that devenv knows",
                hint='name another one: [dynamodb] local = "FOLDER" in devenv.toml',
            )

    def ended(self, engine: EmbeddedEngine) -> None:
        """Delete its temporary files."""
        shutil.rmtree(engine.home / TEMPORARY, ignore_errors=True)

    def improve(self, engine: EmbeddedEngine) -> subprocess.Popen[bytes] | None:
        """A class archive."""
        return self._train() if self._train else None
