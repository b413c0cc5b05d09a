"""`devenv up`: observes the state, plans, and carries out the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from devenv.config.services import STORES, with_needed
from devenv.core.errors import Exit
from devenv.core.events import Watch
from devenv.core.model import Action, Report, ServiceState, StepState
from devenv.host import processes, registry
from devenv.lifecycle import dependencies, log_clock, tap
from devenv.lifecycle.load import StepLoader
from devenv.lifecycle.names import check_names
from devenv.lifecycle.old_addresses import old_addresses
from devenv.lifecycle.own import OwnStarter
from devenv.lifecycle.plan import UpOptions, plan_in_order, plan_services, plan_steps
from devenv.lifecycle.recover import recover, refuse_left
from devenv.lifecycle.start import Clock, ServiceStarter
from devenv.lifecycle.status import look_closely
from devenv.lifecycle.steps import read_inputs, step_states
from devenv.stack import Stack
from devenv.stores.postgres import driver

if TYPE_CHECKING:
    from devenv.engines.base import Engine


def up(stack: Stack, options: UpOptions, watch: Watch, clock: Clock) -> Report:
    """Start what is not running, wait until each service answers, run the steps that are not done."""
    engine = stack.engine
    refuse_left(stack)
    if not options.dry_run:
        engine.permit(options.agree)
        recover(stack, watch)
        tap.settle(stack, options.tap, watch.say)
    prepared = dependencies.planned(stack, options) if options.dry_run else dependencies.settle(stack, options, watch)
    seen = engine.look()
    wanted = wanted_services(stack, options)
    return_ports(engine, seen, watch.say)
    environment = stack.environment()
    changed = [name for name in wanted if name in engine.own and engine.settings_changed(environment, name)]
    gone = undeclared(engine)
    plan = (*prepared, *(Action(name, "stop", "devenv.toml has no such service") for name in gone))
    renewed = engine.own if prepared and not options.dry_run else ()
    plan += plan_services(seen, wanted, changed, renewed)
    if options.dry_run:
        return dry_run(stack, options, plan, wanted, watch)
    # Refused files leave nothing behind. Where there is data already they are read while the stores boot, which are
    # stopped again then. Postgres's driver is imported while they boot in any case.
    kept = engine.files and engine.has_data()
    inputs = {} if kept else read_inputs(stack, whole=True, say=watch.say)
    tell_pending(seen, watch)
    services = ServiceStarter(stack, options, watch, clock)
    loader = StepLoader(services)
    own = OwnStarter(services, [action for action in plan if action.target in engine.own])
    tapping = False
    loader.fresh = not engine.has_data() and set(STORES) <= set(wanted)
    registry.register(engine.cache, stack.root, engine.base, engine.compose_project)
    if loader.fresh and not (options.force or options.first):
        loader.adopt_baseline(inputs)
    started = [action.target for action in plan if action.action == "start"]
    stores = [name for name in started if name in STORES]
    ticking = options.clock and log_clock.ensure(engine)
    try:
        if kept:
            with services.booting(stores):
                inputs = read_inputs(stack, whole=True, say=watch.say)
                driver.load()
        for name in gone:
            watch.say(f"{name}: stopped, because devenv.toml no longer has this service")
            engine.stop(name)
        if not kept:
            services.start_stores(stores)
            driver.load()
        own.begin()
        if steps := steps_of(wanted):
            plan += loader.load(inputs, steps)
        tapping = tap.ensure(stack, watch.say)
        for sentence in old_addresses(stack) if "backend" in started else ():
            watch.say(f"warning: {sentence}")
        own.stores_are_loaded()
        own.finish()
        # A service may have got another port after all, when somebody took its own at that moment.
        tap.ensure(stack, watch.say)
    except BaseException as reason:
        services.close()
        # A failed start stays for a look at it, and the next `up` goes on from there.
        if not isinstance(reason, Exception) or not inputs:
            take_back(engine, started, tapping)
        if ticking and not any(engine.runs(name) for name in engine.services):
            log_clock.stop(engine)
        raise
    services.close()
    timings = clock.finish()
    engine.improve()
    return up_report(stack, plan, loader.step_states, timings)


def dry_run(stack: Stack, options: UpOptions, plan: Sequence[Action], wanted: Sequence[str], watch: Watch) -> Report:
    """The report of a dry run: steps of stopped stores are planned from what is remembered of them."""
    states = step_states(stack, read_inputs(stack, whole=True, say=watch.say))
    remembered = {state.name: state for state in states}
    steps = plan_steps(remembered.__getitem__, options, lambda action: False, steps_of(wanted))
    return up_report(stack, plan_in_order(plan, steps, stack.engine.needs()), states, {}, dry_run=True)


def take_back(engine: Engine, started: Sequence[str], tapping: bool) -> None:
    """Stop what this run has started."""
    for name in reversed(started):
        engine.stop(name)
    if tapping:
        tap.stop(engine)


def wanted_services(stack: Stack, options: UpOptions) -> tuple[str, ...]:
    """The services that this `up` is about, in starting order. UsageError for a name that there is not."""
    engine = stack.engine
    if not options.names:
        return engine.services if options.backend else STORES
    check_names(engine, options.names)
    seeds = stack.settings.steps.seed
    # Items follow the rows.
    stores = {"dynamodb": ("postgres",)} if seeds.files or seeds.command else {}
    found = with_needed(options.names, {**engine.needs(), **stores})
    return tuple(name for name in engine.services if name in found)


def steps_of(wanted: Sequence[str]) -> tuple[str, ...]:
    """The steps whose stores are all among `wanted`."""
    from devenv.steps.registry import STEPS

    return tuple(step.name for step in STEPS if set(step.needs) <= set(wanted))


def return_ports(engine: Engine, seen: Sequence[ServiceState], say: Callable[[str], None]) -> None:
    """Let services that were moved prefer the declared ports again, unless anything of the project runs."""
    for sentence in () if is_up(engine, seen) else engine.return_ports():
        say(sentence)


def is_up(engine: Engine, seen: Sequence[ServiceState]) -> bool:
    """Return True if anything of the project runs, the tap among it."""
    tapped = engine.state.tap is not None and processes.is_running(engine.state.tap.process)
    return tapped or any(each.state not in ("stopped", "crashed") for each in seen) or bool(undeclared(engine))


def undeclared(engine: Engine) -> list[str]:
    """The services that the state knows as running and that devenv.toml no longer has."""
    names = [name for name in engine.known_services if name not in (*engine.services, *engine.own, *STORES)]
    return [name for name in names if engine.process(name) is not None or engine.runs(name)]


def tell_pending(seen: Sequence[ServiceState], watch: Watch) -> None:
    """Name what a running service does not have yet, before anything fails for it."""
    for service in seen:
        if service.state == "running" and service.detail and service.command:
            watch.say(f"{service.name}: {service.detail}: {service.command}")


def up_report(
    stack: Stack, plan: Sequence[Action], states: Sequence[StepState], timings: Mapping[str, float], **more: Any
) -> Report:
    return Report(
        command="up",
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={
            "engine": stack.engine.name,
            "services": [asdict(service) for service in (*look_closely(stack.engine), *tap.look(stack.engine))],
            "steps": [asdict(step) for step in states],
            "plan": [asdict(action) for action in plan],
            "timings": dict(timings),
            **more,
        },
    )
