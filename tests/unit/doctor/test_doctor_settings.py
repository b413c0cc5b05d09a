"""Where a process is sent by its variables: judged by the place they lead to, not by their text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from devenv.core.model import DynamoTarget, PostgresTarget
from devenv.doctor.checks.settings import (
    Diversion,
    Lookup,
    VariableSource,
    find_account,
    find_database,
    find_endpoint,
    find_global_endpoint,
    find_misspelt,
    find_stale,
    find_tables,
    parse_database,
    read_profiles,
)

DYNAMODB = DynamoTarget("http://127.0.0.1:8000", "us-east-1", "key", "secret")
POSTGRES = PostgresTarget("127.0.0.1", 5432, "postgres", "pw", "app")
NAMES = {"localhost": ("127.0.0.1", "::1"), "db.example.com": ("93.184.216.34",)}
ACCOUNT = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
EXPECTED = {
    "DATABASE_URL": "postgresql://postgres:pw@127.0.0.1:5432/app",
    "CONNECTION_URL": "postgresql://postgres:pw@127.0.0.1:5432/app",
    "LETTERS": "letters",
    "GREETING": "hello",
}


def lookup(postgres: str | None = "another server", dynamodb: str | None = "other tables") -> Lookup:
    """A machine with two known names, whose other ports lead elsewhere unless told otherwise."""
    return Lookup(lambda host: NAMES.get(host, ()), lambda target: postgres, lambda target: dynamodb)


def application(**environ: str) -> VariableSource:
    return VariableSource("the application", environ, required=True)


def shell(**environ: str) -> VariableSource:
    return VariableSource("this shell", environ, required=False)


def kinds(found: Iterable[Diversion]) -> list[tuple[str, str]]:
    return [(diversion.kind, diversion.variable) for diversion in found]


# --- the endpoint


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000/",
        "http://127.0.0.1:8000/",
        "http://0.0.0.0:8000",
        "HTTP://LOCALHOST:8000",
    ],
)
def test_every_name_of_the_same_place_is_the_right_endpoint(text: str) -> None:
    assert kinds(find_endpoint(application(AWS_ENDPOINT_URL_DYNAMODB=text), DYNAMODB, lookup())) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("http://127.0.0.1:8001", "wrong_endpoint"),
        ("http://dynamodb-local:8000", "wrong_endpoint"),
        ("http://host.docker.internal:8000", "wrong_endpoint"),
        ("https://dynamodb.eu-central-1.amazonaws.com", "wrong_endpoint"),
        ("http://db.example.com:8000", "wrong_endpoint"),
        ("http://localhost", "malformed"),
        ("http://127.0.0.1", "malformed"),
        ("localhost:8000", "malformed"),
        ("127.0.0.1:8000", "malformed"),
        ("http://localhost:8000/dynamodb", "malformed"),
        ("http://localhost:eight", "malformed"),
        ("http://localhost:99999", "malformed"),
        ("http://", "malformed"),
        (" http://localhost:8000", "malformed"),
        ("<endpoint>", "malformed"),
    ],
)
@pytest.mark.parametrize("source", [application, shell])
def test_other_places_and_malformed_endpoints(source: type, text: str, kind: str) -> None:
    found = find_endpoint(source(AWS_ENDPOINT_URL_DYNAMODB=text), DYNAMODB, lookup())
    assert kinds(found) == [(kind, "AWS_ENDPOINT_URL_DYNAMODB")]


def test_another_port_that_shows_the_same_tables_is_right() -> None:
    source = application(AWS_ENDPOINT_URL_DYNAMODB="http://localhost:9000")
    assert kinds(find_endpoint(source, DYNAMODB, lookup(dynamodb=None))) == []


def test_an_endpoint_is_missed_in_the_application_and_not_in_a_shell() -> None:
    assert kinds(find_endpoint(application(), DYNAMODB, lookup())) == [("unset", "AWS_ENDPOINT_URL_DYNAMODB")]
    assert kinds(find_endpoint(application(AWS_ENDPOINT_URL_DYNAMODB=""), DYNAMODB, lookup())) != []
    assert kinds(find_endpoint(shell(), DYNAMODB, lookup())) == []


def test_the_sdk_set_to_ignore_endpoints_is_as_if_unset() -> None:
    source = application(AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:8000", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
    assert [kind for kind, _ in kinds(find_endpoint(source, DYNAMODB, lookup()))] == ["unset"]


def test_the_global_endpoint_counts_where_the_special_one_is_not_set() -> None:
    source = application(AWS_ENDPOINT_URL="http://127.0.0.1:9999")
    assert kinds(find_endpoint(source, DYNAMODB, lookup())) == [("wrong_endpoint", "AWS_ENDPOINT_URL")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://localhost:8000", [("wrong_endpoint", "AWS_ENDPOINT_URL")]),
        ("http://localhost:4566", []),
        ("https://vpce.example.com", []),
        ("nonsense", []),
    ],
)
def test_a_global_endpoint_at_dynamodb_local_catches_other_services(text: str, found: object) -> None:
    source = shell(AWS_ENDPOINT_URL=text, AWS_ENDPOINT_URL_DYNAMODB="http://localhost:8000")
    assert kinds(find_global_endpoint(source, DYNAMODB, lookup())) == found


# --- region, key, profile


def account(source: VariableSource, profiles: Iterable[str] = ()) -> list[tuple[str, str]]:
    return kinds(find_account(source, DYNAMODB, lambda environ: set(profiles)))


def test_the_right_account() -> None:
    assert account(application(**ACCOUNT)) == []
    assert account(application(**ACCOUNT, AWS_PROFILE="work"), ["work"]) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"AWS_REGION": ""}, [("unset", "AWS_DEFAULT_REGION")]),
        ({"AWS_REGION": "eu-west-1"}, [("wrong_region_or_key", "AWS_REGION")]),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, [("wrong_region_or_key", "AWS_DEFAULT_REGION")]),
        ({"AWS_ACCESS_KEY_ID": "other"}, [("wrong_region_or_key", "AWS_ACCESS_KEY_ID")]),
        ({"AWS_SECRET_ACCESS_KEY": ""}, [("unset", "AWS_SECRET_ACCESS_KEY")]),
        ({"AWS_ACCESS_KEY_ID": ""}, [("unset", "AWS_ACCESS_KEY_ID")]),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, [("unset", "AWS_ACCESS_KEY_ID")]),
        ({"AWS_PROFILE": "gone"}, [("wrong_region_or_key", "AWS_PROFILE")]),
        (
            {"AWS_PROFILE": "work", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            [("wrong_region_or_key", "AWS_PROFILE")],
        ),
    ],
)
def test_what_is_wrong_with_an_account(changes: dict[str, str], found: list[tuple[str, str]]) -> None:
    assert account(application(**{**ACCOUNT, **changes}), ["work"]) == found


def test_a_shell_for_other_work_is_left_alone_and_one_for_this_stack_is_not() -> None:
    other = {
        "AWS_REGION": "eu-west-1",
        "AWS_PROFILE": "work",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    assert account(shell(**other), ["work"]) == []
    wired = shell(**other, AWS_ENDPOINT_URL_DYNAMODB="http://localhost:8000")
    assert [kind for kind, _ in account(wired, ["work"])] == ["wrong_region_or_key", "wrong_region_or_key"]


def test_profiles_are_read_from_both_files(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("[default]\nregion = x\n[profile work]\n")
    (tmp_path / ".aws/credentials").write_text("[ private ]\n")
    assert read_profiles({"HOME": str(tmp_path)}) == {"default", "work", "private"}
    assert read_profiles({"HOME": str(tmp_path / "nobody")}) == set()


# --- the database


def database(source: VariableSource, postgres: str | None = "another server") -> list[tuple[str, str]]:
    return kinds(find_database(source, POSTGRES, EXPECTED, lookup(postgres)))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:pw@127.0.0.1:5432/app",
        "postgres://postgres:pw@localhost/app",
        "postgresql+psycopg://postgres:pw@[::1]:5432/app?sslmode=disable",
        "postgresql://localhost/app?user=postgres&password=pw",
        "host=localhost port=5432 user=postgres password='pw' dbname=app",
    ],
)
def test_every_way_to_write_the_same_database(url: str) -> None:
    assert database(application(DATABASE_URL=url)) == []


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://postgres:pw@127.0.0.1:5432/other", "wrong_database"),
        ("postgresql://postgres:pw@127.0.0.1:5433/app", "wrong_database"),
        ("postgresql://postgres:pw@db:5432/app", "wrong_database"),
        ("postgresql://postgres:pw@db.example.com:5432/app", "wrong_database"),
        ("postgresql://postgres:wrong@127.0.0.1:5432/app", "wrong_database"),
        ("postgresql://postgres:pw@127.0.0.1:port/app", "malformed"),
        ("mysql://root@127.0.0.1/app", "malformed"),
        ("<connection url>", "malformed"),
    ],
)
def test_other_databases_and_malformed_urls(url: str, kind: str) -> None:
    assert database(application(CONNECTION_URL=url)) == [(kind, "CONNECTION_URL")]


def test_another_way_to_the_same_server_is_right() -> None:
    assert database(application(DATABASE_URL="postgresql://app:x@localhost:6432/app"), postgres=None) == []


def test_two_settings_and_one_of_them_elsewhere() -> None:
    source = application(
        DATABASE_URL="postgresql://postgres:pw@127.0.0.1:5432/app",
        CONNECTION_URL="postgresql://postgres:pw@127.0.0.1:5432/old",
    )
    assert database(source) == [("wrong_database", "CONNECTION_URL")]


def test_variables_of_libpq() -> None:
    right = {"PGHOST": "localhost", "PGPORT": "5432", "PGUSER": "postgres", "PGPASSWORD": "pw", "PGDATABASE": "app"}
    assert database(application(**right)) == []
    assert database(application(**{**right, "PGDATABASE": "old"})) == [("wrong_database", "PGHOST, PGPORT, PGDATABASE")]
    assert database(application(**{**right, "PGPORT": "many"})) == [("malformed", "PGPORT")]
    assert database(shell(PGUSER="me", PGPASSWORD="x")) == []


def test_a_database_setting_is_missed_in_the_application_and_not_in_a_shell() -> None:
    assert database(application()) == [("unset", "DATABASE_URL")]
    assert database(shell()) == []


def test_other_variables_with_urls_are_not_ours_to_judge() -> None:
    assert database(shell(PROD_URL="postgresql://prod.example.com/app", REDIS_URL="redis://x")) == []


def test_a_url_without_a_database_means_the_one_of_the_user() -> None:
    target = parse_database("postgresql://me@localhost", POSTGRES)
    assert isinstance(target, PostgresTarget)
    assert target.address == "localhost:5432/me"


# --- tables and other variables


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"LETTERS": "letters"}, []),
        ({"LETTERS": "leters"}, [("wrong_table", "LETTERS")]),
        ({"LETTERS": ""}, [("unset", "LETTERS")]),
        ({}, [("unset", "LETTERS")]),
    ],
)
def test_variables_that_name_a_table(environ: dict[str, str], found: object) -> None:
    assert kinds(find_tables(application(**environ), EXPECTED, ["letters"])) == found


def test_a_shell_need_not_name_tables_but_must_not_name_others() -> None:
    assert kinds(find_tables(shell(), EXPECTED, ["letters"])) == []
    assert kinds(find_tables(shell(LETTERS="old"), EXPECTED, ["letters"])) == [("wrong_table", "LETTERS")]


@pytest.mark.parametrize(
    ("variable", "value", "wrong"),
    [
        ("LETTERS", "letters", False),
        ("LETTERS", "leters", True),
        ("DDB_TABLE", "post", True),
        ("GREETING", "hello", False),
        ("DDB_TABLE", "", False),
        ("USERS_TABLE", "users", False),
        ("BUCKET", "letters-bucket", False),
    ],
)
def test_a_misspelt_table_in_the_settings(variable: str, value: str, wrong: bool) -> None:
    assert bool(kinds(find_misspelt(shell(**{variable: value}), ["letters"]))) is wrong


def test_settings_that_changed_since_the_process_started() -> None:
    judged = ["LETTERS"]
    assert kinds(find_stale(application(GREETING="hello"), EXPECTED, judged)) == []
    assert kinds(find_stale(application(GREETING="hi"), EXPECTED, judged)) == [("stale_process", "GREETING")]
    assert kinds(find_stale(application(), EXPECTED, judged)) == [("stale_process", "GREETING")]
