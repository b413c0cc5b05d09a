"""`up`, `down`, `status` and the single steps: look at what is there, plan, carry the plan out."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.events import Watch
from devenv.core.model import Action, Report, ServiceState, StepState
from devenv.engines.base import PORT_TRIES, Engine
from devenv.engines.base import STORES as STORES
from devenv.engines.registry import engine_class
from devenv.engines.services import SERVICES, Service
from devenv.host import registry
from devenv.host.state import meant_up
from devenv.lifecycle import tap
from devenv.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from devenv.steps.registry import Handles, Step, StepContext

Inputs = Mapping[str, Any]
ORDER = ("setup", "schema-load", "seed")
POLL_S = 0.01
# Windows has no SIGHUP.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# How long past the deadline a thread may take to see it: a probe under way has a timeout of its own.
LATE_S = 5.0
# A probe error is worth showing only once a start takes longer than it should.
TELL_AFTER_S = 1.0


@dataclass(frozen=True)
class Options:
    """How `up` was asked. `force` and `first` name a step; both include the later ones.

    `agree` is asked, and raises unless the user agrees, before stores that devenv did not start become its own.
    """

    timeout_s: float = 120.0
    dry_run: bool = False
    force: str | None = None
    first: str | None = None
    backend: bool = True
    strict_ports: bool = False
    agree: Callable[[str], None] | None = None
    tap: bool | None = None


@dataclass
class Clock:
    """Seconds since the command began, and how long each part took."""

    began: float = field(default_factory=time.perf_counter)
    parts: dict[str, float] = field(default_factory=dict)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.began

    def finish(self) -> dict[str, float]:
        """All parts and the total, rounded to milliseconds."""
        return {name: round(spent, 3) for name, spent in {**self.parts, "total": self.elapsed()}.items()}


def join_late(late: Mapping[str, DevenvError]) -> DevenvError:
    """Return one error for all services that missed the deadline. Pure."""
    if len(late) == 1:
        return next(iter(late.values()))
    return DevenvError(
        ", ".join(error.what for error in late.values()),
        exit_code=Exit.TIMEOUT,
        detail="\n".join(f"{name}: {error.detail}" for name, error in late.items() if error.detail) or None,
        cause="; ".join(f"{name}: {error.cause}" for name, error in late.items() if error.cause) or None,
        hint="; ".join(dict.fromkeys(error.hint for error in late.values() if error.hint)) or None,
    )


def plan_services(seen: Sequence[ServiceState], wanted: Sequence[str], settings_changed: bool) -> tuple[Action, ...]:
    """What to do with each wanted service (`start`, `restart`, `keep`) and why. Pure."""
    reasons = {"stopped": "it is not running", "crashed": "it ended without `devenv down`"}
    plan = []
    for service in seen:
        if service.name not in wanted:
            continue
        if service.state in reasons:
            plan.append(Action(service.name, "start", service.detail or reasons[service.state]))
        elif service.name == "backend" and settings_changed:
            plan.append(Action(service.name, "restart", "its settings changed since it was started"))
        else:
            where = f"as pid {service.pid}" if service.pid else f"at {service.host}:{service.port}"
            plan.append(Action(service.name, "keep", f"running {where}"))
    return tuple(plan)


def plan_step(state: StepState, options: Options, ran: bool) -> Action:
    """What to do with one step: `run` or `keep`, and why. `ran`: an earlier step runs in this `up`. Pure."""
    order = list(ORDER)
    if options.first and order.index(state.name) < order.index(options.first):
        return Action(state.name, "keep", f"it comes before --from {options.first}")
    for flag, name in (("force", options.force), ("from", options.first)):
        if name and order.index(state.name) >= order.index(name):
            return Action(state.name, "run", f"asked for by --{flag} {name}")
    if state.state != "done":
        return Action(state.name, "run", state.reason)
    return Action(state.name, "check" if ran else "keep", "an earlier step runs before it" if ran else state.reason)


def up(stack: Stack, options: Options, watch: Watch, clock: Clock) -> Report:
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
    if options.dry_run:
        return dry_run(stack, options, plan, read_inputs(stack))
    inputs = read_inputs(stack)
    run = Run(stack, options, watch, clock)
    tapping = False
    run.fresh = not engine.has_data()
    registry.register(engine.cache, stack.root, engine.base, engine.compose_project)
    if run.fresh and not (options.force or options.first):
        run.adopt_baseline(inputs)
    started = [action.target for action in plan if action.action == "start"]
    backend = next((action for action in plan if action.target == "backend"), None)
    try:
        run.start_stores([name for name in started if name in STORES])
        if backend and backend.action == "keep":
            run.watch_backend()
        plan += run.load(inputs)
        if backend and engine.state.tap:
            run.assign_backend(backend)
        tapping = tap.ensure(stack, watch.say)
        if backend and backend.action == "keep" and engine.settings_changed(stack.environment()):
            backend = Action("backend", "restart", "the tap got other ports")
        if backend:
            run.serve_backend(backend)
            # It may have got another port after all, when somebody took its own at that moment.
            tap.ensure(stack, watch.say)
    except BaseException as reason:
        run.close()
        # A failed start stays for a look at it, and the next `up` goes on from there.
        if not isinstance(reason, Exception):
            for name in started:
                engine.stop(name)
            if tapping:
                tap.stop(engine)
        raise
    run.close()
    timings = clock.finish()
    engine.improve()
    return up_report(stack, plan, run.step_states, timings)


def dry_run(stack: Stack, options: Options, plan: tuple[Action, ...], inputs: Inputs) -> Report:
    """The plan, without carrying it out. Steps of stopped stores are planned from what is remembered of them."""
    states = step_states(stack, inputs)
    ran = False
    for state in states:
        action = plan_step(state, options, ran)
        ran = ran or action.action == "run"
        plan += (action,)
    return up_report(stack, plan, states, {}, dry_run=True)


def up_report(
    stack: Stack, plan: Sequence[Action], states: Sequence[StepState], timings: Mapping[str, float], **more: Any
) -> Report:
    """The report of `up`: the contract's keys."""
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


