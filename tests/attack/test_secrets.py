"""Secrets stay secret: a property over every place where one can stand and every output of every command.

The secrets are drawn anew in each run (`ATTACK_SEED` repeats one); no part of them may be in any text or file.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import shutil
import string
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.attack.outside import Outside
from tests.attack.places import data_home
from tests.e2e import world
from tests.support import ProjectDir, empty_project, reference_project
from tests.ui import live_page

SEED = int(os.environ.get("ATTACK_SEED") or random.SystemRandom().randrange(1 << 32))
# What makes a URL ambiguous when it is not percent-encoded.
AWKWARD = "/@#%?:&="
CASE = Path(__file__).parent / "secret_in_url"


class Draw:
    """Random secrets, all remembered. `parts`: what may not be seen of them, even alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.parts: dict[str, str] = {}

    def word(self, length: int = 14) -> str:
        letters = self._random.choices(string.ascii_letters + string.digits, k=length - 2)
        return "".join([self._random.choice(string.ascii_letters), *letters, self._random.choice(string.digits)])

    def secret(self, where: str) -> str:
        """Plain letters and digits."""
        made = self.word()
        self.parts[made] = where
        return made

    def awkward(self, where: str) -> str:
        """Two words around a character that ends something in a URL."""
        first, second = self.word(9), self.word(9)
        self.parts |= {first: where, second: where}
        return f"{first}{self._random.choice(AWKWARD)}{second}"

    def seen_in(self, text: str) -> list[str]:
        return sorted({f"{where}: {part}" for part, where in self.parts.items() if part in text})


def variables(draw: Draw, prefix: str) -> dict[str, str]:
    """Variables with secrets, by name, by form, and by nothing at all."""
    basic = base64.b64encode(f"me:{draw.secret('basic')}".encode()).decode()
    draw.parts[basic] = "basic, encoded"
    made = {
        "MY_PASS": draw.secret("MY_PASS"),
        "PASSPHRASE": draw.secret("PASSPHRASE"),
        "STRIPE_KEY": draw.secret("STRIPE_KEY"),
        "SIGNING_KEY": draw.secret("SIGNING_KEY"),
        "CREDENTIALS": draw.secret("CREDENTIALS"),
        "API_TOKEN": draw.secret("API_TOKEN"),
        "HARMLESS": draw.secret("HARMLESS"),
        "MAIL": f"smtp://user:{draw.awkward('smtp')}@mail.example:25",
        "REDIS_URL": f"redis://:{draw.awkward('redis')}@127.0.0.1:6379/0",
        "OTHER_DATABASE": f"postgresql://me:{draw.awkward('postgres url')}@127.0.0.1:5432/shop",
        "ENCODED": f"postgresql://me:{quote(draw.awkward('encoded url'), safe='')}@127.0.0.1:5432/shop",
        "DSN": f"host=127.0.0.1 user=me password={draw.secret('dsn')} dbname=shop",
        "QUOTED_DSN": f"host=127.0.0.1 password='{draw.word(5)} {draw.secret('quoted dsn')}' dbname=shop",
        "ADO": f"Server=127.0.0.1;User Id=me;Password={draw.secret('ado')};",
        "QUERY": f"http://127.0.0.1:1/path?user=me&password={draw.secret('query')}&sslmode=disable",
        "SIGNED": f"https://b.example/o?X-Amz-Signature={draw.secret('signature')}&sig={draw.secret('sig')}",
        "AUTHORIZATION": f"Basic {basic}",
        "HEADER": f"Bearer {draw.secret('bearer')}",
    }
    return {f"{prefix}{name}": value for name, value in made.items()}


def table(values: dict[str, str]) -> str:
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())


def call_through_the_tap(project: ProjectDir, draw: Draw) -> None:
    """A request with secrets where one can carry them: header, cookie, parameter, body."""
    url = f"{project.env()['BACKEND_URL']}/api/message_groups?access_token={draw.secret('parameter')}"
    headers = {"Authorization": f"Bearer {draw.secret('request bearer')}", "Cookie": f"session={draw.secret('cookie')}"}
    body = json.dumps({"password": draw.secret("request body")}).encode()
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30).close()


