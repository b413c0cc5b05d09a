"""Launch a service and wait until it answers: `up` does it for all, other commands for a store that they need."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

import msgspec

from devenv.core.errors import DevenvError, Exit, StoreError
from devenv.core.value import Value
from devenv.engines import ready
from devenv.engines.base import PORT_TRIES, Engine
from devenv.engines.services import Service, service_named

START_S: Final = 60.0
POLL_S: Final = 0.01
# While its port is closed, a process is looked for at every eighth of these polls: that takes thrice as long.
LOOK_EVERY: Final = 8
# How long a process without a condition must run to count as started.
SETTLE_S: Final = 0.25
# A probe error is worth showing only once a start takes longer than it should.
TELL_AFTER_S: Final = 1.0


class Patience(Value, frozen=True):
    """How a wait is bounded, and who is told."""

    is_over: Callable[[], bool]
    tell: Callable[[str], None] = lambda text: None
    cancelled: threading.Event = msgspec.field(default_factory=threading.Event)


class LateError(Exception):
    """A service that runs, and was not ready in time: the last that was seen, and an application's own refusal."""

    def __init__(self, last: str, refusal: str | None) -> None:
        super().__init__(last)
        self.last = last
        self.refusal = refusal


def launch_and_wait(launch: Callable[[], None], wait: Callable[[], None], move: Callable[[], None] | None) -> None:
    """Launch a service and wait for it; after `move`, on another port, when another program took its own meanwhile."""
    for left in reversed(range(PORT_TRIES)):
        try:
            launch()
            return wait()
        except DevenvError as error:
            if error.exit_code != Exit.PORT or move is None or not left:
                raise
        move()
    return None


def await_ready(engine: Engine, service: Service, patience: Patience) -> None:
    """Poll the probe until it succeeds. LateError; DevenvError: 5 when the process ended, 130 when it is cancelled."""
    targets = engine.targets()
    own = engine.own.get(service.name)
    on_port = own is None or ready.asks_port(own.ready)
    # Without a condition it must at least live on for a moment.
    settle_s = 0.0 if own is None or ready.given(own.ready) else SETTLE_S
    began = time.perf_counter()
    last = "no answer yet"
    refusal = None
    wanted = ""
    for poll in count():
        if patience.cancelled.is_set():
            break
        waited = time.perf_counter() - began
        asks = waited >= settle_s and (not on_port or listens(engine, service.name))
        looks = asks or poll % LOOK_EVERY == 0 or waited > TELL_AFTER_S
        if looks and not engine.recognise(service.name):
            raise engine.ended(service.name)
        if asks:
            try:
                service.probe(engine.settings, targets)
                # Another project's server may answer, when both found the port free at the same moment.
                stranger = engine.stranger(service.name) if on_port else None
                if stranger is None:
                    return engine.confirm(service.name)
                last = f"port {engine.port(service.name)} is answered by {stranger}"
                refusal = None
            except StoreError as error:
                last = f"{error.what}: {error.detail}" if error.detail else error.what
                refusal = error.what if error.reached and own is not None else None
                wanted = " (waiting for a status below 400)" if (error.code or "").isdecimal() else ""
        waited = time.perf_counter() - began
        if waited > TELL_AFTER_S:
            patience.tell(f"{refusal}{wanted}" if refusal else last)
        if patience.is_over():
            raise LateError(last, refusal)
        patience.cancelled.wait(POLL_S if waited < TELL_AFTER_S else 10 * POLL_S)
    raise DevenvError(f"{service.name}: wait cancelled", exit_code=Exit.INTERRUPTED)


def listens(engine: Engine, name: str) -> bool:
    """Return True if a service's port is open: far cheaper to ask than the probe, while the process boots."""
    try:
        socket.create_connection(engine.address(name), timeout=1).close()
    except OSError:
        return False
    return True


def start_store(engine: Engine, name: str) -> None:
    """Start a service and wait until it answers; on another port when somebody took its own while it stood still.

    DevenvError (5, 4 or 6) with the last lines of its log.
    """
    launch_and_wait(
        lambda: engine.launch(name, {}, lambda text, done, total: None),
        lambda: await_store(engine, name),
        partial(move, engine, name),
    )


def move(engine: Engine, name: str) -> None:
    """Give a service another port."""
    engine.assign_ports((name,), False)


def await_store(engine: Engine, name: str) -> None:
    """Wait until a service that was launched answers. DevenvError (5, 4)."""
    end = time.monotonic() + START_S
    try:
        await_ready(engine, service_named(engine, name), Patience(lambda: time.monotonic() > end))
    except LateError as late:
        raise DevenvError(
            f"{name} did not answer within {START_S:g} s",
            exit_code=Exit.TIMEOUT,
            detail="\n".join([late.last, *engine.tail(name), f"(whole log: {engine.log(name)})"]),
            hint="devenv up",
        ) from None
    except DevenvError as error:
        raise error.with_hint("devenv up") from None
