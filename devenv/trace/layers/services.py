"""Layer `services`: does each store answer a real request, and is the schema the declared one?"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from devenv.core.errors import StoreError
from devenv.core.model import Finding, Fix
from devenv.doctor.checks.schema import diff_catalog, diff_links
from devenv.doctor.checks.services import silence
from devenv.links.facts import Facts, FactsContext
from devenv.trace.judge.fault import judge_findings
from devenv.trace.layer import Given, Layer
from devenv.trace.observation import Observation
from devenv.trace.question import TraceContext

UP: Final = Fix("load what is missing", "devenv up")
NO_DATABASE: Final = "3D000"
STARTING: Final = ("57P03",)
CONNECT_S: Final = 2.0


def observe(inquiry: TraceContext, given: Given) -> Observation:
    """Ask all services at once."""
    facts = inquiry.facts
    asked: list[tuple[str, Callable[[Facts], tuple[list[Finding], list[dict[str, Any]]]]]] = [
        ("postgres", look_at_postgres),
        ("dynamodb", look_at_dynamodb),
    ]
    if inquiry.settings.backend is not None:
        asked.append(("backend", look_at_backend))
    troubles: list[Finding] = []
    tables: list[dict[str, Any]] = []
    services = []
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda one: one[1](facts), asked))
    for (name, _), (found, seen) in zip(asked, answers, strict=True):
        troubles += found
        tables += seen
        down = next((t for t in found if t.kind in ("unreachable", "not_ready")), None)
        if name == "backend" and was_left_out(facts.context):
            services.append({"name": name, "answers": False, "detail": "not started"})
            continue
        services.append({"name": name, "answers": down is None, "detail": down.summary if down else None})
    return Observation(
        request={"services": [name for name, _ in asked]},
        output={"services": services, "tables": tables},
        findings=tuple(sorted(troubles, key=lambda trouble: KINDS.index(trouble.kind))),
    )


KINDS: Final = ("unreachable", "not_ready", "missing_table", "schema_drift")


def unanswered(facts: Facts, name: str, error: StoreError) -> Finding:
    """A service that does not answer, with the reason that the machine gives."""
    why, fix = silence(facts.context.service(name))
    kind = "not_ready" if error.code in STARTING else "unreachable"
    summary = ": ".join(filter(None, (error.what, (error.detail or "").partition("\n")[0])))
    return Finding(kind, summary, why, fix, (name,), frozenset([name]))


def look_at_postgres(facts: Facts) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Its tables and columns against what setup declared, and against what links need."""
    try:
        seen = facts.postgres()
    except StoreError as error:
        if error.code == NO_DATABASE:
            name = facts.context.targets.postgres.database
            text = f"there is no database {name}"
            return [Finding("missing_table", text, "step setup has not run", UP, (name,), frozenset(["postgres"]))], []
        return [unanswered(facts, "postgres", error)], []
    differences = [
        *(diff_catalog(seen.declared, seen.catalog) if seen.declared else ()),
        *diff_links(facts.plan, seen.readable),
    ]
    relations = {".".join(relation) for relation in facts.plan.relations}
    if facts.context.settings.person:
        relations.add(".".join(relation_of(facts.context.settings.person.table)))
    return list(schema_troubles(differences, relations)), [
        {"name": table.title, "differences": [text for subject, text in differences if subject.startswith(table.title)]}
        for table in seen.catalog.tables
    ]


def relation_of(table: str) -> tuple[str, str]:
    """`(schema, table)` of a table's name; the schema is `public` when it is not given."""
    schema, _, name = table.rpartition(".")
    return schema or "public", name


def schema_troubles(differences: list[tuple[str, str]], relations: set[str]) -> Iterator[Finding]:
    """Differences in the tables that this project's items and people are linked to; others do not matter here."""
    for kind, wanted in (("missing_table", True), ("schema_drift", False)):
        found = {
            text: subject
            for subject, text in differences
            if any(subject == name or subject.startswith((f"{name}.", f"{name} ")) for name in relations)
            and (subject in relations) == wanted
        }
        if found:
            cause = "either step setup has not run, or the schema was changed by hand"
            names = frozenset(name for subject in found.values() for name in ("postgres", subject.rpartition(".")[2]))
            fix = UP if wanted else Fix("rebuild the database from its files (asks first)", "devenv setup && devenv up")
            yield Finding(kind, "; ".join(found), cause, fix, tuple(dict.fromkeys(found.values())), names)


def look_at_dynamodb(facts: Facts) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Its tables, keys and indexes against the declared ones."""
    from devenv.steps.schema_load.schema_load import diff_table

    try:
        described = facts.described()
    except StoreError as error:
        return [unanswered(facts, "dynamodb", error)], []
    troubles = []
    missing = [name for name, table in described.items() if table is None]
    if missing:
        text = f"table {', '.join(missing)} does not exist"
        cause = "either step schema-load has not run, or the table was deleted"
        troubles.append(Finding("missing_table", text, cause, UP, tuple(missing), frozenset(["dynamodb", *missing])))
    seen = []
    for name, request in facts.context.tables.items():
        table = described.get(name)
        found = [d for d in diff_table(request, table) if d.losing or d.mend] if table is not None else []
        seen.append({"name": name, "differences": [d.text for d in found]})
        if found:
            losing = any(d.losing for d in found)
            command = "devenv schema-load && devenv up" if losing else "devenv up"
            text = f"table {name}: {'; '.join(d.text for d in found)}"
            cause = "either the table was created from another definition, or it was altered later"
            change = (
                "recreate it as its file declares" if losing else "change it to what its file declares; no item is lost"
            )
            fix = Fix(change, command, safe=not losing)
            troubles.append(Finding("schema_drift", text, cause, fix, (name,), frozenset(["dynamodb", name])))
    return troubles, seen


def look_at_backend(facts: Facts) -> tuple[list[Finding], list[dict[str, Any]]]:
    """See if anything listens at the application's address; its answers are the matter of the layer http.

    One that was not started, or was stopped on purpose, is no fault: `up --no-backend` asks for that.
    """
    url = urlsplit(facts.context.targets.backend_url or "")
    host, port = url.hostname or "127.0.0.1", url.port or {"https": 443}.get(url.scheme, 80)
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except OSError as error:
        if was_left_out(facts.context):
            return [], []
        why, fix = silence(facts.context.service("backend"))
        text = f"the application does not listen at {host}:{port}: {error}"
        return [Finding("unreachable", text, why, fix, ("backend",), frozenset(["backend"]))], []
    return [], []


def was_left_out(context: FactsContext) -> bool:
    """Return True if the application is devenv's to start, and is not meant to run."""
    backend = context.settings.backend
    return backend is not None and bool(backend.command) and context.service("backend").state == "stopped"


def summarize(seen: Observation) -> str:
    """Which services answer."""
    names = ", ".join(service["name"] for service in seen.output.get("services", ()) if service["answers"])
    return f"{names} answer" if names else ""


LAYER: Final = Layer(
    name="services",
    question="Does each store answer, with the declared schema?",
    observe=observe,
    judge=partial(judge_findings, "services", "error"),
    summarize=summarize,
)
