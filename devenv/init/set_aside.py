"""SQL files that are no part of the setup: superseded, of another dialect, or only a list of other files. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from typing import Final

OLD: Final = frozenset(
    ("legacy", "old", "archive", "archived", "attic", "deprecated", "obsolete", "outdated", "backup")
)
SAYS_SO: Final = re.compile(
    r"\b(superseded|deprecated|obsolete|outdated|do(?:es)? not run|don't run|no longer (?:used|needed)|ran once"
    r"|not used any ?more|kept for reference)\b",
    re.IGNORECASE,
)
MYSQL: Final = re.compile(r"`\w+`|\bENGINE\s*=\s*InnoDB\b|\bAUTO_INCREMENT\b", re.IGNORECASE)
SQLITE: Final = re.compile(
    r"\bAUTOINCREMENT\b|^\s*PRAGMA\s+\w+|\bWITHOUT\s+ROWID\b|\bsqlite_(?:master|schema|sequence)\b"
    r"|\bINSERT\s+OR\s+(?:REPLACE|IGNORE|ROLLBACK)\b",
    re.IGNORECASE | re.MULTILINE,
)
TSQL: Final = re.compile(
    r"^[ \t]*GO[ \t]*;?[ \t]*$|\bIDENTITY\s*\(\s*\d+\s*,\s*\d+\s*\)|(?:\[dbo\]|\bdbo)\s*\.|\bNVARCHAR\s*\("
    r"|\b(?:UNIQUEIDENTIFIER|DATETIME2)\b"
    r"|\b(?:GETDATE|SYSUTCDATETIME|NEWID)\s*\(|\b(?:TABLE|INTO|FROM)\s+\[\w+\]",
    re.IGNORECASE | re.MULTILINE,
)
ORACLE: Final = re.compile(r"\bN?VARCHAR2\s*\(|\bNUMBER\s*\(\s*\d+|\bSYSDATE\b", re.IGNORECASE)
DIALECTS: Final = (("MySQL", MYSQL), ("SQLite", SQLITE), ("Oracle", ORACLE), ("SQL Server", TSQL))
# The same by the name of a file or of its folder.
OF_NAME: Final = {
    **dict.fromkeys(("sqlite", "sqlite3"), "SQLite"),
    **dict.fromkeys(("mysql", "mariadb"), "MySQL"),
    **dict.fromkeys(("mssql", "sqlserver", "tsql"), "SQL Server"),
    "oracle": "Oracle",
    "clickhouse": "ClickHouse",
}
OF_POSTGRES: Final = re.compile(
    r"\b(?:timestamptz|jsonb|bytea|bigserial|serial|plpgsql|text\[\]|gen_random_uuid|nextval)\b|::\w|\bCREATE\s+SCHEMA\b",
    re.IGNORECASE,
)
TEXTS: Final = re.compile(
    r"'[^']*'|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$|^COPY\s[^;]*\sFROM\s+stdin\b[^;]*;.*?^\\\.$",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
LONGEST: Final = 50_000
INCLUDE: Final = re.compile(r"^[ \t]*\\(ir?|include(?:_relative)?)[ \t]+'?([^\s']+)'?", re.MULTILINE)


def set_aside(name: str, text: str) -> str | None:
    """Why an SQL file is no part of what makes the database; None for one that may be."""
    head = re.match(r"(?:\s*(?:--[^\n]*|/\*.*?\*/))*", text, re.DOTALL)
    said = SAYS_SO.search(head[0]) if head else None
    if said is not None:
        return f'line {text.count(chr(10), 0, said.start()) + 1} says "{said[0].lower()}"'
    return of_another_server(name, TEXTS.sub("", text[:LONGEST]))


def of_another_server(name: str, code: str) -> str | None:
    """Why the SQL (without its texts and comments) is not for Postgres: the first word of another dialect, or a name.

    A word decides only where nothing else in the file is Postgres' own.
    """
    if OF_POSTGRES.search(code):
        return f"it is written for {DIALECTS[0][0]}" if MYSQL.search(code) else None
    for server, words in DIALECTS:
        if found := words.search(code):
            word = " ".join(found[0].split()).rstrip("(.; ")
            return f"it is written for {server}" + ("" if words is MYSQL else f" ({word})")
    parts = re.split(r"[/._-]", name.lower())
    server_ = next((OF_NAME[part] for part in parts if part in OF_NAME), None)
    return f"its name says that it is for {server_}" if server_ else None


def old_folder(name: str) -> str | None:
    """Why a file is likely out of use, by the name of its folder."""
    folder = next((part for part in name.lower().split("/")[:-1] if OLD & {*re.split(r"[-_.]", part)}), None)
    return f"it is in a folder named {folder}" if folder else None


def included(texts: Mapping[str, str], names: Collection[str]) -> dict[str, list[str]]:
    """A file of psql that only includes others -> these, in its order; each must be one of `names`."""
    found: dict[str, list[str]] = {}
    for name in names:
        lines = [line.strip() for line in texts[name].splitlines()]
        if not all(line.startswith(("\\", "--")) or not line for line in lines):
            continue
        files = []
        for how, path in INCLUDE.findall(texts[name]):
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            # `\i` starts at the folder that psql runs in, which is often the file's own.
            files += [each for each in ([path, beside] if how in ("i", "include") else [beside]) if each in names][:1]
        if files:
            found[name] = files
    return found
