"""A Postgres data folder that comes from elsewhere: its configuration files are replaced before a server reads them.

`archive_command`, `shared_preload_libraries` and others run programs, and pg_hba.conf decides who needs a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from devenv.host.writing import write_private

# Settings without a program, a file or an address in them, that initdb writes or that data depends on.
KEPT: Final = frozenset(
    (
        *("datestyle", "timezone", "log_timezone", "default_text_search_config", "dynamic_shared_memory_type"),
        *("lc_messages", "lc_monetary", "lc_numeric", "lc_time"),
        *("max_connections", "shared_buffers", "max_wal_size", "min_wal_size", "autovacuum_worker_slots"),
        *("max_prepared_transactions", "max_locks_per_transaction", "max_worker_processes", "track_commit_timestamp"),
    )
)
SETTING: Final = re.compile(r"\s*(\w+)\s*=?\s*('(?:[^'\\]|'')*'|[\w.-]+)\s*(?:#.*)?")
ACCESS: Final = "host all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n"
# A server that finds one of these begins a recovery, by which files outside of its folder can be written.
RECOVERY: Final = ("backup_label", "tablespace_map", "recovery.signal", "standby.signal")


def replace_configuration(data: Path) -> None:
    """Give a data folder a configuration that runs nothing. OSError."""
    settings = [
        line
        for name in ("postgresql.conf", "postgresql.auto.conf")
        if (data / name).is_file()
        for line in harmless((data / name).read_text("utf-8", "replace").splitlines())
    ]
    for name, content in (
        ("postgresql.conf", "".join(f"{line}\n" for line in settings)),
        ("postgresql.auto.conf", ""),
        ("pg_hba.conf", ACCESS),
        ("pg_ident.conf", ""),
    ):
        write_private(data / name, content.encode())
    for name in RECOVERY:
        (data / name).unlink(missing_ok=True)
    # Counts that say much has changed would have autovacuum call the functions of indexes as soon as the server runs.
    for file in (data / "pg_stat").glob("*"):
        file.unlink()


def harmless(lines: Iterable[str]) -> list[str]:
    """The settings in lines of a postgresql.conf that may stay. Pure."""
    found = (SETTING.fullmatch(line) for line in lines)
    return [f"{one[1]} = {one[2]}" for one in found if one and one[1].lower() in KEPT]
