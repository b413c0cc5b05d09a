"""Services: does each answer a real request, and does anything block it?"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Final

import psutil

from devenv.config.services import STORES
from devenv.core.errors import StoreError
from devenv.core.model import Fix, Outcome, ServiceState
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.context import DoctorFacts
from devenv.doctor.sessions import describe_session, read_sessions
from devenv.engines.services import SERVICES

UP = Fix("start what is not running", "devenv up")
# Statuses that say that the process serves, and that the request is the wrong one.
REFUSED: Final = {
    "401": "this route needs a sign-in",
    "403": "this route is not open to everyone",
    "404": "it has no such route",
    "405": "this route does not accept GET",
}
IDLE_S = 3.0
LOCKED_S = 1.0
ROOM = 50 * 1024 * 1024


def run_probe(facts: DoctorFacts, name: str) -> Outcome:
    """Ask one service the question that `up` waits on."""
    context = facts.context
    state = context.service(name)
    service = next(service for service in SERVICES if service.name == name)
    try:
        service.probe(context.settings, context.targets)
    except StoreError as error:
        why, fix = refused(name, "[backend] health", error) or silence(state)
        return failed(": ".join(filter(None, (error.what, error.detail))), cause=why, fix=fix)
    where = state.url or (f"{state.host}:{state.port}" if state.port else "")
    if state.state in ("stopped", "crashed", "foreign"):
        return failed(
            f"{where or name} answers, but devenv's own {name} is {state.state}",
            cause=state.detail or "another program has its port",
            fix=Fix("stop that program, or let devenv use another port", "devenv up"),
        )
    return passed(" ".join(filter(None, (where, state.version))))


def silence(state: ServiceState) -> tuple[str, Fix]:
    """Why a service may not answer, and what to do about it."""
    if state.state == "foreign":
        return state.detail or f"port {state.port} is held by another program", UP
    if state.pid is not None and is_paused(state.pid):
        return f"its process {state.pid} is paused (SIGSTOP)", Fix("resume it", f"kill -CONT {state.pid}")
    if state.state == "running" and state.detail:
        return state.detail, Fix("resume it", state.command) if state.command else UP
    if state.state == "running":
        restart = Fix("read its log; then restart it", f"devenv logs {state.name} --tail 50; devenv down; devenv up")
        return "its process is running but gave an unexpected response", restart
    words = {
        "stopped": "it is not running",
        "crashed": "its process exited",
        "starting": "it is still starting",
    }
    return state.detail or words[state.state], UP


def refused(name: str, key: str, error: StoreError) -> tuple[str, Fix] | None:
    """The cause and the fix where a process serves, but not the route that the key of devenv.toml names."""
    cause = REFUSED.get(error.code or "")
    if cause is None:
        return None
    text = (
        f"in devenv.toml set {key} to a route that answers with a status below 400. If you added the route after the"
        " start, restart the process"
    )
    return f"its process serves requests, but {cause}", Fix(text, f"devenv restart {name}")


def is_paused(pid: int) -> bool:
    """Return True if a process was stopped by a signal; False when it is not there."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def run_postgres(facts: DoctorFacts) -> Outcome:
    return run_probe(facts, "postgres")


def run_dynamodb(facts: DoctorFacts) -> Outcome:
    """A signed ListTables; and that all keys and regions see the same tables, as far as its process tells."""
    pid = facts.context.service("dynamodb").pid
    if pid is not None and is_divided(pid):
        return failed(
            f"its process {pid} runs without -sharedDb",
            cause="it keeps one database per access key and region, so other clients do not see the tables",
            fix=Fix("start it as devenv does", "devenv down && devenv up"),
            subjects=[str(pid)],
        )
    return run_probe(facts, "dynamodb")


def is_divided(pid: int) -> bool:
    """Return True if a process is DynamoDB Local without its option -sharedDb; False when that cannot be read."""
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return "-dbPath" in command and "-sharedDb" not in command


def run_backend(facts: DoctorFacts) -> Outcome:
    """The health path of the project's own application."""
    if facts.context.settings.backend is None:
        return unneeded("the project declares no application")
    return run_probe(facts, "backend")


