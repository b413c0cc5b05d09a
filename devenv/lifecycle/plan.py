"""Decides what `up` does and why, from the observed state. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit
from devenv.core.model import Action, ServiceState, StepState

ORDER = ("setup", "schema-load", "seed")


class UpOptions(msgspec.Struct, frozen=True):
    """How `up` was asked. `force` and `first` name a step; both include the later ones.

    `restore`: what was loaded from seeds and deleted since comes back. `names`: only these services, with what they
    need. `clock`: the logs get times.
    `prepare`: whether missing environments are made; None: `confirm` is asked with what is missing and the commands.
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
    restore: bool = False
    names: tuple[str, ...] = ()
    clock: bool = False
    prepare: bool | None = None
    confirm: Callable[[str, Sequence[str]], bool] | None = None


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


def join_failed(failed: Mapping[str, DevenvError], held: Mapping[str, str]) -> DevenvError:
    """Return one error for all services that failed. `held` maps those not started to the one they lack. Pure."""
    late = all(error.exit_code == Exit.TIMEOUT for error in failed.values())
    first = join_late(failed) if late else next(iter(failed.values()))
    details = [first.detail] if first.detail else []
    if not late:
        for name, error in list(failed.items())[1:]:
            details += [f"{error.what}", *([f"{name}: {line}" for line in (error.detail or "").splitlines()])]
    details += [f"{name} was not started: it needs {needed}" for name, needed in held.items()]
    code = first.exit_code
    return DevenvError(
        first.what, exit_code=Exit(code), detail="\n".join(details) or None, cause=first.cause, hint=first.hint
    )


def plan_services(
    seen: Sequence[ServiceState],
    wanted: Collection[str],
    changed: Collection[str] = (),
    renewed: Collection[str] = (),
) -> tuple[Action, ...]:
    """Return what to do with each wanted service (`start`, `restart`, `keep`) and why. Pure.

    `changed` are those whose settings are others than they were started with, `renewed` those whose packages are.
    """
    reasons = {"stopped": "it is not running", "crashed": "it exited without `devenv down`"}
    plan = []
    for service in seen:
        if service.name not in wanted:
            continue
        if service.state in reasons:
            plan.append(Action(service.name, "start", service.detail or reasons[service.state]))
        elif service.name in changed:
            plan.append(Action(service.name, "restart", "its settings changed since it was started"))
        elif service.name in renewed:
            plan.append(Action(service.name, "restart", "its packages have changed"))
        else:
            where = f"as pid {service.pid}" if service.pid else f"at {service.host}:{service.port}"
            plan.append(Action(service.name, "keep", f"running {where}"))
    return tuple(plan)


def plan_step(state: StepState, options: UpOptions, ran: bool) -> Action:
    """Return what to do with one step: `run` or `keep`, and why. `ran`: an earlier step runs in this `up`. Pure."""
    order = list(ORDER)
    if options.first and order.index(state.name) < order.index(options.first):
        return Action(state.name, "keep", f"it comes before --from {options.first}")
    for flag, name in (("force", options.force), ("from", options.first)):
        if name and order.index(state.name) >= order.index(name):
            return Action(state.name, "run", f"requested by --{flag} {name}")
    if state.state != "done":
        return Action(state.name, "run", state.reason)
    return Action(state.name, "check" if ran else "keep", "an earlier step runs before it" if ran else state.reason)


def plan_steps(
    look: Callable[[str], StepState],
    options: UpOptions,
    carry_out: Callable[[Action], bool],
    names: Sequence[str] = ORDER,
) -> tuple[Action, ...]:
    """Plan the steps `names` in order, each by what `look` tells of it when its turn comes.

    `carry_out` does an action, so that the later steps can be looked at after it; False when it is only planned.
    """
    plan: list[Action] = []
    ran = False
    for name in names:
        action = plan_step(look(name), options, ran)
        ran = (not carry_out(action) and action.action == "run") or ran
        plan.append(action)
    return tuple(plan)


def plan_in_order(
    plan: Sequence[Action], steps: Sequence[Action], needs: Mapping[str, Sequence[str]]
) -> tuple[Action, ...]:
    """Return the plan with the steps: services that need a store, also through others, start after them. Pure.

    `plan` has each service after those it needs.
    """
    waiting: set[str] = set()
    for action in plan:
        if waiting.union(STORES).intersection(needs.get(action.target, ())):
            waiting.add(action.target)
    late = [action for action in plan if action.target in waiting and action.action in ("start", "restart")]
    return (*(action for action in plan if action not in late), *steps, *late)
