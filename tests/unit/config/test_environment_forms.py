"""What `devenv env` prints is read back unchanged by the shells and readers it is printed for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from devenv.config import schema as config
from devenv.config.environment import FORMATS, connection_environment, format_environment
from devenv.core.model import DynamoTarget, PostgresTarget, ProcessTarget, Targets

HOSTILE = {
    "PLAIN": "value",
    "EMPTY": "",
    "SPACES": "  two  spaces  ",
    "SINGLE": "it's",
    "DOUBLE": 'say "hello"',
    "BOTH": """'"'\\'"\\\"""",
    "DOLLAR": "$HOME ${HOME} $(id) `id`",
    "BACKSLASHES": r"a\nb\\c\ ",
    "NEWLINE": "one\ntwo",
    "NEWLINE_AND_QUOTE": 'it\'s\n$HOME \\ "x"',
    "TAB": "a\tb",
    "COMMENT": "#no # comment",
    "GLOB": "* ? [a-z] {a,b} ~",
    "OPERATORS": "a; rm -rf / & | < > ! !!",
    "UNICODE": "größe 日本語 🙂",
    "EQUALS": "a=b=c",
    "PERCENT": "%PATH% %s",
}


def targets(**postgres: str) -> Targets:
    values = {"host": "127.0.0.1", "user": "ann", "password": "pass", "database": "shop", **postgres}
    return Targets.of(
        PostgresTarget(port=5433, **values),
        DynamoTarget("http://127.0.0.1:8001", "eu-west-1", "key", "secret"),
        {"backend": ProcessTarget("http://127.0.0.1:4567", 4567, variables={"BACKEND_URL": "http://127.0.0.1:4567"})},
        "dev-key",
    )


def settings(**env: str) -> config.Settings:
    return config.Settings(project=config.Project(name="shop"), env=env)


def read_by_shell(shell: str, text: str, folder: Path) -> dict[str, str]:
    """The variables as a real shell's child sees them after `eval`."""
    script = folder / "env.sh"
    script.write_text(text)
    ran = subprocess.run(
        [shell, "-c", 'eval "$(cat "$1")" && exec env -0', shell, str(script)],
        capture_output=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "LC_ALL": "C.UTF-8"},
    )
    pairs = (entry.split("=", 1) for entry in ran.stdout.decode().split("\0") if entry)
    return dict(pairs)  # type: ignore[arg-type]


def read_dotenv(text: str) -> dict[str, str]:
    """What the usual .env readers agree on: single quotes are literal, double quotes know backslash escapes."""
    found = {}
    for name, single, double in re.findall(
        r"""^(\w+)=(?:'([^']*)'|"((?:[^"\\]|\\.)*)")$""", text, re.MULTILINE | re.DOTALL
    ):
        found[name] = re.sub(r"\\(.)", r"\1", double, flags=re.DOTALL) if double else single
    return found


def read_fish(text: str) -> dict[str, str]:
    """fish's rule for single quotes: only \\' and \\\\ are escapes."""
    pairs = re.findall(r"^set -gx (\w+) '((?:[^'\\]|\\.)*)'$", text, re.MULTILINE | re.DOTALL)
    return {name: re.sub(r"\\(['\\])", r"\1", value) for name, value in pairs}


def read_powershell(text: str) -> dict[str, str]:
    """PowerShell's rule for single quotes: '' is the only escape."""
    pairs = re.findall(r"^\$env:(\w+) = '((?:[^']|'')*)'$", text, re.MULTILINE)
    return {name: value.replace("''", "'") for name, value in pairs}


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_real_shell_reads_every_value_back(shell: str, tmp_path: Path) -> None:
    path = shutil.which(shell)
    assert path is not None
    found = read_by_shell(path, format_environment(HOSTILE, "shell"), tmp_path)
    assert {name: found[name] for name in HOSTILE} == HOSTILE


def test_bash_sources_a_dotenv_file_to_the_same_values(tmp_path: Path) -> None:
    """`set -a; . .env` is how many projects read theirs; a line break is the one thing that shells need otherwise."""
    values = {name: value for name, value in HOSTILE.items() if "\n" not in value}
    bash = shutil.which("bash")
    assert bash is not None
    found = read_by_shell(bash, "set -a\n" + format_environment(values, "dotenv"), tmp_path)
    assert {name: found[name] for name in values} == values


@pytest.mark.parametrize(
    ("form", "read"),
    [("dotenv", read_dotenv), ("fish", read_fish), ("powershell", read_powershell), ("json", json.loads)],
)
def test_every_form_can_be_read_back(form: str, read: Callable[[str], dict[str, str]]) -> None:
    assert read(format_environment(HOSTILE, form)) == HOSTILE


@pytest.mark.parametrize("form", FORMATS)
def test_no_variables_are_no_text_that_a_reader_stumbles_on(form: str) -> None:
    assert format_environment({}, form) in ("", "{}")


def test_a_process_gets_what_the_contract_names() -> None:
    assert connection_environment(settings(DDB_MESSAGE_TABLE="cruddur-messages"), targets()) == {
        "DATABASE_URL": "postgresql://ann:pass@127.0.0.1:5433/shop",
        "CONNECTION_URL": "postgresql://ann:pass@127.0.0.1:5433/shop",
        "PGHOST": "127.0.0.1",
        "PGPORT": "5433",
        "PGUSER": "ann",
        "PGPASSWORD": "pass",
        "PGDATABASE": "shop",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8001",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "BACKEND_URL": "http://127.0.0.1:4567",
        "DDB_MESSAGE_TABLE": "cruddur-messages",
    }


def test_a_url_survives_any_name_and_password() -> None:
    hostile = {"user": "a:b@c/d", "password": "p@ss:w/rd?#%&é ", "database": "my db/ü?"}
    url = urlsplit(connection_environment(settings(), targets(**hostile))["DATABASE_URL"])
    assert (url.hostname, url.port) == ("127.0.0.1", 5433)
    assert unquote(url.username or "") == hostile["user"]
    assert unquote(url.password or "") == hostile["password"]
    assert unquote(url.path[1:]) == hostile["database"]


def test_own_variables_may_name_the_stores_and_replace_the_usual_ones() -> None:
    found = connection_environment(
        settings(
            PROD_URL="{postgres_url}?x={region}",
            AWS_ENDPOINT="{dynamodb_url}",
            API="{backend_url}/api",
            SIGNING="{key}",
            PGDATABASE="other",
            BRACES="{unknown} {}",
        ),
        targets(),
    )
    assert found["PROD_URL"] == "postgresql://ann:pass@127.0.0.1:5433/shop?x=eu-west-1"
    assert found["AWS_ENDPOINT"] == "http://127.0.0.1:8001"
    assert found["API"] == "http://127.0.0.1:4567/api"
    assert found["SIGNING"] == "dev-key"
    assert found["PGDATABASE"] == "other"
    assert found["BRACES"] == "{unknown} {}"


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert connection_environment(settings(X="{postgres_url}"), targets(password="{key}"))["PGPASSWORD"] == "{key}"
    hostile = targets()
    hostile = replace(hostile, services={**hostile, "backend": ProcessTarget("http://h/{key}", 80)})
    assert connection_environment(settings(X="{backend_url}"), hostile)["X"] == "http://h/{key}"


def test_secrets_do_not_show_in_a_repr() -> None:
    assert "pass" not in repr(targets().postgres)
    assert "secret" not in repr(targets().dynamodb)
    assert "dev-key" not in repr(targets())
