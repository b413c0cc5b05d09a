"""`devenv init` and the variables that an application reads: filled in, or listed by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.steps.unset import explain, meaning, named_unset
from tests.unit.init.test_init_kinds import COMPOSE, MAKE, made


def env_of(tmp_path: Path, files: dict[str, str]) -> tuple[dict[str, str], str]:
    """`[env]` as init writes it, and the whole file."""
    settings, _ = made(tmp_path, {"docker-compose.yml": COMPOSE, "db/schema.sql": MAKE, **files})
    return dict(settings.env), (tmp_path / "devenv.toml").read_text()


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("TOOLSHED_PG_DSN", "{postgres_url}"),
        ("TOOLSHED_DATABASE_URL", "{postgres_url}"),
        ("TOOLSHED_DB_URL", "{postgres_url}"),
        ("PG_DSN", "{postgres_url}"),
        ("SHED_DB_NAME", "{postgres_database}"),
        ("DDB_ENDPOINT", "{dynamodb_url}"),
        ("SHED_DYNAMODB_ENDPOINT_URL", "{dynamodb_url}"),
        ("DDB_HOST", "{dynamodb_host}"),
        ("DYNAMODB_PORT", "{dynamodb_port}"),
        # Other stores, and databases that are emptied.
        ("SENTRY_DSN", "…"),
        ("REDIS_DB_URL", "…"),
        ("SHADOW_DATABASE_URL", "…"),
        ("TEST_DATABASE_URL", "…"),
        ("AWS_ENDPOINT_URL_S3", "…"),
        ("PAYMENT_URL", "…"),
    ],
)
def test_a_name_with_a_prefix_means_the_same(name: str, place: str) -> None:
    assert meaning(name) == place


def test_what_a_variable_is_handed_to_tells_what_it_is(tmp_path: Path) -> None:
    env, _ = env_of(
        tmp_path,
        {
            "app/settings.py": 'import os\n\nclass S:\n    rows = os.environ["SHED_ROWS"]\n',
            "app/main.py": (
                "import os, boto3, psycopg\nfrom app.settings import S\n"
                'where = os.environ.get("LEDGER") or None\n'
                'def a():\n    return boto3.resource("dynamodb", endpoint_url=where)\n'
                'def b():\n    return boto3.client("s3", endpoint_url=os.environ["FILES"])\n'
                "def c():\n    return psycopg.connect(S().rows)\n"
                'def d():\n    return psycopg.connect(host=os.environ["ROWS_AT"], dbname=os.getenv("ROWS_IN"))\n'
            ),
        },
    )
    assert env == {
        "LEDGER": "{dynamodb_url}",
        "SHED_ROWS": "{postgres_url}",
        "ROWS_AT": "{postgres_host}",
        "ROWS_IN": "{postgres_database}",
    }


def test_a_variable_that_nothing_tells_is_listed_with_its_place(tmp_path: Path) -> None:
    text = 'import os\nkey = os.environ["STRIPE_KEY"]\nlevel = os.environ.get("LEVEL")\nDB = os.environ["DB_NAME"]\n'
    text += 'if os.environ.get("SENTRY_KEY"):\n    start(os.environ["SENTRY_KEY"])\n'
    env, written = env_of(tmp_path, {"app/main.py": text})
    assert env == {"DB_NAME": "{postgres_database}"}
    assert 'STRIPE_KEY = "…" # app/main.py:2' in written
    assert "LEVEL" not in written
    assert "SENTRY_KEY" not in written


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("const a = use(process.env.SHOP_KEY);", True),
        ("const a = process.env.SHOP_KEY ?? 'x';", False),
        ("if (process.env.SHOP_KEY) { run(); }", False),
        ("const a = process.env.SHOP_KEY ? 1 : 2;", False),
    ],
)
def test_a_variable_of_javascript_that_has_no_default(tmp_path: Path, text: str, listed: bool) -> None:
    _, written = env_of(tmp_path, {"src/main.js": text})
    assert ('SHOP_KEY = "…" # src/main.js:1' in written) is listed


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("  File \"<frozen os>\", line 685, in __getitem__\nKeyError: 'SHED_ROWS'", ["SHED_ROWS"]),
        ("Error: SHED_ROWS is not set", ["SHED_ROWS"]),
        ("missing environment variable SHED_ROWS", ["SHED_ROWS"]),
        ("KeyError: 'name'", []),
        ("ERROR in app: nothing is missing here", []),
    ],
)
def test_a_variable_that_a_program_names_when_it_ends(tmp_path: Path, said: str, named: list[str]) -> None:
    assert list(named_unset(tmp_path, ["./run"], said)) == named


def test_the_error_of_a_program_says_what_to_write(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text('import os, psycopg\n\npsycopg.connect(os.environ["SHED_ROWS"])\n')
    said = f'  File "{file}", line 3, in x\n  File "<frozen os>", line 685\nKeyError: \'SHED_ROWS\''
    unset = named_unset(tmp_path, ["python3", "app.py"], said)
    assert unset == {"SHED_ROWS": "app.py:3"}
    assert explain(unset, tmp_path) == (
        "it reads SHED_ROWS (app.py:3), which has no value",
        'give it one in devenv.toml: [env] SHED_ROWS = "{postgres_url}"',
    )
    assert explain({"OTHER": ""}, tmp_path)[0] == "it reads OTHER, which has no value"


@pytest.mark.parametrize(("ids", "said"), [("(id, name) VALUES ('7', 'x')", False), ("(name) VALUES ('x')", True)])
def test_new_ids_are_mentioned_only_where_setup_makes_them(tmp_path: Path, ids: str, said: bool) -> None:
    sql = f"CREATE TABLE o (id text PRIMARY KEY, name text);\nINSERT INTO o {ids};"
    _, written = env_of(
        tmp_path, {"db/schema.sql": sql, "seed.py": 'import boto3\nboto3.resource("dynamodb").put_item()\n'}
    )
    assert "seed.py runs once" in written
    assert ("gives every row a new id" in written) is said


def test_trust_is_named_where_an_edit_of_commands_is_left(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    app = "from flask import Flask\napp = Flask(__name__)\n@app.get('/health')\ndef h(): ...\n"
    _, body = made(tmp_path / "b", {"docker-compose.yml": COMPOSE, "db/schema.sql": MAKE, "app.py": app}, yes=False)
    assert body["lines"][0] == "devenv up"
    edited = {"docker-compose.yml": COMPOSE, "db/a.sql": "CREATE EXTENSION postgis;", "app.py": app}
    _, body = made(tmp_path, edited, yes=False)
    assert body["edits"]
    assert body["lines"][:2] == ["devenv trust", "devenv up"]


def test_the_key_of_an_applications_own_tokens_is_made(tmp_path: Path) -> None:
    """Without it the first `devenv up` fails; the secrets of other services cannot be made."""
    own = {"LOANS_JWT_SECRET": "change-me", "SECRET_KEY": "x", "SESSION_SECRET": ""}
    others = {"STRIPE_SIGNING_SECRET": "whsec", "AWS_SECRET_KEY": "x", "OAUTH_CLIENT_SECRET": "x", "API_SECRET": "x"}
    lines = "".join(f"{name}={value}\n" for name, value in {**own, **others}.items())
    env, _ = env_of(tmp_path, {".env.example": lines})
    assert env == dict.fromkeys(own, "{key}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('URL = os.getenv("DDB_URL", "http://localhost:8000")', False),
        ('URL = "http://localhost:8000"', True),
    ],
)
def test_the_default_of_a_variable_is_no_fixed_endpoint(tmp_path: Path, line: str, said: bool) -> None:
    text = f'import os\nimport boto3\n{line}\nddb = boto3.resource("dynamodb", endpoint_url=URL)\n'
    _, written = env_of(tmp_path, {"app.py": text})
    assert ("Scripts contain fixed endpoints" in written) == said


@pytest.mark.parametrize(
    ("passed", "place"),
    [
        ('LEDGER: "${LEDGER}"', "{postgres_url}"),
        ("LEDGER:", "{postgres_url}"),
        ('LEDGER: "${LEDGER:?set it}"', "{postgres_url}"),
        # A value of its own stays.
        ('LEDGER: "https://ledger.example/"', "https://ledger.example/"),
    ],
)
def test_a_variable_that_compose_passes_through_is_what_the_code_makes_of_it(
    tmp_path: Path, passed: str, place: str
) -> None:
    compose = (
        "services:\n  db: {image: 'postgres:16'}\n  ddb: {image: amazon/dynamodb-local}\n"
        f"  web:\n    build: .\n    environment:\n      {passed}\n      PARCEL_WORD: ${{PARCEL_WORD}}\n"
    )
    code = (
        'import os, psycopg\n\ndef a():\n    return psycopg.connect(os.environ["LEDGER"]), os.environ["PARCEL_WORD"]\n'
    )
    env, text = env_of(tmp_path, {"docker-compose.yml": compose, "app/main.py": code})
    assert env.get("LEDGER") == place
    assert "PARCEL_WORD" not in env
    assert "PARCEL_WORD" in text.partition("Not copied")[2]


@pytest.mark.parametrize("drivers", ["", "psycopg\n"])
def test_a_project_without_steps_gets_its_variables(tmp_path: Path, drivers: str) -> None:
    code = 'import os\n\nROWS = os.environ["QUARRY_DATABASE_URL"]\nWORD = os.environ["QUARRY_WORD"]\n'
    settings, body = made(tmp_path, {"requirements.txt": f"flask\n{drivers}", "quarry.py": code})
    text = (tmp_path / "devenv.toml").read_text()
    assert body["needed"]
    assert settings.env == {"QUARRY_DATABASE_URL": "{postgres_url}"}
    assert "\n[postgres]\n" in text
    assert '# QUARRY_WORD = "…" # quarry.py:4' in text
