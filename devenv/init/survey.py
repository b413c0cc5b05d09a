"""What a folder holds that devenv.toml could be about. Files are read, bounded, and never run or imported."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from devenv.config.masking import split_address
from devenv.host.files import list_files, read_text
from devenv.init.code import Code, read_code
from devenv.init.compose import YAML_BYTES, ComposeFile, read_compose, read_dockerfile, read_dotenv
from devenv.init.names import settle_names, table_variables
from devenv.init.source import parse_python, read_variable
from devenv.init.sql_tables import SqlFile, order_files, read_sql
from devenv.init.tables import Found, read_json_tables, read_python_tables, read_terraform_tables, read_yaml_tables

MOST_FILES: Final = 5_000
MOST_BYTES: Final = 1_000_000
MOST_IN_ALL: Final = 50_000_000
COMPOSE: Final = re.compile(r"(docker-)?compose(\.[\w-]+)?\.ya?ml")
# What people keep to themselves, and what they share.
PRIVATE: Final[tuple[str, ...]] = (".env", ".env.local", ".env.dev")
SHARED: Final[tuple[str, ...]] = (".env.example", ".env.sample", "example.env")
# A script without a suffix, by its first line.
SHEBANG: Final = re.compile(r"#!.*\bpython[\d.]*\b")
# What a Python file must mention to be of interest: parsing all of a large project takes a while.
TELLING: Final = re.compile(r"dynamo|boto3|create_table|KeyCondition|put_item|getenv|environ|@\w+\.(route|get)\(")
DATABASE: Final = re.compile(
    r"CREATE\s+DATABASE\s+\"?([a-z_]\w{0,62})\"?\s*;|\bcreatedb\b[^\n;|&]{0,200}\s([a-z_]\w{0,62})[ \t]*(?=$|[;|&])"
    r"|(?P<url>postgres(?:ql)?://[^\s\"'$<>]{1,400})",
    re.IGNORECASE | re.MULTILINE,
)
INTERPRETERS: Final = (".venv/bin/python", "venv/bin/python", "backend/.venv/bin/python", "backend/venv/bin/python")


@dataclass(frozen=True)
class Survey:
    """Everything that was found.

    `variables` are those of .env files and of the application's service; `shared` those of them that stand in files
    that people share, so that they may be written into another. `commands` are the CMDs of Dockerfiles. `databases`
    are those that scripts make or connect to, the most frequent first.
    """

    root: Path
    compose: ComposeFile | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sql: tuple[SqlFile, ...] = ()
    tables: tuple[Found, ...] = ()
    code: tuple[Code, ...] = ()
    databases: tuple[str, ...] = ()
    python: str | None = None
    left_out: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if there is nothing that devenv.toml could be about."""
        return not (self.compose or self.sql or self.tables)


def survey(root: Path) -> Survey:
    """Look through a folder."""
    texts, left_out = read_texts(root)
    shared = merged(texts, SHARED)
    given = {**shared, **merged(texts, PRIVATE)}
    compose = find_compose(texts, given)
    open_ = find_compose(texts, shared)
    variables = {**given, **known_variables(compose)}
    trees = {name: tree for name, text in texts.items() if is_python(name, text) and (tree := parse_python(text))}
    tables: dict[str, Found] = {}
    for name, text in texts.items():
        if is_large_template(name, text):
            left_out.append(f"{name}: a template of more than {YAML_BYTES // 1000} kB")
        tables_here = [
            *(read_json_tables(name, text) if name.endswith(".json") else ()),
            *(read_yaml_tables(name, text) if name.endswith((".yml", ".yaml")) else ()),
            *(read_terraform_tables(name, text) if name.endswith(".tf") else ()),
            *(read_python_tables(name, trees[name], variables) if name in trees else ()),
        ]
        for each in tables_here:
            tables.setdefault(each.table, each)
    settled = settle_names(tables.values(), variables)
    asked = {each[0] for tree in trees.values() for node in ast.walk(tree) if (each := read_variable(node))}
    variables |= table_variables(sorted(asked), settled, variables)
    keys = frozenset(part["AttributeName"] for each in settled for part in each.request["KeySchema"])
    return Survey(
        root=root,
        compose=compose,
        variables=variables,
        shared={**shared, **known_variables(open_)},
        commands={name: found for name, t in texts.items() if (found := read_dockerfile(name, t))},
        sql=tuple(order_files(f for name, t in texts.items() if name.endswith(".sql") and (f := read_sql(name, t)))),
        tables=settled,
        code=tuple(read_code(name, tree, variables, keys) for name, tree in trees.items()),
        databases=find_databases(texts.values()),
        # Only its name is used; it may well be a link to the system's interpreter.
        python=next((each for each in INTERPRETERS if (root / each).exists()), None),
        left_out=tuple(left_out),
    )