def read_inputs(stack: Stack) -> Inputs:
    """Read and check every step's files, before anything is started. UsageError (exit 2) for what is wrong there."""
    from devenv.steps.registry import STEPS

    try:
        return {step.name: step.read(stack.settings, stack.root) for step in STEPS}
    except UsageError as error:
        raise error.with_hint("mend it, then: devenv up") from None


def step_states(stack: Stack, inputs: Inputs) -> tuple[StepState, ...]:
    """How the steps stand: asked of the stores when both run, else remembered."""
    from devenv.steps.registry import STEPS, Handles

    running = {service.name for service in stack.engine.look() if service.state == "running"}
    if running.issuperset(STORES):
        context = step_context(stack, lambda text: None)
        try:
            with Handles(context) as handles:
                return tuple(step.look(context, inputs[step.name], handles) for step in STEPS)
        except StoreError as error:
            return tuple(StepState(step.name, "pending", f"cannot be looked at: {error.what}") for step in STEPS)
    marks = stack.engine.state.steps
    return tuple(
        StepState(name, marks[name].state, f"on {marks[name].at}, when last looked at: {marks[name].reason}")
        if name in marks
        else StepState(name, "pending", "never run")
        for name in ORDER
    )


def step_context(
    stack: Stack, say: Callable[[str], None], announce: Callable[[str], None] = lambda text: None
) -> StepContext:
    """What a step may use. `announce` takes what is to stay on the screen, unlike the progress that `say` takes."""
    from devenv.steps.registry import StepContext

    targets = stack.engine.targets()
    return StepContext(
        settings=stack.settings,
        root=stack.root,
        postgres=targets.postgres,
        dynamodb=targets.dynamodb,
        ledger=stack.engine.home / "ledger.sqlite",
        environ={**stack.environ, **stack.environment()},
        say=say,
        log=stack.engine.log("steps"),
        extend=lambda: stack.engine.extend(lambda text, done, total: None if done else announce(text)),
    )