def run_own(facts: DoctorFacts) -> Outcome:
    """Each of the project's own processes runs, and its `ready` holds, as far as that runs nothing."""
    context = facts.context
    if not context.ask_ready:
        return unneeded("the project declares no services of its own")
    wrong: list[tuple[str, str, Fix]] = []
    seen: list[str] = []
    for name, ask in context.ask_ready.items():
        state = context.service(name)
        if state.state != "running":
            wrong.append((name, f"{name} is {state.state}: {silence(state)[0]}", UP))
            continue
        try:
            asked = ask()
        except StoreError as error:
            why, fix = refused(name, f"the `ready` of [services.{name}]", error) or silence(state)
            said = ": ".join(filter(None, (error.what, error.detail)))
            wrong.append((name, f"{name} is not ready: {said} ({why})", fix))
        else:
            own = context.settings.services.get(name)
            left = ["its ready command was not run"] if own is not None and own.ready.command else []
            seen.append(f"{name} ({', '.join([*asked, *left]) or 'it runs'})")
    if not wrong:
        return passed(", ".join(seen))
    return failed(
        (text for _, text, _ in wrong),
        cause="; ".join(f"devenv logs {name} tells why" for name, _, _ in wrong),
        fix=wrong[0][2],
        subjects=(name for name, _, _ in wrong),
    )


def run_in_effect(facts: DoctorFacts) -> Outcome:
    """Settings that wait for a restart."""
    running = [state for state in facts.context.services if state.state == "running"]
    if not running:
        return unneeded("no service is running")
    started = [state for state in running if facts.context.targets.postgres.own or state.name not in STORES]
    if not started:
        return unneeded("devenv did not start the services that are running")
    pending = [state for state in started if state.detail and state.command]
    unsure = [state for state in started if state.unsure]
    if not pending and unsure:
        return unverified(
            "; ".join(f"{state.name}: {state.unsure}" for state in unsure),
            fix=Fix("start them again; the data stays", "devenv down && devenv up"),
            subjects=(state.name for state in unsure),
        )
    if not pending:
        return passed(", ".join(state.name for state in started))
    return failed(
        (f"{state.name}: {state.detail}" for state in pending),
        cause="devenv.toml, or your own compose file, was edited after they were started",
        fix=Fix("start them again", pending[0].command),
        subjects=(state.name for state in pending),
        status="warn",
    )


def run_folder(facts: DoctorFacts) -> Outcome:
    """Return True if DynamoDB Local's process can write its files, and the disk has room."""
    folder = facts.context.dynamodb_folder
    if folder is None or not folder.is_dir():
        return unneeded("DynamoDB Local has no data folder here")
    owner = writer(facts.context.service("dynamodb").pid)
    locked = [path for path in (folder, *sorted(folder.glob("*.db*"))) if not can_write(path, owner)]
    if locked:
        return failed(
            f"{', '.join(map(str, locked[:3]))} cannot be written by DynamoDB Local (uid {owner})",
            cause="another account created or copied the folder, or it is read-only",
            fix=Fix("give the folder to that account", f"chown -R {owner} {folder} && chmod -R u+rwX {folder}"),
        )
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        return failed(f"{free // 2**20} MB are free on the disk of {folder}", fix=Fix("free disk space"))
    return passed(str(folder))


def writer(pid: int | None) -> int:
    """The user id that DynamoDB Local runs as; ours when that is not known."""
    if pid is not None:
        try:
            return int(psutil.Process(pid).uids().effective)
        except psutil.Error:
            pass
    return os.geteuid()


def can_write(path: Path, uid: int) -> bool:
    """Return True if an account may write a file, or create files in a folder.

    Root may, except on a read-only mount.
    """
    status = path.stat()
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return False
    return uid == 0 or bool(status.st_mode & (0o200 if status.st_uid == uid else 0o002))


def run_sessions(facts: DoctorFacts) -> Outcome:
    """Sessions that sit inside a transaction, or that others wait for. Asked by a connection of its own."""
    target = facts.context.targets.postgres
    seen = read_sessions(target)
    if any(s.locks and not s.blocks and s.for_s <= IDLE_S for s in seen):
        # Between two statements of a migration, or forgotten? A moment later it is known.
        time.sleep(LOCKED_S)
        seen = read_sessions(target)
    stuck = [s for s in seen if s.blocks or s.for_s > (LOCKED_S if s.locks else IDLE_S)]
    if not stuck:
        return passed("no session holds a transaction open")
    pids = [str(session.pid) for session in stuck]
    ends = "; ".join(f"SELECT pg_terminate_backend({pid})" for pid in pids)
    return failed(
        map(describe_session, stuck),
        cause="a program began a transaction and did not commit or roll back; its locks block schema changes",
        fix=Fix("commit or roll back there, close that program, or end its session", f'devenv db --write "{ends}"'),
        subjects=pids,
    )


