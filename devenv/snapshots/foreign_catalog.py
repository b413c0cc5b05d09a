"""A Postgres data folder that comes from elsewhere: in its catalogs, what runs code when somebody only signs in.

Settings of roles and databases load libraries, triggers on events run at a sign-in (since PostgreSQL 17) and at
devenv's own DDL, subscriptions fetch data from other machines, and a role with the name of devenv's reader may be a
superuser. The server takes all of it away in single-user mode, in which nobody signs in and none of it is at work.
"""

# ruff: noqa: S608 - statements made of constants
from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devenv.core.errors import UsageError
from devenv.host import processes
from devenv.host.file_clone import own
from devenv.stores.postgres.loader import LOADER
from devenv.stores.postgres.reader import READER

if TYPE_CHECKING:
    from devenv.engines.embedded.engine import EmbeddedEngine

LIMIT_S: Final = 60
# Settings of a role or a database that only say how values are written and how long something may take. Of a search
# path only one that leaves Postgres's own functions the first.
KEPT: Final = (
    "datestyle|timezone|intervalstyle|bytea_output|client_encoding|default_text_search_config|extra_float_digits"
    "|statement_timeout|lock_timeout|idle_in_transaction_session_timeout|work_mem|maintenance_work_mem"
    "|default_transaction_isolation|row_security|createrole_self_grant"
)
# A setting with a dot is the project's own word, or an extension's, of which those of languages run code.
HARMLESS: Final = (
    f"lower(c) ~ '^({KEPT})=' OR (lower(c) LIKE 'search_path=%' AND lower(c) !~ 'pg_catalog|pg_temp')"
    " OR lower(c) ~ '^(?!pl|auto_explain)[a-z0-9_]+[.][a-z0-9_]+='"
)
IS_READER: Final = f"rolname = '{READER}'"
IS_LOADER: Final = f"rolname = '{LOADER}'"
READER_OID: Final = f"(SELECT oid FROM pg_authid WHERE {IS_READER})"
LOADER_OID: Final = f"(SELECT oid FROM pg_authid WHERE {IS_LOADER})"
SPOKEN: Final = re.compile(r'= "devenv (\w+) ([0-9a-f]*)"')


def told(kind: str, name: str, rest: str) -> str:
    """A query whose rows are found again in the server's output: names in hexadecimal."""
    return f"SELECT 'devenv {kind} ' || encode(convert_to({name}, 'UTF8'), 'hex') FROM {rest}"


# A statement for the server is one line.
SHARED: Final = (
    told("database", "datname", "pg_database"),
    told("setting", "c", f"pg_db_role_setting, unnest(setconfig) c WHERE NOT ({HARMLESS})"),
    f"UPDATE pg_db_role_setting SET setconfig = ARRAY(SELECT c FROM unnest(setconfig) c WHERE {HARMLESS})",
    "DELETE FROM pg_db_role_setting WHERE setconfig = '{}'",
    told("subscription", "subname", "pg_subscription WHERE subenabled"),
    "UPDATE pg_subscription SET subenabled = false WHERE subenabled",
    told("role", "rolname", f"pg_authid WHERE {IS_READER} AND (rolsuper OR rolcreaterole OR rolreplication)"),
    told("role", "rolname", f"pg_authid WHERE {IS_LOADER} AND (rolsuper OR rolreplication OR rolbypassrls)"),
    f"UPDATE pg_authid SET rolcreaterole = false, rolcreatedb = false WHERE {IS_READER}",
    f"UPDATE pg_authid SET rolbypassrls = false WHERE {IS_LOADER}",
    f"UPDATE pg_authid SET rolsuper = false, rolreplication = false WHERE {IS_READER} OR {IS_LOADER}",
    # Before 16 it can give itself any right; devenv does not make it so there.
    f"UPDATE pg_authid SET rolcreaterole = false WHERE {IS_LOADER}"
    " AND current_setting('server_version_num')::int < 160000",
    f"DELETE FROM pg_auth_members USING pg_authid r WHERE r.oid = roleid AND member = {READER_OID}"
    " AND r.rolname NOT IN ('pg_read_all_data', 'pg_monitor')",
    # What it made itself, it is a member of.
    f"DELETE FROM pg_auth_members WHERE member = {LOADER_OID} AND EXISTS (SELECT FROM pg_authid d WHERE (d.rolsuper"
    " OR d.rolname IN ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files'))"
    " AND pg_has_role(roleid, d.oid, 'MEMBER'))",
)
EACH: Final = (
    told("trigger", "evtname", "pg_event_trigger WHERE evtenabled <> 'D'"),
    "UPDATE pg_event_trigger SET evtenabled = 'D' WHERE evtenabled <> 'D'",
    # Code in a file that came along, and a cast by which reading a row would act as a superuser.
    told(
        "code",
        "proname",
        "pg_proc WHERE (prolang = 13 AND probin !~ '^([$]libdir/)?[A-Za-z0-9_.+-]+$') OR (prosecdef AND oid IN"
        " (SELECT castfunc FROM pg_cast))",
    ),
)
DONE: Final = "SELECT 'devenv done 00'"
WORDS: Final = {
    "setting": "setting of a role or database removed",
    "subscription": "subscription disabled",
    "role": "role lost its additional rights",
    "trigger": "event trigger disabled",
}


