"""Connections to a Postgres in the net whose address is fixed in the code. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.text_code import LARGEST, balanced, line_of

ENDINGS: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts", ".go", ".rb", ".php", ".java", ".kt", ".cs")
TESTS: Final = late(r"(^|/)(?:tests?|__tests__|spec|node_modules)/|\.(?:test|spec)\.|(^|/)test_")
CALL: Final = late(
    r"\b(?:(?:new\s+(?:\w+\.)?(?:Pool|Client|DataSource|Sequelize)|createConnection|TypeOrmModule\.forRoot|pgp|knex)\s*\("
    r"|(?:psycopg2?|asyncpg)\.(?:connect|create_pool)\s*\(|create_pool\s*\()"
)
OF_POSTGRES: Final = late(r"['\"](?:pg|postgres|postgresql|pg-promise)['\"]|\b(?:psycopg2?|asyncpg)\b")
HOST: Final = late(r"\bhost['\"]?\s*[:=]\s*['\"]([\w.-]+)['\"]")
URL: Final = late(r"['\"`](?:jdbc:)?postgres(?:ql)?(?:\+\w+)?://(?:[^'\"`\s@/]*@)?([\w.-]+)")
WORDS: Final = late(r"['\"`][^'\"`\n]*\bhost=([\w.-]+)[^'\"`\n]*\bdbname=")
# What stands only where a variable has no value is no fixed address.
DEFAULT: Final = late(r"(?i)env\b|getenv|environ|config\.get|\|\||\?\?")
NEAR: Final = ("localhost", "127.", "0.0.0.0", "10.", "192.168.", "host.docker.internal")  # noqa: S104 - not bound to
EXAMPLES: Final = late(r"(?i)(^|\.)(?:example|your|my)[\w-]*\.|\.example$")


def fixed_connections(texts: Mapping[str, str]) -> list[str]:
    """Sentences about connections that no variable leads to devenv's Postgres, one for each file."""
    return [
        f"{file}:{line}: connects to {host}, which is fixed in the code: that is a server in the net, not devenv's"
        " Postgres. Read the address, the user and the password from variables, such as DATABASE_URL"
        for file, text in texts.items()
        if file.endswith(ENDINGS) and not TESTS.search(file) and len(text) <= LARGEST
        for line, host in [*addresses(text)][:1]
    ]


def addresses(text: str) -> Iterator[tuple[int, str]]:
    """(line, host) of each fixed address in the net."""
    if OF_POSTGRES.search(text):
        for call in CALL.finditer(text):
            body = text[call.end() : balanced(text, call.end() - 1)]
            found = HOST.search(body)
            if found and is_far(found[1]):
                yield line_of(text, call.end() + found.start()), found[1]
    for form in (URL, WORDS):
        for found in form.finditer(text):
            begin = text.rfind("\n", 0, found.start()) + 1
            before = text[begin : found.start()]
            if is_far(found[1]) and not DEFAULT.search(before) and not before.lstrip().startswith(("#", "//", "*")):
                yield line_of(text, found.start()), found[1]


def is_far(host: str) -> bool:
    """Return True for the name of a server in the net; that of a container has no dot."""
    return "." in host and not host.startswith(NEAR) and not host.endswith(".local") and not EXAMPLES.search(host)
