"""Which engine a command works on, what is remembered of the others, and what every engine has."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from devenv import stack
from devenv.config import schema as config
from devenv.config.load import Loaded, load
from devenv.config.types import EngineName
from devenv.core.errors import Exit, UsageError
from devenv.core.model import DynamoTarget, PostgresTarget
from devenv.engines.base import Engine
from devenv.engines.external.addresses import parse_dynamodb, parse_postgres
from devenv.engines.external.marks import account_of
from devenv.engines.process import missing_module, port_was_taken
from devenv.engines.registry import ENGINES, engine_class
from devenv.host.addresses import is_loopback
from devenv.host.state import Mark, Parked, Record, State, switch
from devenv.stack import EngineChoice, choose_engine, refuse_two
from devenv.stores.dynamodb.client import Dynamo
from devenv.stores.postgres import client as postgres

UP = {"postgres": Record(5432, started="2023-06-24T20:57:02+00:00"), "dynamodb": Record(8000)}
STEPS = {"setup": Mark("done", "it has what its files declare", "2023-06-24T20:57:02+00:00")}


def loaded(engine: str = "embedded", origin: str = "default") -> Loaded:
    """Settings that ask for an engine."""
    settings = config.Settings(project=config.Project(name="p", engine=engine))  # type: ignore[arg-type]
    return Loaded(Path("/p"), settings, {"project.engine": origin})


@pytest.mark.parametrize(
    ("asked", "settings", "known", "chosen"),
    [
        (EngineChoice(), loaded(), State(), ("embedded", "default")),
        (EngineChoice(), loaded(), State(engine="docker"), ("docker", "the state")),
        (EngineChoice(), loaded("docker", "devenv.toml"), State(), ("docker", "devenv.toml")),
        (EngineChoice(), loaded("docker", "devenv.toml"), State(engine="external"), ("docker", "devenv.toml")),
        (EngineChoice(), loaded("docker", "$DEVENV_ENGINE"), State(engine="external"), ("docker", "$DEVENV_ENGINE")),
        (
            EngineChoice("external"),
            loaded("docker", "$DEVENV_ENGINE"),
            State(engine="embedded"),
            ("external", "--engine"),
        ),
        (
            EngineChoice(stopping=True),
            loaded("docker", "devenv.toml"),
            State(engine="external"),
            ("external", "the state"),
        ),
        (EngineChoice("docker", stopping=True), loaded(), State(engine="external"), ("docker", "--engine")),
        (EngineChoice(stopping=True), loaded("docker", "devenv.toml"), State(), ("docker", "devenv.toml")),
    ],
)
def test_option_then_variable_then_file_then_state_then_default(
    asked: EngineChoice, settings: Loaded, known: State, chosen: tuple[str, str]
) -> None:
    assert choose_engine(asked, settings, known) == chosen


def test_devenv_engine_is_the_engine_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text('[project]\nname = "p"\nengine = "docker"\n')
    found = load(tmp_path, {"DEVENV_ENGINE": "external"})
    assert (found.settings.project.engine, found.origins["project.engine"]) == ("external", "$DEVENV_ENGINE")
    with pytest.raises(UsageError, match=r"\$DEVENV_ENGINE is not a valid value for project\.engine"):
        load(tmp_path, {"DEVENV_ENGINE": "podman"})


def test_services_that_are_up_on_another_engine_are_named_with_the_way_on() -> None:
    with pytest.raises(UsageError) as refused:
        refuse_two("docker", "--engine", State(engine="embedded", services=UP))
    error = refused.value
    assert error.exit_code == Exit.USAGE
    assert error.what == "this project is up on engine `embedded` (postgres), and --engine requests `docker`"
    assert error.hint == "devenv down && devenv up --engine docker"
    with pytest.raises(UsageError) as refused:
        refuse_two("docker", "devenv.toml", State(engine="embedded", services=UP))
    assert refused.value.hint == "devenv down && devenv up"


@pytest.mark.parametrize("known", [State(), State(engine="docker", services=UP), State(engine="embedded")])
def test_a_project_that_is_down_may_move(known: State) -> None:
    refuse_two("docker", "--engine", known)


def test_what_is_known_of_an_engine_waits_until_the_project_comes_back() -> None:
    first = State(root="/p", engine="embedded", services=UP, steps=STEPS)
    second = switch(first, "docker")
    assert second == State(root="/p", engine="docker", parked={"embedded": Parked(UP, STEPS)})
    assert switch(second, "docker") == second
    back = switch(second, "embedded")
    assert (back.services, back.steps, back.parked) == (UP, STEPS, {"docker": Parked()})
    assert switch(State(services=UP), "docker") == State(services=UP)


def test_every_engine_of_the_registry_can_be_made_and_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text('[project]\nname = "p"\n')
    places = set()
    for name in ENGINES:
        kind = engine_class(name)
        assert kind.name == name
        made = kind(load(tmp_path, {}), tmp_path / ".devstate", {})
        assert isinstance(made, Engine)
        assert made.services == ("postgres", "dynamodb")
        places.add(made.home)
    assert len(places) == len(ENGINES), "engines share data"
    assert set(ENGINES) <= set(get_args(EngineName))
    assert stack.DEFAULT in ENGINES
    with pytest.raises(UsageError, match="there is no engine `podman`"):
        engine_class("podman")


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *[(host, True) for host in ("127.0.0.1", "127.8.9.1", "localhost", "::1")],
        *[(host, False) for host in ("10.0.0.1", "0.0.0.0", "127.1", "db", "localhost.example.com", "fe80::1", "")],
        ("::ffff:10.0.0.1", False),
    ],
)
def test_loopback_is_what_is_written_so_and_nothing_is_looked_up(host: str, here: bool) -> None:
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    ("key", "account"),
    [("ASIAQNZGKIQY56JQ7WML", "029608264753"), ("devenvlocal", None), ("AKIA0000000000000000", None), ("", None)],
)
def test_the_account_that_a_key_belongs_to(key: str, account: str | None) -> None:
    assert account_of(key) == account


def test_external_addresses_are_taken_apart() -> None:
    external = config.External(postgres="postgresql://me:p%40ss@[::1]:5433/mine", dynamodb="http://127.0.0.1:8000/")
    assert parse_postgres(external, "postgres", "p") == PostgresTarget("::1", 5433, "me", "p@ss", "mine")
    assert parse_dynamodb(external, "eu-west-1") == DynamoTarget(
        "http://127.0.0.1:8000", "eu-west-1", "devenvlocal", "devenvlocal"
    )
    plain = config.External(postgres="postgres://localhost", password="secret")
    assert parse_postgres(plain, "postgres", "p") == PostgresTarget("localhost", 5432, "postgres", "secret", "p")


@pytest.mark.parametrize(
    ("external", "says"),
    [
        (config.External(), "needs Postgres's address"),
        (config.External(postgres="mysql://x"), "is not an address"),
        (config.External(postgres="postgresql://me:secret@h/d?host=/tmp"), "is not an address"),
        (config.External(postgres="postgresql://me:secret@h:port"), "is not an address"),
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_its_password(external: config.External, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        parse_postgres(external, "postgres", "p")
    assert "secret" not in f"{refused.value.failure}"


@pytest.mark.parametrize(
    ("external", "says"),
    [
        (config.External(), "needs DynamoDB's address"),
        (config.External(dynamodb="127.0.0.1:8000"), "is not an address"),
        (config.External(dynamodb="http://127.0.0.1:8000/path"), "is not an endpoint"),
        (config.External(dynamodb="https://dynamodb.example.com"), "needs keys"),
    ],
)
def test_an_endpoint_that_is_none_is_refused(external: config.External, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_dynamodb(external, "eu-west-1")


@pytest.mark.parametrize(
    ("operation", "statement"),
    [
        *[(name, "") for name in ("PutItem", "DeleteTable", "BatchWriteItem", "TransactWriteItems", "UpdateTable")],
        ("ExecuteStatement", "DELETE FROM t"),
        ("ExecuteStatement", "/* SELECT */ UPDATE t SET a = 1"),
    ],
)
def test_a_target_that_refuses_writes_is_sent_none(operation: str, statement: str) -> None:
    # Nothing listens there: had it been sent, it would not have been reached.
    target = DynamoTarget("http://127.0.0.1:9", "us-east-1", "k", "k", refused="not marked")
    with pytest.raises(UsageError, match="not marked"), Dynamo(target) as dynamo:
        dynamo.call(operation, {"Statement": statement} if statement else {})


def test_a_closed_target_is_sent_nothing() -> None:
    with (
        pytest.raises(UsageError, match="elsewhere"),
        Dynamo(DynamoTarget("http://h", "r", "k", "k", closed="elsewhere")) as d,
    ):
        d.call("ListTables", {})
    target = PostgresTarget("127.0.0.1", 9, "me", "", closed="elsewhere")
    with pytest.raises(UsageError, match="elsewhere"), postgres.connect(target):
        pass


@pytest.mark.parametrize("word", ["ModuleNotFoundError: No module named 'flask.cli'", "/p: No module named flask.cli"])
def test_an_application_whose_interpreter_lacks_a_module(word: str) -> None:
    cause, hint = missing_module(["Traceback …", word], "/venv of devenv/python", named=False)
    assert cause == "/venv of devenv/python, which runs devenv, has no module `flask.cli`"
    assert 'python = ".venv/bin/python"' in str(hint)
    cause, hint = missing_module([word], "/my app/python", named=True)
    assert cause == "/my app/python has no module `flask.cli`"
    assert str(hint).startswith("'/my app/python' -m pip install ")
    assert missing_module(["KeyError: 'module'"], "/p", named=False) == (None, None)


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        (
            "ERROR: [Errno 98] error while attempting to bind on address ('127.0.0.1', 4567): address already in use",
            True,
        ),
        ("OSError: [Errno 98] Address already in use", True),
        ("Error: listen EADDRINUSE: address already in use 127.0.0.1:4567", True),
        ("Error: listen EADDRINUSE: address already in use :::4567", True),
        ("listen tcp 127.0.0.1:4567: bind: address already in use", True),
        ("[WinError 10048] Only one usage of each socket address is normally permitted", True),
        ("listen tcp 127.0.0.1:9090: bind: address already in use", False),
        ("listen tcp 127.0.0.1:45670: bind: address already in use", False),
        ("connection to 127.0.0.1:4567 refused", False),
    ],
)
def test_a_program_that_ended_since_had_the_port(line: str, taken: bool) -> None:
    assert port_was_taken(["Traceback …", line], 4567) is taken
