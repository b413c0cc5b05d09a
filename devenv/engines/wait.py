"""Starts one store and waits until it answers, for the commands that need it only while they work."""

from __future__ import annotations

import time
from typing import Final

from devenv.core.errors import DevenvError, Exit, StoreError
from devenv.engines.base import PORT_TRIES, Engine
from devenv.engines.services import SERVICES

START_S: Final = 60.0


def start_store(engine: Engine, name: str) -> None:
    """Start a store and wait until it answers; on another port when somebody took its own while it stood still.

    DevenvError (5, 4 or 6) with the last lines of its log.
    """
    for left in reversed(range(PORT_TRIES)):
        engine.launch(name, {}, lambda text, done, total: None)
        try:
            return await_store(engine, name)
        except DevenvError as error:
            if error.exit_code != Exit.PORT or not left:
                raise
        engine.assign_ports((name,), False)
    return None


def await_store(engine: Engine, name: str) -> None:
    """Wait until a store that was launched answers."""
    probe = next(service.probe for service in SERVICES if service.name == name)
    end = time.monotonic() + START_S
    while True:
        try:
            probe(engine.settings, engine.targets())
            return
        except StoreError as error:
            if not engine.runs(name):
                raise engine.ended(name).with_hint("devenv up") from None
            if time.monotonic() > end:
                raise DevenvError(
                    f"{name} did not answer within {START_S:g} s",
                    exit_code=Exit.TIMEOUT,
                    detail="\n".join([error.what, *engine.tail(name), f"(whole log: {engine.log(name)})"]),
                    hint="devenv up",
                ) from None
        time.sleep(0.005)
