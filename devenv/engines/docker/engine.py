"""Engine `docker`: the stores are containers of Docker Compose, the application a process, or a container too.

Compose creates, starts, stops and removes; everything else only looks (`api.py`). Nothing is asked of Compose
when nothing is to be changed. The data are Docker volumes of a Compose project of this folder's own, so two checkouts
live side by side.
"""

from __future__ import annotations

import base64
import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from devenv.config.environment import connection_environment
from devenv.config.load import Loaded
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit
from devenv.core.model import DynamoTarget, Listener, PostgresTarget, ServiceState
from devenv.engines.docker import compose
from devenv.engines.docker.api import Container, Unreachable
from devenv.engines.docker.containers import ALIVE, epoch, judge, seen_from_here, shared_file, version_of, whole_seconds
from devenv.engines.docker.project import ComposeProject
from devenv.engines.process import RESTART
from devenv.engines.project import KnownState
from devenv.host import log_clock, processes, writing

if TYPE_CHECKING:
    from devenv.engines.embedded.building import Progress

ACCESS_KEY: Final = "devenvlocal"
# What PostgreSQL says about data of another version.
OTHER_VERSION: Final = re.compile(r"database files are incompatible with server|initialized by PostgreSQL version")
POLL_S: Final = 0.3
HOLDER: Final = Path(__file__).parents[1] / "java" / "HoldWriters.class"
# Run in DynamoDB Local's container, with the class (base64), the file, and how long at most.
HOLD: Final = """\
d=$(mktemp -d) || exit 1
trap 'rm -r "$d"' EXIT
echo "$1" | base64 -d >"$d/HoldWriters.class"
java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$d" HoldWriters "$2" "$3"
"""
HOLD_S: Final = 600
# How long whoever writes may take to finish.
PATIENCE_S: Final = 20


