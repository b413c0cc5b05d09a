"""SQL inside a project's programs: the tables that it asks and fills, and those that nothing makes. By text; pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Final

from devenv.init.code import Code

LANGUAGES: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts", ".go", ".rb", ".java", ".kt", ".cs", ".php")
RUNNERS: Final = {".py": "{python}", ".js": "node", ".mjs": "node", ".cjs": "node", ".sh": "bash", ".rb": "ruby"}
SHELL: Final = re.compile(r"#!.*\b(ba|z)?sh\b")
# A text of a program: in three quotes, in backticks, in double or single quotes on one line.
TEXT: Final = re.compile(
    r'"""(?P<a>.*?)"""|\'\'\'(?P<b>.*?)\'\'\'|`(?P<c>[^`]*)`|"(?P<d>(?:[^"\\\n]|\\.)*)"|\'(?P<e>(?:[^\'\\\n]|\\.)*)\'',
    re.DOTALL,
)
SQL: Final = re.compile(
    r"\s*(?:SELECT\b.+?\bFROM\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s*\()",
    re.IGNORECASE | re.DOTALL,
)
NAME: Final = r'(?:(?:"?(\w+)"?)\.)?"?([A-Za-z_]\w*)"?'
ASKED: Final = re.compile(rf"\b(?:FROM|JOIN)\s+(?:ONLY\s+|LATERAL\s+)?{NAME}(?!\s*\(|[\w.])", re.IGNORECASE)
FILLED: Final = re.compile(rf"\b(?:INSERT\s+INTO|UPDATE)\s+{NAME}", re.IGNORECASE)
WITH: Final = re.compile(r"\b(\w+)(?:\s*\([^)]*\))?\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s*)?\(", re.IGNORECASE)
# `EXTRACT(year FROM at)`, `trim(x FROM y)`, `IS DISTINCT FROM`.
INSIDE: Final = re.compile(r"\b(?:EXTRACT|TRIM|SUBSTRING|OVERLAY)\s*\([^()]*\)|\bDISTINCT\s+FROM\b", re.IGNORECASE)
SYSTEM: Final = re.compile(
    r"pg_\w+|information_schema|dual|lateral|select|unnest|generate_series|values", re.IGNORECASE
)
TESTS: Final = frozenset(("test", "tests", "spec", "specs", "__tests__", "node_modules", "vendor"))
MOST: Final = 300_000
SHOWN: Final = 3
LOADER: Final = re.compile(r"(?:load|import|populate|fill|backfill)(?:[_-]|[A-Z]|er$|$)")
WRITES: Final = re.compile(r"\bput_item\(|\bbatch_writ|\bPutCommand\(|\bPutItemCommand\(|\bBatchWrite")


@dataclass(frozen=True)
class SqlText:
    """One statement of a program: where it is, and the tables that it asks and fills."""

    file: str
    line: int
    asks: frozenset[str]
    fills: frozenset[str]


def read_sql_texts(texts: Mapping[str, str]) -> list[SqlText]:
    """The statements of all programs, tests aside."""
    found = []
    for file, text in texts.items():
        if (not file.endswith(LANGUAGES) and not text.startswith("#!")) or TESTS & set(PurePath(file).parts[:-1]):
            continue
        if len(text) > MOST or not re.search(r"\b(FROM|INTO|UPDATE)\b", text, re.IGNORECASE):
            continue
        for literal in TEXT.finditer(text):
            statement = next((part for part in literal.groups() if part), "")
            if SQL.match(statement):
                found.append(statement_of(file, text.count("\n", 0, literal.start()) + 1, statement))
    return found


def statement_of(file: str, line: int, statement: str) -> SqlText:
    """The tables that a statement asks and fills, without names that it makes itself and tables of Postgres's own."""
    plain = INSIDE.sub("", re.sub(r"--[^\n]*", "", statement))
    own = {name.lower() for name in WITH.findall(plain)}

    def tables(pattern: re.Pattern[str]) -> frozenset[str]:
        names = ((schema or "", name.lower()) for schema, name in pattern.findall(plain))
        return frozenset(
            name
            for schema, name in names
            if name not in own and not SYSTEM.fullmatch(name) and not SYSTEM.fullmatch(schema)
        )

    return SqlText(file, line, tables(ASKED), tables(FILLED))