CHECKS = (
    Check(
        code="SVC001",
        name="postgres-answers",
        group="services",
        title="Postgres answers queries",
        run=run_postgres,
        limit_s=8,
        late="fail",
        explain="""\
A query was sent to the address that `devenv status` shows, as `devenv up` does while it waits.

Common causes: it was not started, is still starting, crashed, is paused, or another program has the port.
Fix: devenv up; `devenv logs postgres` shows why it stopped.""",
    ),
    Check(
        code="SVC002",
        name="dynamodb-answers",
        group="services",
        title="DynamoDB answers requests",
        run=run_dynamodb,
        limit_s=8,
        late="fail",
        explain="""\
A signed ListTables was sent. An open port proves little: DynamoDB Local accepts connections but hangs when it
cannot write its data folder, and another program may have the port. Without the option -sharedDb it keeps one
database per access key and region.

Common causes: it was not started, is still starting, crashed, is paused, was started by hand, or another program
has the port.
Fix: devenv up; `devenv logs dynamodb` shows why it stopped.""",
    ),
    Check(
        code="SVC003",
        name="backend-answers",
        group="services",
        title="the application answers its health request",
        run=run_backend,
        needs=("SVC001", "SVC002", "SCH001", "SCH002", "ENV002", "ENV005"),
        limit_s=8,
        late="fail",
        explain="""\
devenv requested the health path of [backend]. A status of 400 or more counts as not ready; without a health path
devenv requests `/`, and a status of 500 or more counts as not ready.

Common causes: the application crashed at its start, cannot reach a store, or has another health path.
Fix: devenv logs backend; then devenv up.""",
    ),
    Check(
        code="SVC009",
        name="own-services-ready",
        group="services",
        title="the project's own services run and are ready",
        run=run_own,
        limit_s=15,
        late="fail",
        explain="""\
Each [services.NAME] must run, and its `ready` must hold: http and tcp are probed; the log is searched for the line.
A ready command is not run, because doctor runs no code from the folder. A service without `ready` must run.

Common causes: it was not started, it crashed, it listens on another port, or a service that it needs does not
answer.
Fix: devenv logs NAME; then devenv up, which starts what crashed.""",
    ),
    Check(
        code="SVC004",
        name="dynamodb-folder",
        group="services",
        title="DynamoDB Local can write its data folder",
        run=run_folder,
        explain="""\
DynamoDB Local keeps tables in SQLite files. If it may not write them, it hangs or answers
"[14] unable to open database file"; on a full disk, writes fail.

Common causes: the folder was made by root, or by a container's account, or was copied.
Fix: give the folder to the account that runs DynamoDB Local; free disk space.""",
    ),
    Check(
        code="SVC006",
        name="settings-in-effect",
        group="services",
        title="the running services have the settings of devenv.toml",
        run=run_in_effect,
        explain="""\
A server keeps the port, the binaries and the image that it was started with. An edit of devenv.toml, or of the
compose file that [docker] file names, does not change a running store, and `devenv up` does not restart the store.
`devenv up` restarts the project's own processes if their command, folder or variables changed. If the record of a
running store was lost and devenv.toml was written since the store started, the check is *not verified*.

Fix: devenv down && devenv up (data stays); for the project's own processes, devenv up.""",
    ),
    Check(
        code="SVC005",
        name="open-transactions",
        group="services",
        title="no session holds a transaction open",
        run=run_sessions,
        needs=("SVC001",),
        explain="""\
A session that is "idle in transaction" keeps its locks: with an uncommitted ALTER TABLE no other session can read
that table, the schema cannot be changed, and a database that is rebuilt by other tools cannot be dropped ("is being
accessed by other users"). An open session without a transaction is no finding: devenv closes it when it rebuilds the
database.

Common causes: a shell or a debugger stopped between BEGIN and COMMIT; an application that never commits.
Fix: commit or roll back there, or end the session.""",
    ),
)
