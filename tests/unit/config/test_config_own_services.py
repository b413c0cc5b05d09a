"""`[services.<name>]`: their order, their placeholders, and each mistake with its line and a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.config import kinds
from devenv.config.environment import connection_environment, fill_places, placeholder_values
from devenv.config.load import load
from devenv.config.services import circle, in_order, own_places, own_services, with_needed
from devenv.core.errors import Exit, UsageError
from devenv.core.model import DynamoTarget, PostgresTarget, ProcessTarget, Targets
from devenv.engines.kinds import registry

MANY = """\
[project]
name = "many"

[backend]
command = ["serve", "{port}"]

[services.frontend]
command = ["node", "server.mjs", "{port}"]
port = 3000
depends_on = ["backend", "group-rows"]
ready = { http = "/" }
env = { API = "{backend_url}", ROWS = "{group_rows_port}" }

[services.group-rows]
command = ["work", '{"a": {b}}', "{python}"]
port = 0

[env]
FRONTEND = "{frontend_url}"
"""


def refused(folder: Path, text: str) -> list[str]:
    (folder / "devenv.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load(folder, {})
    assert caught.value.exit_code == Exit.USAGE
    return (caught.value.detail or "").splitlines()


def test_each_stands_behind_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(MANY)
    own = own_services(load(tmp_path, {}).settings)
    assert list(own) == ["backend", "group-rows", "frontend"]
    assert own["backend"].depends_on == ("postgres", "dynamodb")
    assert (own["group-rows"].url, own["frontend"].section) == ("http://127.0.0.1:{port}", "[services.frontend]")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"group-rows"]', '"group-row"]', "[services.frontend] depends_on: there is no service `group-row`; did you"),
        ("API = ", 'X = "{front_url}", API = ', "{front_url} is unknown"),
        ("{backend_url}", "{backend_ulr}", "{backend_ulr} is unknown; did you mean `{backend_url}`"),
        ('"server.mjs", "{port}"', '"server.mjs", "{prot}"', "[services.frontend] command: {prot} is unknown"),
        (
            "port = 0",
            'depends_on = ["frontend"]\nport = 0',
            "frontend -> group-rows -> frontend: these services depend",
        ),
        ("[services.group-rows]\n", '[services.group-rows]\ndepends_on = ["group-rows"]\n', "group-rows -> group-rows"),
        ('"work"', '"work", "{port}"', None),
        ("port = 0", "", "{group_rows_port}: [services.group-rows] has no port"),
        ("port = 0", "ready = { tcp = true }", "`tcp` needs a port"),
        ('ready = { http = "/" }', 'ready = { http = "up" }', "`http` must be a path, such as `/up`"),
        ('ready = { http = "/" }', 'ready = { log = "(" }', "`log` must be a regular expression"),
        ('command = ["node", "server.mjs", "{port}"]\n', "", "[services.frontend]: needs a command"),
        ("[services.group-rows]", '[services.group_rows]\ncommand = ["x"]\n[services.group-rows]', "same placeholder"),
        ("[services.group-rows]", '[services.steps]\ncommand = ["x"]\n[services.group-rows]', "`steps` is reserved by"),
        ("[services.frontend]\n", '[services.frontend]\nurl = "http://x:{prot}"\n', "{prot} is unknown; did you mean"),
        ("{frontend_url}", "{fronted_url}", "[env] FRONTEND: {fronted_url} is unknown; did you mean `{frontend_url}`"),
        ('["serve", "{port}"]', '["serve"]\ndepends_on = ["frontend"]', "these services depend on each other"),
    ],
)
def test_each_mistake_is_refused_with_its_line(tmp_path: Path, old: str, new: str, says: str | None) -> None:
    assert MANY.count(old) == 1
    text = MANY.replace(old, new)
    if says is None:
        (tmp_path / "devenv.toml").write_text(text)
        load(tmp_path, {})
        return
    told = refused(tmp_path, text)
    assert any(says in line and line.split(":")[1].isdecimal() for line in told), told


def test_all_mistakes_come_in_one_pass(tmp_path: Path) -> None:
    text = MANY.replace('"group-rows"]', '"nothing"]').replace("{backend_url}", "{backnd_url}")
    assert len(refused(tmp_path, text.replace("{frontend_url}", "{it_url}"))) == 3


@pytest.mark.parametrize("variable", ["LD_PRELOAD", "PATH", "PYTHONPATH", "NODE_OPTIONS"])
def test_variables_of_the_loader_are_refused(tmp_path: Path, variable: str) -> None:
    (tmp_path / "devenv.toml").write_text(MANY.replace("API = ", f'{variable} = "x", API = '))
    with pytest.raises(UsageError, match=rf"may not set {variable} in \[services.frontend\] env"):
        load(tmp_path, {})


@pytest.mark.parametrize("name", ["Front", "a b", "1st", "a.b"])
def test_names_fit_placeholders_and_logs(tmp_path: Path, name: str) -> None:
    (tmp_path / "devenv.toml").write_text(MANY.replace("[services.frontend]", f'[services."{name}"]'))
    with pytest.raises(UsageError):
        load(tmp_path, {})


REDIS = '[project]\nname = "x"\n\n[services.cache]\nkind = "redis"\n'


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('command = ["redis-server"]', '[services.cache] command: is not a key of a service with kind = "redis"'),
        ('stream = "t"', '[services.cache] stream: is not a key of a service with kind = "redis"'),
        ('url = "redis://x"', '[services.cache] url: is not a key of a service with kind = "redis"'),
        ('depends_on = ["nothing"]', "there is no service `nothing`"),
        (
            '[services.web]\ncommand = ["x"]\nimage = "y"',
            '[services.web] image: is not a key of a service with kind = "process"',
        ),
        ('[services.web]\nkind = "reddis"\ncommand = ["x"]', "there is no kind `reddis`; did you mean `redis`"),
        ('[env]\nX = "{cache_pasword}"', "{cache_pasword} is unknown; did you mean `{cache_password}`"),
    ],
)
def test_each_kind_has_its_own_keys(tmp_path: Path, more: str, says: str) -> None:
    assert any(says in line for line in refused(tmp_path, f"{REDIS}{more}\n"))


def test_a_kind_gives_what_its_section_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(REDIS)
    settings = load(tmp_path, {}).settings
    cache = own_services(settings)["cache"]
    assert (cache.port, cache.url, cache.runs, cache.ready.tcp) == (6379, "redis://127.0.0.1:{port}/0", True, True)
    assert own_places(settings) == ["cache_url", "cache_port", "cache_password"]
    # Two of them: the variable is the first one's, unless [env] says otherwise.
    targets = Targets.of(
        PostgresTarget("127.0.0.1", 5432, "me", "p/w"),
        DynamoTarget("http://127.0.0.1:8000", "us-east-1", "a", "b"),
        own={name: ProcessTarget(name, 1, "secret", {"REDIS_URL": f"redis://{name}"}) for name in ("cache", "other")},
    )
    assert connection_environment(settings, targets)["REDIS_URL"] == "redis://cache"
    assert placeholder_values(settings, targets)["other_password"] == "secret"


def test_every_kind_has_keys_and_a_class() -> None:
    folder = Path(registry.__file__).parent
    files = {file.stem for file in folder.glob("*.py")} - {"__init__", "kind", "registry"}
    assert {kind.name for kind in kinds.KINDS} == files
    assert [registry.load(kind.name).name for kind in kinds.KINDS] == [kind.name for kind in kinds.KINDS]


def test_the_order_is_kept_where_nothing_is_needed() -> None:
    assert in_order({"a": ["c"], "b": [], "c": []}) == ["b", "c", "a"]
    assert in_order({"a": ["b"], "b": ["a"], "c": []}) == ["c", "a", "b"]
    assert circle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    assert circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []
    assert with_needed(["a"], {"a": ["b"], "b": ["x"], "c": ["a"]}) == {"a", "b", "x"}


def test_placeholders_are_filled_in_and_other_braces_stay(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(MANY)
    targets = Targets.of(
        PostgresTarget("127.0.0.1", 5432, "me", "p/w"),
        DynamoTarget("http://127.0.0.1:8000", "us-east-1", "a", "b"),
        own={"group-rows": ProcessTarget("http://127.0.0.1:9", 9), "frontend": ProcessTarget("http://127.0.0.1:7", 7)},
    )
    settings = load(tmp_path, {}).settings
    values = placeholder_values(settings, targets)
    assert fill_places("{group_rows_url}/{group_rows_port} {x} {{x}} {{key}}", values) == (
        "http://127.0.0.1:9/9 {x} {{x}} {key}"
    )
    assert fill_places("redis://{group_rows_url}", values) == "redis://127.0.0.1:9"
    assert fill_places("{postgres_url}", values) == "postgresql://me:p%2Fw@127.0.0.1:5432/postgres"
    assert connection_environment(settings, targets)["FRONTEND"] == "http://127.0.0.1:7"
