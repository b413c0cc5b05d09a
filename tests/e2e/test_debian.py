"""A stranger's Debian with Python and nothing else: installed with pipx, used, removed; only what was named is left."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REPOSITORY

pytestmark = [pytest.mark.needs_chroot, pytest.mark.timeout(600)]

# pipx itself is installed before the first listing: what it leaves of itself is not devenv's.
SESSION = """
set -euo pipefail
python3 -m venv ~/tools
~/tools/bin/pip install --quiet pipx
export PATH=~/tools/bin:~/.local/bin:$PATH
listed() { { find / -xdev \\( -path /proc -o -path /dev \\) -prune -o ! -type d -print 2>/dev/null || true; } | sort; }
listed > ~/before
timed() { local from=$(date +%s%N); "$@"; echo "$(( ($(date +%s%N) - from) / 100000000 ))" "$*" >> ~/times; }
timed pipx install --quiet "$(echo /dist/*.whl)[embedded]"
mkdir ~/project && cd ~/project
timed devenv init --yes
timed devenv up
timed devenv doctor
timed devenv status
timed devenv self uninstall -y --json > ~/told
cd
listed > ~/after
if [ -e ~/.local/bin/devenv ]; then exit 3; fi
for each in /proc/[0-9]*; do tr '\\0' ' ' < $each/cmdline 2>/dev/null | sed 's/$/\\n/'; done > ~/left
"""
# What belongs to pipx and pip, and to this test.
OTHERS = (
    *[".local/share/pipx/", ".local/state/pipx/", ".cache/pipx/", ".cache/pip/", "tools/"],
    *["before", "after", "times", "told", "left"],
)


def pip_settings() -> tuple[dict[str, str], list[Path]]:
    """What pip is told on this machine, as variables, and the files and folders that it names."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    values: dict[str, str] = {}
    for line in said.splitlines():
        name, _, value = line.partition("=")
        values["PIP_" + name.rpartition(".")[2].replace("-", "_").upper()] = str(ast.literal_eval(value))
    words = (word.removeprefix("file://") for value in values.values() for word in value.split())
    named = {Path(word).resolve() for word in words if word.startswith("/") and Path(word).exists()}
    if authorities := values.get("PIP_CERT"):
        values |= dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), authorities)
    # A folder of packages names its files beside it.
    return values, sorted({path.parent if path.name == "simple" else path for path in named})


@pytest.fixture
def debian() -> Iterator[Path]:
    """The unpacked base with an ordinary user, the network's names, pip's settings and the wheel of this checkout."""
    if os.geteuid() != 0:
        pytest.fail("a chroot needs root", pytrace=False)
    made = subprocess.run([REPOSITORY / ".ci" / "debian"], capture_output=True, text=True, check=False, timeout=600)
    if made.returncode:
        pytest.fail(made.stderr, pytrace=False)
    root = Path(tempfile.mkdtemp(prefix="devenv-debian-"))
    try:
        root.chmod(0o755)
        subprocess.run(["tar", "-C", root, "-xf", made.stdout.strip()], check=True, timeout=120)
        subprocess.run(["chroot", root, "useradd", "--create-home", "dev"], check=True, timeout=60)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", root / "etc" / name)
        build = [Path(sys.executable).with_name("uv"), "build", "--wheel", "--python", sys.executable]
        subprocess.run([*build, "--quiet", "--out-dir", root / "dist", REPOSITORY], check=True, timeout=120)
        yield root
    finally:
        shutil.rmtree(root)


def test_a_stranger_installs_uses_and_removes_it(debian: Path) -> None:
    settings, named = pip_settings()
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
    (debian / "etc" / "devenv-test.env").write_text("".join(lines))
    (debian / "session.sh").write_text(SESSION)
    ran = subprocess.run(
        [REPOSITORY / "tests" / "e2e" / "debian.sh", debian, debian / "session.sh", *named],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    home = debian / "home" / "dev"
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    print((home / "times").read_text())
    told = json.loads((home / "told").read_text().partition("\n}")[0] + "\n}")
    assert told["stops"] == ["/home/dev/project"]
    kept = [entry["path"].rstrip("/") + "/" for entry in told["folders"]]
    before, after = ({*(home / name).read_text().splitlines()} for name in ("before", "after"))
    # init said that it wrote the project's files.
    allowed = (*kept, "/home/dev/project/", *(f"/home/dev/{name}" for name in OTHERS))
    assert "\n".join(path for path in sorted(after - before) if not path.startswith(allowed)) == ""
    assert sorted(before - after) == []
    assert not [line for line in (home / "left").read_text().splitlines() if "postgres" in line or "java" in line]
