"""Starts services in parallel and waits until each answers, or until one common deadline."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec

from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit
from devenv.core.events import Watch
from devenv.engines.services import Service, service_named
from devenv.engines.wait import LateError, Patience, await_ready, launch_and_wait
from devenv.lifecycle.plan import UpOptions, join_late
from devenv.stack import Stack

# Windows has no SIGHUP.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# How long past the deadline a thread may take to see it: a probe under way has a timeout of its own.
LATE_S = 5.0


class Clock(msgspec.Struct):
    """Seconds since the command began, and how long each part took."""

    began: float = msgspec.field(default_factory=time.perf_counter)
    parts: dict[str, float] = msgspec.field(default_factory=dict)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.began

    def finish(self) -> dict[str, float]:
        """All parts and the total, rounded to milliseconds."""
        return {name: round(spent, 3) for name, spent in {**self.parts, "total": self.elapsed()}.items()}


class ServiceStarter:
    """One command at work: the threads that wait for services, and the deadline they share."""

    def __init__(self, stack: Stack, options: UpOptions, watch: Watch, clock: Clock) -> None:
        self.stack = stack
        self.engine = stack.engine
        self.options = options
        self.watch = watch
        self.clock = clock
        self.cancel = threading.Event()
        self.engine.halt = self.halt
        # A thread that waits for what its service needs keeps its place.
        self.pool = ThreadPoolExecutor(max_workers=len(self.engine.services) + len(STORES))
        self._assigning = threading.Lock()
        # A service got another port after others may have been given its first one.
        self.moved = False
        self.waits: dict[str, Any] = {}
        # Set: services may be asked. Each name in `launched` has a process, or will have none.
        self.asking = threading.Event()
        self.asking.set()
        self.launched: dict[str, threading.Event] = {}

    def halt(self) -> None:
        """Raise when this run is over, for what an engine waits for. DevenvError: 130, or 4 at the deadline."""
        if self.cancel.is_set():
            raise DevenvError("wait cancelled", exit_code=Exit.INTERRUPTED)
        if self.clock.elapsed() > self.options.timeout_s:
            raise DevenvError(
                f"the services could not be started within {self.options.timeout_s:g} s",
                exit_code=Exit.TIMEOUT,
                hint="devenv up --timeout 300",
            )

    def close(self) -> None:
        """End the waiting threads."""
        self.cancel.set()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def start_stores(self, names: Sequence[str]) -> None:
        """Start the named stores side by side; `ready` waits for one."""
        self.assign_ports(names)
        if names:
            self.engine.secrets()
            self.engine.prepare(names)
        for name in names:
            self.begin(name, self.start, "")

    @contextmanager
    def booting(self, names: Sequence[str]) -> Iterator[None]:
        """Launch the named stores and enter the block once their processes run; they are asked after the block.

        Asking imports drivers: in a thread, beside imports of the block, a module could be seen half imported.
        """
        self.launched = {name: threading.Event() for name in names}
        self.asking.clear()
        try:
            self.start_stores(names)
            for name, launched in self.launched.items():
                # A wait without a timeout would keep Ctrl-C waiting too.
                while not launched.wait(0.1) and not self.waits[name].done():
                    pass
            yield
        finally:
            self.asking.set()

    def assign_ports(self, names: Sequence[str]) -> None:
        """Give services their ports, and tell of those that had to change."""
        with self._assigning:
            for sentence in self.engine.assign_ports(tuple(names), self.options.strict_ports):
                self.watch.say(sentence)

    def service_named(self, name: str) -> Service:
        """A service with its probe; a command of `ready` gets the project's variables."""
        return service_named(self.engine, name, self.stack.environment)

    def begin(self, name: str, work: Callable[..., None], *arguments: str) -> None:
        """Do `work` for a service in a thread; `ready` waits for it.

        A Ctrl-C is held back meanwhile: in the middle of this it would leave a thread that nobody knows of.
        """
        with held_signals():
            self.waits[name] = self.pool.submit(work, self.service_named(name), *arguments)

    def start(self, service: Service, reason: str) -> None:
        """Launch one service and wait until its probe succeeds."""
        began = time.perf_counter()
        self.watch.begin(service.name, f"starting ({reason})" if reason else "starting")
        try:
            self.launch(service)
        except DevenvError as error:
            if self.cancel.is_set():
                self.watch.end(service.name, "wait cancelled", ok=True)
            else:
                self.watch.end(service.name, error.what, ok=False)
            raise
        self.clock.parts[service.name] = time.perf_counter() - began
        self.watch.end(service.name, f"ready in {self.clock.parts[service.name]:.2f} s", ok=True)

    def launch(self, service: Service) -> None:
        """Launch one service and wait for it; on another port when somebody took the chosen one meanwhile."""
        name = service.name

        def launch() -> None:
            self.engine.launch(name, self.stack.environment(), partial(self.preparing, name))
            if name in self.launched:
                self.launched[name].set()

        launch_and_wait(
            launch,
            lambda: self.wait(service),
            None if self.options.strict_ports else lambda: self.move(name),
        )

    def move(self, name: str) -> None:
        """Give a service another port, as another program took its own."""
        self.assign_ports((name,))
        self.moved = True

    def preparing(self, target: str, text: str, done: int, total: int | None) -> None:
        """Tell what a launch does before the process starts: make a folder, fetch a part. Here it can be ended."""
        if self.cancel.is_set():
            raise DevenvError(f"{target} was not started", exit_code=Exit.INTERRUPTED)
        if done:
            self.watch.progress(target, done, total)
        else:
            self.watch.say(f"{target}: {text}")

    def wait(self, service: Service) -> None:
        """Poll the probe until it succeeds. DevenvError: 5 when the process ended, 4 at the deadline."""
        while not self.asking.wait(0.1) and not self.cancel.is_set():
            pass
        tell = partial(self.watch.note, service.name)
        patience = Patience(lambda: self.clock.elapsed() > self.options.timeout_s, tell, self.cancel)
        try:
            await_ready(self.engine, service, patience)
        except LateError as late:
            raise self.timed_out(service, late.last, late.refusal) from None

    def timed_out(self, service: Service, last: str, refusal: str | None) -> DevenvError:
        """The error for a service that runs but never was ready; `refusal`: what an application answered instead."""
        log = self.engine.log(service.name)
        if refusal:
            verb, cause, hint = "was not ready", f"the health check failed: {refusal}", "devenv doctor"
        elif service.name in self.engine.own and last.startswith("no line"):
            verb, cause, hint = "was not ready", last, f"devenv logs {service.name}"
        else:
            verb, (cause, hint) = "did not answer", self.engine.stalled(service.name)
        return DevenvError(
            f"{service.name} {verb} within {self.options.timeout_s:g} s",
            exit_code=Exit.TIMEOUT,
            detail="\n".join([f"last answer: {last}", *self.engine.tail(service.name), f"(whole log: {log})"]),
            cause=cause,
            hint=hint,
        )

    def ready(self, name: str) -> None:
        """Block until a store that this run starts is ready. Raises what its thread raised."""
        wait = self.waits.get(name)
        # A result() without a timeout would keep Ctrl-C waiting too.
        while wait is not None and not futures.wait([wait], timeout=0.1).done:
            pass
        if wait is not None:
            try:
                wait.result()
            except DevenvError as error:
                raise self.with_others_late(name, error) from None

    def with_others_late(self, name: str, error: DevenvError) -> DevenvError:
        """Return `error`, and at the deadline, which all services share, one error that names every late service."""
        if error.exit_code != Exit.TIMEOUT:
            return error
        late = {name: error}
        for other, wait in self.waits.items():
            # Its thread sees the deadline at its next poll.
            if other != name and futures.wait([wait], timeout=LATE_S).done:
                found = wait.exception()
                if isinstance(found, DevenvError) and found.exit_code == Exit.TIMEOUT:
                    late[other] = found
        return join_late(late)

    def wait_or_start(self, name: str) -> None:
        """Wait for a store that ran before; start one that was ending already when this `up` found it running."""
        try:
            self.wait(self.service_named(name))
        except DevenvError as error:
            if error.exit_code != Exit.CRASHED or name in self.waits:
                raise
            self.start_stores([name])
            self.ready(name)


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the block is left, then let the first of them do its work."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    usual = {n: signal.signal(n, lambda number, frame: caught.append(number)) for n in ENDING}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])
