"""What every engine is: how the services of one project are started, seen and stopped.

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
`process_ended`), logs, `adopt`, `stranger`, `confirm`, `improve`, `prepare`, `has_data`, `has_traces`, `remove_data`,
`expect_erasure`, `application_environment`, `listeners`, `hold_writers`, `admit`, `permit`. Only
what looks into Docker itself asks whether an engine is Docker's.

Each engine has its own data, and all that belongs to data: ledger, secrets, baseline, snapshots. They lie in
`Engine.home`, a folder of the engine's name in the project's data folder (for `embedded`, that folder itself).
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

import psutil
from msgspec.structs import replace

from devenv.config.load import Loaded, cache_folder, data_home, interpreter
from devenv.config.masking import learn
from devenv.config.schema import FILE
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import DynamoTarget, PostgresTarget, ServiceState, StepState, Targets
from devenv.host import processes, state
from devenv.host.processes import Account
from devenv.host.state import Mark, Process, Record, State

if TYPE_CHECKING:
    from devenv.engines.embedded.parts import Progress

STORES = ("postgres", "dynamodb")
# Projects that start at the same moment may find the same port free; each time one of them gets it.
PORT_TRIES: Final = 5
# A variable of the application, by which it is known among the processes that carry the project's marks.
BACKEND_MARK = "DEVENV_SERVICE"
# 600 blocks of 20 ports below the range that systems hand out for outgoing connections (32768 on Linux).
BLOCK_BASE, BLOCKS, BLOCK_SIZE = 20000, 600, 20
NO_MODULE: Final = re.compile(r"No module named '?([\w.]+)")


@dataclass(frozen=True)
class Launch:
    """How one service is run: command, environment, working folder, account, and the signal that ends it cleanly."""

    command: list[str]
    env: Mapping[str, str]
    cwd: Path
    account: Account | None
    version: str | None = None


@dataclass(frozen=True)
class Listening:
    """One listening TCP socket of one of the project's own services."""

    service: str
    ip: str
    port: int


# What puts changed settings of a store into effect; the data stays.
RESTART = "devenv down && devenv up"