class Run:
    """One `up` at work: the threads that wait for services, and the deadline they share."""

    def __init__(self, stack: Stack, options: Options, watch: Watch, clock: Clock) -> None:
        self.stack = stack
        self.engine = stack.engine
        self.options = options
        self.watch = watch
        self.clock = clock
        self.cancel = threading.Event()
        self.engine.halt = self.halt
        self.pool = ThreadPoolExecutor(max_workers=len(SERVICES))
        self.waits: dict[str, Any] = {}
        self.step_states: tuple[StepState, ...] = ()
        # Whether all data is made by this very run, so that it can become the baseline.
        self.fresh = False
        # Where the baseline of all checkouts is or is to be; whether this run begins with it; what becomes of it.
        self.shared: Path | None = None
        self.adopted = False
        self.sharing: Path | None = None

    def halt(self) -> None:
        """Raise when this run is over, for what an engine waits for. DevenvError: 130, or 4 at the deadline."""
        if self.cancel.is_set():
            raise DevenvError("not waited for any longer", exit_code=Exit.INTERRUPTED)
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
        for sentence in self.engine.assign_ports(tuple(names), self.options.strict_ports):
            self.watch.say(sentence)
        if names:
            self.engine.secrets()
            self.engine.prepare(names)
        for name in names:
            self.begin(name, self.start, "it was not running")

    def begin(self, name: str, work: Callable[..., None], *arguments: str) -> None:
        """Do `work` for a service in a thread; `ready` waits for it.

        A Ctrl-C is held back meanwhile: in the middle of this it would leave a thread that nobody knows of.
        """
        with held_signals():
            self.waits[name] = self.pool.submit(work, service_named(name), *arguments)

    def start(self, service: Service, reason: str) -> None:
        """Launch one service and wait until its probe succeeds."""
        began = time.perf_counter()
        self.watch.begin(service.name, f"starting ({reason})")
        try:
            self.launch(service)
        except DevenvError as error:
            if self.cancel.is_set():
                self.watch.end(service.name, "not waited for any longer", ok=True)
            else:
                self.watch.end(service.name, error.what, ok=False)
            raise
        self.clock.parts[service.name] = time.perf_counter() - began
        self.watch.end(service.name, f"ready in {self.clock.parts[service.name]:.2f} s", ok=True)

    def launch(self, service: Service) -> None:
        """Launch one service and wait for it; on another port when somebody took the chosen one meanwhile."""
        for left in reversed(range(PORT_TRIES)):
            try:
                self.engine.launch(service.name, self.stack.environment(), partial(self.preparing, service.name))
                return self.wait(service)
            except DevenvError as error:
                if error.exit_code != Exit.PORT or self.options.strict_ports or not left:
                    raise
            for sentence in self.engine.assign_ports((service.name,), strict=False):
                self.watch.say(sentence)
        return None

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
        targets = self.engine.targets()
        began = time.perf_counter()
        last = "no answer yet"
        refusal = None
        while not self.cancel.is_set():
            if not self.engine.recognise(service.name):
                raise self.engine.ended(service.name)
            if self.listens(service):
                try:
                    service.probe(self.stack.settings, targets)
                    # Another project's server may answer, when both found the port free at the same moment.
                    stranger = self.engine.stranger(service.name)
                    if stranger is None:
                        return self.engine.confirm(service.name)
                    last = f"port {self.engine.port(service.name)} is answered by {stranger}"
                    refusal = None
                except StoreError as error:
                    last = f"{error.what}: {error.detail}" if error.detail else error.what
                    refusal = error.what if error.reached and service.name == "backend" else None
            waited = time.perf_counter() - began
            if waited > TELL_AFTER_S:
                self.watch.note(service.name, last)
            if self.clock.elapsed() > self.options.timeout_s:
                raise self.timed_out(service, last, refusal)
            self.cancel.wait(POLL_S if waited < TELL_AFTER_S else 10 * POLL_S)
        raise DevenvError(f"{service.name} was not waited for", exit_code=Exit.INTERRUPTED)

    def listens(self, service: Service) -> bool:
        """Whether the service's port is open: far cheaper to ask than the probe, while the process boots."""
        import socket

        try:
            socket.create_connection(self.engine.address(service.name), timeout=1).close()
        except OSError:
            return False
        return True

    def timed_out(self, service: Service, last: str, refusal: str | None) -> DevenvError:
        """The error for a service that runs but never was ready; `refusal`: what an application answered instead."""
        log = self.engine.log(service.name)
        if refusal:
            verb, cause, hint = "was not ready", f"it answers, but not that it is well: {refusal}", "devenv doctor"
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

    def load(self, inputs: Inputs) -> tuple[Action, ...]:
        """Look at each step in order and run it unless it is done. A step waits only for the services it needs."""
        from devenv.steps.registry import STEPS, Handles

        done: list[Action] = []
        states: list[StepState] = []
        if self.fresh and not self.engine.files:
            self.fresh = self.is_untouched(inputs)
        with Handles(step_context(self.stack, self.watch.say)) as handles:
            for step in STEPS:
                for needed in step.needs:
                    self.ready(needed)
                context = step_context(self.stack, partial(self.watch.note, step.name), self.watch.say)
                handles.point_at(context)
                action = plan_step(self.look(step, context, inputs[step.name], handles), self.options, ran=False)
                if action.action == "run":
                    handles.close()
                    self.run_step(step, context, inputs[step.name], action.reason)
                    if self.fresh and step.name == "setup":
                        self.fresh = self.keep_baseline_database(inputs)
                done.append(action)
                reason = action.reason if action.action == "keep" else "it was just run"
                states.append(StepState(step.name, "done", reason))
        for name in STORES:
            self.ready(name)
        self.step_states = tuple(states)
        self.engine.remember_steps(self.step_states)
        if self.fresh and (self.adopted or "baseline" in self.clock.parts):
            self.keep_baseline(inputs)
        return tuple(done)

    def is_untouched(self, inputs: Inputs) -> bool:
        """Whether the stores, once they answer, hold nothing that the steps could find: it is asked of them."""
        from devenv.snapshots import baseline

        for name in STORES:
            self.ready(name)
        return baseline.not_repeatable(inputs) is None and baseline.nothing_there(self.stack, inputs)

    def adopt_baseline(self, inputs: Inputs) -> None:
        """Begin with what another checkout of the project keeps, if there is one."""
        from devenv.snapshots import baseline

        self.shared = baseline.shared_place(self.stack, inputs)
        if self.shared and self.shared.exists():
            self.adopted = baseline.adopt(self.stack, self.shared)
            if self.adopted:
                self.watch.say("the data begins with the baseline of another checkout of this project")

    def keep_baseline_database(self, inputs: Inputs) -> bool:
        """Keep a copy of the database that setup just made, while DynamoDB Local may still boot."""
        from devenv.snapshots import baseline

        began = time.perf_counter()
        kept = baseline.not_repeatable(inputs) is None and baseline.keep_database(self.stack)
        if kept and self.engine.files and self.shared and not self.shared.exists():
            self.sharing = baseline.share_cluster(self.stack, self.shared)
        self.clock.parts["baseline"] = time.perf_counter() - began
        return kept

    def keep_baseline(self, inputs: Inputs) -> None:
        """Keep what the steps made, for `reset`."""
        from devenv.snapshots import baseline

        began = time.perf_counter()
        baseline.keep_rest(self.stack, inputs, began)
        if self.sharing and self.shared:
            baseline.share_rest(self.stack, self.shared, self.sharing)
        self.clock.parts["baseline"] = self.clock.parts.get("baseline", 0.0) + time.perf_counter() - began

    def look(self, step: Step, context: StepContext, inputs: Any, handles: Handles) -> StepState:
        """How a step stands. A store that ran before this `up` is waited for only when it does not answer now."""
        try:
            return step.look(context, inputs, handles)
        except StoreError as error:
            if error.reached:
                raise
            handles.close()
            for name in step.needs:
                self.wait_or_start(name)
            return step.look(context, inputs, handles)

    def wait_or_start(self, name: str) -> None:
        """Wait for a store that ran before; start one that was ending already when this `up` found it running."""
        try:
            self.wait(service_named(name))
        except DevenvError as error:
            if error.exit_code != Exit.CRASHED or name in self.waits:
                raise
            self.start_stores([name])
            self.ready(name)

    def run_step(self, step: Step, context: StepContext, inputs: Any, reason: str, fresh: bool = False) -> None:
        """Run one step and tell of it."""
        began = time.perf_counter()
        self.watch.begin(step.name, reason)
        try:
            result = step.run(context, inputs, fresh)
        except DevenvError as error:
            self.watch.end(step.name, error.what, ok=False)
            raise error.with_hint("mend it, then: devenv up") from None
        self.clock.parts[step.name] = time.perf_counter() - began
        for warning in result.warnings:
            self.watch.say(f"{step.name}: {warning}")
        self.watch.end(step.name, f"{result.summary} ({self.clock.parts[step.name]:.2f} s)", ok=True)

    def run_all(self, inputs: Inputs, names: Sequence[str]) -> None:
        """Run the named steps from scratch, in order."""
        from devenv.steps.registry import STEPS

        for step in STEPS:
            if step.name in names:
                context = step_context(self.stack, partial(self.watch.note, step.name), self.watch.say)
                self.run_step(step, context, inputs[step.name], "from scratch", fresh=True)

    def keep(self, reason: str) -> str | None:
        """Keep the present data before it is changed, and drop the oldest of what was kept so. The snapshot's name."""
        from devenv.snapshots import save
        from devenv.snapshots.cleanup import prune

        began = time.perf_counter()
        try:
            kept = save.keep(self.stack, reason, began)
        except StoreError as error:
            raise error.with_hint("make room on the disk (df -h), then the same command again") from None
        prune(self.stack)
        self.clock.parts["snapshot"] = time.perf_counter() - began
        return kept.name if kept else None

    def reset(self, inputs: Inputs) -> tuple[str | None, str | None]:
        """Restore the baseline. Why that was not possible, if so; and the name of the snapshot of what was there."""
        from devenv.snapshots import baseline
        from devenv.snapshots.cleanup import prune

        began = time.perf_counter()
        if doubt := baseline.doubt(self.stack, inputs):
            self.watch.say(f"running the three steps: {doubt}")
            return doubt, None
        self.watch.begin("baseline", "restoring both stores")
        kept = baseline.restore(self.stack)
        self.clock.parts["baseline"] = time.perf_counter() - began
        self.watch.end("baseline", f"restored ({self.clock.parts['baseline']:.2f} s)", ok=True)
        began = time.perf_counter()
        prune(self.stack)
        self.clock.parts["pruning"] = time.perf_counter() - began
        return None, kept.name

    def remake_baseline(self, inputs: Inputs) -> None:
        """Make the baseline of what the steps just loaded, for the next reset."""
        from devenv.snapshots import baseline

        began = time.perf_counter()
        if baseline.remake(self.stack, inputs):
            self.clock.parts["baseline"] = time.perf_counter() - began

    def assign_backend(self, action: Action) -> None:
        """Give the application its port, unless it runs."""
        if action.action == "start" or (action.action == "restart" and not self.engine.runs("backend")):
            for sentence in self.engine.assign_ports(("backend",), self.options.strict_ports):
                self.watch.say(sentence)

    def watch_backend(self) -> None:
        """Ask the running application too whether it answers; `ready` waits for that."""
        self.begin("backend", self.wait)

    def serve_backend(self, action: Action) -> None:
        """Start the application, or start it again when its settings changed; a running one must answer too."""
        if action.action == "keep":
            return self.ready("backend")
        if action.action == "restart":
            self.engine.stop("backend")
        self.assign_backend(action)
        self.begin("backend", self.start, action.reason)
        return self.ready("backend")


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


