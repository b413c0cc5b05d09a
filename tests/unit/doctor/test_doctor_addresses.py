"""Variables are judged by what they hold and where it leads, whatever they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from devenv.doctor.checks.addresses import configured_endpoint, is_postgres_address, proxy_of
from devenv.doctor.checks.settings import (
    Lookup,
    VariableSource,
    find_database,
    find_endpoint,
    find_tables,
    read_configured,
    read_service,
)
from tests.unit.doctor.test_doctor_settings import (
    DYNAMODB,
    EXPECTED,
    NAMES,
    POSTGRES,
    application,
    kinds,
    lookup,
    shell,
)

OURS = {"AWS_ENDPOINT_URL_DYNAMODB": DYNAMODB.endpoint}
RIGHT = {"DATABASE_URL": EXPECTED["DATABASE_URL"]}


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        # Those of the case, and further ones.
        ({"SQLALCHEMY_DATABASE_URI": "postgresql://a:b@db:5432/x"}, [("wrong_database", "SQLALCHEMY_DATABASE_URI")]),
        ({"POSTGRES_URL": "postgres://postgres:pw@127.0.0.1:5433/app"}, [("wrong_database", "POSTGRES_URL")]),
        ({"DB_HOST": "db"}, [("wrong_database", "DB_HOST")]),
        ({"PGHOST": "/tmp", "PGDATABASE": "app"}, [("wrong_database", "PGHOST, PGDATABASE")]),
        ({"SPRING_DATASOURCE_URL": "jdbc:postgresql://db:5432/app"}, [("wrong_database", "SPRING_DATASOURCE_URL")]),
        ({"NPGSQL": "Host=db;Port=5432;Database=app;Username=x"}, [("wrong_database", "NPGSQL")]),
        ({"DJANGO_DB": "postgis://postgres:pw@localhost:5432/old"}, [("wrong_database", "DJANGO_DB")]),
        (
            {"APP_DATABASE_HOST": "localhost", "APP_DATABASE_PORT": "6000"},
            [("wrong_database", "APP_DATABASE_HOST, APP_DATABASE_PORT")],
        ),
        ({"POSTGRES_HOST": "127.0.0.1", "POSTGRES_DB": "old"}, [("wrong_database", "POSTGRES_HOST, POSTGRES_DB")]),
        ({"DB_HOST": "127.0.0.1", "DB_PORT": "many"}, [("malformed", "DB_HOST, DB_PORT")]),
        ({"QUOTED": '"postgresql://postgres:pw@localhost:5432/app"'}, [("malformed", "QUOTED")]),
        ({"PGSERVICE": "prod", "PGHOST": "127.0.0.1"}, [("malformed", "PGSERVICE")]),
        # What leads to the project's database, by whatever name.
        ({"SQLALCHEMY_DATABASE_URI": "postgresql+psycopg://postgres:pw@localhost/app"}, []),
        ({"JDBC_URL": "jdbc:postgresql://localhost:5432/app"}, []),
        ({"DB_HOST": "localhost", "DB_PORT": "5432", "DB_NAME": "app"}, []),
        # Other databases, other places by name, and parts without a host.
        ({"DB_HOST": "db", "DB_PORT": "3306"}, []),
        ({"DB_HOST": "db", "DB_CONNECTION": "mysql"}, []),
        ({"POSTGRES_DB": "old"}, []),
        ({"STAGING_DATABASE_URL": "postgresql://db.example.com/app", "PROD_DB_HOST": "db.example.com"}, []),
        ({"DOC": "see https://postgresql.org", "REDIS_URL": "redis://db:6379"}, []),
    ],
)
def test_every_postgres_address_is_judged_by_where_it_leads(
    environ: dict[str, str], found: list[tuple[str, str]]
) -> None:
    for source in (application(**RIGHT, **environ), shell(**environ)):
        assert kinds(find_database(source, POSTGRES, EXPECTED, lookup())) == found


def test_a_socket_is_asked_who_listens_there() -> None:
    source = shell(PGHOST="/run/ours", PGDATABASE="app", PGUSER="postgres", PGPASSWORD="pw")
    assert kinds(find_database(source, POSTGRES, EXPECTED, lookup(postgres=None))) == []


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"DYNAMODB_ENDPOINT": "http://dynamodb-local:8000"}, [("wrong_endpoint", "DYNAMODB_ENDPOINT")]),
        ({"DDB_URL": "http://127.0.0.1:8001"}, [("wrong_endpoint", "DDB_URL")]),
        ({"dynamo_endpoint_url": "http://localhost"}, [("malformed", "dynamo_endpoint_url")]),
        ({"DYNAMODB_HOST": "dynamodb-local"}, [("wrong_endpoint", "DYNAMODB_HOST")]),
        ({"DDB_ENDPOINT": "localhost:8001"}, [("wrong_endpoint", "DDB_ENDPOINT")]),
        (
            {"APP_DYNAMO_HOST": "127.0.0.1", "APP_DYNAMO_PORT": "1"},
            [("wrong_endpoint", "APP_DYNAMO_HOST, APP_DYNAMO_PORT")],
        ),
        ({"DYNAMODB_ENDPOINT": '"http://localhost:8000"'}, [("malformed", "DYNAMODB_ENDPOINT")]),
        ({"DYNAMODB_ENDPOINT": "http://localhost:8000"}, []),
        ({"DYNAMODB_HOST": "localhost", "DYNAMODB_PORT": "8000"}, []),
        ({"DYNAMODB_HOST": "127.0.0.1"}, []),
        ({"DYNAMODB_ENDPOINT": "local", "PROD_DYNAMODB_HOST": "far"}, []),
        ({"DYNAMODB_TABLE": "letters"}, []),
        ({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, [("unset", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")]),
        ({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}, []),
        ({"HTTP_PROXY": "http://127.0.0.1:9"}, [("wrong_endpoint", "HTTP_PROXY")]),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "example.com"}, [("wrong_endpoint", "http_proxy")]),
        ({"ALL_PROXY": "http://proxy:3128"}, [("wrong_endpoint", "ALL_PROXY")]),
        ({"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost"}, []),
        ({"HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": "*"}, []),
        ({"HTTPS_PROXY": "http://127.0.0.1:9"}, []),
    ],
)
def test_every_endpoint_of_dynamodb_and_what_goes_around_it(
    environ: dict[str, str], found: list[tuple[str, str]]
) -> None:
    for source in (application(**OURS, **environ), shell(**OURS, **environ)):
        assert kinds(find_endpoint(source, DYNAMODB, lookup())) == found


def test_a_proxy_s_password_is_not_shown() -> None:
    (wrong,) = find_endpoint(shell(**OURS, HTTP_PROXY="http://me:secret-1@proxy:3128"), DYNAMODB, lookup())
    assert "secret-1" not in wrong.evidence


def test_a_shell_that_is_not_set_up_for_dynamodb_may_have_a_proxy() -> None:
    assert kinds(find_endpoint(shell(HTTP_PROXY="http://proxy:3128"), DYNAMODB, lookup())) == []


@pytest.mark.parametrize(
    ("text", "profile", "endpoint"),
    [
        ("[default]\nendpoint_url = http://a:1\n", None, "http://a:1"),
        ("[profile work]\nendpoint_url=http://b:2\n", "work", "http://b:2"),
        ("[profile work]\nendpoint_url=http://b:2\n", None, None),
        ("[default]\nservices = l\n[services l]\ndynamodb =\n  endpoint_url = http://c:3\n", None, "http://c:3"),
        (
            "[default]\nservices = l\nendpoint_url = http://a:1\n[services l]\ns3 =\n  endpoint_url = x\n",
            None,
            "http://a:1",
        ),
        ("[default]\nignore_configured_endpoint_urls = true\nendpoint_url = http://a:1\n", None, None),
        ("no section\n", None, None),
    ],
)
def test_the_endpoint_of_the_aws_configuration_file(
    tmp_path: Path, text: str, profile: str | None, endpoint: str | None
) -> None:
    assert configured_endpoint(text, profile) == endpoint
    (tmp_path / "config").write_text(text)
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "config"), **({"AWS_PROFILE": profile} if profile else {})}
    assert read_configured(environ) == endpoint


def test_an_application_whose_endpoint_is_in_the_configuration_file() -> None:
    def machine(endpoint: str) -> Lookup:
        return Lookup(lambda host: NAMES.get(host, ()), lambda _: None, lambda _: "other tables", lambda _: endpoint)

    source = VariableSource("the application", {}, required=True)
    assert kinds(find_endpoint(source, DYNAMODB, machine(DYNAMODB.endpoint))) == []
    (wrong,) = find_endpoint(source, DYNAMODB, machine("http://127.0.0.1:8001"))
    assert (wrong.kind, wrong.variable) == ("wrong_endpoint", "~/.aws/config endpoint_url")


def test_pgdatabase_names_no_table() -> None:
    """The case: a table that is called like the database."""
    expected = {"PGDATABASE": "app", "DB_NAME": "app", "POSTGRES_DB": "app", "APP_TABLE": "app"}
    source = shell(PGDATABASE="other", DB_NAME="other", POSTGRES_DB="other", APP_TABLE="other")
    assert kinds(find_tables(source, expected, ["app"])) == [("wrong_table", "APP_TABLE")]


def test_a_service_of_libpq_outranks_the_variables(tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text("[home]\nhost=localhost\nport=5432\ndbname=app\n[far]\nhost=db\n")
    machine = replace(lookup(), service=read_service)
    for name, found in (("home", []), ("far", ["wrong_database"]), ("prod", ["malformed"])):
        source = shell(
            PGHOST="localhost", PGDATABASE="app", PGSERVICE=name, PGSERVICEFILE=str(file), HOME=str(tmp_path)
        )
        assert [each.kind for each in find_database(source, POSTGRES, EXPECTED, machine)] == found


@pytest.mark.parametrize("text", ["", "postgres", "://x", "https://host/db", "host=x", "postgresql"])
def test_what_is_no_postgres_address(text: str) -> None:
    assert not is_postgres_address(text)


def test_a_proxy_counts_for_its_scheme() -> None:
    environ = {"HTTPS_PROXY": "http://p:1", "all_proxy": "http://q:2"}
    assert proxy_of(environ, "https://x:1") == ("HTTPS_PROXY", "http://p:1")
    assert proxy_of(environ, "http://x:1") == ("all_proxy", "http://q:2")
