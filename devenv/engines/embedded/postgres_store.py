"""PostgreSQL of the installed package as a process of this machine."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, ClassVar

from devenv.config.schema import FILE
from devenv.core.errors import UsageError
from devenv.core.model import PostgresTarget
from devenv.engines.embedded import postgres
from devenv.engines.embedded.store import EmbeddedStore
from devenv.engines.process import Launch

if TYPE_CHECKING:
    from devenv.engines.embedded.building import Progress
    from devenv.engines.embedded.engine import EmbeddedEngine
    from devenv.engines.embedded.postgres import Binaries


class PostgresStore(EmbeddedStore):
    """PostgreSQL."""

    name: ClassVar[str] = "postgres"
    program: ClassVar[str] = "postgres"
    option: ClassVar[str] = "-D"
    keys: ClassVar[tuple[str, ...]] = ("port", "source", "user")
    # Its "fast" shutdown: sessions are ended, data is written.
    ending: ClassVar[signal.Signals] = signal.SIGINT

    def target(self, engine: EmbeddedEngine) -> PostgresTarget:
        """On loopback, with the generated password."""
        settings = engine.settings.postgres
        password = engine.secrets().password
        return PostgresTarget("127.0.0.1", engine.port(self.name), settings.user, password, settings.database, own=True)

    def launch(self, engine: EmbeddedEngine, progress: Progress) -> Launch:
        """The server; makes the cluster first when there is none."""
        account = engine.account()
        binaries = postgres.find_binaries(engine.settings.postgres.source, engine.cache, account)
        data = self.data(engine)
        env = engine.service_environment()
        if unused := postgres.drop_unused_cluster(data, binaries):
            old, new = unused, binaries.version
            progress(f"replacing the unused data folder of PostgreSQL {old} with one of PostgreSQL {new}", 0, None)
        postgres.check_version(data, binaries)
        if not data.exists():
            from devenv.engines.embedded.pristine import copy_pristine

            postgres.clear_leftovers(data)
        if not data.exists() and not self.copy_origin(engine, binaries, progress):
            if account is not None:
                who = f"devenv runs as root, so the stores run as {account.name}"
                progress(f"{who}: data in {engine.home}, parts in {engine.cache}", 0, None)
            progress("making the data folder (initdb)", 0, None)
            user, password = engine.settings.postgres.user, engine.secrets().password
            if not copy_pristine(binaries, data, user, password, engine.cache, env, account, engine.halt):
                postgres.make_cluster(binaries, data, user, password, env, account, engine.halt)
        postgres.clear_stale_pid(data)
        command = postgres.serve_command(binaries, data, engine.port(self.name))
        return Launch(command, env, engine.home, account, binaries.version)

    def check_user(self, engine: EmbeddedEngine) -> None:
        """Refuse another superuser than the one that the data folder was made for: no restart would bring it."""
        record, user = engine.state.services.get(self.name), engine.settings.postgres.user
        made = record.settings.get("user") if record else None
        if made not in (None, user) and self.data(engine).exists():
            raise UsageError(
                f"[postgres] user is {user}, but the data folder was made for user {made}",
                detail="the server's first user is chosen when its data folder is made",
                hint=f'user = "{made}" in {FILE}; or, for new data: devenv down --data && devenv up',
            )

    def copy_origin(self, engine: EmbeddedEngine, binaries: Binaries, progress: Progress) -> bool:
        """Make the cluster from the one that `origin` names. False when there is none, or it cannot be used."""
        if engine.origin is None:
            return False
        from devenv.engines.embedded.cluster import copy_cluster

        source, checksum = engine.origin
        progress("copying the data folder of another checkout's baseline", 0, None)
        env = engine.service_environment()
        account, halt = engine.account(), engine.halt
        return copy_cluster(binaries, source, self.data(engine), checksum, env, account, halt=halt)