def service_named(name: str) -> Service:
    """The service of that name."""
    return next(service for service in SERVICES if service.name == name)


def refuse_left(stack: Stack) -> None:
    """UsageError when a killed command left services up on the engine of before, which the state does not know yet."""
    engine = stack.engine
    if not engine.came_from:
        return
    before = engine_class(engine.came_from)(stack.loaded, stack.folder, stack.environ, aside=True)
    with contextlib.suppress(DevenvError):
        before.adopt()
    if left := meant_up(before.state):
        raise UsageError(
            f"this project is up on engine `{before.name}` ({', '.join(left)}): a killed command left it so",
            hint=f"devenv down && devenv up --engine {engine.name}",
        )


def recover(stack: Stack, watch: Watch) -> None:
    """Finish what a killed command began with the data folders, or a moved project. Cheap when there is nothing."""
    if stack.engine.came_from and not stack.engine.aside:
        before, now = stack.engine.came_from, stack.engine.name
        watch.say(f"from engine `{before}` to `{now}`: each has its own data, and that of `{before}` stays")
    if stack.engine.moved_from:
        watch.say(f"this project was moved here from {stack.engine.moved_from}; its data comes along")
        stack.engine.follow_move()
    home = stack.engine.home
    # In a cache that this account may not look into it has nothing, either.
    with contextlib.suppress(PermissionError):
        if any((stack.engine.cache / "baselines").glob(".new-*")):
            from devenv.snapshots import baseline

            baseline.drop_halves(stack.engine.cache)
    left = any((home / name).exists() for name in ("restore.json", ".incoming", ".new-baseline"))
    if left or any((home / "snapshots").glob(".*")):
        from devenv.snapshots import cleanup

        cleanup.recover(stack, watch)


