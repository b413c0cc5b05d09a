"""devenv.toml: what is accepted, what is refused and how it is said, and where each value comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devenv.cli.settings_report import show_settings
from devenv.config import load as reader
from devenv.config import parse as parser
from devenv.config.load import Loaded, cache_folder, find_root, flatten, load_for_stopping
from devenv.config.parse import known_keys
from devenv.config.schema import TESTED_DYNAMODB
from devenv.core.errors import Exit, UsageError
from tests.support import REPOSITORY

NAMED = '[project]\nname = "shop"\n'


def load(folder: Path, text: str | bytes = NAMED, **environ: str) -> Loaded:
    (folder / "devenv.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return reader.load(folder, environ)


def refused(folder: Path, text: str | bytes = NAMED, **environ: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(folder, text, **environ)
    assert caught.value.exit_code == Exit.USAGE
    return caught.value


def test_the_nearest_file_above_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "devenv.toml").write_text(NAMED)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert reader.load(None, {}).root == tmp_path
    (tmp_path / "a" / "devenv.toml").write_text(NAMED)
    assert reader.load(None, {}).root == tmp_path / "a"


def test_no_file_names_the_folder_and_the_option(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as above:
        find_root(tmp_path)
    assert str(tmp_path) in above.value.what
    assert (above.value.hint or "").startswith("devenv init ")
    assert "--project" in (above.value.hint or "")
    with pytest.raises(UsageError) as named:
        reader.load(tmp_path / "missing", {})
    assert str(tmp_path / "missing") in named.value.what
    assert (named.value.hint or "").startswith(f"devenv init --project {tmp_path / 'missing'}, or ")


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = load(tmp_path).settings
    assert (settings.postgres.database, settings.postgres.user, settings.postgres.port) == (
        "postgres",
        "postgres",
        5432,
    )
    assert (settings.dynamodb.port, settings.dynamodb.region) == (8000, "us-east-1")
    assert settings.backend is None
    assert settings.project.engine == "embedded"


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbf" + NAMED.encode()).settings.project.name == "shop"


def test_broken_toml_names_file_line_and_column(tmp_path: Path) -> None:
    error = refused(tmp_path, '[project]\nname = "shop\n')
    assert error.what == f"{tmp_path / 'devenv.toml'} is not valid TOML"
    assert "line 2" in (error.detail or "")


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, '[project]\nname = "caf\xe9"\n'.encode("latin-1"))
    assert error.what == f"{tmp_path / 'devenv.toml'}:2 is not UTF-8"
    assert "UTF-8" in (error.hint or "")


@pytest.mark.parametrize(
    ("text", "says"),
    [("x = " + "[" * 5_000, "nested"), (".".join("a" * 5_000) + " = 1", "nested"), ("x = " + "1" * 5_000, "digits")],
    ids=["lists", "dotted", "number"],
)
def test_what_python_cannot_read_is_refused_like_other_mistakes(tmp_path: Path, text: str, says: str) -> None:
    error = refused(tmp_path, text)
    assert error.what == f"{tmp_path / 'devenv.toml'} is not valid TOML"
    assert says in (error.detail or "")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").mkdir()
    with pytest.raises(UsageError, match=r"no devenv\.toml in"):
        reader.load(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("[postgre]\nport = 1\n", "unknown key `postgre`", "did you mean `postgres`?"),
        ("[postgres]\nprot = 1\n", "unknown key `prot` in `postgres`", "did you mean `port`?"),
        ("[dynamodb]\nregoin = 'x'\n", "unknown key `regoin` in `dynamodb`", "did you mean `region`?"),
        ("[backend]\ncomand = []\n", "unknown key `comand` in `backend`", "did you mean `command`?"),
        ("[steps.stup]\nfiles = []\n", "unknown key `stup` in `steps`", "did you mean `setup`?"),
        ("[steps.setup]\nfile = []\n", "unknown key `file` in `steps.setup`", "did you mean `files`?"),
        ("[steps.schema-load]\nfils = []\n", "unknown key `fils` in `steps.schema-load`", "did you mean `files`?"),
        (
            "[entities.message]\ntable = 't'\nuniqe = []\n",
            "unknown key `uniqe` in `entities.message`",
            "did you mean `unique`?",
        ),
        (
            "[[links]]\nfrom = 'dynamodb:t.a'\nto = 'postgres:u.b'\ncopis = {}\n",
            "unknown key `copis` in `links[0]`",
            "did you mean `copies`?",
        ),
        (
            "[[groups]]\nname = 'g'\nrows = 'r'\nid = 'i'\nonwer = 'o'\n",
            "unknown key `onwer` in `groups[0]`",
            "did you mean `owner`?",
        ),
        (
            "[postgres]\nzzzzzz = 1\n",
            "unknown key `zzzzzz` in `postgres`",
            "known here: database, image, port, source, user",
        ),
    ],
)
def test_an_unknown_key_is_an_error_with_a_suggestion(tmp_path: Path, text: str, place: str, hint: str) -> None:
    error = refused(tmp_path, NAMED + text)
    assert error.what == f"{tmp_path / 'devenv.toml'} is not a valid configuration"
    number, _, said = (error.detail or "").partition(": ")
    assert said == place
    # The key itself, or the section that it is in.
    line = (NAMED + text).splitlines()[int(number.removeprefix("line ")) - 1]
    assert place.split("`")[1] in line
    assert error.hint == hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[postgres]\nport = 'x'\n", "$.postgres.port"),
        ("[postgres]\nport = 0\n", "$.postgres.port"),
        ("[postgres]\nport = 65536\n", "$.postgres.port"),
        ("[postgres]\nport = 5432.5\n", "$.postgres.port"),
        ("[postgres]\nport = true\n", "$.postgres.port"),
        ("[postgres]\ndatabase = ''\n", "$.postgres.database"),
        ("[postgres]\nsource = 'docker'\n", "$.postgres.source"),
        ("[dynamodb]\nregion = 'US East'\n", "$.dynamodb.region"),
        ("[steps.setup]\nfiles = 'a.sql'\n", "$.steps.setup.files"),
        ("[steps]\nsetup = []\n", "$.steps.setup"),
        ("[env]\nA = 1\n", "$.env"),
        ("[env]\n'A; rm -rf ~' = 'x'\n", 'as a name, at `$.env."A; rm -rf ~"`'),
        ('[env]\nA = "a\\u0000b"\n', "$.env"),
        ("[backend.env]\n'A B' = 'x'\n", 'at `$.backend.env."A B"`'),
        ("[[links]]\nfrom = 'x'\nto = 'postgres:a.b'\n", "$.links[0].from"),
        ("[[links]]\nfrom = 'dynamodb:t.a'\n", "to"),
        ("[entities.m]\ntable = 't'\nattributes = { a = 'uid' }\n", "$.entities.m.attributes.a"),
        ("[[groups]]\nname = 'g'\nrows = 'r'\nid = 'i'\nsize = 0\n", "$.groups[0].size"),
        ("[patterns.a]\ntable = 't'\n[patterns.b]\nlimit = 0\n", "$.patterns.b.limit"),
        ("[patterns.a.params]\nx = [1, 2]\ny = [1, 1.5]\n", "$.patterns.a.params.y[1]"),
        ("[patterns.a]\n[patterns.'b.c'.accept]\nno = 'x'\n", 'as a name, at `$.patterns."b.c".accept.no`'),
        ("[postgres]\n'a`b' = 1\n", "unknown key `a`b` in `postgres`"),
        ("[postgres]\n'' = 1\n", "unknown key `` in `postgres`"),
        ('[steps.seed]\ncommand = ["a\\u0000"]\n', "$.steps.seed.command[0]"),
        ("[trace.a.request]\npath = '/'\nseconds = inf\n", "$.trace.a.request.seconds"),
    ],
)
def test_a_wrong_value_names_its_key(tmp_path: Path, text: str, says: str) -> None:
    assert says in (refused(tmp_path, NAMED + text).detail or "")


@pytest.mark.parametrize(
    "text", ["", "[project]\n", "project = 'shop'\n", "[project]\nname = ''\n", "[project]\nname = '-x'\n"]
)
def test_a_project_needs_a_plain_name(tmp_path: Path, text: str) -> None:
    detail = refused(tmp_path, text).detail or ""
    assert "project" in detail or "name" in detail


def test_a_variable_overrides_the_file(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        NAMED + "[postgres]\nport = 5432\nuser = 'ann'\n",
        DEVENV_POSTGRES_PORT="5433",
        DEVENV_POSTGRES_DATABASE="123",
        DEVENV_PROJECT_NAME="other",
        DEVENV_DYNAMODB_LOCAL="/opt/local",
    )
    assert loaded.settings.postgres.port == 5433
    assert loaded.settings.postgres.database == "123"
    assert loaded.settings.project.name == "other"
    assert loaded.settings.dynamodb.local == "/opt/local"
    assert {
        key: loaded.origins[key]
        for key in ("project.name", "postgres.port", "postgres.user", "postgres.database", "dynamodb.port")
    } == {
        "project.name": "$DEVENV_PROJECT_NAME",
        "postgres.port": "$DEVENV_POSTGRES_PORT",
        "postgres.user": "devenv.toml",
        "postgres.database": "$DEVENV_POSTGRES_DATABASE",
        "dynamodb.port": "default",
    }


@pytest.mark.parametrize("value", ["abc", "", "70000", "-1", "²", "5432x"])
def test_a_bad_variable_is_named(tmp_path: Path, value: str) -> None:
    error = refused(tmp_path, NAMED, DEVENV_POSTGRES_PORT=value)
    assert "DEVENV_POSTGRES_PORT" in error.what
    assert "DEVENV_POSTGRES_PORT" in (error.hint or "")


def test_a_variable_makes_no_application_of_a_project_without_one(tmp_path: Path) -> None:
    assert load(tmp_path, NAMED, DEVENV_BACKEND_PORT="4000").settings.backend is None


def test_a_section_that_is_no_table_is_refused_although_a_variable_overrides_it(tmp_path: Path) -> None:
    assert "postgres" in (refused(tmp_path, "postgres = 5\n" + NAMED, DEVENV_POSTGRES_PORT="1").detail or "")


def test_every_effective_value_has_an_origin(tmp_path: Path) -> None:
    import msgspec

    (tmp_path / "devenv.toml").write_text((REPOSITORY / "devenv.toml").read_text())
    loaded = reader.load(tmp_path, {})
    assert set(flatten(msgspec.to_builtins(loaded.settings))) <= set(loaded.origins)
    assert loaded.origins["links"] == "devenv.toml"


def test_config_show_names_the_version_that_is_used(tmp_path: Path) -> None:
    def shown(more: str = "") -> tuple[object, str]:
        rows = show_settings(load(tmp_path, f"{NAMED}[dynamodb]\n{more}")).body["settings"]
        return next((row["value"], row["origin"]) for row in rows if row["key"] == "dynamodb.version")

    assert shown() == (TESTED_DYNAMODB, "default")
    assert shown('version = "3.x"\n') == ("3.x", "devenv.toml")
    assert shown('local = "jars"\n') == (None, "default"), "its version is that of the folder"


def test_the_schema_knows_every_section_and_describes_itself() -> None:
    schema = parser.schema()
    named = {"project", "postgres", "dynamodb", "backend", "steps", "entities", "links", "groups", "env"}
    assert named <= set(known_keys(()))
    assert "schema-load" in known_keys(("steps",))
    assert json.loads(json.dumps(schema))["$defs"]["Postgres"]["additionalProperties"] is False


def test_the_cache_can_be_named(tmp_path: Path) -> None:
    assert cache_folder({"DEVENV_CACHE": str(tmp_path / "c")}) == tmp_path / "c"


@pytest.mark.parametrize(
    "text",
    [
        NAMED + '[env]\n"FOO\\n" = "x"\n',
        '[project]\nname = "demo\\n"\n',
        NAMED + '[dynamodb]\nregion = "us-east-1\\n"\n',
    ],
)
def test_a_line_break_ends_no_name(tmp_path: Path, text: str) -> None:
    refused(tmp_path, text)


def test_a_folder_that_has_no_utf8_is_refused(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Gr\xf6\xdfe"))
    root.mkdir()
    (root / "devenv.toml").write_text('[project]\nname = "x"\n')
    with pytest.raises(UsageError, match=r"Gr\\xf6\\xdfe' cannot be read as utf-8") as caught:
        reader.load(root)
    assert "rename the folder" in (caught.value.hint or "")
    # What it has may have been started before it was renamed.
    assert load_for_stopping(root).root == root
