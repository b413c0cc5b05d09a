"""`devenv up`: looks at what is there, plans, carries the plan out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from devenv.core.errors import Exit
from devenv.core.events import Watch
from devenv.core.model import Action, Report, ServiceState, StepState
from devenv.engines.project import STORES
from devenv.host import registry
from devenv.lifecycle import tap
from devenv.lifecycle.load import StepLoader
from devenv.lifecycle.plan import UpOptions, plan_services, plan_steps
from devenv.lifecycle.recover import recover, refuse_left
from devenv.lifecycle.start import Clock, ServiceStarter
from devenv.lifecycle.steps import read_inputs, step_states
from devenv.stack import Stack


def up(stack: Stack, options: UpOptions, watch: Watch, clock: Clock) -> Report:
    """Start what is not running, wait until each service answers, run the steps that are not done."""
    engine = stack.engine
    refuse_left(stack)
    if not options.dry_run:
        engine.permit(options.agree)
        recover(stack, watch)
        tap.settle(stack, options.tap, watch.say)
    wanted = tuple(name for name in engine.services if name != "backend" or options.backend)
    seen = engine.look()
    changed = "backend" in wanted and engine.settings_changed(stack.environment())
    plan = plan_services(seen, wanted, changed)
    inputs = read_inputs(stack)
    if options.dry_run:
        # Steps of stopped stores are planned from what is remembered of them.
        states = step_states(stack, inputs)
        remembered = {state.name: state for state in states}
        plan += plan_steps(remembered.__getitem__, options, lambda action: False)
        return up_report(stack, plan, states, {}, dry_run=True)
    tell_pending(seen, watch)
    services = ServiceStarter(stack, options, watch, clock)
    loader = StepLoader(services)
    tapping = False
    loader.fresh = not engine.has_data()
    registry.register(engine.cache, stack.root, engine.base, engine.compose_project)
    if loader.fresh and not (options.force or options.first):
        loader.adopt_baseline(inputs)
    started = [action.target for action in plan if action.action == "start"]
    backend = next((action for action in plan if action.target == "backend"), None)
    try:
        services.start_stores([name for name in started if name in STORES])
        if backend and backend.action == "keep":
            services.watch_backend()
        plan += loader.load(inputs)
        if backend and engine.state.tap:
            services.assign_backend(backend)
        tapping = tap.ensure(stack, watch.say)
        if backend and backend.action == "keep" and engine.settings_changed(stack.environment()):
            backend = Action("backend", "restart", "the tap got other ports")
        if backend:
            services.serve_backend(backend)
            # It may have got another port after all, when somebody took its own at that moment.
            tap.ensure(stack, watch.say)
    except BaseException as reason:
        services.close()
        # A failed start stays for a look at it, and the next `up` goes on from there.
        if not isinstance(reason, Exception):
            for name in started:
                engine.stop(name)
            if tapping:
                tap.stop(engine)
        raise
    services.close()
    timings = clock.finish()
    engine.improve()
    return up_report(stack, plan, loader.step_states, timings)


def tell_pending(seen: Sequence[ServiceState], watch: Watch) -> None:
    """Name what a running service does not have yet, before anything fails for it."""
    for service in seen:
        if service.state == "running" and service.detail and service.command:
            watch.say(f"{service.name}: {service.detail}: {service.command}")


def up_report(
    stack: Stack, plan: Sequence[Action], states: Sequence[StepState], timings: Mapping[str, float], **more: Any
) -> Report:
    """The report of `up`."""
    return Report(
        command="up",
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={
            "engine": stack.engine.name,
            "services": [asdict(service) for service in (*stack.engine.look(), *tap.look(stack.engine))],
            "steps": [asdict(step) for step in states],
            "plan": [asdict(action) for action in plan],
            "timings": dict(timings),
            **more,
        },
    )