class Engine(ABC):
    """The services of one project on one engine. Reading is free of side effects; `launch` and `stop` act."""

    name: ClassVar[str]
    files: ClassVar[bool] = False
    starts: ClassVar[bool] = True
    shared: ClassVar[bool] = False

    def __init__(
        self, loaded: Loaded, folder: Path, environ: Mapping[str, str], *, locked: bool = False, aside: bool = False
    ) -> None:
        """`locked`: what changes may be remembered. `aside`: without becoming the project's engine by that."""
        self.root = loaded.root
        self.settings = loaded.settings
        self.loaded = loaded
        self.folder = folder
        self.environ = environ
        self.cache = cache_folder(environ)
        known, self.moved_from = read_state(loaded.root, folder)
        # The engine that the state remembers, when it is another one.
        self.came_from = known.engine if known.engine not in (None, self.name) else None
        self.state = state.switch(known, self.name)
        self.base = data_home(loaded.root)
        if self.moved_from and not self.base.exists() and data_home(self.moved_from).exists():
            self.base = data_home(self.moved_from)
        self.home = self.place(self.base)
        self._locked = locked
        self.aside = aside
        self._guard = threading.Lock()
        self._secrets: state.Secrets | None = None
        # Called while something takes long; it raises when that is no longer wanted.
        self.halt: Callable[[], None] = lambda: None
        # A stopped cluster (and its checksum) to copy instead of making one. Only where `files`.
        self.origin: tuple[Path, str] | None = None

    @classmethod
    def place(cls, base: Path) -> Path:
        """Return where this engine's part of the project's data folder lies."""
        return base / cls.name

    # What an engine has to give

    @abstractmethod
    def look_at(self, name: str) -> ServiceState:
        """One service's state. `crashed` means that it ended without `devenv down`."""

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

    @abstractmethod
    def store_targets(self) -> tuple[PostgresTarget, DynamoTarget]:
        """Return where the stores are, running or not."""

    # What is there

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services this project has, in starting order."""
        backend = self.settings.backend
        return (*STORES, "backend") if backend and backend.command else STORES

    def look(self) -> tuple[ServiceState, ...]:
        """The state of every service, as far as it is seen from outside (whether it answers is the probe's matter)."""
        self.adopt()
        return tuple(self.look_at(name) for name in self.services)

    def runs(self, name: str) -> bool:
        """Return True if a service runs."""
        return self.look_at(name).state == "running"

    def adopt(self) -> None:
        """Find running services of this project that no record names (devenv was killed, or its state deleted)."""
        self.adopt_backend()

    def adopt_backend(self) -> None:
        """Find the application, as a process of this machine, by the variables that it was given."""
        if "backend" not in self.services or not self.log("backend").exists():
            return
        if processes.is_running((self.state.services.get("backend") or Record(0)).process):
            return
        found = processes.find_marked({**self.marks(), BACKEND_MARK: "backend"})
        if found is not None:
            process, environ = found
            port = urlsplit(environ.get("BACKEND_URL", "")).port
            self.remember("backend", port=port or self.port("backend"), process=process, started=iso(process.created))

    @property
    def compose_project(self) -> str:
        """The Compose project of this project's containers, by which they are found once its folder is gone; or ""."""
        return ""

    def has_data(self) -> bool:
        """Return True if a first `up` has begun to load data here."""
        return (self.home / "ledger.sqlite").exists()

    def has_traces(self) -> bool:
        """Whether there is anything that `down --data` has to take away from stores whose files are not devenv's."""
        return self.has_data()

    def process(self, name: str) -> Process | None:
        """The recorded process of a service, running or not; None where it is no process of this machine's own."""
        record = self.state.services.get(name)
        return record.process if record else None

    def application_environment(self) -> dict[str, str] | None:
        """The variables that the running application really has; None when it does not run or they are not ours."""
        process = self.process("backend")
        found = processes.environment(process) if process else None
        return None if found is None else self.untapped(found)

    def tap_places(self) -> dict[tuple[str, int], tuple[str, int]]:
        """Return where the stores are, and at which addresses the tap stands before them; empty without a tap."""
        if self.state.tap is None:
            return {}
        postgres, dynamodb = self.store_targets()
        url = urlsplit(dynamodb.endpoint)
        stores = {"postgres": (postgres.host, postgres.port), "dynamodb": (url.hostname or "", url.port or 80)}
        ports = self.state.tap.ports
        return {place: ("127.0.0.1", ports[name]) for name, place in stores.items() if name in ports}

    def tapped(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the settings as own processes get them: through the tap, if there is one."""
        places = self.tap_places()
        if not places:
            return dict(environment)
        from devenv.capture.tap.addresses import redirect

        return redirect(environment, places)

    def untapped(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return a process's settings with the stores' own addresses in place of those of the running tap."""
        if self.state.tap is None or not processes.is_running(self.state.tap.process):
            return dict(environment)
        from devenv.capture.tap.addresses import redirect

        return redirect(environment, {tap: store for store, tap in self.tap_places().items()})

    def listeners(self) -> list[Listening]:
        """The sockets on which this project's services (and their children) listen."""
        found = []
        for service in self.look():
            if service.pid is None:
                continue
            for pid in (service.pid, *processes.children(service.pid)):
                try:
                    sockets = psutil.Process(pid).net_connections(kind="tcp")
                except psutil.Error:
                    continue
                found += [
                    Listening(service.name, seen.laddr.ip, seen.laddr.port)
                    for seen in sockets
                    if seen.status == psutil.CONN_LISTEN
                ]
        return found

    def log(self, name: str) -> Path:
        """The service's log file."""
        return self.folder / "logs" / f"{name}.log"

    def tail(self, name: str, lines: int = 10) -> list[str]:
        """The last lines that a service (or `steps`) has written; [] where there are none."""
        return processes.tail(self.log(name), lines)

    def gather_logs(self, names: Sequence[str]) -> None:  # noqa: B027 - few engines need it
        """Bring the log files up to date, where services do not write into them by themselves."""

    @contextmanager
    def following_logs(self, names: Sequence[str]) -> Iterator[None]:
        """During the block the log files follow what the services write."""
        yield

    def port(self, name: str) -> int:
        """The port a service has, or would prefer: its last one, unless devenv.toml asks for another one since."""
        record = self.state.services.get(name)
        wanted = self.wanted_port(name)
        kept = record is not None and record.port and (record.started or record.wanted in (0, wanted))
        return record.port if record and kept else wanted

    def wanted_port(self, name: str) -> int:
        """The port that the settings ask for."""
        return int(getattr(self.settings, name).port)

    def address(self, name: str) -> tuple[str, int]:
        """Host and port at which a service is reached from here."""
        return "127.0.0.1", self.port(name)

    def url(self, name: str, port: int) -> str:
        """The address to show. Passwords are not part of it."""
        if name == "postgres":
            return f"postgresql://{self.settings.postgres.user}@127.0.0.1:{port}/{self.settings.postgres.database}"
        if name == "dynamodb" or self.settings.backend is None:
            return f"http://127.0.0.1:{port}"
        return self.settings.backend.url.replace("{port}", str(port))

    def secrets(self) -> state.Secrets:
        """Password and key of this project's data; they are generated with the data folder.

        A command that only looks at a project that has none yet leaves none behind.
        """
        if self._secrets is None:
            if self._locked:
                self.make_home()
            self._secrets = state.keep_secrets(self.home, keep=self._locked)
            learn(self._secrets.password, self._secrets.key)
        return self._secrets

    def keep_secrets(self) -> None:
        """Generate them now unless there are some, for who will rely on what `environment` gives."""
        if self.folder.parent == self.root:
            state.folder(self.root)
        self.make_home()
        self._secrets = state.keep_secrets(self.home)
        learn(self._secrets.password, self._secrets.key)

    def forget_secrets(self) -> None:
        """Read them anew at the next use: other data was put into the place of the present one."""
        self._secrets = None

    def targets(self) -> Targets:
        """Return where the stores and the application are, running or not."""
        postgres, dynamodb = self.store_targets()
        backend_url = self.url("backend", self.port("backend")) if self.settings.backend else None
        return Targets(postgres=postgres, dynamodb=dynamodb, backend_url=backend_url, key=self.secrets().key)

    def private_files(self) -> tuple[Path, ...]:
        """Files with secrets, which must be readable by their owner alone."""
        return self.folder / "state.json", self.home / "secrets.json"

    # What changes

    def admit(self, allow_remote: bool, say: Callable[[str], None]) -> None:  # noqa: B027 - few engines need it
        """Before a command reads: refuse stores elsewhere unless `allow_remote`, and `say` where they are."""

    def permit(self, agree: Callable[[str], None] | None) -> None:  # noqa: B027 - few engines need it
        """Before a command writes: refuse stores that are not devenv's to write to. UsageError (2).

        Where they can be made so, `agree` is asked, which raises unless the user agrees.
        """

    def prepare(self, names: Sequence[str]) -> None:  # noqa: B027 - few engines need it
        """The stores that are about to be launched, each in a thread of its own: for what concerns them together."""

    def extend(self, progress: Progress) -> None:  # noqa: B027 - few engines need it
        """Fetch further modules for the running Postgres, where the engine can. DevenvError (10)."""

    def stranger(self, name: str) -> processes.Holder | None:
        """Who answers on the service's port in its place, or None."""
        return None

    def confirm(self, name: str) -> None:  # noqa: B027 - few engines need it
        """Refuse a service that answers, but not as it should (beyond loopback, say). DevenvError."""

    def stalled(self, name: str) -> tuple[str, str]:
        """Why a service that runs may not answer, and what to do."""
        hint = f"devenv logs {name}, or devenv down && devenv up --timeout 300"
        return "its process runs; it may be paused, or busy", hint

    def improve(self) -> None:  # noqa: B027 - few engines need it
        """Once services run: make, in the background, what starts them faster the next time."""

    def stop_improving(self) -> None:  # noqa: B027 - few engines need it
        """End what `improve` began, if it is still at work."""

    @contextmanager
    def hold_writers(self) -> Iterator[bool]:
        """Nothing is written to DynamoDB during the block, though reading goes on; False where that cannot be had."""
        yield False

    def remove_data(self) -> None:  # noqa: B027 - few engines need it
        """Delete the stores' data, for good; the stores are stopped."""

    def expect_erasure(self) -> None:  # noqa: B027 - only where stores are shared
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

    def account(self) -> Account | None:
        """The unprivileged account that owns the data files when devenv runs as root, else None."""
        return None

    def make_home(self) -> None:
        """The data folder, private; as root it belongs to the account that the services run as."""
        try:
            for place in (self.base, self.home) if self.base in self.home.parents else (self.home,):
                if place != self.folder:
                    place.parent.mkdir(parents=True, exist_ok=True)
                place.mkdir(mode=0o700, exist_ok=True)
            if account := self.account():
                os.chown(self.home, account.uid, account.gid)
            (self.folder / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise state.unwritable(self.home, error) from None

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

    def assign_ports(self, names: tuple[str, ...], strict: bool) -> list[str]:
        """Give each named service a free port: its last one, its default, else the next free one of the block.

        Remembers them. Returns a sentence per port that had to change. `strict` raises DevenvError (exit 6)
        that names the holder instead.
        """
        said: list[str] = []
        taken: set[int] = {self.port(name) for name in self.services if name not in names}
        for name in names:
            wanted = self.port(name)
            port = wanted
            if wanted in taken or not processes.port_is_free(wanted):
                holder = processes.holder(wanted)
                if strict:
                    raise DevenvError(
                        f"port {wanted}, which {name} wants, is taken by {holder}",
                        exit_code=Exit.PORT,
                        cause="--strict-ports forbids to take another one",
                        hint=f"stop it, or set [{name}] port in devenv.toml, or run devenv up without --strict-ports",
                    )
                port = next((p for p in self.block() if p not in taken and processes.port_is_free(p)), 0)
                if not port:
                    raise DevenvError(
                        f"port {wanted} is taken by {holder}, and so is every port of this project's block",
                        exit_code=Exit.PORT,
                        detail=f"tried {self.block()[0]} to {self.block()[-1]}",
                        hint=f"set [{name}] port in devenv.toml to a free one",
                    )
                said.append(f"port {wanted} is taken by {holder}: {name} gets {port}")
            taken.add(port)
            self.remember(name, port=port, wanted=self.wanted_port(name))
        return said

    def block(self) -> range:
        """The 20 ports this project falls back to, by the hash of its folder."""
        number = int.from_bytes(hashlib.sha256(os.fsencode(self.root)).digest()[:4], "big") % BLOCKS
        start = BLOCK_BASE + number * BLOCK_SIZE
        return range(start, start + BLOCK_SIZE)

    # What is remembered

    def remember(self, name: str, **changes: object) -> None:
        """Change one service's record and write the state."""
        with self._guard:
            old = self.state.services.get(name) or Record(port=0)
            record = Record(**{field: changes.get(field, getattr(old, field)) for field in Record.__struct_fields__})  # type: ignore[arg-type]
            services = {**self.state.services, name: record}
            self.state = replace(self.state, engine=self.name, root=str(self.root), services=services)
            self.save()

    def remember_steps(self, seen: Sequence[StepState]) -> None:
        """Note how the steps stood, for `status` while the stores are stopped."""
        # The reason of a step that is done is wording; a second `up` has nothing to write.
        news = {step.name: (step.state, "" if step.state == "done" else step.reason) for step in seen}
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with self._guard:
            steps = self.state.steps
            if news != {
                name: (mark.state, "" if mark.state == "done" else mark.reason) for name, mark in steps.items()
            }:
                marks = {step.name: Mark(step.state, step.reason, at) for step in seen}
                self.state = replace(self.state, steps=marks)
                self.save()

    def restore_steps(self, marks: Mapping[str, Mark]) -> None:
        """Note how the steps stood when the data that is here now was saved."""
        with self._guard:
            self.state = replace(self.state, steps=dict(marks))
            self.save()

    def save(self) -> None:
        """Write the state. A command that only looks keeps what it finds to itself: another may be at work."""
        if self._locked:
            back = self.came_from if self.aside else None
            state.write(self.folder, state.switch(self.state, back) if back else self.state)

    # A service as a process of this machine: the application, on most engines

    def launch_process(self, name: str, launch: Launch, inputs: str = "") -> None:
        """Run one service detached, and remember it. `inputs` is a hash of what decides how it runs."""
        try:
            child = processes.spawn(
                launch.command, log=self.log(name), cwd=launch.cwd, env=launch.env, account=launch.account
            )
        except OSError as error:
            raise DevenvError(
                f"{name} could not be started: {shlex.join(launch.command[:3])} …",
                exit_code=Exit.MISSING if isinstance(error, FileNotFoundError) else Exit.CRASHED,
                detail=str(error),
            ) from None
        self.remember(
            name,
            process=processes.identify_child(child) or Process(child.pid, 0.0, launch.command),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            version=launch.version,
            environment=inputs,
            settings=self.launch_settings(name),
        )

    def launch_settings(self, name: str) -> dict[str, str]:
        """The settings of devenv.toml that decide how a store runs, and that a running one does not follow."""
        section = {"postgres": self.settings.postgres, "dynamodb": self.settings.dynamodb}.get(name)
        keys = {"postgres": ("port", "source"), "dynamodb": ("port", "local")}.get(name, ())
        return {key: str(getattr(section, key)) for key in keys}

    def pending_settings(self, name: str) -> str | None:
        """Which settings a running store does not have yet, in words; None when it has them all, or it is not known."""
        record = self.state.services.get(name)
        now = self.launch_settings(name)
        known = record.settings if record else {}
        changed = [
            f"[{name}] {key} = {now[key]} is not in effect: it was started with {known[key]}"
            for key in now
            if key in known and known[key] != now[key]
        ]
        return "; ".join(changed) or None

    def look_at_process(self, name: str) -> ServiceState:
        """One service's state, from the process table alone."""
        record = self.state.services.get(name)
        if record is None:
            return ServiceState(name, "stopped", detail="never started")
        process = record.process
        running = processes.is_running(process)
        # A process from before the last boot did not crash: the machine went down under it.
        crashed = process is not None and not running and process.created > processes.boot_time()
        detail = None
        if process is not None and not running:
            detail = "it ended by itself" if crashed else "the machine was restarted"
        pending = self.pending_settings(name) if running else None
        return ServiceState(
            name=name,
            state="running" if running else "crashed" if crashed else "stopped",
            pid=process.pid if process and running else None,
            host="127.0.0.1",
            port=record.port,
            url=self.url(name, record.port),
            version=record.version,
            started=record.started if running else None,
            detail=pending or detail,
            command=RESTART if pending else None,
        )

    def stop_process(self, name: str, how: signal.Signals = signal.SIGTERM) -> bool:
        """Stop one service's process cleanly and remember that it was meant. False when it was not running."""
        record = self.state.services.get(name)
        if record is None or record.process is None:
            return False
        stopped = processes.stop(record.process, how=how)
        self.remember(name, process=None, started=None)
        return stopped

    def recognise_process(self, name: str) -> bool:
        """Whether a service that was just launched still runs, perhaps as another program (`env`, `sh -c "exec …"`)."""
        process = self.process(name)
        now = processes.identify(process.pid) if process else None
        if process is None or now is None or not processes.same(now, replace(process, command=now.command)):
            return False
        if now.command != process.command:
            self.remember(name, process=now)
        return True

    def process_ended(self, name: str) -> DevenvError:
        """The error for a process that ended while it was waited for: 6 when somebody else has its port, else 5."""
        port = self.port(name)
        taken = None if processes.port_is_free(port) else processes.holder(port)
        tail = self.tail(name)
        backend = self.settings.backend if name == "backend" and not taken else None
        python = self.backend_values()["python"] if backend and "{python}" in backend.command else None
        cause, hint = missing_module(tail, python, backend is not None and backend.python is not None)
        return DevenvError(
            f"{name} ended while starting" + (f": port {port} is taken by {taken}" if taken else ""),
            exit_code=Exit.PORT if taken else Exit.CRASHED,
            detail="\n".join([*tail, f"(whole log: {self.log(name)})"]),
            cause=cause,
            hint=hint or ("devenv up" if taken else f"devenv logs {name}"),
        )

    def marks(self) -> dict[str, str]:
        """Variables that tell whose a process is: of which project, and of which user's devenv."""
        return {"DEVENV_PROJECT": str(self.root), "DEVENV_CACHE": str(self.cache)}

    def launch_backend(self, environment: Mapping[str, str]) -> None:
        """The application as a process of this machine: the project's own command, as the user."""
        assert self.settings.backend is not None  # noqa: S101 - `services` lists the backend only when configured
        self.make_home()
        own = self.tapped({**environment, **self.backend_variables()})
        env = {**self.environ, **own, **self.marks(), BACKEND_MARK: "backend"}
        fill = self.backend_values()
        command = [fill_in(word, fill) for word in self.settings.backend.command]
        folder = self.root / self.settings.backend.folder
        if not folder.is_dir():
            raise UsageError(f"[backend] folder: there is no folder {folder}", hint="devenv config show")
        self.launch_process(
            "backend", Launch(command, env, folder, None), fingerprint(self.backend_inputs(environment))
        )

    def backend_inputs(self, environment: Mapping[str, str]) -> dict[str, str]:
        """All that decides how the application runs: its variables, its command and where it runs."""
        backend = self.settings.backend
        command = shlex.join(backend.command) if backend else ""
        where = backend.folder if backend and backend.folder != "." else ""
        return {**self.tapped({**environment, **self.backend_variables()}), "": command + where}

    def backend_variables(self) -> dict[str, str]:
        """The application's own variables, `[backend] env`."""
        backend = self.settings.backend
        fill = self.backend_values()
        return {name: fill_in(text, fill) for name, text in (backend.env if backend else {}).items()}

    def backend_values(self) -> dict[str, str]:
        """Return what `{port}` and `{python}` stand for in `[backend]`."""
        return {"port": str(self.port("backend")), "python": interpreter(self.settings, self.root)}

    def settings_changed(self, environment: Mapping[str, str]) -> bool:
        """Return True if the running application was started with other settings than `environment`."""
        record = self.state.services.get("backend")
        return record is not None and record.environment != fingerprint(self.backend_inputs(environment))


def missing_module(lines: Sequence[str], python: str | None, named: bool) -> tuple[str | None, str | None]:
    """(cause, hint) when an application's last words are that its interpreter `python` lacks a module; else None. Pure.

    `named`: devenv.toml names that interpreter; else it is the one that runs devenv.
    """
    lacks = next((found[1] for line in reversed(lines) if (found := NO_MODULE.search(line))), None)
    if lacks is None or python is None:
        return None, None
    if named:
        return (
            f"{python} has no module `{lacks}`",
            f"{shlex.quote(python)} -m pip install …  (what the application needs)",
        )
    return (
        f"{python}, which runs devenv, has no module `{lacks}`",
        'in devenv.toml, [backend]: python = ".venv/bin/python"  (the application\'s own interpreter)',
    )


def read_state(root: Path, folder: Path) -> tuple[State, Path | None]:
    """Return what is remembered of the project in `root`, and the folder that it was moved from, if it was.

    A copied folder is told from a moved one: what a copy's state names belongs to the original, and is left alone. A
    moved folder keeps its services and data; as root the data is still where the old folder's name put it, until
    `follow_move` brings it along.
    """
    known = state.read(folder)
    origin = Path(known.root) if known.root else root
    # Not by Path's own methods, which raise for what cannot be a path.
    if origin == root or (os.path.exists(origin) and os.path.samefile(origin, root)):
        return known, None
    if os.path.isfile(origin / FILE):
        return State(), None
    return known, origin


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Replace `{name}` for the names in `values`; other braces stay as they are (JSON in a command, say)."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def fingerprint(environment: Mapping[str, str]) -> str:
    """A hash of settings, so that they can be compared later without keeping secrets in the state file."""
    lines = "\n".join(f"{name}={value}" for name, value in sorted(environment.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def iso(epoch_s: float) -> str:
    """Epoch seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds")
