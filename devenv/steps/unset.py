"""Variables that a program reads and that have no value: why a step may have died. Pure but for reading its files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from devenv.core.late import late

# How languages read a variable, without a value for when it is not there.
READS: Final = tuple(
    late(pattern)
    for pattern in (
        r"""(?:getenv|environ\.get)\(\s*["'](\w+)["']\s*(?:\)(?!\s*or\b)|,\s*None\s*\))""",
        r"""environ\[\s*["'](\w+)["']\s*\]""",
        r"""process\.env\.([A-Z_]\w*)(?!\s*(?:\|\||\?\?|=[^=]))""",
        r"""process\.env\[\s*["'](\w+)["']\s*\]""",
        r"""\bENV(?:\[\s*|\.fetch\(\s*)["'](\w+)["']\s*[\])]""",
        r"""(?:os\.(?:Getenv|LookupEnv)|System\.getenv)\(\s*"(\w+)"\s*\)""",
    )
)
SHELL: Final = late(r"\$\{?([A-Z][A-Z0-9_]+)(?:\}|(?=[^\w:}-])|$|:\?)")
SUFFIXES: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".go", ".java", ".kt", ".sh", ".bash", "")
SHOWN: Final = 3
# What programs say of a variable that is missing; the frame of os.environ[…] in a traceback of Python.
MISSING: Final = late(
    r"""KeyError: ['"]([A-Z][A-Z0-9_]+)['"]"""
    r"""|\b([A-Z][A-Z0-9_]{2,})\b['"`]?[^\n]{0,30}\b(?:not (?:set|defined|provided)|missing|required|unset|undefined)"""
    r"""|(?:[Mm]issing|[Rr]equired?s?|[Uu]nset)\b[^\n]{0,40}?\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b"""
)
# Of pydantic-settings: the class, and each field that got no value.
CHECKED: Final = late(r"^.*\bvalidation errors? for (\w+)$", re.MULTILINE)
REQUIRED: Final = late(r"^\s*(\w+)\n\s+[Ff]ield required\b", re.MULTILINE)
PREFIX: Final = late(r"""\benv_prefix\s*=\s*["'](\w*)["']""")
OF_OS: Final = late(r"""<frozen os>|/os\.py['"]""")
# What a variable is for, by the line that reads it.
USED: Final = (
    (late(r"endpoint(_url)?['\"]?\s*[=:]", re.IGNORECASE), "{dynamodb_url}"),
    (
        late(r"\b(psycopg\w*|asyncpg)\.connect\(|create_engine\(|ConnectionPool\(|connectionString"),
        "{postgres_url}",
    ),
)
BYTES: Final = 200_000
# A setting that people give a database by, with or without the name of the application before it, and what stands for
# it in [env].
MEANT: Final = (
    (r"ENDPOINT|AWS_ENDPOINT(_URL)?(_DYNAMODB)?|(\w+_)?(DYNAMO\w*|DDB)_(URL|URI|ENDPOINT\w*)", "{dynamodb_url}"),
    (r"(\w+_)?(DYNAMO\w*|DDB)_HOST\w*", "{dynamodb_host}"),
    (r"(\w+_)?(DYNAMO\w*|DDB)_PORT", "{dynamodb_port}"),
    (r"(\w+_)?(CONNECTION|DATABASE|POSTGRES\w*|PG|DB)_(URL|URI|DSN)|DSN", "{postgres_url}"),
    (r"\w*(DB|DATABASE|PG|POSTGRES)\w*HOST\w*", "{postgres_host}"),
    (r"\w*(DB|DATABASE|PG|POSTGRES)\w*PORT", "{postgres_port}"),
    (r"\w*(DB|DATABASE|DATASOURCE|PG|POSTGRES)\w*USER\w*", "{postgres_user}"),
    (r"\w*(DB|DATABASE|DATASOURCE|PG|POSTGRES)\w*PASS\w*", "{postgres_password}"),
    (r"(\w+_)?(DB|DATABASE|PG|POSTGRES)_?(NAME|DATABASE|DB)", "{postgres_database}"),
    # What an application signs its own tokens or cookies with: any value does that is always the same.
    (
        r"(\w+_)?(JWT|SESSION|COOKIE)_((ACCESS|REFRESH)_(TOKEN_)?)?SECRET(_KEY)?|((ACCESS|REFRESH)_)?(TOKEN|AUTH)_SECRET|((FLASK|DJANGO|APP)_)?SECRET_KEY(_BASE)?",
        "{key}",
    ),
)
# Other stores; and databases that a tool or a test empties: only a part of the name is the same.
OTHERS: Final = late(
    r"REDIS|CACHE|MONGO|MYSQL|MARIADB|KAFKA|ELASTIC|CLICKHOUSE|SENTRY|SQLITE|INFLUX|NEO4J|COUCH|RABBIT"
    r"|(^|_)(TEST|SHADOW)(_|$)"
)


