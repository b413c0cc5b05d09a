"""A small project of its own for each test: a folder, a database, DynamoDB tables, and the steps over them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
import pytest

from devenv.config.environment import connection_environment
from devenv.config.schema import Settings
from devenv.core.model import DynamoTarget, PostgresTarget, StepState, Targets
from devenv.steps.registry import STEPS, Step, StepContext, StepOutcome
from devenv.steps.schema_load.schema_load import delete_table
from devenv.steps.setup.setup import side_names
from devenv.steps.stamps import Reading
from devenv.stores.dynamodb.client import Dynamo, plain


@pytest.fixture
def targets(request: pytest.FixtureRequest) -> tuple[PostgresTarget, DynamoTarget]:
    """The stores that the tests talk to: those that devenv starts for the session, or running ones named by variables.

    DEVENV_TEST_POSTGRES=postgresql://user:password@127.0.0.1:port DEVENV_TEST_DYNAMODB=http://127.0.0.1:port
    """
    if "DEVENV_TEST_POSTGRES" not in os.environ:
        stores = request.getfixturevalue("stores")
        return stores.postgres, stores.dynamodb
    url = urlsplit(os.environ["DEVENV_TEST_POSTGRES"])
    return (
        PostgresTarget(str(url.hostname), url.port or 5432, str(url.username), str(url.password)),
        DynamoTarget(os.environ["DEVENV_TEST_DYNAMODB"], "us-east-1", "devenv", "devenv"),
    )


@dataclass
class SmallProject:
    """A folder with files, and what the steps make of them. `mark` makes names unique on a shared server."""

    root: Path
    server: PostgresTarget
    dynamodb: DynamoTarget
    mark: str
    database: str
    steps: dict[str, Any] = field(default_factory=dict)
    links: list[dict[str, Any]] = field(default_factory=list)
    entities: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def postgres(self) -> PostgresTarget:
        return replace(self.server, database=self.database)

    @property
    def context(self) -> StepContext:
        return StepContext(
            settings=self.settings,
            root=self.root,
            postgres=self.postgres,
            dynamodb=self.dynamodb,
            ledger=self.root / ".devstate" / "ledger.sqlite",
            environ={**os.environ, **connection_environment(self.settings, self.addresses)},
            say=self.said.append,
            log=self.root / ".devstate" / "steps.log",
            trusted=True,
        )

    @property
    def addresses(self) -> Targets:
        return Targets.of(self.postgres, self.dynamodb)

    @property
    def settings(self) -> Settings:
        tree = {"project": {"name": "test"}, "steps": self.steps, "links": self.links, "entities": self.entities}
        return msgspec.convert(tree, Settings)

    def write(self, name: str, text: str | bytes) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)

    def step(self, name: str) -> Step:
        return next(step for step in STEPS if step.name == name)

    def read(self, name: str) -> Any:
        return self.step(name).read(self.settings, self.root, Reading(self.context.ledger))

    def look(self, name: str) -> StepState:
        return self.step(name).look(self.context, self.read(name))

    def run(self, name: str, fresh: bool = False) -> StepOutcome:
        return self.step(name).run(self.context, self.read(name), fresh)

    def foreign(self, name: str) -> str | None:
        return self.step(name).foreign(self.context, self.read(name))

    def up(self) -> dict[str, StepOutcome]:
        """Every step that is not done, as `devenv up` does. What ran."""
        ran = {}
        for step in STEPS:
            if self.look(step.name).state != "done":
                ran[step.name] = self.run(step.name)
        states = [self.look(step.name) for step in STEPS]
        assert [state.state for state in states] == ["done"] * len(STEPS), states
        return ran

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query in the project's database, as somebody else than devenv would."""
        with psycopg.connect(
            host=self.server.host,
            port=self.server.port,
            user=self.server.user,
            password=self.server.password,
            dbname=self.database,
        ) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def databases(self) -> list[str]:
        """The databases that belong to this project, the sides' ones too."""
        here, self.database = self.database, "postgres"
        try:
            names = [here, *side_names(here)]
            return [row[0] for row in self.sql("SELECT datname FROM pg_database WHERE datname = ANY(%s)", names)]
        finally:
            self.database = here

    def table(self, name: str) -> str:
        """The real name of a DynamoDB table."""
        return f"{name}-{self.mark}"

    def items(self, name: str) -> list[dict[str, Any]]:
        """All items of a table as Python values, in a fixed order."""
        with Dynamo(self.dynamodb) as dynamo:
            return sorted((plain(item) for item in dynamo.scan(self.table(name))), key=repr)


@pytest.fixture
def small(tmp_path: Path, targets: tuple[PostgresTarget, DynamoTarget]) -> Iterator[SmallProject]:
    """An empty project; its database and its tables are removed afterwards."""
    mark = secrets.token_hex(4)
    made = SmallProject(tmp_path, *targets, mark=mark, database=f'tést "steps" 100%s \'{mark}')
    yield made
    with psycopg.connect(
        host=made.server.host,
        port=made.server.port,
        user=made.server.user,
        password=made.server.password,
        dbname="postgres",
        autocommit=True,
    ) as connection:
        for name in (made.database, *side_names(made.database)):
            query = psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(psycopg.sql.Identifier(name))
            connection.execute(query)
    with Dynamo(made.dynamodb) as dynamo:
        for page in list(dynamo.pages("ListTables", {})):
            for table in page["TableNames"]:
                if table.endswith(mark):
                    delete_table(dynamo, table)
