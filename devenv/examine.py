"""What `doctor` is told about one project: everything read of this machine, gathered at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import psutil

from devenv import processes, up
from devenv.checks.facts import DoctorContext, Listener
from devenv.config import FILE
from devenv.stack import Stack, open_locked
from devenv.steps import merge, setup
from devenv.watch import Silent, Watch


def doctor_context(stack: Stack, inputs: up.Inputs, watch: Watch | None = None) -> DoctorContext:
    """The context of one diagnosis. `inputs` are the steps' files; `watch` is told when `--fix` runs a step."""
    engine = stack.engine
    seen = engine.look()
    environment = stack.environment()
    process = engine.process("backend")
    backend = stack.settings.backend
    return DoctorContext(
        settings=stack.settings,
        root=stack.root,
        targets=engine.targets(),
        services=seen,
        environment=environment,
        shell=stack.environ,
        expected_application={**environment, **engine.backend_variables()} if backend and backend.command else None,
        application=processes.environment(process) if process else None,
        tables={definition.table: definition.request for definition in inputs["schema-load"].content or ()},
        look_steps=partial(up.step_states, stack, inputs),
        read_declared=setup.read_declared,
        read_seeded=merge.read_seeded,
        run_steps=partial(run_steps, stack, watch or Silent()),
        listeners=partial(read_listeners, stack),
        private_files=(stack.folder / "state.json", engine.home / "secrets.json"),
        dynamodb_folder=engine.home / "dynamodb",
        settings_changed=(stack.root / FILE).stat().st_mtime,
        origins=stack.loaded.origins,
        logs={name: engine.log(name) for name in (*engine.services, "steps")},
    )


def run_steps(stack: Stack, watch: Watch) -> None:
    """Run the steps that are not done, as `up` does."""
    with open_locked(stack.root, up.Options().timeout_s, watch.say) as locked:
        up.up(locked, up.Options(backend=False), watch, up.Clock())


def read_listeners(stack: Stack) -> Sequence[Listener]:
    """The sockets on which this project's services (and their children) listen."""
    found = []
    for service in stack.engine.look():
        if service.pid is None:
            continue
        for pid in (service.pid, *processes.children(service.pid)):
            try:
                sockets = psutil.Process(pid).net_connections(kind="tcp")
            except psutil.Error:
                continue
            found += [
                Listener(service.name, seen.laddr.ip, seen.laddr.port)
                for seen in sockets
                if seen.status == psutil.CONN_LISTEN
            ]
    return found
