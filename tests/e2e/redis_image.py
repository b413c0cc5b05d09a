"""An image with this machine's redis-server, for tests: no image can be pulled in CI."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

IMAGE = "devenv-test/redis:7-r1"
# With the libraries and the loader of this machine, whatever the image below has.
RUN = """\
#!/bin/sh
exec /opt/redis/{loader} --library-path /opt/redis /opt/redis/redis-server "$@"
"""


def build(folder: Path) -> str:
    """Build the image, unless it is there; its name."""
    there = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, timeout=60, check=False)
    if there.returncode == 0:
        return IMAGE
    server = shutil.which("redis-server")
    assert server, "redis-server"
    told = subprocess.run(["ldd", server], capture_output=True, text=True, timeout=60, check=True).stdout
    libraries = re.findall(r"(/\S+) \(0x", told)
    context = folder / "context"
    (context / "redis").mkdir(parents=True)
    for file in (server, *libraries):
        shutil.copy(file, context / "redis")
    loader = next(Path(file).name for file in libraries if "ld-linux" in file)
    (context / "redis-server").write_text(RUN.format(loader=loader))
    (context / "redis-server").chmod(0o755)
    (context / "Dockerfile").write_text(
        "FROM devenv-test/base\nRUN useradd --system redis\nCOPY redis /opt/redis\nCOPY redis-server /usr/local/bin/\n"
        "VOLUME /data\nENTRYPOINT []\n"
    )
    command = ["docker", "build", "--quiet", "--network", "none", "--tag", IMAGE, str(context)]
    subprocess.run(command, capture_output=True, timeout=120, check=True, env={"DOCKER_BUILDKIT": "0"})
    return IMAGE
