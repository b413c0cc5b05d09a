"""One project on one engine: its settings, folders, ports and secrets, and the state that is kept of its services."""

from __future__ import annotations

import hashlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from devenv.config.issuer import KEY_FILE
from devenv.config.load import Loaded, cache_folder, data_home
from devenv.config.masking import learn
from devenv.config.schema import FILE
from devenv.config.services import STORES, Own, own_services
from devenv.core.errors import DevenvError, Exit
from devenv.core.model import DynamoTarget, PostgresTarget, ProcessTarget, StepState, Targets
from devenv.host import processes, state
from devenv.host.processes import Account
from devenv.host.state import Mark, Record, State

if TYPE_CHECKING:
    pass

# 600 blocks of 20 ports below the range that systems hand out for outgoing connections (32768 on Linux).
BLOCK_BASE, BLOCKS, BLOCK_SIZE = 20000, 600, 20
# The state of a project, and the folder that it was moved from, if it was.
KnownState = tuple[State, Path | None]


class EngineProject(ABC):
    """The part of an engine that knows and remembers; it starts and stops nothing."""

    name: ClassVar[str]
    files: ClassVar[bool] = False
    starts: ClassVar[bool] = True
    shared: ClassVar[bool] = False

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
        """`locked`: what changes may be remembered. `aside`: without becoming the project's engine by that.

        `known`: what `read_state` returned, if it was called already.
        """
        self.root = loaded.root
        self.settings = loaded.settings
        # The project's own processes by name, `[backend]` among them, each behind those that it needs.
        self.own: Mapping[str, Own] = own_services(loaded.settings)
        self.loaded = loaded
        self.folder = folder
        self.environ = environ
        self.cache = cache_folder(environ)
        state_, self.moved_from = known or read_state(loaded.root, folder)
        # The engine that the state remembers, when it is another one.
        self.came_from = state_.engine if state_.engine not in (None, self.name) else None
        self.state = state.switch(state_, self.name)
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

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services this project has, in starting order."""
        return (*STORES, *(name for name, own in self.own.items() if own.runs))

    @property
    def known_services(self) -> tuple[str, ...]:
        """The names of the services that the state knows, in starting order; those without a section come last."""
        names = dict.fromkeys((*STORES, *self.own, *self.state.services))
        return tuple(name for name in names if name in self.state.services)

    def needs(self) -> dict[str, tuple[str, ...]]:
        """Name -> the services that one of the project's own processes needs."""
        return {name: own.depends_on for name, own in self.own.items()}

    def has_port(self, name: str) -> bool:
        """Return True if a service listens on a port that devenv knows."""
        return name not in self.own or self.own[name].port is not None

    def log(self, name: str) -> Path:
        """The service's log file."""
        return self.folder / "logs" / f"{name}.log"

    def tail(self, name: str, lines: int = 10) -> list[str]:
        """The last lines that a service (or `steps`) has written since it was started; [] where there are none."""
        record = self.state.services.get(name)
        return processes.tail(self.log(name), lines, record.log_start if record else 0)

    def port(self, name: str) -> int:
        """The port a service has, or would prefer: its last one, unless devenv.toml asks for another one since."""
        record = self.state.services.get(name)
        wanted = self.wanted_port(name)
        kept = record is not None and record.port and (record.started or record.wanted in (0, wanted))
        return record.port if record and kept else wanted

    def wanted_port(self, name: str) -> int:
        """The port that the settings ask for; 0: any, or none."""
        if name in STORES:
            return int(getattr(self.settings, name).port)
        return (self.own[name].port or 0) if name in self.own else 0

    def address(self, name: str) -> tuple[str, int]:
        """Host and port at which a service is reached from here."""
        return "127.0.0.1", self.port(name)

    def url(self, name: str, port: int) -> str:
        """The address to show. Passwords are not part of it."""
        if name == "postgres":
            return f"postgresql://{self.settings.postgres.user}@127.0.0.1:{port}/{self.settings.postgres.database}"
        if name in self.own:
            return self.own[name].url.replace("{port}", str(port))
        return f"http://127.0.0.1:{port}"

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

    @abstractmethod
    def store_targets(self) -> tuple[PostgresTarget, DynamoTarget]:
        """Return where the stores are, running or not."""

    def targets(self) -> Targets:
        """Return where each service is, running or not."""
        return Targets.of(*self.store_targets(), self.own_targets(), self.secrets().key)

    def own_targets(self) -> dict[str, ProcessTarget]:
        """Return where the project's own processes that have a port are, running or not."""
        from devenv.engines.kinds.registry import kind_of

        return {name: kind_of(own).target(self, own) for name, own in self.own.items() if self.has_port(name)}

    def private_files(self) -> tuple[Path, ...]:
        """Files with secrets, which must be readable by their owner alone."""
        return self.folder / "state.json", self.folder / KEY_FILE, self.home / "secrets.json"

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

    def section(self, name: str) -> str:
        """The section of devenv.toml that declares a service."""
        return self.own[name].section if name in self.own else f"[{name}]"

    def block(self) -> range:
        """The 20 ports this project falls back to, by the hash of its folder."""
        number = int.from_bytes(hashlib.sha256(os.fsencode(self.root)).digest()[:4], "big") % BLOCKS
        start = BLOCK_BASE + number * BLOCK_SIZE
        return range(start, start + BLOCK_SIZE)

    def return_ports(self) -> list[str]:
        """Let each service that was moved prefer the port of the settings again, where that is free.

        Only to be called while nothing of the project runs: what runs knows the addresses of now. Returns a sentence
        per port that changed.
        """
        said: list[str] = []
        for name in filter(self.has_port, self.services if self.starts else self.own):
            record, wanted = self.state.services.get(name), self.wanted_port(name)
            if record is None or not record.port or not wanted or record.port == wanted:
                continue
            if not processes.port_is_free(wanted):
                continue
            if record.wanted in (0, wanted):
                said.append(f"{name} gets port {wanted}: it is free again")
            else:
                said.append(f"{name} gets port {wanted}: its configured port has changed")
            self.remember(name, port=wanted, wanted=wanted)
        return said

    def assign_ports(self, names: tuple[str, ...], strict: bool) -> list[str]:
        """Give each named service a free port: its last one, its default, else another free one of the block.

        Remembers them. Returns a sentence per port that had to change. `strict` raises DevenvError (exit 6)
        that names the holder instead.
        """
        said: list[str] = []
        taken: set[int] = {self.port(name) for name in self.services if name not in names}
        for name in filter(self.has_port, names):
            # Strict is about the port of the settings, also after an earlier `up` moved the service.
            wanted = (self.wanted_port(name) if strict else 0) or self.port(name)
            port = wanted
            if not wanted:
                port = next((p for p in self.block() if p not in taken and processes.port_is_free(p)), 0)
            if not port or wanted in taken or not processes.frees_soon(port):
                holder = processes.holder(wanted)
                if strict:
                    raise DevenvError(
                        f"port {wanted}, which {name} wants, is taken by {holder}",
                        exit_code=Exit.PORT,
                        cause="--strict-ports does not allow another port",
                        hint=f"stop it, or set {self.section(name)} port in devenv.toml,"
                        " or run devenv up without --strict-ports",
                    )
                port = next((p for p in self.block() if p not in taken and processes.port_is_free(p)), 0)
                if not port:
                    raise DevenvError(
                        f"port {wanted} is taken by {holder}, and so are all ports that devenv keeps for this project",
                        exit_code=Exit.PORT,
                        detail=f"tried {self.block()[0]} to {self.block()[-1]}",
                        hint=f"set {self.section(name)} port in devenv.toml to a free one",
                    )
                said.append(f"{name} gets port {port}: port {wanted} is taken by {holder}")
            taken.add(port)
            self.remember(name, port=port, wanted=self.wanted_port(name))
        return said

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

    def note_step(self, seen: StepState) -> None:
        """Note how one step stands, beside the others."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with self._guard:
            steps = {**self.state.steps, seen.name: Mark(seen.state, seen.reason, at)}
            self.state = replace(self.state, steps=steps)
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


def read_state(root: Path, folder: Path) -> KnownState:
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
