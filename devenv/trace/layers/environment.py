"""Layer `environment`: where the running process's own variables send it, held against where the stores are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import to_builtins

from devenv.capture.calls import StoreCall
from devenv.config.load import flatten
from devenv.config.masking import known_values, mask, mask_url, mask_variable
from devenv.core.model import DynamoTarget, Finding, Fix, PostgresTarget
from devenv.doctor.checks.addresses import is_proxy
from devenv.doctor.checks.environment import look_up
from devenv.doctor.checks.settings import (
    CONFIG_FILE,
    ENDPOINT,
    REGIONS,
    Diversion,
    VariableSource,
    effective_endpoint,
    find_account,
    find_database,
    find_endpoint,
    find_global_endpoint,
    find_misspelt,
    find_stale,
    find_tables,
    mend_declared,
    other_database,
    parse_database,
    parse_variables,
    read_profiles,
)
from devenv.trace.judge.environment import judge_environment
from devenv.trace.layer import Given, Layer
from devenv.trace.observation import Observation
from devenv.trace.question import TraceContext

CLOUD: Final = (".amazonaws.com", ".api.aws")
SHOWN: Final[Mapping[str, str]] = {"postgres": "Postgres", "dynamodb": "DynamoDB"}
RESTART: Final = Fix("restart the application with the project's settings", "devenv restart backend")
CAUSES: Final[Mapping[str, str]] = {
    "unset": "the process was started without it, or with other settings",
    "malformed": "an address has the form http://host:port, with nothing after it",
    "wrong_endpoint": "the variable names another stack, port or machine",
    "wrong_database": "two settings name two databases: one of them is out of date, or leads to a copy",
    "wrong_region_or_key": "tables belong to a region and a key; a shell or profile with others sees other tables",
    "wrong_table": "the table's name is written in several places and one of them differs",
    "stale_process": "the settings were edited after the process was started; it keeps those that it was started with",
}


def observe(inquiry: TraceContext, given: Given) -> Observation:
    """Return what the process's variables say; not asked when no process of the application runs."""
    application = inquiry.application
    if application.pid is None:
        return Observation(unasked=reason_for_none(inquiry), declared=inquiry.settings.backend is not None)
    process = {
        "pid": application.pid,
        "folder": str(application.folder) if application.folder else None,
        "python": application.python,
        "started": application.started,
        "connected": None if application.connected is None else sorted(application.connected),
    }
    if application.environ is None:
        return Observation(
            request={"pid": application.pid},
            output={"process": process, "targets": {}, "variables": []},
            unasked=f"your user cannot read the variables of process {application.pid}",
            declared=True,
        )
    source = VariableSource(f"the application (pid {application.pid})", application.environ, required=True)
    notes: list[str] = []
    findings = tuple(find_diversions(inquiry, source, notes))
    notes += [
        d.evidence for d in find_global_endpoint(source, inquiry.facts.context.targets.dynamodb, look_up(inquiry.facts))
    ]
    return Observation(
        request={"pid": application.pid},
        output={
            "process": process,
            "targets": targets(inquiry, application.environ, findings),
            "variables": variables(inquiry, application.environ),
        },
        findings=findings,
        notes=tuple(notes),
    )


def reason_for_none(inquiry: TraceContext) -> str:
    """Why there is no process to look at."""
    if inquiry.settings.backend is None:
        return "the project declares no application"
    if inquiry.application.other is not None:
        return inquiry.application.other
    return "no process of the application is running"


def find_diversions(inquiry: TraceContext, source: VariableSource, notes: list[str]) -> Iterator[Finding]:
    """One finding per class, with all its variables. What is different but leads to the same store goes to `notes`."""
    found = [d for d in diversions(inquiry, source) if not leads_home(inquiry, source, d, notes)]
    notes += [f"{d.evidence} (the application may not read it)" for d in found if not is_known(inquiry, d)]
    found = [d for d in found if is_known(inquiry, d)]
    if inquiry.application.stale and found:
        fresh = {
            (d.kind, d.variable) for d in diversions(inquiry, replace(source, environ=inquiry.declared_environment))
        }
        found = [d if (d.kind, d.variable) in fresh else replace(d, kind="stale_process") for d in found]
    by_kind: dict[str, list[Diversion]] = {}
    for diversion in found:
        by_kind.setdefault(diversion.kind, []).append(diversion)
    for kind, same in by_kind.items():
        yield Finding(
            kind,
            "; ".join(d.evidence for d in same),
            CAUSES[kind],
            mend_declared(same, inquiry.settings, inquiry.facts.context.expected_application) or RESTART,
            tuple(dict.fromkeys(d.variable for d in same)),
            frozenset(
                name
                for d in same
                for name in (store_of(inquiry, d), *d.variable.split(", "), *proxy_text(d, source.environ))
            ),
        )


