"""Extensions that the SQL files ask for: fetched where possible, else reported at the statement that needs one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from devenv.core.errors import DevenvError, Exit
from devenv.core.late import late
from devenv.steps.setup.sql import Statement
from devenv.steps.step import SourceFile, StepContext
from devenv.stores.postgres.client import Connection

CREATE: Final = late(r"CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?(\"[^\"]+\"|\w+)", re.IGNORECASE)
SYSTEM: Final = '[postgres] source = "system" in devenv.toml uses the one installed on this machine'
# Functions that are known to people by name, and the extension that has them.
HOMES: Final = {
    "uuid-ossp": r"uuid_generate_v\d\w*|uuid_nil|uuid_ns_\w+",
    "pgcrypto": r"crypt|gen_salt|digest|hmac|gen_random_bytes|pgp_\w+|encrypt|decrypt|armor",
    "pg_trgm": r"similarity|word_similarity|show_trgm",
    "unaccent": r"unaccent",
    "tablefunc": r"crosstab\w*|connectby|normal_rand",
}


def find_wanted(statements: Iterable[Statement]) -> dict[str, Statement]:
    """Extension -> the first statement that creates it. Pure."""
    found: dict[str, Statement] = {}
    for statement in statements:
        if asked := CREATE.match(statement.text):
            name = asked[1][1:-1] if asked[1].startswith('"') else asked[1].lower()
            found.setdefault(name, statement)
    return found


def find_in_code(files: Iterable[SourceFile]) -> tuple[Statement, ...]:
    """The CREATE EXTENSION statements in texts of programs (migrations in Python or JavaScript). Pure."""
    found = []
    for file in files:
        text = file.text.replace('\\"', '"')
        found += [Statement(file.name, text.count("\n", 0, m.start()) + 1, m[0]) for m in CREATE.finditer(text)]
    return tuple(found)


def provide(ctx: StepContext, connection: Connection, statements: Iterable[Statement]) -> None:
    """Make the wanted extensions available to the server. DevenvError names the first that cannot be, at its place."""
    wanted = find_wanted(statements)
    if not (wanted and (missing := find_missing(connection, wanted))):
        return
    problem: DevenvError | None = None
    try:
        ctx.extend()
    except DevenvError as error:
        problem = error
    for name in find_missing(connection, missing):
        what = f"{wanted[name].place}: extension {name} is not available in this PostgreSQL"
        detail = f"in: {wanted[name].excerpt}"
        if problem is not None:
            detail = f"{detail}\n{problem.what}\n{problem.detail or ''}".rstrip()
        raise DevenvError(what, exit_code=Exit.STEP, detail=detail, hint=ways_out(ctx, name))


def find_missing(connection: Connection, wanted: Iterable[str]) -> list[str]:
    """Those of the extensions that the server does not know."""
    known = {row[0] for row in connection.execute("SELECT name FROM pg_available_extensions")}
    return [name for name in wanted if name not in known]


def ways_out(ctx: StepContext, extension: str) -> str:
    """Return how to get an extension that this server lacks, by engine."""
    engine, source = ctx.settings.project.engine, ctx.settings.postgres.source
    image = f'[project] engine = "docker" with an image that has {extension}: [postgres] image = "…"'
    if engine == "docker":
        return f'name an image that has {extension} in devenv.toml: [postgres] image = "…"'
    if engine == "external":
        return f"install {extension} on that server"
    if source == "system":
        return f"install the package that has {extension} (such as postgresql-contrib), or {image}"
    return f'[postgres] source = "system" in devenv.toml and install {extension} for it, or {image}'


def home_of(message: str) -> str | None:
    """The extension that has the function, when `message` is Postgres's complaint that there is none. Pure."""
    found = re.match(r"function (?:\w+\.)?(\w+)\(.*\) does not exist", message)
    if found is None:
        return None
    return next((name for name, functions in HOMES.items() if re.fullmatch(functions, found[1])), None)