def find_unset(root: Path, command: Sequence[str], output: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Variable -> `file:line` where it is read without a value. The files of a traceback come first."""
    found: dict[str, str] = {}
    for file in program_files(root, command, output):
        for name, line in reads(file):
            if name not in environ:
                found.setdefault(name, f"{file.relative_to(root.resolve())}:{line}")
    return found


def program_files(root: Path, command: Sequence[str], output: str) -> Iterator[Path]:
    """The project's files that the output names, then those that the command names."""
    named = re.findall(r"""(?:File ")?((?:/|\./|\w:\\)?[\w./\\-]+\.(?:py|[cm]?js|ts|rb|go|sh))\b""", output)
    modules = [word.replace(".", "/") + ".py" for word in command if re.fullmatch(r"\w+(\.\w+)*", word)]
    whole = root.resolve()
    for name in dict.fromkeys([*re.findall(r'File "([^"]+)"', output), *named, *command, *modules]):
        try:
            file = (whole / name).resolve()
            inside = file.is_relative_to(whole) and not {"node_modules", "site-packages"} & set(file.parts)
            if inside and file.suffix in SUFFIXES and file.is_file():
                yield file
        except (OSError, ValueError):
            continue


def reads(file: Path) -> Iterator[tuple[str, int]]:
    """(variable, line) of every variable that a program reads without a value in its place."""
    with file.open("rb") as content:
        text = content.read(BYTES).decode("utf-8", "replace")
    shell = file.suffix in (".sh", ".bash") or re.match(r"#!.*\b(ba|da|z)?sh\b", text)
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in (SHELL,) if shell else READS:
            for match in pattern.finditer(line):
                yield match[1], number


def named_unset(root: Path, command: Sequence[str], output: str) -> dict[str, str]:
    """Variable -> `file:line` (or "") of those that a program's last words say are missing."""
    known = find_unset(root, command, output, {})
    names = [found[1] or found[2] or found[3] for found in MISSING.finditer(output)]
    own = [name for name in names if name in known or OF_OS.search(output) or "_" in name]
    return {name: known.get(name, "") for name in own} | unset_fields(root, command, output)


def unset_fields(root: Path, command: Sequence[str], output: str) -> dict[str, str]:
    """Variable -> `file:line` of the fields that a settings class of the project (pydantic-settings) says are missing.

    pydantic names the field, without the prefix that its variable has.
    """
    found: dict[str, str] = {}
    checked = CHECKED.findall(output)
    if not checked:
        return found
    head = re.compile(rf"^class {checked[-1]}\(.*\bBaseSettings\b.*\):", re.MULTILINE)
    for file in program_files(root, command, output):
        text = file.read_text(errors="replace")[:BYTES]
        if (start := head.search(text)) is None:
            continue
        body = re.split(r"^(?=\S)", text[start.end() :].lstrip("\n"), maxsplit=1, flags=re.MULTILINE)[0]
        prefix = PREFIX.search(body)
        for name in REQUIRED.findall(output):
            at = re.search(rf"^\s+{name}\s*:", text[start.end() :], re.MULTILINE)
            # An alias is the variable's whole name.
            whole = f"{prefix[1] if prefix and at else ''}{name}".upper()
            line = text.count("\n", 0, start.end() + at.end()) + 1 if at else text.count("\n", 0, start.end()) + 1
            found[whole] = f"{file.relative_to(root.resolve())}:{line}"
    return found


def explain(unset: Mapping[str, str], root: Path | None = None) -> tuple[str, str]:
    """(cause, hint) for variables without a value."""
    shown = list(unset.items())[:SHOWN]
    cause = "; ".join(f"it reads {name}{f' ({place})' if place else ''}, which has no value" for name, place in shown)
    lines = ", ".join(f'{name} = "{meaning_at(root, name, place)}"' for name, place in shown)
    return cause, f"give it one in devenv.toml: [env] {lines}"


def meaning_at(root: Path | None, name: str, place: str) -> str:
    """The placeholder for a variable by its name, else by the line that reads it."""
    known = meaning(name)
    file, _, line = place.rpartition(":")
    if known != "…" or root is None or not line.isdigit():
        return known
    try:
        text = (root / file).read_text(errors="replace")[:BYTES].splitlines()[int(line) - 1]
    except (OSError, IndexError):
        return known
    return next((meant for form, meant in USED if form.search(text)), known)


def meaning(name: str) -> str:
    """The placeholder that a variable of this name most likely wants; `…` when that is not known."""
    found = None if OTHERS.search(name) else next((place for form, place in MEANT if re.fullmatch(form, name)), None)
    return found or "…"