@dataclass(frozen=True)
class Loaded:
    project: ProjectDir
    draw: Draw
    shell: dict[str, str]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """A started project with secrets wherever one can stand."""
    draw = Draw(SEED)
    project = reference_project(tmp_path_factory.mktemp("secrets") / "project")
    file = project.path / "devenv.toml"
    text = file.read_text()
    text = text.replace("[env]\n", f"[env]\n{table(variables(draw, 'E_'))}\n", 1)
    own = "env = { CORS_ORIGINS"
    assert own in text
    inline = ", ".join(f"{name} = {json.dumps(value)}" for name, value in variables(draw, "B_").items())
    text = text.replace(own, f"env = {{ {inline}, CORS_ORIGINS", 1)
    text += f"""
[patterns.keyed]
sql = "SELECT 1"
[trace.keyed]
pattern = "keyed"
[trace.keyed.request]
path = "/"
headers = {{ X-Api-Key = "{draw.secret("header")}", Authorization = "Token {draw.secret("token header")}" }}
[external]
postgres = "postgresql://me:{draw.awkward("external.postgres")}@127.0.0.1:5432"
password = "{draw.secret("external.password")}"
dynamodb = "http://127.0.0.1:8000"
access_key = "AKIAIOSFODNN7AAAAAAA"
secret_key = "{draw.secret("external.secret_key")}"
session_token = "{draw.secret("external.session_token")}"
"""
    file.write_text(text)
    shell = {
        "DATABASE_URL": f"postgresql://me:{draw.awkward('shell url')}@127.0.0.1:5432/shop",
        "CONNECTION_URL": f"postgresql://me:{draw.awkward('shell url')}@db:5432/shop",
        "PGPASSWORD": draw.secret("PGPASSWORD"),
        "AWS_SECRET_ACCESS_KEY": draw.secret("AWS_SECRET_ACCESS_KEY"),
        "AWS_SESSION_TOKEN": draw.secret("AWS_SESSION_TOKEN"),
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://me:{draw.awkward('endpoint')}@127.0.0.1:8000",
    }
    shell |= variables(draw, "S_")
    try:
        project.ok("up", "--tap", **shell)
        project.ok("snapshot", "save", "before")
        call_through_the_tap(project, draw)
        kept = json.loads((data_home(project.path.resolve()) / "secrets.json").read_text())
        draw.parts |= {value: f"secrets.json {name}" for name, value in kept.items()}
        log = project.path / ".devstate" / "logs" / "backend.log"
        with log.open("a") as lines:
            lines.write(f"password={kept['password']} key {kept['key']} postgresql://u:{kept['password']}@h/d\n")
            lines.write(f"Authorization: Bearer {draw.secret('log bearer')}\n")
            lines.write(f"connecting to redis://:{draw.awkward('log url')}@h:6379\n")
        yield Loaded(project, draw, shell)
    finally:
        project.remove()


