"""A cluster as initdb makes it, kept once per version in the cache: a new one is a copy, in half of initdb's time.

The kept one has a password that nobody knows and is never served. A copy gets a number, a password and a write-ahead
log of its own before it stands where a server looks for it.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError
from devenv.engines.embedded.cluster import copy_cluster, without_wal
from devenv.engines.embedded.halting import run_program
from devenv.engines.embedded.postgres import Binaries, make_cluster
from devenv.host import file_clone as copies
from devenv.host.processes import Account, as_account

FOLDER: Final = "pristine"
SUM: Final = "checksum"


def copy_pristine(
    binaries: Binaries,
    data: Path,
    user: str,
    password: str,
    cache: Path,
    env: Mapping[str, str],
    account: Account | None,
    halt: Callable[[], None] = lambda: None,
) -> bool:
    """Make `data` a copy of the kept cluster, which is made first where there is none. False: it is not possible.

    Whatever goes wrong, `data` does not exist then, and initdb does the work as it does without a cache.
    """
    # A line is a statement to the server that sets the password.
    if "\n" in user + password:
        return False
    place = place_of(binaries, user, cache)
    try:
        if not (place / SUM).exists() and not keep(binaries, data, user, place, env, account, halt):
            return False
        known = (place / SUM).read_text().strip()
    except OSError:
        return False

    def set_password(fresh: Path) -> None:
        """Give the superuser its password: without a server, so that nobody signs in with another before."""
        role, word = user.replace('"', '""'), password.replace("'", "''")
        command = [binaries.program("postgres"), "--single", "-D", str(fresh), "-c", "fsync=off", "postgres"]
        statement = f"ALTER ROLE \"{role}\" PASSWORD '{word}'\n".encode()
        done = run_program(command, halt, given=statement, cwd=data.parent, env=dict(env), **as_account(account))
        if done.returncode or b"ERROR:" in done.stdout:
            raise DevenvError("the password of the copied cluster could not be set")

    if copy_cluster(binaries, place / "data", data, known, env, account, set_password, halt):
        return True
    # Damaged, or of a server that cannot do this: the next `up` makes it anew.
    shutil.rmtree(place, ignore_errors=True)
    return False


def place_of(binaries: Binaries, user: str, cache: Path) -> Path:
    """Where the cluster of this installation and superuser is kept."""
    told = f"{binaries.bin} {binaries.version} {user}"
    return cache / FOLDER / f"{binaries.version}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def keep(
    binaries: Binaries,
    data: Path,
    user: str,
    place: Path,
    env: Mapping[str, str],
    account: Account | None,
    halt: Callable[[], None],
) -> bool:
    """Make the kept cluster, all or nothing; False when another `up` is at it. OSError, e.g. for a full disk."""
    from filelock import FileLock, Timeout

    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It is made beside the project's data, where the stores' account may write.
    made = data.with_name(f"{data.name}.new-pristine")
    fresh = place.with_name(f".new-{place.name}")
    try:
        with FileLock(place.parent / "lock", timeout=0):
            if (place / SUM).exists():
                return True
            for left in (fresh, place):
                shutil.rmtree(left, ignore_errors=True)
            try:
                make_cluster(binaries, made, user, secrets.token_urlsafe(24), env, account, halt)
                fresh.mkdir(mode=0o700)
                copies.copy_tree(made, fresh / "data", None, without_wal)
                (fresh / "data" / "pg_wal").mkdir(mode=0o700, exist_ok=True)
                (fresh / SUM).write_text(copies.checksum(fresh / "data"))
                fresh.rename(place)
            finally:
                # On a full disk a half copy would take what is left.
                shutil.rmtree(fresh, ignore_errors=True)
            return True
    except (Timeout, DevenvError):
        # What initdb said is said again by the one that follows, if it is not a passing thing.
        return False
    finally:
        shutil.rmtree(made, ignore_errors=True)