def unmade_tables(found: Iterable[SqlText], made: Collection[str]) -> list[str]:
    """Sentences about tables that programs use and that no file makes, where files make tables at all."""
    if not made:
        return []
    places: dict[str, list[str]] = {}
    for each in found:
        for name in sorted(each.asks | each.fills):
            if name not in made:
                places.setdefault(name, []).append(f"{each.file}:{each.line}")
    said = []
    for name, where in places.items():
        more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
        said.append(f"{', '.join(where[:SHOWN])}{more}: SQL uses table {name}, but no file found here creates it")
    return said


def find_seed(code: Iterable[Code], loading: Collection[str] = ()) -> Code | None:
    """The script that loads items: it is called a seed, and writes, or imports what does; or is among `loading`."""
    code = tuple(code)
    writers = {PurePosixPath(each.file).stem for each in code if each.writes}
    named = [each for each in code if is_called_seed(each.file)]
    scripts = [*named, *(each for each in code if each.file in loading and each not in named)]
    scripts = [each for each in scripts if each.writes or each.imports & writers]
    # A program of Go is a folder's.
    scripts = [each for each in scripts if not each.file.endswith(".go") or "seed" in each.file.rpartition("/")[0]]
    return min(scripts, key=lambda each: (each not in named, each.file.count("/"), each.file), default=None)


def is_called_seed(file: str) -> bool:
    """Return True for `load_seeds.py`, and for `seed/__main__.py`."""
    path = PurePosixPath(file)
    return "seed" in (path.parent.name if path.stem in ("__main__", "index", "main") else path.name).lower()


def unread_loaders(
    texts: Mapping[str, str], found: Iterable[SqlText], used: Collection[str], sql: Collection[str]
) -> list[str]:
    """Sentences about scripts that may load data and are part of no step: called seed, or beside the SQL files."""
    fills: dict[str, set[str]] = {}
    for each in found:
        fills.setdefault(each.file, set()).update(each.fills)
    folders = {PurePath(name).parent for name in sql}
    said = []
    for file, text in texts.items():
        path = PurePath(file)
        if file in used or TESTS & set(path.parts) or path.suffix not in (*LANGUAGES, "", ".sh", ".bash"):
            continue
        if "seed" in path.stem.lower() and (path.suffix or text.startswith("#!")):
            into = ", ".join(f"`{name}`" for name in sorted(fills.get(file, ())))
            rows = f"it inserts rows into {into}" if into else 'its name contains "seed"'
            said.append(f"{file}: {rows}, but no write to DynamoDB was found in it. {declare(file, text, 'seed')}")
        elif LOADER.match(path.stem) and WRITES.search(text):
            what = "it writes items, and its name says that it loads data"
            said.append(f"{file}: {what}, but no step runs it. {declare(file, text, 'seed')}")
        elif path.parent in folders and is_shell(file, text) and re.search(r"\b(psql|createdb)\b", text):
            what = "devenv did not read this script in the folder of the SQL files"
            said.append(f"{file}: {what}. {declare(file, text, 'setup')}")
    return said


def is_shell(file: str, text: str) -> bool:
    return file.endswith((".sh", ".bash")) or bool(SHELL.match(text))


def declare(file: str, text: str, step: str) -> str:
    """The line for devenv.toml with which a script becomes part of a step."""
    if file.endswith((".ts", ".mts", ".cts")):
        return f"If the script is needed, declare [steps.{step}] command with the program that runs TypeScript here"
    runner = "bash" if is_shell(file, text) else RUNNERS.get(PurePath(file).suffix)
    if runner is None and "python" in text.partition("\n")[0]:
        runner = "{python}"
    words = ", ".join(f'"{word}"' for word in (*([runner] if runner else []), file if runner else f"./{file}"))
    return f"If the script is needed, declare [steps.{step}] command = [{words}]"
