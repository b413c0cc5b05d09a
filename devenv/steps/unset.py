"""Variables that a program reads and that have no value: why a step may have died. Pure but for reading its files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

# How languages read a variable, without a value for when it is not there.
READS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"""(?:getenv|environ\.get)\(\s*["'](\w+)["']\s*(?:\)(?!\s*or\b)|,\s*None\s*\))""",
        r"""environ\[\s*["'](\w+)["']\s*\]""",
        r"""process\.env\.([A-Z_]\w*)(?!\s*(?:\|\||\?\?|=[^=]))""",
        r"""process\.env\[\s*["'](\w+)["']\s*\]""",
        r"""\bENV(?:\[\s*|\.fetch\(\s*)["'](\w+)["']\s*[\])]""",
        r"""(?:os\.(?:Getenv|LookupEnv)|System\.getenv)\(\s*"(\w+)"\s*\)""",
    )
)
SHELL: Final = re.compile(r"\$\{?([A-Z][A-Z0-9_]+)(?:\}|(?=[^\w:}-])|$|:\?)")
SUFFIXES: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".go", ".java", ".kt", ".sh", ".bash", "")
SHOWN: Final = 3
BYTES: Final = 200_000
# A setting that people give a database by, and what stands for it in [env].
MEANT: Final = (
    (r"(ENDPOINT|DYNAMO\w*_(URL|HOST)|AWS_ENDPOINT\w*)", "{dynamodb_url}"),
    (r"(CONNECTION|DATABASE|POSTGRES\w*|PG|DB)_(URL|URI|DSN)|DSN", "{postgres_url}"),
    (r"\w*(DB|DATABASE|PG|POSTGRES)\w*HOST\w*", "{postgres_host}"),
    (r"\w*(DB|DATABASE|PG|POSTGRES)\w*PORT", "{postgres_port}"),
    (r"\w*(DB|DATABASE|DATASOURCE|PG|POSTGRES)\w*USER\w*", "{postgres_user}"),
    (r"\w*(DB|DATABASE|DATASOURCE|PG|POSTGRES)\w*PASS\w*", "{postgres_password}"),
    (r"(DB|DATABASE|PG|POSTGRES)_?(NAME|DATABASE|DB)", "{postgres_database}"),
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


def explain(unset: Mapping[str, str]) -> tuple[str, str]:
    """(cause, hint) for variables without a value."""
    shown = list(unset.items())[:SHOWN]
    cause = "; ".join(f"it reads {name} ({place}), which has no value" for name, place in shown)
    lines = ", ".join(f'{name} = "{meaning(name)}"' for name, _ in shown)
    return cause, f"give it one in devenv.toml: [env] {lines}"


def meaning(name: str) -> str:
    """The placeholder that a variable of this name most likely wants; `…` when that is not known."""
    return next((place for pattern, place in MEANT if re.fullmatch(pattern, name)), "…")