COMMANDS: list[tuple[str, ...]] = [
    ("status",),
    ("ps",),
    ("logs", "--tail", "500"),
    ("config", "show"),
    ("config", "check"),
    ("doctor", "--bundle", "{out}/bundle"),
    ("db", "SELECT 1"),
    ("db", "SELECT * FROM nowhere"),
    ("ddb", "list-tables"),
    ("ddb", "sql", "nonsense"),
    ("verify", "--findings", "{out}/findings", "--plan", "{out}/plan"),
    ("snapshot", "list"),
    ("snapshot", "diff", "before"),
    ("requests", "--otlp", "{out}/spans"),
    ("trust", "--list"),
    ("self", "show"),
    ("parts", "list"),
    ("completion", "bash"),
    ("trace", "--stress", "--list"),
    ("patterns", "check"),
    ("patterns", "matrix", "--html", "{out}/matrix"),
    ("policy",),
    ("up", "--dry-run"),
    ("up",),
    ("trace", "conversation", world.TELESCOPE, "--html", "{out}/page", "--otlp", "{out}/lines", "--show-payloads"),
    ("--engine-external",),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.matrix(7)
def test_no_secret_is_in_any_output(loaded: Loaded, tmp_path: Path, words: tuple[str, ...], form: str) -> None:
    asked = [word.replace("{out}", str(tmp_path)) for word in words]
    more: dict[str, str] = {}
    if words == ("--engine-external",):
        asked, more = ["status", "--engine", "external"], {}
    ran = loaded.project.devenv("--json" if form == "json" else "-v", *asked, **loaded.shell, **more)
    assert "Traceback" not in ran.err
    assert loaded.draw.seen_in(ran.all) == [], f"ATTACK_SEED={SEED}"
    for file in tmp_path.iterdir():
        assert loaded.draw.seen_in(file.read_text()) == [], f"{file.name} ATTACK_SEED={SEED}"


def test_no_secret_is_on_a_live_page(loaded: Loaded) -> None:
    key = loaded.project.env()["AUTH_SECRET"]
    with psycopg.connect(loaded.project.env()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (id int PRIMARY KEY, harmless text)")
        connection.execute("INSERT INTO kept VALUES (1, %s)", (key,))
    with live_page(loaded.project, **loaded.shell) as page:
        for path in ("/", "/logs", "/data", "/trace", "/requests", "/patterns", "/doctor"):
            for form in ("", "?format=json"):
                answer = page.ask(f"{path}{form}")
                assert answer.status == 200, (path, answer.text)
                assert loaded.draw.seen_in(answer.text) == [], f"{path} ATTACK_SEED={SEED}"
        for form in ("", "&format=json"):
            answer = page.ask(f"/data?table=public.kept{form}")
            assert "harmless" in answer.text
            assert key not in answer.text


def test_what_devenv_keeps_has_no_secret_but_in_its_place(loaded: Loaded) -> None:
    state = loaded.project.path / ".devstate"
    files = [file for file in state.rglob("*") if file.is_file() and "logs" not in file.parts]
    files = [file for file in files if file.name not in ("secrets.json",) and "postgres" not in file.parts]
    assert files
    for file in files:
        assert loaded.draw.seen_in(file.read_text(errors="replace")) == [], file


def test_env_gives_them(loaded: Loaded) -> None:
    """Its job; and a proof that the secrets are really there."""
    env = loaded.project.env()
    assert loaded.draw.seen_in(env["E_MY_PASS"]) != []
    assert loaded.draw.seen_in(env["PGPASSWORD"]) != []


def test_what_equals_a_generated_secret_is_masked_wherever_it_is(loaded: Loaded) -> None:
    key = loaded.project.env()["AUTH_SECRET"]
    ran = loaded.project.devenv("db", f"SELECT '{key}' AS harmless")
    assert key not in ran.all
    assert "****" in ran.out
    ran = loaded.project.devenv("db", f"SELECT '{key}' AS harmless", "--json")
    assert key not in ran.all


def test_what_is_no_secret_is_shown(loaded: Loaded) -> None:
    shown = {row["key"]: row["value"] for row in loaded.project.json("config", "show")["settings"]}
    assert shown["env.DDB_MESSAGE_TABLE"] == world.TABLE
    assert shown["env.AUTH_SECRET"] == "{key}"
    assert shown["backend.env.CORS_ORIGINS"] == "http://localhost:3000,http://127.0.0.1:3000"
    assert shown["patterns.messages.key.pk"] == "MSG#{message_group_uuid}"
    assert shown["token.env"] == "AUTH_SECRET"


# --- init ---


def test_init_copies_no_secret(tmp_path: Path) -> None:
    draw = Draw(SEED + 1)
    values = variables(draw, "")
    values.pop("HARMLESS")  # nothing about it tells; init copies only from files that people share
    values["DATABASE_URL"] = f"postgresql://me:{draw.awkward('DATABASE_URL')}@db:5432/shop"
    (tmp_path / "schema.sql").write_text("CREATE TABLE users (id uuid PRIMARY KEY);")
    lines = "\n".join(f"      {name}: {json.dumps(value.replace('$', '$$'))}" for name, value in values.items())
    (tmp_path / "docker-compose.yml").write_text(
        "services:\n  db: {image: 'postgres:16', ports: ['5432:5432']}\n"
        f"  api:\n    build: .\n    command: python app.py\n    environment:\n{lines}\n"
    )
    (tmp_path / ".env.example").write_text("\n".join(f"X_{name}={value}" for name, value in values.items()))
    project = ProjectDir(tmp_path)
    ran = project.devenv("init")
    assert ran.code == 0, ran.all
    assert draw.seen_in(ran.all) == [], f"ATTACK_SEED={SEED}"
    for file in (file for file in tmp_path.rglob("*") if file.is_file() and file.name != "docker-compose.yml"):
        if file.name != ".env.example":
            assert draw.seen_in(file.read_text()) == [], f"{file.name} ATTACK_SEED={SEED}"
    assert 'database = "shop"' in (tmp_path / "devenv.toml").read_text()


@pytest.mark.parametrize("sign", ["/", "@", "#", "?", "%"])
@pytest.mark.matrix(3)
def test_a_password_with_a_sign_that_must_be_encoded(tmp_path: Path, sign: str) -> None:
    """The case `secret-in-url`: no part of it anywhere, and doctor says what to write."""
    for name in ("docker-compose.yml", "schema.sql"):
        text = (CASE / name).read_text()
        (tmp_path / name).write_text(text.replace("Som/mer", f"Som{sign}mer").replace("Her/bst", f"Her{sign}bst"))
    project = ProjectDir(tmp_path)
    said = project.ok("init").all
    text = (tmp_path / "devenv.toml").read_text()
    for shown in (said, text):
        assert [part for part in ("2026", "Som", "Her") if part in shown] == []
    # It is named, though its value is not copied.
    assert "REDIS_URL" in said
    url = f"postgresql://me:Som{sign}mer2026@db:5432/shop"
    for words in (("doctor", "--bundle", str(tmp_path / "b.json")), ("doctor", "-v"), ("doctor", "--json")):
        ran = project.devenv(*words, DATABASE_URL=url)
        assert "mer2026" not in ran.all
        assert "Som" not in ran.all
        if sign in "/#?":
            assert quote(sign, safe="") in ran.all, ran.all
    assert "mer2026" not in (tmp_path / "b.json").read_text()
    assert "Som" not in (tmp_path / "b.json").read_text()
    shutil.rmtree(tmp_path / ".devstate", ignore_errors=True)


@pytest.mark.parametrize(
    "line",
    [
        'engine = "{s}"',
        'name = "a b {s}"',
        "name = {s}",
        'name = "x" {s}',
        '[postgres]\nport = "{s}"',
        "[postgres]\nport = {s}",
        '[external]\npassword = ["{s}"]',
        '[external]\nregion = "{s}_"',
        '[env]\nA = ["{s}"]',
        "[env]\nA = '{s}",
        '[backend]\ncommand = "{s}"',
        '[env]\nLD_PRELOAD = "{s}"',
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.matrix(4)
def test_an_error_of_the_parser_quotes_no_value(tmp_path: Path, line: str, form: str) -> None:
    draw = Draw(SEED + 2)
    head = "" if line.startswith("name") else 'name = "x"\n'
    project = empty_project(tmp_path / "p", f"[project]\n{head}{line.replace('{s}', draw.secret(line))}\n")
    ran = project.devenv("config", "check", *(["--json"] if form == "json" else []))
    assert ran.code == 2, ran.all
    assert draw.seen_in(ran.all) == [], ran.all


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVENV_POSTGRES_PORT", "{s}"),
        ("DEVENV_DYNAMODB_REGION", "{s}!"),
        ("DEVENV_EXTERNAL_POSTGRES", "postgresql://me:{a}@h:x/y"),
        ("DEVENV_EXTERNAL_POSTGRES", "{s}"),
        ("DEVENV_EXTERNAL_DYNAMODB", "http://me:{a}@h:1"),
        ("DEVENV_ENGINE", "{s}"),
    ],
)
@pytest.mark.matrix(3)
def test_an_error_about_a_variable_quotes_no_value(tmp_path: Path, name: str, value: str) -> None:
    draw = Draw(SEED + 3)
    filled = value.replace("{s}", draw.secret(name)).replace("{a}", draw.awkward(name))
    project = empty_project(tmp_path / "p", '[project]\nname = "x"\nengine = "external"\n')
    for words in (("status",), ("config", "show"), ("db", "select 1")):
        for form in ([], ["--json"]):
            ran = project.devenv(*words, *form, **{name: filled})
            assert draw.seen_in(ran.all) == [], ran.all


def test_nothing_here_is_vacuous() -> None:
    draw = Draw(SEED)
    values: dict[str, Any] = variables(draw, "")
    assert len(draw.parts) > 20
    assert draw.seen_in(" ".join(values.values())) != []


def test_a_pattern_shows_no_role_s_password(outside: Outside, tmp_path: Path) -> None:
    """Not what Postgres keeps of it either: a weak one can be found from that."""
    text = '[patterns.p]\nsql = "SELECT rolpassword AS a FROM pg_authid WHERE rolpassword IS NOT NULL"\n'
    clone = outside.folder(tmp_path / "clone", text)
    for words in ((), ("--json",)):
        ran = clone.ok("patterns", "run", "p", *words)
        assert "****" in ran.out
        assert "SCRAM" not in ran.all
