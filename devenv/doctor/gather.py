"""The facts about one project for `doctor`: everything that is read from this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from msgspec.structs import asdict

from devenv.config.schema import FILE
from devenv.core.events import Watch
from devenv.core.model import BACKEND, ServiceState
from devenv.doctor.context import DoctorContext
from devenv.engines.kinds.registry import kind_of
from devenv.host.processes import started_at
from devenv.lifecycle.facts import facts_context
from devenv.lifecycle.steps import Inputs, step_context, step_states
from devenv.stack import Stack, open_locked

if TYPE_CHECKING:
    from devenv.aws.account import AwsAccount
    from devenv.engines.base import Engine
    from devenv.engines.docker.inspect import View
    from devenv.verify.repair import Write


def doctor_context(
    stack: Stack, inputs: Inputs, watch: Watch | None = None, *, remote: bool = False, drift: bool = False
) -> DoctorContext:
    """The context of one diagnosis. `inputs` are the steps' files; `watch` is told when `--fix` runs a step.

    `remote`: the AWS account may be asked, where `[safety]` demands something of it or the user asks for `drift`.
    """
    engine = stack.engine
    found = facts_context(stack, inputs)
    return DoctorContext(
        **asdict(replace(found, application=engine.application_environment())),
        look_steps=partial(step_states, stack, inputs, thorough=True),
        run_steps=partial(run_steps, stack, watch or Watch()),
        settle=partial(settle, stack),
        keep_writes=partial(keep_writes, stack),
        is_seeded=partial(is_seeded, stack),
        **safety_readers(stack),
        account=open_account(stack) if remote and (drift or asks_account(stack)) else None,
        asks_drift=drift,
        listeners=engine.listeners,
        ask_ready={
            name: partial(kind_of(own).check, engine, own, {}, look_only=True)
            for name, own in engine.own.items()
            if name in engine.services and name != BACKEND
        },
        look_at_docker=cache(partial(look_at_docker, engine)),
        private_files=engine.private_files(),
        dynamodb_folder=engine.home / "dynamodb" if engine.files else None,
        settings_newer=settings_newer(stack.root / FILE, found.service(BACKEND)),
        origins=stack.loaded.origins,
        logs={name: engine.log(name) for name in (*engine.services, "steps")},
    )


def settings_newer(file: Path, application: ServiceState) -> bool | None:
    """Return True if devenv.toml was written after the application was started; None if that is not known."""
    if application.state != "running" or application.started is None:
        return None
    try:
        # Of a container only whole seconds are known, cut off.
        started = started_at(psutil.Process(application.pid)) if application.pid else as_epoch(application.started) + 1
    except psutil.Error:
        return None
    return started < file.stat().st_mtime


def as_epoch(text: str) -> float:
    """ISO 8601 in epoch seconds."""
    return datetime.fromisoformat(text).timestamp()


def look_at_docker(engine: Engine) -> View | None:
    """Return what doctor asks of Docker; None where this project never was on it."""
    if engine.name != "docker" and not engine.state.parked:
        return None
    from devenv.engines.docker.inspect import look

    return look(engine)


def safety_readers(stack: Stack) -> dict[str, Any]:
    """Return what reads the files that `[safety]` is about; nothing without that section."""
    safety = stack.settings.safety
    if safety is None:
        return {}
    from devenv.aws.files import read_templates
    from devenv.doctor.checks.safety_files import read_backups, search_keys

    home = Path(stack.environ.get("HOME") or Path.home())
    return {
        "read_backups": partial(read_backups, safety, stack.root),
        "search_keys": partial(search_keys, safety, stack.root, home),
        "read_templates": partial(read_templates, stack.root, safety.templates),
    }


def asks_account(stack: Stack) -> bool:
    """Return True if `[safety]` names the account, or demands what only templates or the account can show."""
    safety = stack.settings.safety
    return safety is not None and bool(
        safety.account or safety.cloudtrail or safety.vpc_endpoint or safety.no_users or safety.private_path
    )


def open_account(stack: Stack) -> AwsAccount:
    """The account that the shell's AWS settings lead to. Nothing is asked yet."""
    from devenv.aws.account import AwsAccount

    safety = stack.settings.safety
    return AwsAccount(
        safety.regions if safety else (),
        expected=safety.account if safety else None,
        own=stack.engine.targets().dynamodb.endpoint,
    )


def run_steps(stack: Stack, watch: Watch) -> None:
    """Run the steps that are not done, as `up` does."""
    from devenv.lifecycle import up
    from devenv.lifecycle.plan import UpOptions
    from devenv.lifecycle.start import Clock

    with open_locked(stack.root, UpOptions().timeout_s, watch.say) as locked:
        up.up(replace(locked, trusted=stack.trusted), UpOptions(backend=False), watch, Clock())


def keep_writes(stack: Stack, writes: Sequence[Write]) -> None:
    """Write down what `--fix` is about to write, for `devenv repair undo`."""
    from devenv.verify.fixes import keep

    keep(stack.folder, stack.engine.targets().dynamodb.endpoint, writes)


def settle(stack: Stack, writes: Sequence[Write]) -> None:
    """Let the ledger know the items of seeds as repaired: else they would count as changed by somebody else."""
    from devenv.steps.ledger import Item, Ledger
    from devenv.steps.seed.items import key_of, normal_item

    changed: dict[str, dict[bytes, Item | None]] = {}
    with Ledger(step_context(stack, lambda _: None).ledger) as ledger:
        for table in dict.fromkeys(write.table for write in writes):
            keys = [key_of(write.before, write.keys) for write in writes if write.table == table and write.before]
            entries = ledger.entries_of(table, keys)
            for write in writes:
                if write.table != table or write.before is None or write.after is None:
                    continue
                old = key_of(write.before, write.keys)
                if old in entries and entries[old].written == normal_item(write.before):
                    changed.setdefault(table, {})[old] = None
                    changed[table][key_of(write.after, write.keys)] = normal_item(write.after)
        for table, items in changed.items():
            ledger.settle(table, items)


def is_seeded(stack: Stack, table: str, item: Mapping[str, Mapping[str, Any]], keys: tuple[str, ...]) -> bool:
    """Return True if the ledger knows this item's key: a seed file made it."""
    from devenv.steps.ledger import Ledger
    from devenv.steps.seed.items import key_of

    with Ledger(step_context(stack, lambda _: None).ledger, create=False) as ledger:
        return bool(ledger.entries_of(table, [key_of(item, keys)]))