def diversions(inquiry: TraceContext, source: VariableSource) -> Iterator[Diversion]:
    """Every variable that sends the process elsewhere, of the stores that the project uses."""
    facts, context = inquiry.facts, inquiry.facts.context
    expected = inquiry.declared_environment
    lookup = look_up(facts)
    if facts.table_names:
        endpoint = list(find_endpoint(source, context.targets.dynamodb, lookup))
        yield from endpoint
        if not endpoint:
            yield from find_account(source, context.targets.dynamodb, read_profiles)
        yield from find_tables(source, own_variables(inquiry), facts.table_names)
        declared = VariableSource("devenv.toml", own_variables(inquiry), required=False)
        yield from find_misspelt(declared, facts.table_names)
    if facts.plan.edges or inquiry.settings.person or inquiry.settings.steps.setup.files:
        yield from find_database(source, context.targets.postgres, expected, lookup)
    own = own_variables(inquiry)
    yield from find_stale(source, own, [name for name, value in own.items() if value in facts.table_names])


def proxy_text(diversion: Diversion, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The address of a proxy: a function's error that names it is no fault of the function."""
    return (environ.get(diversion.variable, ""),) if is_proxy(diversion.variable) else ()


def is_known(inquiry: TraceContext, diversion: Diversion) -> bool:
    """Return True if the SDK, libpq or the project's own settings read a variable: others only look like an address."""
    return all(
        name in inquiry.declared_environment or name.startswith(("PG", "AWS_", "~")) or is_proxy(name)
        for name in diversion.variable.split(", ")
    )


def own_variables(inquiry: TraceContext) -> dict[str, str]:
    """The project's own variables, `[env]` and `[backend] env`, with the values that they have now."""
    settings = inquiry.settings
    names = [*settings.env, *(settings.backend.env if settings.backend else ())]
    expected = inquiry.declared_environment
    return {name: expected[name] for name in names if name in expected}


def leads_home(inquiry: TraceContext, source: VariableSource, diversion: Diversion, notes: list[str]) -> bool:
    """Return True if a differing variable still leads to the project's tables, so that a note is enough."""
    if diversion.kind != "wrong_region_or_key" or "PROFILE" in diversion.variable:
        return False
    stack, environ = inquiry.facts.context.targets.dynamodb, source.environ
    target = DynamoTarget(
        stack.endpoint,
        next((environ[name] for name in REGIONS if environ.get(name)), stack.region),
        environ.get("AWS_ACCESS_KEY_ID") or stack.access_key,
        environ.get("AWS_SECRET_ACCESS_KEY") or stack.secret_key,
    )
    if look_up(inquiry.facts).same_dynamodb(target) is not None:
        return False
    notes.append(f"{diversion.evidence}; with both values, this DynamoDB Local shows the same tables")
    return True


def store_of(inquiry: TraceContext, diversion: Diversion) -> str:
    """The store that a variable is about; empty when it is about none."""
    variable = diversion.variable
    if (
        diversion.kind == "wrong_table"
        or variable.startswith(("AWS_", CONFIG_FILE))
        or is_proxy(variable)
        or own_variables(inquiry).get(variable) in inquiry.facts.table_names
    ):
        return "dynamodb"
    value = inquiry.project_environment.get(variable, "")
    return "postgres" if variable.startswith("PG") or value.startswith("postgres") else ""


def targets(inquiry: TraceContext, environ: Mapping[str, str], findings: Iterable[Finding]) -> dict[str, Any]:
    """Return where project and process each have their stores."""
    context = inquiry.facts.context
    wrong = frozenset[str]().union(*(one.about for one in findings))
    url = next(
        (environ[name] for name, value in inquiry.project_environment.items() if is_url(name, value, environ)), None
    )
    theirs = (
        parse_database(url, context.targets.postgres) if url else parse_variables(environ, context.targets.postgres)
    )
    return {
        "dynamodb": {
            "project": context.targets.dynamodb.endpoint,
            "application": mask_url(effective_endpoint(environ)[1] or "the cloud"),
            "same": "dynamodb" not in wrong,
        },
        "postgres": {
            "project": context.targets.postgres.address,
            "application": theirs.address if isinstance(theirs, PostgresTarget) else theirs,
            "same": "postgres" not in wrong,
        },
    }


def is_url(name: str, value: str, environ: Mapping[str, str]) -> bool:
    """Return True if a variable holds the project's Postgres URL and the process has it too."""
    return value.startswith("postgres") and "://" in value and bool(environ.get(name))


def variables(inquiry: TraceContext, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """The variables that decide, as the process has them, secrets masked; None where it has none."""
    names = dict.fromkeys(
        [*inquiry.facts.context.environment, *own_variables(inquiry), "AWS_ENDPOINT_URL", "AWS_PROFILE"]
    )
    shown = [name for name in names if name in environ or name in inquiry.project_environment]
    is_known = known_values(flatten(to_builtins(inquiry.settings)), inquiry.facts.context.root)
    own = own_variables(inquiry)

    def masked(name: str) -> str | None:
        if name not in environ:
            return None
        return mask_variable(name, environ[name], is_known) if name in own else str(mask(name, environ[name]))

    return [{"name": name, "value": masked(name)} for name in shown]


def find_diverted(inquiry: TraceContext, changed: Mapping[str, str | None]) -> tuple[Finding, ...]:
    """Find the variables that the application's own code changed (`load_dotenv`, say) so that they lead elsewhere."""
    environ = dict(inquiry.application.environ or inquiry.project_environment)
    for name, value in changed.items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
    source = VariableSource("the application's code", environ, required=True)
    found = [t for t in find_diversions(inquiry, source, []) if set(t.subjects) & set(changed)]
    cause = (
        "its code sets the variable when it is loaded (from a .env file, say), and so replaces the value it was given"
    )
    fix = Fix("remove the variable from the file that the code loads", None)
    return tuple(replace(one, cause=cause, fix=fix) for one in found)


def place_call(inquiry: TraceContext, asked: StoreCall, target: DynamoTarget | PostgresTarget) -> StoreCall:
    """A call of the application with its target judged: `elsewhere` is None when it is the project's own store.

    Whom it signs in as does not matter, only where it arrives.
    """
    context = inquiry.facts.context
    lookup = look_up(inquiry.facts)
    if isinstance(target, PostgresTarget):
        ours = context.targets.postgres
        reason = other_database(replace(target, user=ours.user, password=ours.password), ours, lookup)
        return replace(asked, target=target.address, elsewhere=reason, elsewhere_kind="wrong_database")
    host = urlsplit(target.endpoint).netloc
    if host.rpartition(":")[0].endswith(CLOUD) or host.endswith(CLOUD):
        reason = "that is AWS in the cloud"
        return replace(asked, target=host, elsewhere=reason, elsewhere_kind="wrong_endpoint")
    stack = context.targets.dynamodb
    source = VariableSource("its calls", {ENDPOINT: target.endpoint}, required=True)
    if wrong := next(find_endpoint(source, stack, lookup), None):
        return replace(asked, target=host, elsewhere=wrong.note, elsewhere_kind="wrong_endpoint")
    reason = None
    if (target.region, target.access_key) != (stack.region, stack.access_key):
        reason = lookup.same_dynamodb(replace(target, endpoint=stack.endpoint, secret_key=stack.secret_key))
    signed = other_signature(target, stack)
    reason = f"{signed}: {reason}" if reason and signed else reason
    return replace(asked, target=host, elsewhere=reason, elsewhere_kind="wrong_region_or_key", signed=signed)


def other_signature(target: DynamoTarget, ours: DynamoTarget) -> str | None:
    """The region and the key of calls, where they are not the project's; None where they are."""
    parts = [f"region {target.region} instead of {ours.region}"] if target.region != ours.region else []
    parts += ["an access key other than the project's"] if target.access_key != ours.access_key else []
    return f"they use {', and '.join(parts)}" if parts else None


def summarize(seen: Observation) -> str:
    """The evidence in a few words: only an open connection proves where a process goes, whatever its variables were."""
    process = seen.output.get("process")
    if not process:
        return ""
    head = f"process {process['pid']}"
    stores = [store for store in SHOWN if store in seen.output["targets"]]
    proven = [store for store in stores if store in (process.get("connected") or ())]
    open_ = [SHOWN[store] for store in stores if store not in proven]
    if stores and not open_:
        return f"{head} is connected to this project's stores"
    if proven:
        shown = " and ".join(map(SHOWN.__getitem__, proven))
        return f"{head} is connected to {shown}; for {' and '.join(open_)}, only its variables were checked"
    # The reservation stands in front: a terminal cuts the end.
    return f"only the variables of {head} were checked, as it has no open connection to a store"


def evidence(seen: Observation) -> Iterator[tuple[str, str]]:
    """The stores that are not the project's."""
    for store, target in seen.output.get("targets", {}).items():
        if not target["same"]:
            yield store, f"the project's is {target['project']}, the application's {target['application']}"


LAYER: Final = Layer(
    name="environment",
    question="Which stores does the application's own process use?",
    observe=observe,
    judge=judge_environment,
    summarize=summarize,
    evidence=evidence,
)
