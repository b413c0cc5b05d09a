"""Engine `external`: stores that already run. devenv connects; it starts and stops nothing but the application.

What may be written is decided here, once, for every command. A store is written to only when it is
on this machine's loopback and was marked as devenv's, inside the store itself and with consent, because a loopback
port may be a tunnel to production:

- Postgres: a comment on the project's database, which names that database and the number of the cluster. A dump that
  is loaded elsewhere, or a copied data folder with another number, is not marked by it.
- DynamoDB: an item per project in a table of its own. DynamoDB Local is known by its tables' ARNs (region `ddblocal`),
  so that whatever leads to AWS is refused even on loopback.

`permit` looks for both marks and, where its caller may ask, sets them. Until then `targets` gives targets that refuse
to be written to (`refused`), and for another machine, until `admit`, to be asked at all (`closed`). The stores
themselves heed that (stores/postgres.py, stores/dynamodb.py): a command that forgets to ask writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.model import DynamoTarget, PostgresTarget, ServiceState
from devenv.engines.base import Engine
from devenv.engines.external.addresses import host_of, listens, parse_dynamodb, parse_postgres, shown, shown_host
from devenv.engines.external.marks import (
    MARK_TABLE,
    account_of,
    check_local,
    make_mark_table,
    mark_database,
    mark_text,
    refuse_cloud,
    refuse_foreign,
)
from devenv.host import writing
from devenv.host.addresses import is_loopback

if TYPE_CHECKING:
    from devenv.engines.embedded.building import Progress

SURVEY: Final = b"""
SELECT current_setting('server_version'), (SELECT system_identifier::text FROM pg_control_system()),
  ARRAY(SELECT datname::text FROM pg_database WHERE NOT datistemplate ORDER BY 1),
  ARRAY(SELECT shobj_description(oid, 'pg_database') FROM pg_database)