class DockerEngine(ComposeProject):
    """The services of one project as containers."""

    name: ClassVar[str] = "docker"

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
        self._creating = threading.Lock()
        self._together: tuple[str, ...] = ()
        self._created: set[str] = set()
        self._ids: dict[str, str] = {}

    # What is there

    def find(self, name: str) -> Container | None:
        """The service's container, running or not; None when there is none."""
        if name in self._ids and (known := self.docker.container(self._ids[name])):
            return known
        self._ids = self.docker.containers(self.compose_project)
        return self.docker.container(self._ids[name]) if name in self._ids else None

    def look_at(self, name: str) -> ServiceState:
        """One service's state, as Docker tells it. While Docker does not run, nothing of it does."""
        if not self.is_contained(name):
            return self.look_at_process(name)
        try:
            container = self.find(name)
        except Unreachable as error:
            return ServiceState(name, "stopped", port=self.port(name), detail=f"{error.what}: {error.detail}")
        record = self.state.services.get(name)
        meant = record.started if record else None
        seen = judge(name, container, meant, processes.boot_time())
        port = self.published(container, name) or self.port(name)
        seen = replace(seen, host="127.0.0.1", port=port, url=self.url(name, port))
        if seen.state == "running" and not seen.detail:
            pending = self.pending_settings(name)
            command = RESTART if pending else seen.command
            seen = replace(seen, detail=pending, command=command, unsure=self.unknown_settings(name))
        return replace(seen, version=record.version if record else None) if seen.version is None else seen

    def published(self, container: Container | None, name: str) -> int | None:
        """The port of this machine that leads into a container; None when it publishes none."""
        places = container.ports.get(self.inside_port(name) or 0, ()) if container else ()
        return places[0][1] if places else None

    def adopt(self) -> None:
        """Running containers of this project count as started, whoever started them (or the state was deleted).

        Their ports are what they publish, whatever the state says.
        """
        self.adopt_own()
        with contextlib.suppress(Unreachable):
            for name in filter(self.is_contained, self.services):
                record = self.state.services.get(name)
                container = self.find(name)
                if container is None or container.state not in ALIVE:
                    continue
                port = self.published(container, name) or self.port(name)
                if record is not None and record.started and record.port == port:
                    continue
                started = record.started if record and record.started else whole_seconds(container.started)
                settings = record.settings if record else self.settings_since(name, epoch(container.started) or 0.0)
                self.remember(name, port=port, started=started, version=version_of(container), settings=settings)

    def has_data(self) -> bool:
        """Return True if there are volumes of this project."""
        return bool(self.docker.volumes(self.compose_project))

    def store_targets(self) -> tuple[PostgresTarget, DynamoTarget]:
        """Where both stores are, running or not. An own compose file may give Postgres another user and password."""
        user, password = self.settings.postgres.user, self.secrets().password
        if self.settings.docker.file:
            with contextlib.suppress(Unreachable):
                container = self.find("postgres")
                told = container.environment if container else {}
                user, password = told.get("POSTGRES_USER", user), told.get("POSTGRES_PASSWORD", password)
        return (
            PostgresTarget(
                "127.0.0.1", self.port("postgres"), user, password, self.settings.postgres.database, own=True
            ),
            DynamoTarget(
                f"http://127.0.0.1:{self.port('dynamodb')}", self.settings.dynamodb.region, ACCESS_KEY, ACCESS_KEY
            ),
        )

    def url(self, name: str, port: int) -> str:
        """The address to show, with the user that an own compose file gives Postgres."""
        shown = super().url(name, port)
        if name == "postgres" and self.settings.docker.file:
            return shown.replace(f"//{self.settings.postgres.user}@", f"//{self.store_targets()[0].user}@")
        return shown

    def listeners(self) -> list[Listener]:
        """Return what the containers publish, and the sockets of the application's process."""
        found = super().listeners()
        with contextlib.suppress(Unreachable):
            for name in filter(self.is_contained, self.services):
                container = self.find(name)
                if container and container.state in ALIVE:
                    found += [Listener(name, *place) for places in container.ports.values() for place in places]
        return found

    def application_environment(self) -> dict[str, str] | None:
        """The variables that the running application has; addresses in a container's as they are from here."""
        if not self.contained:
            return super().application_environment()
        container = self.application_container()
        return self.seen_from_here(container) if container else None

    def application_container(self, port: int | None = None) -> Container | None:
        """The running container of the application: this project's, or whoever publishes `port`."""
        found = self.find("backend") if self.contained else None
        if found is None and port is not None:
            found = self.docker.container_publishing(port)
        return found if found is not None and found.state in ALIVE else None

    def seen_from_here(self, container: Container) -> dict[str, str]:
        """A container's variables with the addresses that they mean from this machine."""
        targets = self.inside_targets()
        # What `[backend] env` says of the stores is as right or wrong as any other value.
        inside = {**self.backend_variables(targets), **connection_environment(self.settings, targets)}
        outside = {**self.backend_variables(), **connection_environment(self.settings, self.targets())}
        inner = (*STORES, *self.contained_own())
        services = {(name, self.inside_port(name) or 0): self.port(name) for name in inner}
        return seen_from_here(container, services, inside, outside)

    def private_files(self) -> tuple[Path, ...]:
        """Files with secrets, which must be readable by their owner alone."""
        return *super().private_files(), self.home / "compose.env", self.home / "backend.json", self.services_file

    # Logs

    def tail(self, name: str, lines: int = 10) -> list[str]:
        """The last lines that a service has written, of a container as Docker has them."""
        if not self.is_contained(name):
            return super().tail(name, lines)
        self.gather_logs((name,))
        return processes.tail(self.log(name), lines)

    def gather_logs(self, names: Sequence[str]) -> None:
        """Bring the log files up to what the containers have written, so that it stays when they are removed."""
        for name in filter(self.is_contained, names):
            with contextlib.suppress(Unreachable):
                container = self.find(name)
                if container is not None:
                    self.gather(name, container)

    def gather(self, name: str, container: Container) -> None:
        """Append to a log file what its container has written since the last time."""
        self.make_home()
        log = self.log(name)
        mark = log.with_suffix(".since")
        known = mark.read_text().split() if mark.exists() else []
        last = known[1] if known[:1] == [container.id] else ""
        fresh = [line for line in self.docker.logs(container.id, since=epoch(last)) if line.partition(" ")[0] > last]
        if not fresh:
            return
        processes.rotate(log)
        place, second = processes.size_of(log), ""
        with writing.open_append(log) as file:
            for line in fresh:
                at, _, text = line.partition(" ")
                content = f"{text}\n".encode()
                file.write(content)
                if at[:19] != second:
                    second = at[:19]
                    log_clock.note(str(log), place, epoch(at) or 0.0)
                place += len(content)
        writing.replace_private(mark, f"{container.id} {fresh[-1].partition(' ')[0]}".encode())

    @contextmanager
    def following_logs(self, names: Sequence[str]) -> Iterator[None]:
        """During the block the log files follow what the containers write."""
        ended = threading.Event()

        def follow() -> None:
            while names and not ended.wait(POLL_S):
                self.gather_logs(names)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    # What changes

    def assign_ports(self, names: tuple[str, ...], strict: bool) -> list[str]:
        """The same, once Docker answers: a port that one of its own containers has would pass for taken."""
        if any(map(self.is_contained, names)):
            self.docker.version()
        return super().assign_ports(names, strict)

    def prepare(self, names: Sequence[str]) -> None:
        """These stores are created by one call of Compose, whichever thread comes first."""
        self._together = tuple(names)
        self._created = set()

    def launch(self, name: str, environment: Mapping[str, str], progress: Progress) -> None:
        """Start one service. The stores that were announced together are started together."""
        if not self.is_contained(name):
            return self.launch_own(name, environment)
        with self._creating:
            if name not in self._created:
                together = [other for other in self._together if other not in self._created and name in self._together]
                try:
                    self.create(together or [name], environment, progress)
                    self._created.update(together)
                except DevenvError as error:
                    if error.exit_code != Exit.PORT or together in ([], [name]):
                        raise
                    # It may be the other one's port that is taken.
                    self.create([name], environment, progress)
            # Asked once more, it is to be started anew.
            self._created.discard(name)
            self._together = tuple(other for other in self._together if other != name)
        container = self.find(name)
        self.remember(
            name,
            port=self.published(container, name) or self.port(name),
            process=None,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            version=version_of(container) if container else None,
            environment=self.inputs_of(name, environment),
            settings=self.launch_settings(name),
        )
        return None

    def launch_settings(self, name: str) -> dict[str, str]:
        """The compose file, and of devenv's own the port and the image of a store.

        Of a compose file of the project's own `part` is a hash of what decides how the service runs.
        """
        if not self.is_contained(name) or name in self.contained_own():
            return {}
        if file := self.settings.docker.file:
            from devenv.engines.docker.own_file import hash_of

            try:
                text = self.compose_file.read_text("utf-8", "replace")
            except OSError:
                text = ""
            return {"file": file, "part": hash_of(text, name)}
        section = getattr(self.settings, name) if name in STORES else None
        store = {"port": str(section.port), "image": section.image or ""} if section else {}
        return {"file": "", **store}

    def pending_settings(self, name: str) -> str | None:
        """The same; an edited compose file is named as a whole."""
        record = self.state.services.get(name)
        known, now = record.settings if record else {}, self.launch_settings(name)
        if "file" not in known or "file" not in now:
            return super().pending_settings(name)
        if known["file"] != now["file"]:
            old, new = (file or "devenv's own" for file in (known["file"], now["file"]))
            return f"[docker] file: {new} is not in effect: {name} was started with {old}"
        if known.get("part") != now.get("part"):
            return f"{now['file']} was edited; the edit is not in effect: {name} was started with the earlier content"
        return super().pending_settings(name)

    def create(self, names: Sequence[str], environment: Mapping[str, str], progress: Progress) -> None:
        """Have Compose create and start containers. DevenvError: 10 for what is missing, 6 for a taken port."""
        self.docker.version()
        self.gather_logs(names)
        self.write_files(environment if "backend" in names else None)
        missing = [image for name in names if (image := self.image(name)) and not self.is_here(name, image)]
        for image in missing:
            progress(f"fetching the image {image}", 0, None)
        # Compose would start what the application depends on, too; the stores run by now.
        words = ["--no-deps", "--build"] if "backend" in names else ["--no-build"]
        try:
            self.compose("up", "--detach", *words, *names)
        except compose.Failed as failed:
            raise self.not_created(names, failed, missing) from None

    def dump_database(self, database: str, file: Path) -> None:
        """Write a database to a file, which outlives the volume."""
        with writing.open_new(file) as out:
            self.in_postgres(f"{database} could not be copied", "pg_dump", "-Fc", "--dbname", database, target=out)

    def load_database(self, database: str, file: Path) -> None:
        """Fill an empty database from such a file. Owners and grants are not part of it."""
        words = ("pg_restore", "--exit-on-error", "--no-owner", "--no-acl", "--dbname", database)
        with open(file, "rb") as source:
            self.in_postgres(f"{database} could not be restored", *words, source=source)

    @contextmanager
    def hold_writers(self) -> Iterator[bool]:
        """DynamoDB Local's file is locked for writing during the block, by a small program in its container.

        False where it has no such file (`-inMemory`), or the image lacks what the program needs. DevenvError when the
        container ended meanwhile.
        """
        container = self.find("dynamodb")
        file = shared_file(container.arguments) if container and container.state == "running" else None
        if file is None:
            yield False
            return
        program = base64.b64encode(HOLDER.read_bytes()).decode()
        words = ("exec", "-T", "dynamodb", "sh", "-c", HOLD, "sh", program, file, str(HOLD_S))
        command, environ = self.compose_call(*words)
        with compose.running(command, environ, self.root, HOLD_S) as child:
            assert child.stdout is not None  # noqa: S101 - it is a pipe
            patience = threading.Timer(PATIENCE_S, child.kill)
            patience.start()
            held = child.stdout.readline().strip() == "held"
            patience.cancel()
            yield held
            if held and child.poll() is not None:
                raise DevenvError(
                    "writes to DynamoDB were not paused until the copy was finished",
                    cause="its container ended, or the copy took too long",
                    hint="devenv up",
                )

    def stop(self, name: str) -> bool:
        """Stop one service cleanly and remember that it was meant. False when it was not running."""
        if not self.is_contained(name):
            return self.stop_process(name)
        record = self.state.services.get(name)
        try:
            container = self.find(name)
        except Unreachable:
            if record is None or not record.started:
                return False
            raise
        running = container is not None and container.state in ALIVE
        if container is not None and running:
            self.write_files(None)
            try:
                if container.state == "paused":
                    self.compose("unpause", name)
                self.compose("stop", name)
            except compose.Failed as failed:
                raise DevenvError(
                    f"{name} could not be stopped", detail=failed.words, hint=f"docker kill {container.name}"
                ) from None
            self.gather(name, container)
        if record is not None:
            self.remember(name, process=None, started=None)
        return running

    def remove_data(self) -> None:
        """Delete containers, volumes and network. DevenvError while somebody else's container has a volume."""
        self.gather_logs((*STORES, *self.contained_own()))
        if self.docker.containers(self.compose_project) or self.has_data():
            if not self.services_file.exists():
                self.write_files(None)
            try:
                self.compose("down", "--volumes", "--remove-orphans")
            except compose.Failed as failed:
                raise DevenvError("the data could not be deleted", detail=failed.words, hint="docker ps -a") from None
            if left := self.docker.volumes(self.compose_project):
                raise DevenvError(f"volumes are still there: {', '.join(left)}", hint=f"docker volume rm {left[0]}")
        for file in (self.name_file, self.home / "compose.env", self.home / "backend.json", self.services_file):
            file.unlink(missing_ok=True)
        self._ids = {}

    def recognise(self, name: str) -> bool:
        """Return True if a service that was just launched still runs."""
        if not self.is_contained(name):
            return self.recognise_process(name)
        container = self.find(name)
        return container is not None and container.state in (*ALIVE, "created")

    def ended(self, name: str) -> DevenvError:
        """The error for a container that ended while it was waited for, with its last words."""
        if not self.is_contained(name):
            return self.process_ended(name)
        container = self.find(name)
        said = self.tail(name)
        code = f" with code {container.exit_code}" if container else ""
        memory = container is not None and container.killed_for_memory
        exit_code, cause, hint = Exit.CRASHED, None, f"devenv logs {name}"
        if any(OTHER_VERSION.search(line) for line in said):
            exit_code, cause = Exit.VERSION, "the data was made by another version of PostgreSQL"
            hint = f"name the image that made the data: [{name}] image in devenv.toml"
        elif any("no space left" in line.lower() for line in said):
            cause, hint = "its disk is full", "docker system df"
        elif memory:
            cause = "Docker killed it because it needed more memory than its limit"
        return DevenvError(
            f"{name} ended while starting: its container exited{code}",
            exit_code=exit_code,
            detail="\n".join([*said, f"(whole log: {self.log(name)})"]),
            cause=cause,
            hint=hint,
        )

    def stalled(self, name: str) -> tuple[str, str]:
        """Why a service that runs may not answer, and what to do."""
        container = self.find(name) if self.is_contained(name) else None
        if container is not None and container.state == "paused":
            return f"its container {container.name} is paused", f"docker unpause {container.name}"
        if any("unable to open database file" in line for line in self.tail(name, 50)):
            return "it cannot write its volume, which belongs to another user", "devenv doctor --only DOC007"
        return super().stalled(name)
