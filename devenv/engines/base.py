"""The base of every engine: how the services of one project are started, seen and stopped.

An engine is one module with one class below `Engine`, and one line in `engines.registry.ENGINES`. Its author gives it:

- `name`, and what it is able to do: `files` (its data are files here, which devenv may copy while a store is stopped),
  `starts` (it starts and stops the stores; without it, devenv only connects to them), `shared` (others may have data
  in the same stores, so that devenv looks at this project's own tables and databases only);
- `look_at(name)`: one service's state, without asking the service itself (that is the probe's matter, services.py);
- `launch(name, environment, progress)` and `stop(name)`: start one service without waiting until it answers, and end
  it. Both `remember` it: a service that was started has `started` in its record, one that was stopped on purpose has
  not. By that, and by nothing else, devenv knows which engine's services are up;
- `recognise(name)` and `ended(name)`: whether a service that was just launched still runs, and the error for one that
  does not (5, or 6 for a port that was taken), with its last words. `up` asks both while it waits;
- `store_targets()`: where both stores are, running or not.

All the rest has a meaning here that an engine may replace: ports, secrets, the state file, the application as a
process of this machine (`launch_process`, `look_at_process`, `stop_process`, `recognise_process`,
`process_ended`, own.py), logs, `adopt`, `stranger`, `confirm`, `improve`, `prepare`, `has_data`, `has_traces`,
`remove_data`, `expect_erasure`, `application_environment`, `listeners`, `hold_writers`, `admit`, `permit`. Only
what looks into Docker itself asks whether an engine is Docker's.

Each engine has its own data, and all that belongs to data: ledger, secrets, baseline, snapshots. They lie in
`Engine.home`, a folder of the engine's name in the project's data folder (for `embedded`, that folder itself).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import psutil
from msgspec.structs import replace

from devenv.config.load import data_home
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Listener, ServiceState
from devenv.engines.process import ProcessServices
from devenv.host import processes
from devenv.host.addresses import reaches_here
from devenv.host.listening import listening

if TYPE_CHECKING:
    from devenv.engines.embedded.building import Progress

# Projects that start at the same moment may find the same port free; each time one of them gets it.
PORT_TRIES: Final = 5


class Engine(ProcessServices):
    """The services of one project on one engine. Reading is free of side effects; `launch` and `stop` act."""

    # What an engine has to give

    @abstractmethod
    def look_at(self, name: str) -> ServiceState:
        """One service's state. `crashed` means that it exited without `devenv down`."""

    @abstractmethod
    def launch(self, name: str, environment: Mapping[str, str], progress: Progress) -> None:
        """Start one service, detached, and remember it. `environment` is what `devenv env` gives (for the backend).

        Called in a thread for each store. DevenvError: 10 for what is missing, 6 for a taken port, else 5.
        """

    @abstractmethod
    def stop(self, name: str) -> bool:
        """Stop one service cleanly and remember that it was meant. False when it was not running."""

    @abstractmethod
    def recognise(self, name: str) -> bool:
        """Return True if a service that was just launched still runs."""

    @abstractmethod
    def ended(self, name: str) -> DevenvError:
        """The error for a service that ended while it was waited for, with its own last words."""

    # What is there

    def look(self) -> tuple[ServiceState, ...]:
        """The state of every service, as far as it is seen from outside (whether it answers is the probe's matter)."""
        self.adopt()
        return tuple(self.look_at(name) for name in self.services)

    def runs(self, name: str) -> bool:
        return self.look_at(name).state == "running"

    def adopt(self) -> None:
        """Find running services of this project that no record names (devenv was killed, or its state deleted)."""
        self.adopt_own()

    @property
    def compose_project(self) -> str:
        """The Compose project of this project's containers, by which they are found once its folder is gone; or ""."""
        return ""

    def has_data(self) -> bool:
        """Return True if a first `up` has begun to load data here."""
        return (self.home / "ledger.sqlite").exists()

    def has_traces(self) -> bool:
        """Return True if `down --data` has anything to remove from stores whose files are not devenv's."""
        return self.has_data()

    def listeners(self) -> list[Listener]:
        """The sockets on which this project's services (and their children) listen."""
        found = []
        for service in self.look():
            if service.pid is None:
                continue
            for pid in (service.pid, *processes.children(service.pid)):
                with contextlib.suppress(psutil.Error):
                    found += [Listener(service.name, address, port) for address, port in listening(pid)]
        return found

    def gather_logs(self, names: Sequence[str]) -> None:
        """Bring the log files up to date, where services do not write into them by themselves."""

    @contextmanager
    def following_logs(self, names: Sequence[str]) -> Iterator[None]:
        """During the block the log files follow what the services write."""
        yield

    # What changes

    def admit(self, allow_remote: bool, say: Callable[[str], None]) -> None:
        """Before a command reads: what is on another machine must be allowed, and is named first. UsageError (2)."""
        remote = self.elsewhere()
        if remote and not allow_remote:
            raise UsageError(
                f"not on this machine: {'; '.join(remote)}",
                detail="nothing was read: reading from there needs --allow-remote; devenv never writes there",
                hint="add --allow-remote",
            )
        for each in remote:
            say(f"reading from {each}")

    def elsewhere(self) -> list[str]:
        """The stores and applications of the settings that are on another machine, each with its address."""
        urls = {own.section: own.url.replace("{port}", "1") for own in self.own.values() if own.url}
        return [f"{section} at {url}" for section, url in urls.items() if not reaches_here(urlsplit(url).hostname)]

    def permit(self, agree: Callable[[str], None] | None) -> None:
        """Before a command writes: refuse stores that are not devenv's to write to. UsageError (2).

        Where they can be made so, `agree` is asked, which raises unless the user agrees.
        """

    def prepare(self, names: Sequence[str]) -> None:
        """The stores that are about to be launched, each in a thread of its own: for what concerns them together."""

    def extend(self, progress: Progress) -> None:
        """Fetch further modules for the running Postgres, where the engine can. DevenvError (10)."""

    def stranger(self, name: str) -> processes.Holder | None:
        """The process that answers on the port of a process of this machine in its place, or None."""
        process = self.process(name)
        # An application may be a command that runs a container: another process has its port then.
        return processes.stranger(self.port(name), process, alone=name in STORES) if process else None

    def confirm(self, name: str) -> None:
        """Refuse a service that answers, but not as it should (beyond loopback, say). DevenvError."""

    def stalled(self, name: str) -> tuple[str, str]:
        """Why a service that runs may not answer, and what to do."""
        hint = f"devenv logs {name}, or devenv down && devenv up --timeout 300"
        return "its process runs; it may be paused, or busy", hint

    def improve(self) -> None:
        """Once services run: make, in the background, what starts them faster the next time."""

    def stop_improving(self) -> None:
        """End what `improve` began, if it is still at work."""

    @contextmanager
    def hold_writers(self) -> Iterator[bool]:
        """Nothing is written to DynamoDB during the block, though reading goes on; False where that cannot be had."""
        yield False

    def remove_data(self) -> None:
        """Delete the stores' data, for good; the stores are stopped."""

    def expect_erasure(self) -> None:
        """Before all of this project is taken out of stores that others use too: killed, it can be done again."""

    def dump_database(self, database: str, file: Path) -> None:
        """Write a database of the running server to a file, which outlives the server. DevenvError.

        By this machine's own programs of PostgreSQL, which must not be older than the server.
        """
        self.postgres_program(f"{database} could not be copied", "pg_dump", "-Fc", "--file", str(file), database)
        file.chmod(0o600)

    def load_database(self, database: str, file: Path) -> None:
        """Fill an empty database of the running server from such a file. Owners and grants are not part of it."""
        words = ("--exit-on-error", "--no-owner", "--no-acl", "--dbname", database)
        self.postgres_program(f"{database} could not be restored", "pg_restore", *words, str(file))

    def postgres_program(self, what: str, program: str, *words: str) -> None:
        """Run one of PostgreSQL's programs on the server. DevenvError: `what` with its words; 10 without it."""
        from devenv.engines.embedded.postgres import find_binaries

        target = self.store_targets()[0]
        try:
            path = find_binaries(self.settings.postgres.source, self.cache, None).program(program)
        except DevenvError:
            path = shutil.which(program) or ""
        if not os.path.exists(path):
            raise DevenvError(
                f"there is no {program} on this machine", exit_code=Exit.MISSING, hint="install PostgreSQL"
            )
        own = {name: value for name, value in self.environ.items() if not name.startswith("PG")}
        where = {
            "PGHOST": target.host,
            "PGPORT": str(target.port),
            "PGUSER": target.user,
            "PGPASSWORD": target.password,
        }
        ran = subprocess.run([path, *words], env={**own, **where}, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise DevenvError(what, detail=ran.stderr.strip()[-2000:], hint="devenv doctor")

    def follow_move(self) -> None:
        """Under the lock: end the services that run under a moved folder's old name, and bring its data along."""
        if self.moved_from is None:
            return
        for name in self.state.services:
            self.stop(name)
        base = data_home(self.root)
        if self.base != base:
            self.base.rename(base)
            self.base, self.home = base, self.place(base)
        self._secrets = None
        self.moved_from = None
        self.state = replace(self.state, root=str(self.root))
        self.save()

    # What is remembered

    # A service as a process of this machine: the application, on most engines