"""


@dataclass(frozen=True)
class StoresFound:
    """Both stores as they were read: whether each is marked, and what is in it."""

    version: str
    cluster: str
    databases: tuple[str, ...]
    tables: tuple[str, ...]
    postgres_marked: bool
    dynamodb_marked: bool


class ExternalEngine(Engine):
    """Two stores by their addresses, and the application as a process of this machine."""

    name: ClassVar[str] = "external"
    starts: ClassVar[bool] = False
    shared: ClassVar[bool] = True
    _permitted = False
    _admitted = False

    # What is there

    def store_targets(self) -> tuple[PostgresTarget, DynamoTarget]:
        """Both stores as the settings name them, guarded as far as they are to be."""
        external = self.settings.external
        postgres = parse_postgres(external, self.settings.postgres.user, self.settings.postgres.database)
        dynamodb = parse_dynamodb(external, self.settings.dynamodb.region)
        return (
            replace(
                postgres,
                refused=self.refusal(postgres.host),
                closed=self.closure(postgres.host),
                keys=self.loaded.origins.get("external.postgres", "").startswith("$"),
            ),
            replace(
                dynamodb,
                refused=self.refusal(host_of(dynamodb.endpoint)),
                closed=self.closure(host_of(dynamodb.endpoint)),
            ),
        )

    def refusal(self, host: str) -> str | None:
        """Why nothing may be written to a store on `host`, or None."""
        if not is_loopback(host):
            return f"{host} is not this machine, and devenv writes to stores on this machine only"
        return (
            None if self._permitted else f"the store on {host} is not marked as devenv's, so nothing is written there"
        )

    def closure(self, host: str) -> str | None:
        """Why a store on `host` may not even be read, or None."""
        if is_loopback(host) or self._admitted:
            return None
        return f"{host} is not this machine, and devenv reads from there only with --allow-remote"

    def address(self, name: str) -> tuple[str, int]:
        """Host and port at which a service is reached from here."""
        postgres, dynamodb = self.store_targets()
        if name == "postgres":
            return postgres.host, postgres.port
        if name == "dynamodb":
            url = urlsplit(dynamodb.endpoint)
            return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        return super().address(name)

    def port(self, name: str) -> int:
        """A store's port is what its address says."""
        return self.address(name)[1] if name in STORES else super().port(name)

    def url(self, name: str, port: int) -> str:
        """The address to show, without password."""
        if name not in STORES:
            return super().url(name, port)
        postgres, dynamodb = self.store_targets()
        if name == "dynamodb":
            return dynamodb.endpoint
        return f"postgresql://{postgres.user}@{shown_host(postgres.host)}:{postgres.port}/{postgres.database}"

    def look_at(self, name: str) -> ServiceState:
        """Try if something listens at a store's address. A store elsewhere is not tried unless that is allowed."""
        if name not in STORES:
            return self.look_at_process(name)
        host, port = self.address(name)
        record = self.state.services.get(name)
        state = ServiceState(name, "stopped", host=host, port=port, url=self.url(name, port))
        if self.closure(host):
            return replace(state, state="foreign", detail="on another machine: not checked without --allow-remote")
        if not listens(host, port):
            return replace(state, detail=f"nothing listens at {host}:{port}, and engine external starts nothing")
        return replace(state, state="running", version=record.version if record else None)

    @property
    def agreement(self) -> Path:
        """The user's agreement, while marks are set or removed: a killed command leaves only some of them."""
        return self.home / "agreed.json"

    def has_traces(self) -> bool:
        """Also before data is loaded: marks, and the database with one of them."""
        return self.has_data() or self.agreement.exists()

    # What changes

    def admit(self, allow_remote: bool, say: Callable[[str], None]) -> None:
        super().admit(allow_remote, say)
        self._admitted = True

    def elsewhere(self) -> list[str]:
        postgres, dynamodb = self.store_targets()
        remote = []
        if not is_loopback(postgres.host):
            remote.append(f"Postgres at {postgres.address} as {postgres.user}")
        if not is_loopback(host_of(dynamodb.endpoint)):
            account = account_of(dynamodb.access_key)
            key = dynamodb.access_key
            whose = f"account {account} (according to the access key)" if account else f"account not known, key {key}"
            remote.append(f"DynamoDB at {dynamodb.endpoint}, region {dynamodb.region}, {whose}")
        return remote + super().elsewhere()

    def permit(self, agree: Callable[[str], None] | None) -> None:
        """Before a command writes: both stores are on loopback and marked; else `agree` is asked, and marks are set.

        `agree` raises unless the user agrees; None where only a mark that is there counts. UsageError (2) otherwise;
        StoreError (3) for a store that does not answer.
        """
        if self._permitted:
            return
        postgres, dynamodb = self.store_targets()
        for host in (postgres.host, host_of(dynamodb.endpoint)):
            if not is_loopback(host):
                raise UsageError(str(self.refusal(host)), hint="devenv verify --allow-remote  (reading is possible)")
        try:
            survey = self.survey(postgres, dynamodb)
            if not (survey.postgres_marked and survey.dynamodb_marked):
                self.ask(survey, postgres, dynamodb, (lambda text: None) if self.has_agreed(survey) else agree)
                self.set_marks(survey, replace(postgres, refused=None), replace(dynamodb, refused=None))
        except StoreError as error:
            raise error.with_hint("start it, then: devenv up" if not error.reached else "devenv doctor") from None
        self._permitted = True
        if self.has_data():
            self.agreement.unlink(missing_ok=True)
        for name, version in (("postgres", survey.version), ("dynamodb", None)):
            record = self.state.services.get(name)
            if record is None or not record.started or record.version != version:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                self.remember(name, port=self.port(name), version=version, started=at)

    def has_agreed(self, survey: StoresFound) -> bool:
        """Return True if the user agreed to marks on these stores and a killed command left them unset."""
        # Once data was loaded, a mark that is missing was taken away, unless that is what devenv was doing.
        tasks = ("erase",) if self.has_data() else ("erase", "mark")
        noted = self.agreement.read_bytes() if self.agreement.exists() else b""
        return noted in [self.subject(survey, task) for task in tasks]

    def note_agreement(self, survey: StoresFound, task: Literal["mark", "erase"]) -> None:
        """Keep what the user agreed to, until all marks are set or gone."""
        self.make_home()
        writing.write_private(self.agreement, self.subject(survey, task))

    def subject(self, survey: StoresFound, task: str) -> bytes:
        """Return what an agreement is about: the database, the cluster, and DynamoDB's address."""
        postgres, dynamodb = self.store_targets()
        return json.dumps([task, postgres.database, survey.cluster, dynamodb.endpoint]).encode()

    def expect_erasure(self) -> None:
        """Postgres's mark goes with its database, before DynamoDB's."""
        self.note_agreement(self.survey(*self.store_targets()), "erase")

    def survey(self, postgres: PostgresTarget, dynamodb: DynamoTarget) -> StoresFound:
        """Read the marks, and what is in both stores. UsageError when one is not what it should be."""
        from devenv.stores.dynamodb.client import Dynamo
        from devenv.stores.postgres import client as store

        with store.connect(postgres, database="postgres", read_only=True) as connection:
            row = connection.execute(SURVEY).fetchone()
        version, cluster, databases, comments = row or ("", "", [], [])
        with Dynamo(dynamodb) as client:
            tables = [name for page in client.pages("ListTables") for name in page["TableNames"]]
            if tables:
                check_local(client, MARK_TABLE if MARK_TABLE in tables else tables[0])
            marked = MARK_TABLE in tables and bool(client.call("GetItem", self.mark_key()).get("Item"))
        return StoresFound(
            version=str(version).split(" ")[0],
            cluster=cluster,
            databases=tuple(databases),
            tables=tuple(tables),
            postgres_marked=mark_text(postgres.database, cluster) in comments,
            dynamodb_marked=marked,
        )

    def ask(
        self, survey: StoresFound, postgres: PostgresTarget, dynamodb: DynamoTarget, agree: Callable[[str], None] | None
    ) -> None:
        """Let the user agree to the marks that are missing. UsageError when nobody is asked, or a database is taken."""
        if not survey.postgres_marked and postgres.database in survey.databases:
            refuse_foreign(postgres)
        parts = []
        if not survey.postgres_marked:
            others = shown([name for name in survey.databases if name != postgres.database])
            parts.append(f"PostgreSQL {survey.version} at {postgres.host}:{postgres.port} (databases: {others})")
        if not survey.dynamodb_marked:
            parts.append(f"DynamoDB Local at {dynamodb.endpoint} (tables: {shown(survey.tables)})")
        if agree is None:
            raise UsageError(
                "not marked as devenv's, so nothing is written there: " + "; ".join(parts),
                detail="before devenv writes to a store that it did not start, you must agree once",
                hint="devenv up  (asks; devenv up --mark agrees)",
            )
        agree(
            f"devenv did not start {' and '.join(parts)}. Mark these stores as devenv's, and let devenv write database"
            f" `{postgres.database}` and the declared tables in them?"
        )

    def set_marks(self, survey: StoresFound, postgres: PostgresTarget, dynamodb: DynamoTarget) -> None:
        """Note what was agreed, then set the marks that are missing. DynamoDB first: it may turn out to be none."""
        from devenv.stores.dynamodb.client import Dynamo

        if not survey.dynamodb_marked:
            refuse_cloud(dynamodb)
        if not self.has_agreed(survey):
            self.note_agreement(survey, "mark")
        if not survey.dynamodb_marked:
            with Dynamo(dynamodb) as client:
                if MARK_TABLE not in survey.tables:
                    make_mark_table(client)
                client.call("PutItem", {**self.mark_item(), "ReturnValues": "NONE"})
        if not survey.postgres_marked:
            mark_database(postgres, mark_text(postgres.database, survey.cluster))

    def mark_key(self) -> dict[str, Any]:
        """The request for this project's mark in DynamoDB."""
        return {"TableName": MARK_TABLE, "Key": {"pk": {"S": f"project#{self.settings.project.name}"}}}

    def mark_item(self) -> dict[str, Any]:
        """The request that sets it."""
        key = self.mark_key()
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return {"TableName": MARK_TABLE, "Item": {**key["Key"], "marked": {"S": at}}}

    def launch(self, name: str, environment: Mapping[str, str], progress: Progress) -> None:
        """Start the application. A store is not started here: the error says where it was looked for."""
        if name in STORES:
            raise self.ended(name)
        self.launch_own(name, environment)

    def stop(self, name: str) -> bool:
        """Stop the application. A store goes on running; it is only no longer counted as up."""
        if name not in STORES:
            return self.stop_process(name)
        if name in self.state.services:
            self.remember(name, started=None)
        return False

    def remove_data(self) -> None:
        """Take DynamoDB's mark away, when no snapshot of this project is left; Postgres's went with its database."""
        from devenv.stores.dynamodb.client import Dynamo

        if not self._permitted or any((self.home / "snapshots").glob("[!.]*")):
            return
        with Dynamo(self.store_targets()[1]) as client:
            client.call("DeleteItem", self.mark_key())
            if not client.call("Scan", {"TableName": MARK_TABLE, "Limit": 1})["Items"]:
                client.call("DeleteTable", {"TableName": MARK_TABLE})

    def recognise(self, name: str) -> bool:
        """Return True if the application's process runs, or something listens at a store's address."""
        return self.runs(name) if name in STORES else self.recognise_process(name)

    def ended(self, name: str) -> DevenvError:
        """The error for a store that does not answer, or an application that ended."""
        if name not in STORES:
            return self.process_ended(name)
        host, port = self.address(name)
        return DevenvError(
            f"{name} does not answer at {host}:{port}",
            exit_code=Exit.UNCHECKED,
            cause="engine external starts nothing: it connects to what runs",
            hint="start it, then: devenv up",
        )
