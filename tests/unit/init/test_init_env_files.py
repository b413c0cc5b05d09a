"""`devenv init` reads files with variables that are not at the top, where a program or a compose file names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import REQUEST, made

ENV = """\
POSTGRES_HOSTNAME=localhost
POSTGRES_PORT=5432
POSTGRES_USERNAME=bee
POSTGRES_PASSWORD=hunter2hunter
POSTGRES_DATABASE=apiary
DYNAMO_HOSTNAME=http://localhost
DYNAMO_PORT=8000
THING_TABLE=things
REDIS_HOSTNAME=cache
REDIS_PORT=6379
REDIS_USERNAME=default
REDIS_PASSWORD=abcdefghijk
"""
REDIS = 'services: {cache: {image: "redis:7"}}'
MODULE = "ConfigModule.forRoot({ envFilePath: ['env/dev.env'] });\n"
BASE = {"schema.sql": "CREATE TABLE t (id int PRIMARY KEY);", "things.json": REQUEST, "env/dev.env": ENV}


@pytest.mark.parametrize(
    "files",
    [
        {"src/app.module.ts": MODULE},
        {"src/app.module.ts": MODULE.replace("'env/dev.env'", "`env/${process.env.NODE_ENV}.env`")},
        {"app.py": 'import os\nload_dotenv("env/dev.env")\n'},
    ],
)
def test_addresses_in_parts_of_a_file_in_a_folder(tmp_path: Path, files: dict[str, str]) -> None:
    settings, _ = made(tmp_path, {**BASE, **files, "compose.yml": REDIS})
    assert settings.env == {
        "POSTGRES_HOSTNAME": "{postgres_host}",
        "POSTGRES_PORT": "{postgres_port}",
        "POSTGRES_USERNAME": "{postgres_user}",
        "POSTGRES_PASSWORD": "{postgres_password}",
        "POSTGRES_DATABASE": "{postgres_database}",
        "DYNAMO_HOSTNAME": "http://{dynamodb_host}",
        "DYNAMO_PORT": "{dynamodb_port}",
        "THING_TABLE": "things",
        "REDIS_HOSTNAME": "127.0.0.1",
        "REDIS_PORT": "{cache_port}",
        "REDIS_USERNAME": "default",
        "REDIS_PASSWORD": "{cache_password}",
    }
    assert "hunter2" not in (tmp_path / "devenv.toml").read_text()


@pytest.mark.parametrize("file", ["env/dev.env", "env/prod.env"])
def test_a_file_that_nothing_names_or_of_production_does_not_count(tmp_path: Path, file: str) -> None:
    code = MODULE.replace("env/dev.env", "env/prod.env")
    settings, _ = made(tmp_path, {"schema.sql": BASE["schema.sql"], file: ENV, "src/app.module.ts": code})
    assert not settings.env


@pytest.mark.parametrize(
    ("more", "database"),
    [
        ({}, "apiary"),
        ({".env.example": "POSTGRES_DATABASE=hive\n"}, "hive"),
        ({"config/local.env": "POSTGRES_DATABASE=hive\n"}, "postgres"),
    ],
)
def test_the_only_file_for_a_developers_machine_counts_though_nothing_names_it(
    tmp_path: Path, more: dict[str, str], database: str
) -> None:
    code = "import os\nname = os.environ['POSTGRES_DATABASE']\n"
    settings, _ = made(tmp_path, {**BASE, "app.py": code, **more})
    assert settings.postgres.database == database


def test_a_redis_that_only_variables_tell_of(tmp_path: Path) -> None:
    example = {".env.example": "REDIS_HOST=localhost\nREDIS_PORT=6379\nACCESS_TOKEN_SECRET=change\n"}
    settings, body = made(tmp_path, {"schema.sql": BASE["schema.sql"], **example})
    assert settings.env["ACCESS_TOKEN_SECRET"] == "{key}"
    said = [str(line) for line in body["unused"] if "[services.redis]" in str(line)]
    assert len(said) == 1
    assert 'REDIS_HOST = "127.0.0.1", REDIS_PORT = "{redis_port}"' in said[0]