def down(stack: Stack, data: bool, backup: bool, watch: Watch) -> Report:
    """Stop the services, last started first. With `data` their data goes too; with `backup` a snapshot keeps it."""
    engine = stack.engine
    traces = data and not engine.files and engine.has_traces()
    if traces:
        engine.permit(None)
    recover(stack, watch)
    engine.adopt()
    if (engine.home / "snapshots").exists() and not (data and not backup):
        from devenv.snapshots.cleanup import prune

        if stack.engine.runs("postgres") and may_write(stack):
            prune(stack, stopping=True)
    engine.stop_improving()
    kept = None
    # Volumes go as a whole: only for a copy of what is in them, or for stores that others use too, must they run.
    if traces and (backup or engine.shared):
        from devenv.snapshots.cleanup import take_away

        watch.begin("data", "deleting, but for a copy" if backup else "deleting")
        kept = take_away(stack, backup)
        watch.end("data", "deleted", ok=True)
    stopped = []
    left = []
    # What the state knows counts, whatever devenv.toml says by now.
    for name in reversed([service.name for service in SERVICES if service.name in engine.state.services]):
        if not engine.starts and name in STORES:
            left += [name] if may_run(engine, name) else []
            engine.stop(name)
            continue
        if engine.look_at(name).state != "running":
            engine.stop(name)
            continue
        watch.begin(name, "stopping")
        engine.stop(name)
        stopped.append(name)
        watch.end(name, "stopped", ok=True)
    if tap.end(engine):
        stopped.append("tap")
    if data:
        kept = remove_data(stack, backup) or kept
    return Report(
        command="down",
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={"stopped": stopped, "left": left, "data": "deleted" if data else "kept", "backup": kept},
    )


