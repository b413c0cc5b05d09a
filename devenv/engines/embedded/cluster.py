"""A Postgres cluster copied instead of made: a third of the time of initdb, with its data, and a number of its own.

Two clusters with one number would pass for each other wherever devenv asks "is this the server I started?". So a
copy gets a new number in its control file, and a new write-ahead log that carries it, as pg_createsubscriber does.
"""

from __future__ import annotations

import secrets
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError
from devenv.engines.embedded.halting import run_program
from devenv.engines.embedded.postgres import Binaries
from devenv.host import file_clone as copies
from devenv.host.processes import Account, as_account

CASTAGNOLI: Final = 0x82F63B78


def without_wal(name: str) -> bool:
    """Return True if a copy of a cleanly stopped cluster leaves the file out.

    The log is made anew, the others are a server's own.
    """
    return name.startswith("pg_wal/") or name in ("postmaster.pid", "postmaster.opts")


def copy_cluster(
    binaries: Binaries,
    source: Path,
    data: Path,
    checksum: str,
    env: Mapping[str, str],
    account: Account | None,
    finish: Callable[[Path], None] = lambda fresh: None,
    halt: Callable[[], None] = lambda: None,
) -> bool:
    """Make `data` a copy of the stopped cluster in `source`, all or nothing; False when that is not possible.

    `finish` is called with the copy before it becomes `data`; when it fails as a program or a file does, so does all.
    DevenvError is only what `halt` raises.
    """
    fresh = data.with_name(f"{data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        copies.copy_tree(source, fresh, account)
        (fresh / "pg_wal").mkdir(mode=0o700, exist_ok=True)
        copies.own(fresh / "pg_wal", account)
        if copies.checksum(fresh) != checksum:
            raise DevenvError(f"{source} is damaged")
        renew_number(fresh / "global" / "pg_control")
        command = [binaries.program("pg_resetwal"), "--pgdata", str(fresh)]
        run_program(command, halt, cwd=data.parent, env=dict(env), **as_account(account)).check_returncode()
        finish(fresh)
        fresh.rename(data)
    except (DevenvError, OSError, subprocess.SubprocessError):
        shutil.rmtree(fresh, ignore_errors=True)
        halt()
        return False
    return True


def renew_number(control: Path) -> None:
    """Give a control file a new system identifier. DevenvError when it is not one that we understand.

    Its checksum stands behind the last field; where that is depends on the version, so it is looked for.
    """
    content = bytearray(control.read_bytes())
    place = find_checksum(content)
    content[:8] = struct.pack("=Q", int(time.time()) << 32 | secrets.randbits(32))
    content[place : place + 4] = struct.pack("=I", crc32c(content[:place]))
    control.write_bytes(content)


def find_checksum(content: bytes | bytearray) -> int:
    """The offset at which the CRC-32C of all bytes before it stands. DevenvError when there is none."""
    value = 0xFFFFFFFF
    for place in range(min(len(content), 1024) - 4):
        if place >= 64 and place % 4 == 0 and struct.unpack_from("=I", content, place)[0] == value ^ 0xFFFFFFFF:
            return place
        value = next_crc(value, content[place])
    raise DevenvError("the control file has no checksum where one is expected")


def crc32c(content: bytes | bytearray) -> int:
    """CRC-32C (Castagnoli)."""
    value = 0xFFFFFFFF
    for byte in content:
        value = next_crc(value, byte)
    return value ^ 0xFFFFFFFF


def next_crc(value: int, byte: int) -> int:
    """The CRC's state after one more byte."""
    value ^= byte
    for _ in range(8):
        value = value >> 1 ^ (CASTAGNOLI if value & 1 else 0)
    return value