def disarm(engine: EmbeddedEngine, data: Path) -> list[str]:
    """Take it away in the stopped cluster `data`, which lies where the stores' account can work; what was, in words.

    UsageError for a cluster with code that cannot be taken away, or that the server does not open.
    """
    from devenv.engines.embedded import postgres

    account = engine.account()
    binaries = postgres.find_binaries(engine.settings.postgres.source, engine.cache, account)
    postgres.check_version(data, binaries)
    program = binaries.program("postgres")
    environment = engine.service_environment()
    give(data, account)
    try:
        found = ask(program, data, "postgres", SHARED, environment, account)
        lines = [f"{WORDS[kind]}: {name}" for kind, name in found if kind in WORDS]
        for _, database in (each for each in found if each[0] == "database"):
            here = ask(program, data, database, EACH, environment, account)
            if code := sorted(name for kind, name in here if kind == "code"):
                raise UsageError(
                    f"database {database} of the snapshot has functions that run code of their own",
                    detail=f"{', '.join(code[:5])}: from a library outside PostgreSQL's folder, or a cast that runs"
                    " with its owner's rights",
                    hint="drop them where the snapshot comes from, and export again",
                )
            lines += [f"{WORDS[kind]}: {name} in {database}" for kind, name in here if kind in WORDS]
    finally:
        give(data, processes.Account("", os.geteuid(), os.getegid()) if account else None)
    return lines


def give(data: Path, account: processes.Account | None) -> None:
    """Make a folder an account's, with all that is in it."""
    for path in (data, *data.rglob("*")) if account else ():
        own(path, account)


def ask(
    program: str,
    data: Path,
    database: str,
    statements: Sequence[str],
    environment: dict[str, str],
    account: processes.Account | None,
) -> list[tuple[str, str]]:
    """Run statements on one database; (kind, name) of all that was told. UsageError for anything but success."""
    if database.startswith("-") or "\n" in database:
        raise UsageError(f"the snapshot has a database of the name {database!r}")
    options = ["search_path=pg_catalog", "lc_messages=C", "fsync=off", "autovacuum=off", "exit_on_error=on"]
    command = [program, "--single", "-D", str(data), *(word for each in options for word in ("-c", each)), database]
    try:
        ran = subprocess.run(
            command, input="".join(f"{line}\n" for line in (*statements, DONE)).encode(), capture_output=True,
            cwd=data.parent, env=environment, check=False, timeout=LIMIT_S, **processes.as_account(account),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UsageError(f"database {database} of the snapshot did not open within {LIMIT_S} s") from None
    spoken = []
    for kind, name in SPOKEN.findall(ran.stdout.decode("utf-8", "replace")):
        with contextlib.suppress(ValueError):
            spoken.append((kind, bytes.fromhex(name).decode("utf-8", "replace")))
    said = ran.stderr.decode("utf-8", "replace")
    if ("done", "\0") not in spoken or re.search(r"\b(?:ERROR|FATAL|PANIC):", said):
        raise UsageError(
            f"database {database} of the snapshot cannot be opened", detail="\n".join(said.splitlines()[-5:])
        )
    return spoken
