"""The project's own processes during one `up`: each starts when the services it needs are ready.

One that fails keeps only those from starting that need it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent import futures
from typing import TYPE_CHECKING, Final

from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit
from devenv.core.model import Action
from devenv.engines.base import PORT_TRIES
from devenv.lifecycle.plan import join_failed

if TYPE_CHECKING:
    from devenv.engines.services import Service
    from devenv.lifecycle.start import ServiceStarter

MOVED: Final = "an address that it was given has changed"


class HeldError(DevenvError):
    """A service was not started, because another one (`needed`) did not come up."""

    def __init__(self, name: str, needed: str) -> None:
        super().__init__(f"{name} was not started: it needs {needed}", exit_code=Exit.CRASHED)
        self.needed = needed


class OwnStarter:
    """The plan for the project's own processes, in starting order, at work."""

    def __init__(self, starter: ServiceStarter, plan: Sequence[Action]) -> None:
        self.starter = starter
        self.engine = starter.engine
        self.plan = {action.target: action for action in plan}
        self.loaded = threading.Event()

    def begin(self) -> None:
        """Choose all ports, so that each service can be told every other one's, and begin with each."""
        starting = [
            name
            for name, action in self.plan.items()
            if action.action == "start" or (action.action == "restart" and not self.engine.runs(name))
        ]
        for name in starting:
            self.engine.end_left(name)
        self.starter.assign_ports(starting)
        for name in self.plan:
            self.starter.begin(name, self.serve)

    def stores_are_loaded(self) -> None:
        """Let those start that need a store: both answer, the steps are done, the tap stands before them."""
        self.loaded.set()

    def serve(self, service: Service) -> None:
        """One service, in a thread of its own: wait for what it needs, then start it, or see that it is ready."""
        action = self.plan[service.name]
        keep = action.action == "keep"
        if keep:
            self.starter.wait(service)
        try:
            self.await_needs(service.name)
        except HeldError:
            if keep:
                return None
            raise
        environment = self.starter.stack.environment()
        if keep and not self.engine.settings_changed(environment, service.name):
            return None
        if action.action in ("keep", "restart"):
            self.engine.stop(service.name)
        reason = action.reason if not keep else MOVED
        return self.starter.start(service, reason)

    def await_needs(self, name: str) -> None:
        """Block until what a service needs is ready. HeldError when something of it failed."""
        needs = self.engine.own[name].depends_on
        while any(need in STORES for need in needs) and not self.loaded.wait(0.05):
            self.starter.halt()
        for need in needs:
            wait = self.starter.waits.get(need) if need in self.plan else None
            while wait is not None and not futures.wait([wait], timeout=0.05).done:
                self.starter.halt()
            if wait is not None and wait.exception() is not None:
                raise HeldError(name, need)
        self.starter.halt()

    def finish(self) -> None:
        """Block until every service is ready, or failed. DevenvError for those that failed, with those held back."""
        failed: dict[str, DevenvError] = {}
        held: dict[str, str] = {}
        for name in self.plan:
            wait = self.starter.waits[name]
            # A result() without a timeout would keep Ctrl-C waiting too.
            while not futures.wait([wait], timeout=0.1).done:
                pass
            try:
                wait.result()
            except HeldError as error:
                held[name] = error.needed
            except DevenvError as error:
                failed[name] = error
        if failed:
            raise join_failed(failed, held)
        if self.starter.moved:
            self.follow_moves()

    def follow_moves(self) -> None:
        """Restart the services that were given the address of one that then lost its port to another program."""
        for _ in range(PORT_TRIES):
            environment = self.starter.stack.environment()
            stale = [name for name in self.plan if self.engine.settings_changed(environment, name)]
            for name in stale:
                self.engine.stop(name)
                self.starter.start(self.starter.service_named(name), MOVED)
            if not stale:
                return
