"""Engine `embedded`: services are processes started from installed packages. No Docker."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from devenv import processes, state
from devenv.config import FILE, Loaded, cache_folder, data_home
from devenv.engines import postgres
from devenv.errors import DevenvError, Exit, UsageError
from devenv.model import DynamoTarget, PostgresTarget, ServiceState, StepState, Targets
from devenv.processes import Account
from devenv.state import Mark, Process, Record, State

if TYPE_CHECKING:
    from devenv.engines.parts import Progress
    from devenv.engines.postgres import Binaries

ACCESS_KEY = "devenvlocal"
# 600 blocks of 20 ports below the range that systems hand out for outgoing connections (32768 on Linux).
BLOCK_BASE, BLOCKS, BLOCK_SIZE = 20000, 600, 20


@dataclass(frozen=True)
class Launch:
    """How one service is run: command, environment, working folder, account, and the signal that ends it cleanly."""

    command: list[str]
    env: Mapping[str, str]
    cwd: Path
    account: Account | None
    version: str | None = None


class Embedded:
    """The services of one project as detached processes. Reading is free of side effects; `launch` and `stop` act."""

    name = "embedded"

    def __init__(self, loaded: Loaded, folder: Path, environ: Mapping[str, str], *, locked: bool = False) -> None:
        self.root = loaded.root
        self.settings = loaded.settings
        self.folder = folder
        self.environ = environ
        self.home = data_home(loaded.root)
        self.cache = cache_folder(environ)
        self.state = state.read(folder)
        if self.state.engine not in (None, self.name):
            raise UsageError(
                f"this project's services were started by engine `{self.state.engine}`, not `{self.name}`",
                hint=f"devenv down --engine {self.state.engine}",
            )
        self.moved_from: Path | None = None
        self.settle_origin()
        self._locked = locked
        self._guard = threading.Lock()
        self._secrets: state.Secrets | None = None
        self._improve: Callable[[], object] | None = None
        # A stopped cluster (and its checksum) to copy instead of making one.
        self.origin: tuple[Path, str] | None = None

    def settle_origin(self) -> None:
        """Tell a copied folder from a moved one. What a copy's state names belongs to the original, and is left alone.

        A moved folder keeps its services and data; as root the data is still where the old folder's name put it, until
        `follow_move` brings it along.
        """
        origin = Path(self.state.root) if self.state.root else self.root
        if origin == self.root or (origin.exists() and origin.samefile(self.root)):
            return
        if (origin / FILE).is_file():
            self.state = State()
            return
        self.moved_from = origin
        if not self.home.exists() and data_home(origin).exists():
            self.home = data_home(origin)

    def follow_move(self) -> None:
        """Under the lock: end the services that run under a moved folder's old name, and bring its data along."""
        if self.moved_from is None:
            return
        for name in self.state.services:
            self.stop(name)
        home = data_home(self.root)
        if self.home != home:
            self.home.rename(home)
            self.home = home
        self._secrets = None
        self.moved_from = None
        self.state = replace(self.state, root=str(self.root))
        self.save()

    # What is there

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services this project has, in starting order."""
        backend = self.settings.backend
        return ("postgres", "dynamodb", "backend") if backend and backend.command else ("postgres", "dynamodb")

    def look(self) -> tuple[ServiceState, ...]:
        """The state of every service, from the process table alone (whether it answers is the probe's matter)."""
        self.adopt()
        return tuple(self.look_at(name) for name in self.services)

    def look_at(self, name: str) -> ServiceState:
        """One service's state. `crashed` means that it ended without `devenv down`."""
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
        return ServiceState(
            name=name,
            state="running" if running else "crashed" if crashed else "stopped",
            pid=process.pid if process and running else None,
            host="127.0.0.1",
            port=record.port,
            url=self.url(name, record.port),
            version=record.version,
            started=record.started if running else None,
            detail=detail,
        )

    def adopt(self) -> None:
        """Find running services of this project that no record names (devenv was killed, or its state deleted)."""
        lost = {
            name: self.is_ours(name)
            for name in ("postgres", "dynamodb")
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

    def process(self, name: str) -> Process | None:
        """The recorded process of a service, running or not."""
        record = self.state.services.get(name)
        return record.process if record else None

    def log(self, name: str) -> Path:
        """The service's log file."""
        return self.folder / "logs" / f"{name}.log"

    def port(self, name: str) -> int:
        """The port a service has, or would prefer: its last one, unless devenv.toml asks for another one since."""
        record = self.state.services.get(name)
        wanted = self.wanted_port(name)
        return record.port if record and (record.process or record.wanted in (0, wanted)) else wanted

    def wanted_port(self, name: str) -> int:
        """The port that the settings ask for."""
        return int(getattr(self.settings, name).port)

    def url(self, name: str, port: int) -> str:
        """The address to show. Passwords are not part of it."""
        if name == "postgres":
            return f"postgresql://{self.settings.postgres.user}@127.0.0.1:{port}/{self.settings.postgres.database}"
        if name == "dynamodb" or self.settings.backend is None:
            return f"http://127.0.0.1:{port}"
        return self.settings.backend.url.replace("{port}", str(port))

    def secrets(self) -> state.Secrets:
        """Password and key of this project's data; they are generated with the data folder."""
        if self._secrets is None:
            self.make_home()
            self._secrets = state.keep_secrets(self.home)
        return self._secrets

    def forget_secrets(self) -> None:
        """Read them anew at the next use: other data was put into the place of the present one."""
        self._secrets = None

    def targets(self) -> Targets:
        """Where the stores and the application are, running or not."""
        secrets = self.secrets()
        return Targets(
            postgres=PostgresTarget(
                host="127.0.0.1",
                port=self.port("postgres"),
                user=self.settings.postgres.user,
                password=secrets.password,
                database=self.settings.postgres.database,
            ),
            dynamodb=DynamoTarget(
                endpoint=f"http://127.0.0.1:{self.port('dynamodb')}",
                region=self.settings.dynamodb.region,
                access_key=ACCESS_KEY,
                secret_key=ACCESS_KEY,
            ),
            backend_url=self.url("backend", self.port("backend")) if self.settings.backend else None,
            key=secrets.key,
        )

    # What changes

    def make_home(self) -> None:
        """The data folder, private; as root it belongs to the account that the services run as."""
        try:
            if self.home != self.folder:
                self.home.parent.mkdir(parents=True, exist_ok=True)
            self.home.mkdir(mode=0o700, exist_ok=True)
            if account := self.account():
                os.chown(self.home, account.uid, account.gid)
            (self.folder / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise state.unwritable(self.home, error) from None

    def account(self) -> Account | None:
        """The unprivileged account of the stores when devenv runs as root, else None."""
        return processes.choose_account(self.root, self.environ)

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

    def save(self) -> None:
        """Write the state. A command that only looks keeps what it finds to itself: another may be at work."""
        if self._locked:
            state.write(self.folder, self.state)

    def restore_steps(self, marks: Mapping[str, Mark]) -> None:
        """Note how the steps stood when the data that is here now was saved."""
        with self._guard:
            self.state = replace(self.state, steps=dict(marks))
            self.save()

    def launch(self, name: str, environment: Mapping[str, str], progress: Progress) -> None:
        """Start one service, detached, and remember it. `environment` is what `devenv env` gives (for the backend)."""
        self.make_home()
        plan = {"postgres": self.postgres, "dynamodb": self.dynamodb}.get(name)
        launch = plan(progress) if plan else self.backend(environment)
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
            environment=fingerprint(self.backend_inputs(environment)) if name == "backend" else "",
        )

    def marks(self) -> dict[str, str]:
        """Variables that tell whose a process is: of which project, and of which user's devenv."""
        return {"DEVENV_PROJECT": str(self.root), "DEVENV_CACHE": str(self.cache)}

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
        postgres.check_version(data, binaries)
        if not data.exists() and not self.copy_origin(binaries, data, env, account, progress):
            if account is not None:
                who = f"devenv runs as root, so the stores run as {account.name}"
                progress(f"{who}: data in {self.home}, parts in {self.cache}", 0, None)
            progress("making the data folder (initdb)", 0, None)
            postgres.make_cluster(binaries, data, self.settings.postgres.user, self.secrets().password, env, account)
        postgres.clear_stale_pid(data)
        command = postgres.serve_command(binaries, data, self.port("postgres"))
        return Launch(command, env, self.home, account, binaries.version)

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
        from devenv.engines.cluster import copy_cluster

        source, checksum = self.origin
        progress("copying the data folder of another checkout's baseline", 0, None)
        return copy_cluster(binaries, source, data, checksum, env, account)

    def dynamodb(self, progress: Progress) -> Launch:
        """DynamoDB Local's launch; fetches it first when this machine does not have it."""
        from devenv.engines import dynamodb_local, parts

        account = self.account()
        named = self.settings.dynamodb.local
        java = parts.find_java(self.cache, self.environ, account)
        local = parts.find_local(self.cache, self.root / named if named else None, account, progress)
        data = self.home / "dynamodb"
        data.mkdir(mode=0o700, exist_ok=True)
        if account is not None:
            os.chown(data, account.uid, account.gid)
        command = dynamodb_local.launch_command(java, local, self.cache, self.port("dynamodb"), data)
        self._improve = partial(dynamodb_local.start_training, java, local, self.cache, self.environ)
        env = {**self.service_environment(), **dynamodb_local.ENVIRONMENT}
        return Launch(command, env, self.home, account, local.version)

    def stranger(self, name: str) -> processes.Holder | None:
        """Who answers on the service's port in its place, or None."""
        process = self.process(name)
        return processes.stranger(self.port(name), process) if process else None

    def confirm(self, name: str) -> None:
        """Refuse a service that answers, but not only on loopback: Amazon's archive changes under the same name."""
        from devenv.engines import dynamodb_local

        if name == "dynamodb" and dynamodb_local.listens_beyond_loopback(self.port(name)):
            self.stop(name)
            raise DevenvError(
                "DynamoDB Local listened on every network interface, so it was stopped",
                exit_code=Exit.CRASHED,
                cause="this version of it is built differently from those that devenv knows",
                hint='name another one: [dynamodb] local = "FOLDER" in devenv.toml',
            )

    def improve(self) -> None:
        """Once services run: make, in the background, what starts DynamoDB Local faster the next time."""
        if self._improve:
            self._improve()

    def backend(self, environment: Mapping[str, str]) -> Launch:
        """The application's launch: the project's own command, as the user, with the settings of `devenv env`."""
        assert self.settings.backend is not None  # noqa: S101 - `services` lists the backend only when configured
        env = {**self.environ, **environment, **self.backend_variables(), **self.marks()}
        fill = self.backend_values()
        return Launch([fill_in(word, fill) for word in self.settings.backend.command], env, self.root, None)

    def backend_inputs(self, environment: Mapping[str, str]) -> dict[str, str]:
        """All that decides how the application runs: its variables and its command."""
        command = shlex.join(self.settings.backend.command) if self.settings.backend else ""
        return {**environment, **self.backend_variables(), "": command}

    def recognise(self, name: str) -> bool:
        """Whether a service that was just launched still runs, perhaps as another program (`env`, `sh -c "exec …"`)."""
        process = self.process(name)
        now = processes.identify(process.pid) if process else None
        if process is None or now is None or not processes.same(now, replace(process, command=now.command)):
            return False
        if now.command != process.command:
            self.remember(name, process=now)
        return True

    def backend_variables(self) -> dict[str, str]:
        """The application's own variables, `[backend] env`."""
        backend = self.settings.backend
        fill = self.backend_values()
        return {name: fill_in(text, fill) for name, text in (backend.env if backend else {}).items()}

    def backend_values(self) -> dict[str, str]:
        """What `{port}` and `{python}` stand for in `[backend]`."""
        backend = self.settings.backend
        return {"port": str(self.port("backend")), "python": (backend and backend.python) or sys.executable}

    def stop(self, name: str) -> bool:
        """Stop one service cleanly and remember that it was meant. False when it was not running."""
        record = self.state.services.get(name)
        if record is None or record.process is None:
            return False
        # SIGINT is PostgreSQL's "fast" shutdown: sessions are ended, data is written.
        how = signal.SIGINT if name == "postgres" else signal.SIGTERM
        stopped = processes.stop(record.process, how=how)
        self.remember(name, process=None, started=None)
        return stopped

    def settings_changed(self, environment: Mapping[str, str]) -> bool:
        """Whether the running application was started with other settings than `environment`."""
        record = self.state.services.get("backend")
        return record is not None and record.environment != fingerprint(self.backend_inputs(environment))


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