def may_run(engine: Engine, name: str) -> bool:
    """Whether a store that devenv did not start runs; it counts as running where these settings lack its address."""
    try:
        return engine.look_at(name).state == "running"
    except UsageError:
        return True


def may_write(stack: Stack) -> bool:
    """Whether the stores are devenv's to write to: what only tidies up need not fail over it."""
    try:
        stack.engine.permit(None)
    except DevenvError:
        return False
    return True


def remove_data(stack: Stack, backup: bool) -> str | None:
    """Take the data of stopped stores away: into a snapshot, or for good. The snapshot's name, if made."""
    from devenv.engines.embedded import dynamodb_file
    from devenv.snapshots.cleanup import forget_databases, move_away

    home = stack.engine.home
    movable = backup and stack.engine.files and (home / "postgres").exists()
    kept = move_away(stack).name if movable else None
    if not backup:
        forget_databases(home, stack.engine.shared)
    stack.engine.remove_data()
    # What was agreed to last: by it a killed `down` can be done again.
    ledger = home / "ledger.sqlite"
    journal = home / f"ledger.sqlite{dynamodb_file.JOURNAL}"
    for part in (home / "baseline", ledger, journal, home / "secrets.json", home / "agreed.json"):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
    for folder in (home / "snapshots", home):
        # Not while it holds snapshots, or is the project's own state folder.
        with contextlib.suppress(OSError):
            folder.rmdir()
    stack.engine.forget_secrets()
    stack.engine.remember_steps(())
    return kept


