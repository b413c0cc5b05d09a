"""Tiny packages for tests of environments: wheels made here, and an index that never answers."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def make_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with one module of the package's name, whose VERSION is its version."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(file, text)


def require(project: Path, version: str, *options: str) -> None:
    """Let requirements.txt ask for this version of tinypart, from the folder `wheels` unless `options` say else."""
    lines = options or ("--no-index", "--find-links wheels")
    (project / "requirements.txt").write_text("\n".join([*lines, f"tinypart=={version}"]) + "\n", "utf-8")


def with_uv(folder: Path) -> dict[str, str]:
    """Variables with which devenv finds uv, which the developer's environment has."""
    folder.mkdir(exist_ok=True)
    if not (folder / "uv").exists():
        (folder / "uv").symlink_to(Path(sys.executable).parent / "uv")
    return {**without_uv(), "PATH": f"{folder}{os.pathsep}{without_uv()['PATH']}", "UV_PYTHON": sys.executable}


def without_uv() -> dict[str, str]:
    """Variables with which devenv finds no uv, and no environment is active."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return {"PATH": os.pathsep.join(place for place in path if not shutil.which("uv", path=place))}


@contextmanager
def silent_index() -> Iterator[tuple[str, threading.Event]]:
    """The address of a package index that takes requests and never answers, and what is set once one came."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def listen() -> None:
            while True:
                try:
                    kept.append(server.accept()[0])
                except OSError:
                    return
                asked.set()

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple", asked
        server.shutdown(socket.SHUT_RDWR)
        for each in kept:
            each.close()
