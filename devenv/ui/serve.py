"""The page's process: a port of this machine alone, an address with a token, and an end."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.lifecycle import page as process
from devenv.ui.guard import Door
from devenv.ui.jobs import Jobs
from devenv.ui.site import PageOptions, Site

HOST: Final = "127.0.0.1"
WATCH_S: Final = 1.0
# Longer than a browser keeps an idle connection (Chromium 300 s): closed here first, it would lose the next request.
KEEP_ALIVE_S: Final = 330
INSTALL: Final = "pip install 'devenv-stores[ui]'"


def serve(
    root: Path,
    name: str,
    options: PageOptions,
    port: int,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    visit: Callable[[str], None],
) -> None:
    """Serve the page of a project until Ctrl-C, SIGTERM or `devenv down`. DevenvError when it cannot begin.

    `say` gets the address that opens it, `visit` opens a browser; `port` 0: any free one.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise DevenvError(
            "the page needs packages that are not installed",
            exit_code=Exit.MISSING,
            detail=str(error),
            hint=INSTALL,
        ) from None
    if found := process.read(root):
        say(f"the page of this project is already running: {found.entry}")
        visit(found.entry)
        return
    listener = listen(port)
    door = Door(listener.getsockname()[1], secrets.token_urlsafe(24), secrets.token_urlsafe(24))
    site = Site(root, name, options, door, Jobs(root, options.words, environ), environ)
    process.note(root, door.entry())
    try:
        from devenv.ui.app import make_app

        config = uvicorn.Config(
            make_app(site),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            ws="none",
            timeout_graceful_shutdown=1,
            limit_concurrency=200,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        server = uvicorn.Server(config)
        say(f"devenv ui: {door.entry()}")
        visit(door.entry())
        asyncio.run(run(server, listener, root))
    finally:
        listener.close()
        site.jobs.close()
        process.forget(root)


async def run(server: object, listener: socket.socket, root: Path) -> None:
    """Serve until a signal, or until another process has taken this one's note away."""
    import uvicorn

    assert isinstance(server, uvicorn.Server)  # noqa: S101 - imported late, so the type is not in the signature

    async def watch() -> None:
        while not server.should_exit:
            await asyncio.sleep(WATCH_S)
            if not process.is_noted(root):
                server.should_exit = True

    watching = asyncio.create_task(watch())
    try:
        await server.serve(sockets=[listener])
    finally:
        watching.cancel()


def listen(port: int) -> socket.socket:
    """A listening socket of the loopback interface. DevenvError (6) for a port that is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port of a page that has just ended may be taken again.
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except PermissionError as error:
        listener.close()
        raise UsageError(f"port {port} may not be used", detail=str(error), hint="devenv ui --port 0") from None
    except OSError as error:
        listener.close()
        raise DevenvError(
            f"port {port} is in use", exit_code=Exit.PORT, detail=str(error), hint="devenv ui  (takes a free port)"
        ) from None
    return listener
