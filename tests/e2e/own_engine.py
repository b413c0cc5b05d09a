"""A Docker engine of a test's own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e import world
from tests.e2e.docker_support import (
    IMAGES,
)


class OwnEngine:
    """A second dockerd with a folder, a socket and addresses of its own; it leaves the packet filter alone."""

    def __init__(self) -> None:
        # Sockets have short paths.
        self.folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
        (self.folder / "data").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", self.folder / "data"], check=True)
        self.host = f"unix://{self.folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> OwnEngine:
        return self

    def __exit__(self, *reason: object) -> None:
        if self.process:
            self.stop()
        # A dockerd that could not start leaves its folder mounted on itself, too.
        subprocess.run(["umount", "-l", self.folder / "data"], capture_output=True, check=False)
        subprocess.run(["umount", "-l", self.folder / "data"], capture_output=True, check=False)
        shutil.rmtree(self.folder)

    def context(self) -> Path:
        """A folder of settings whose current context is this engine."""
        folder = self.folder / "config"
        meta = folder / "contexts" / "meta" / hashlib.sha256(b"own").hexdigest()
        meta.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"currentContext": "own"}))
        (meta / "meta.json").write_text(json.dumps({"Name": "own", "Endpoints": {"docker": {"Host": self.host}}}))
        return folder

    @contextlib.contextmanager
    def filled(self) -> Iterator[None]:
        """Its disk is full but for some megabytes."""
        filler = self.folder / "data" / "filler"
        with open(filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(filler).free - 20 * 1024 * 1024)
        try:
            yield
        finally:
            filler.unlink()

    def start(self) -> None:
        """Start it, and wait until it answers. (With --bridge it would remove the first one's default bridge.)"""
        words = ["dockerd", "-H", self.host, "--data-root", str(self.folder / "data"),
                 "--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "pid"),
                 "--iptables=false",
                 "--default-address-pool", "base=10.213.0.0/16,size=24"]  # fmt: skip
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        asked = ["docker", "-H", self.host, "version"]
        world.until(lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0, "dockerd")

    def stop(self) -> None:
        """Stop it, as the system's service manager would."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)
        self.process = None

    def copy_images(self) -> None:
        """Give it the stores' images of the first one."""
        names = [IMAGES["DEVENV_POSTGRES_IMAGE"], IMAGES["DEVENV_DYNAMODB_IMAGE"]]
        with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saved:
            load = ["docker", "-H", self.host, "load", "-q"]
            subprocess.run(load, stdin=saved.stdout, check=True, capture_output=True)
        assert saved.returncode == 0