def status(stack: Stack) -> Report:
    """What runs, where, since when, and how the steps stand. Changes nothing; exit 0 also when all is stopped."""
    return Report(
        command="status",
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={
            "engine": stack.engine.name,
            "services": [asdict(service) for service in (*stack.engine.look(), *tap.look(stack.engine))],
            "steps": [asdict(step) for step in readable_states(stack)],
        },
    )


def readable_states(stack: Stack) -> tuple[StepState, ...]:
    """How the steps stand, also while their files cannot be read: that is then their reason."""
    try:
        return step_states(stack, read_inputs(stack))
    except UsageError as error:
        return tuple(StepState(name, "failed", f"its files cannot be used: {error.what}") for name in ORDER)


def run_fresh(
    stack: Stack,
    names: Sequence[str],
    command: str,
    options: Options,
    watch: Watch,
    clock: Clock,
    agree: Callable[[Sequence[str]], None],
) -> Report:
    """The named steps from scratch (`devenv setup|schema-load|seed|reset`); stores that are stopped are started.

    `agree` is told what would be lost that devenv did not write, and raises unless the user agrees. Only running
    stores can tell, so it is asked after they are up.

    The data of before is kept as a snapshot. A reset restores the baseline instead, unless there is a doubt.
    """
    stack.engine.permit(None)
    recover(stack, watch)
    inputs = read_inputs(stack)
    run = Run(stack, options, watch, clock)
    try:
        run.start_stores([s.name for s in stack.engine.look() if s.name in STORES and s.state != "running"])
        for name in STORES:
            run.ready(name)
        agree(foreign_data(stack, names, inputs))
        doubt, kept = run.reset(inputs) if command == "reset" else (None, None)
        if command != "reset" or doubt:
            kept = run.keep(f"before `devenv {command}`")
            run.run_all(inputs, names)
        if doubt:
            run.remake_baseline(inputs)
        states = step_states(stack, inputs)
        stack.engine.remember_steps(states)
    finally:
        run.close()
    method = {} if command != "reset" else {"method": "steps" if doubt else "baseline", "doubt": doubt}
    return Report(
        command=command,
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={
            "steps": [asdict(state) for state in states],
            **method,
            "snapshot": kept,
            "timings": clock.finish(),
        },
    )


def foreign_data(stack: Stack, names: Sequence[str], inputs: Inputs) -> list[str]:
    """Sentences about data that devenv did not write and that running `names` from scratch would destroy."""
    from devenv.steps.registry import STEPS

    context = step_context(stack, lambda text: None)
    found = [step.foreign(context, inputs[step.name]) for step in STEPS if step.name in names]
    return list(dict.fromkeys(sentence for sentence in found if sentence))