def is_large_template(name: str, text: str) -> bool:
    """Return True if a template may have tables, but is too large to be read."""
    return name.endswith((".yml", ".yaml")) and len(text) > YAML_BYTES and "AWS::DynamoDB::Table" in text


def read_texts(root: Path) -> tuple[dict[str, str], list[str]]:
    """Path -> text of every file that can be of interest, and what was left out that should not be."""
    listing = list_files(root, MOST_FILES)
    left_out = [f"more than {MOST_FILES} files: the rest was not read"] if listing.cut else []
    texts: dict[str, str] = {}
    room = MOST_IN_ALL
    for path in filter(is_wanted, listing.files):
        text = read(root / path, left_out, str(path))
        if text is None:
            continue
        room -= len(text)
        if room < 0:
            left_out.append(f"more than {MOST_IN_ALL // 1_000_000} MB of text: the rest was not read")
            break
        texts[path.as_posix()] = text
    return texts, left_out


def find_databases(texts: Iterable[str]) -> tuple[str, ...]:
    """The databases that texts make (CREATE DATABASE, createdb) or name in a URL, the most frequent first."""
    found = Counter(name for text in texts for each in DATABASE.finditer(text) if (name := database_in(each)))
    return tuple(name for name, _ in found.most_common() if name not in ("postgres", "template1"))


def database_in(found: re.Match[str]) -> str | None:
    """The name in one find; of a URL the part that is a database, whatever its password looks like."""
    if found["url"] is None:
        return found[1] or found[2]
    url = split_address(found["url"])
    plain = url is not None and (not url.port or url.port.isdigit())
    return url.database if url and plain and re.fullmatch(r"[A-Za-z_]\w{0,62}", url.database) else None


def merged(texts: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """The variables of these .env files; of two, the first file's."""
    found: dict[str, str] = {}
    for name in reversed([name for name in names if name in texts]):
        found |= read_dotenv(texts[name])
    return found


def known_variables(compose: ComposeFile | None) -> dict[str, str]:
    """The variables of the application's service that have a value."""
    application = compose.application if compose else None
    return {name: value for name, value in (application.environment if application else {}).items() if value}


def is_wanted(path: PurePath) -> bool:
    """Return True if a file can hold something of interest, by its name: scripts often have no suffix."""
    if path.suffix in (".sql", ".json", ".yml", ".yaml", ".tf", ".py") or path.name in (*PRIVATE, *SHARED):
        return path.name not in ("package.json", "package-lock.json", "tsconfig.json")
    return not path.suffix and not path.name.startswith(".")


def is_python(name: str, text: str) -> bool:
    """Return True if a text is Python that may ask the stores, by its name or first line; tests are no part of it."""
    parts = PurePath(name).parts
    if "tests" in parts or parts[-1].startswith(("test_", "conftest")):
        return False
    python = name.endswith(".py") or bool(SHEBANG.match(text.partition("\n")[0]))
    return python and bool(TELLING.search(text))


def read(path: Path, left_out: list[str], name: str) -> str | None:
    """The text of a file; None when it is binary, too large or unreadable, which is noted where it matters."""
    try:
        text = read_text(path, MOST_BYTES)
        if text is None and path.suffix == ".sql":
            left_out.append(f"{name}: binary, or larger than {MOST_BYTES // 1000} kB")
        return text
    except OSError as error:
        left_out.append(f"{name}: {error.strerror}")
        return None


def find_compose(texts: Mapping[str, str], variables: Mapping[str, str]) -> ComposeFile | None:
    """The uppermost compose file that has one of the stores, or any."""
    names = sorted((n for n in texts if COMPOSE.fullmatch(PurePath(n).name)), key=lambda n: (n.count("/"), len(n), n))
    found = [compose for name in names if (compose := read_compose(name, texts[name], variables))]
    return next((each for each in found if each.postgres or each.dynamodb), next(iter(found), None))
