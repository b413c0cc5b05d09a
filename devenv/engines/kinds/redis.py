"""Kind `redis`: Redis or Valkey of this machine, on loopback and with a password; a cache, so it is `transient`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from devenv.core.errors import DevenvError, Exit
from devenv.core.model import ProcessTarget
from devenv.engines.kinds.kind import ServiceKind, data_folder, stale_mark
from devenv.engines.process import Launch
from devenv.host import state
from devenv.host.writing import write_private

if TYPE_CHECKING:
    from devenv.config.services import Own
    from devenv.engines.base import Engine as BaseEngine
    from devenv.engines.process import ProcessServices as Engine
    from devenv.engines.project import EngineProject
    from devenv.host.processes import Account

PROGRAMS: Final = ("redis-server", "valkey-server")
VERSION: Final = re.compile(r"\bv=(\d+(?:\.\d+)*)")
# Every write is in the file before it is answered, so that a killed server does not bring deleted entries back.
CONFIGURATION: Final = """\
bind {host}
protected-mode yes
port {port}
requirepass {password}
dir "{folder}"
daemonize no
save ""
appendonly yes
appendfsync everysec
"""
# With its variables overwritten by a title it would not be found again.
TITLE: Final = "set-proc-title no\n"
TITLE_SINCE: Final = (6, 2)
INSIDE: Final = 6379
# In a container the configuration comes from its variables: the process list of this machine shows no password. As
# root the server gives its volume to the account that the image has for it, and runs as that.
SCRIPT: Final = """\
cd /data || exit 1
server=$(command -v redis-server || command -v valkey-server) || { echo "no redis-server in this image"; exit 1; }
account=$(id -un redis 2>/dev/null || id -un valkey 2>/dev/null)
if [ "$(id -u)" = 0 ] && [ -n "$account" ] && command -v setpriv >/dev/null; then
  chown -R "$account" . && set -- setpriv --reuid="$account" --regid="$account" --clear-groups
fi
exec "$@" "$server" - <<END
$CONFIGURATION
END
"""
ANSWER_S: Final = 2.0


class RedisKind(ServiceKind):
    """Redis or Valkey."""

    name: ClassVar[str] = "redis"
    transient: ClassVar[bool] = True
    inside_port: ClassVar[int | None] = INSIDE
    image: ClassVar[str] = "redis:8"

    def launch(self, engine: Engine, own: Own, environment: Mapping[str, str]) -> Launch:
        """The server with a configuration of its own; nothing of it is on the command line, where others could read."""
        from devenv.engines.own import service_marks

        program = find_program(engine.environ, own.section)
        version = version_of(program)
        account = engine.account()
        folder = data_folder(engine, own.name)
        if stale_mark(engine, own.name).exists():
            shutil.rmtree(folder, ignore_errors=True)
            stale_mark(engine, own.name).unlink(missing_ok=True)
        own_folder(folder.parent, account)
        own_folder(folder, account)
        text = configuration("127.0.0.1", engine.port(own.name), engine.secrets().password, quoted(folder))
        if not version or tuple(map(int, version.split(".")[:2])) >= TITLE_SINCE:
            text += TITLE
        file = folder / "redis.conf"
        write_private(file, text.encode())
        if account is not None:
            os.chown(file, account.uid, account.gid)
        variables = {name: engine.environ[name] for name in ("PATH", "TMPDIR") if name in engine.environ}
        variables |= {"LC_ALL": "C.UTF-8", "HOME": str(folder), **service_marks(engine, own)}
        return Launch([program, str(file)], variables, folder, account, version or None)

    def inputs(self, engine: Engine, own: Own, environment: Mapping[str, str]) -> dict[str, str]:
        """Its configuration; the variables of the project do not reach it."""
        return {"": f"{CONFIGURATION} {engine.port(own.name)} {engine.secrets().password} {own.image or ''}"}

    def check(self, engine: BaseEngine, own: Own, environment: Mapping[str, str], *, look_only: bool) -> list[str]:
        """PING with the password, once what it held of older data is gone."""
        from devenv.stores.redis import client

        url = self.target(engine, own).url
        client.ping(url, ANSWER_S)
        if not look_only and stale_mark(engine, own.name).exists():
            self.empty(engine, own)
        return ["ping"]

    def target(self, engine: EngineProject, own: Own) -> ProcessTarget:
        """With the password, and the variable that clients read."""
        port, password = engine.port(own.name), engine.secrets().password
        url = engine.url(own.name, port).replace("://", f"://:{password}@", 1)
        return ProcessTarget(url, port, password, {"REDIS_URL": url})

    def inside_target(self, engine: EngineProject, own: Own) -> ProcessTarget:
        """By the service's name."""
        password = engine.secrets().password
        url = f"redis://:{password}@{own.name}:{INSIDE}/0"
        return ProcessTarget(url, INSIDE, password, {"REDIS_URL": url})

    def container(self, engine: EngineProject, own: Own) -> dict[str, Any]:
        """The image's own server, with this configuration."""
        return {
            "entrypoint": ["sh", "-c", SCRIPT, "sh"],
            "command": [],
            "environment": {"CONFIGURATION": configuration("*", INSIDE, engine.secrets().password, "/data")},
            "volumes": ["data:/data"],
            "stop_grace_period": "10s",
        }

    def empty(self, engine: Engine, own: Own) -> None:
        """FLUSHALL, then nothing is stale any more."""
        from devenv.stores.redis import client

        client.empty(self.target(engine, own).url)
        stale_mark(engine, own.name).unlink(missing_ok=True)


KIND: Final = RedisKind()


def quoted(folder: Path) -> str:
    """A path inside the double quotes of the configuration. Pure."""
    return str(folder).replace("\\", "\\\\").replace('"', '\\"')


def configuration(host: str, port: int, password: str, folder: str) -> str:
    """The server's configuration. Pure."""
    return CONFIGURATION.format(host=host, port=port, password=password, folder=folder)


def own_folder(folder: Path, account: Account | None) -> None:
    """Make a private folder that belongs to `account`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if account is not None:
            os.chown(folder, account.uid, account.gid)
    except OSError as error:
        raise state.unwritable(folder, error) from None


def find_program(environ: Mapping[str, str], section: str) -> str:
    """The server of this machine. DevenvError (10) without one."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name, path=environ.get("PATH")))), None)
    if found is None:
        raise DevenvError(
            f"there is no {' or '.join(PROGRAMS)} on this machine, and {section} needs one",
            exit_code=Exit.MISSING,
            cause='kind = "redis" starts the server that is installed; devenv downloads none',
            hint="apt install redis-server (brew install valkey), or as a container: devenv up --engine docker",
        )
    return found


def version_of(program: str) -> str:
    """The server's version; empty when it does not tell."""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = VERSION.search(told)
    return found[1] if found else ""
