"""The Trace page: choose a subject and a value, watch the layers fill in, see the first that breaks with both sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup

from devenv.core.errors import DevenvError, UsageError
from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.render import trace_html
from devenv.render.trace_view import is_not_found, readable
from devenv.trace.layers.registry import LAYERS
from devenv.ui.job_page import found
from devenv.ui.jobs import KEPT, PageJob
from devenv.ui.stream import follow_job, part, streaming
from devenv.ui.view import Page, fragment

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from devenv.config.schema import Settings
    from devenv.stack import Stack
    from devenv.ui.site import Site

CHOICES: Final = 20
READ: Final = 300
# Traces that the page lists; as many are kept (`jobs.KEPT`), as long as there are not more other commands.
LISTED: Final = 40


def show(site: Site, request: Request) -> Page:
    """The question, and the traces that were run before. `run` in the address leads to the trace's own address."""
    opened = site.open()
    settings = opened.settings
    subject = request.query_params.get("subject") or next(iter(settings.trace), "")
    trace = settings.trace.get(subject)
    values = {
        "project": settings.project.name,
        "subjects": [{"name": name, "title": each.title} for name, each in settings.trace.items()],
        "subject": subject,
        "params": list(trace.params) if trace else [],
        "has_person": settings.person is not None,
        "history": history(site),
        "job": None,
    }
    document = {"schema": "devenv.ui/1", "subjects": values["subjects"], "history": history(site)}
    return Page("trace.html", "Trace", values, document, ["trace"])


def history(site: Site) -> list[dict[str, Any]]:
    """The traces of this page, newest first."""
    return [
        {
            "href": f"/trace/run/{job.id}",
            "name": " ".join(job.words[1:]),
            "began": job.began,
            "state": job.state,
            "verdict": ((job.document or {}).get("verdict") or {}).get("status"),
            "layer": ((job.document or {}).get("verdict") or {}).get("layer"),
            "kind": ((job.document or {}).get("verdict") or {}).get("class"),
            "unknown": "layers" in (job.document or {}) and is_not_found(job.document or {}),
        }
        for job in site.jobs.all("trace")[:LISTED]
    ]


def ask(site: Site, request: Request) -> str:
    """Start the trace of a form; the address of its run."""
    form = request.state.form
    subject = form.get("subject", "")
    trace = site.open().settings.trace.get(subject)
    if trace is None:
        raise UsageError(f"there is no subject `{subject}`", hint="add a section [trace.<name>] to devenv.toml")
    values = [form.get(f"p.{name}", "").strip() for name in trace.params]
    return f"/trace/run/{start(site, subject, values, form.get('user', '').strip(), bool(form.get('stress'))).id}"


def start(site: Site, subject: str, values: Sequence[str], user: str, stress: bool) -> PageJob:
    """Start a trace. UsageError for a question that cannot be asked, and in a folder that is not trusted."""
    from devenv.trace.question import ask as check

    opened = site.open()
    site.require_trust(opened, "trace", "token", "services")
    check(opened.settings, subject, tuple(values), user or None)
    more = ["--user", user] if user else []
    words = ["trace", subject, *values, *more]
    about = {"title": " ".join([subject, *values]), "subject": subject}
    if stress:
        if any(each.startswith("-") for each in values):
            raise UsageError("a value that begins with a hyphen cannot be traced under stress here")
        return site.jobs.command("trace", [*words, "--stress"], about, ["--show-payloads"])
    # What begins with a hyphen is a value here, too.
    task = [*more, "trace", "--", subject, *values]
    return site.jobs.worker("trace", task, words, about)


def show_address(site: Site, request: Request) -> Page:
    """The address that is shared: the last run of this question, or the button that starts it."""
    subject, *values = request.path_params["rest"].split("/")
    user = request.query_params.get("user", "")
    words = ("trace", subject, *values, *(["--user", user] if user else []))
    job = next((each for each in site.jobs.all("trace") if each.words == words), None)
    if job is not None:
        return page_of(site, job)
    return question_page(site, subject, values, user)


def question_page(
    site: Site, subject: str, values: Sequence[str], user: str, *, stress: bool = False, expired: str = ""
) -> Page:
    """A question with the button that asks it. `expired` says that it was asked before, and that the answer is gone."""
    settings = site.open().settings
    trace = settings.trace.get(subject)
    if trace is None or len(values) != len(trace.params):
        raise UsageError(f"there is no trace at this address: {subject}", hint=f"one of: {', '.join(settings.trace)}")
    words = ("trace", subject, *values, *(["--user", user] if user else []), *(["--stress"] if stress else []))
    fields = list(zip(trace.params, values, strict=True))
    given = {
        "project": settings.project.name,
        "subject": subject,
        "title": trace.title or subject,
        "fields": fields,
        "user": user,
        "stress": stress,
        "expired": expired,
    }
    document = {"schema": "devenv.ui/1", "subject": subject, "params": dict(fields), "run": None}
    return Page("trace_ask.html", f"Trace {subject}", given, document, words, 410 if expired else 200)


def show_run(site: Site, request: Request) -> Page:
    """One run, under way or ended; of one that is not kept any more the question."""
    old = site.jobs.past(request.path_params["job"])
    if old is None or old.kind != "trace":
        return page_of(site, found(site, request))
    subject, values, user = question_of(old, site.open().settings)
    expired = f"This address has expired: the page keeps its last {KEPT} commands, and this trace is older."
    return question_page(site, subject, values, user, stress="--stress" in old.words, expired=expired)


def page_of(site: Site, job: PageJob) -> Page:
    """A run's page. Its lasting address is that of the question."""
    settings = site.open().settings
    # Asked once: it may end while the page is made.
    running = job.ended is None
    values = {
        "project": settings.project.name,
        "job": job,
        "running": running,
        "layers": layers_of(settings, job),
        "blocks": {} if running else blocks(job),
        "stream": f"/stream/trace/{job.id}" if running else "",
        "address": address_of(job, settings),
        "again": again(job, settings),
        "stress": [] if running else tried(job),
        "stressed": "--stress" in job.words,
        "history": history(site)[:8],
    }
    document = dict(job.document or {"schema": "devenv.trace/1", "state": job.state})
    return Page("trace_run.html", f"Trace {job.about['title']}", values, document, job.words)


def tried(job: PageJob) -> list[Mapping[str, Any]]:
    """The conditions of a run under stress; of several that were not run for one reason only the first."""
    conditions: list[Mapping[str, Any]] = list(((job.document or {}).get("stress") or {}).get("conditions", []))
    reasons = {one["text"] for one in conditions}
    if len(conditions) > 1 and len(reasons) == 1 and conditions[0]["status"] == "not_run":
        return [{**conditions[0], "name": number_of(len(conditions), "condition"), "title": ""}]
    return conditions


def again(job: PageJob, settings: Settings) -> list[tuple[str, str]]:
    """The fields of a form that asks the same question."""
    subject, values, user = question_of(job, settings)
    names = settings.trace[subject].params if subject in settings.trace else {}
    return [
        ("subject", subject),
        *((f"p.{name}", text) for name, text in zip(names, values, strict=False)),
        ("user", user),
    ]


def question_of(job: PageJob, settings: Settings) -> tuple[str, list[str], str]:
    """Subject, values and user of a run."""
    _, subject, *rest = job.words
    count = len(settings.trace[subject].params) if subject in settings.trace else len(rest)
    more = rest[count:]
    user = more[more.index("--user") + 1] if "--user" in more else ""
    return subject, list(rest[:count]), user


def address_of(job: PageJob, settings: Settings) -> str:
    """The address of a question, to share."""
    subject, values, user = question_of(job, settings)
    path = "/".join(quote(part, safe="") for part in (subject, *values))
    return f"/trace/{path}" + (f"?{urlencode({'user': user})}" if user else "")


def layers_of(settings: Settings, job: PageJob) -> list[dict[str, str]]:
    """Each layer with what is known of it so far."""
    known: dict[str, Mapping[str, Any]] = {}
    for event in list(job.events):
        if "layer" in event:
            known[event["layer"]] = event
    return [
        {
            "name": layer.name,
            "question": layer.question,
            "state": str(known.get(layer.name, {}).get("state", "waiting")),
            "summary": str(known.get(layer.name, {}).get("summary", "")),
        }
        for layer in LAYERS
        if layer.declared(settings)
    ]


def blocks(job: PageJob) -> dict[str, Markup]:
    """The parts of the trace page (`devenv trace --html`), of a run that has ended."""
    document = job.document or {}
    if "layers" not in document:
        return {}
    body = readable({name: part for name, part in document.items() if name not in ("schema", "project", "exit_code")})
    report = Report("trace", str(document.get("project") or ""), int(document.get("exit_code") or 0), body)
    made = {
        "heading": trace_html.heading(report, body),
        "verdict": trace_html.verdict(body),
        "flow": trace_html.flow(body),
        "layers": (line for layer in body["layers"] for line in trace_html.layer_block(body, layer)),
    }
    return {name: Markup("\n".join(lines)) for name, lines in made.items()}  # noqa: S704 - `text` escaped its parts


async def stream(site: Site, request: Request) -> Response:
    """Each layer as it is asked and answers, then the whole page."""
    job = found(site, request)

    def line(event: Any) -> Iterator[Any]:
        if "layer" in event:
            state = {
                "name": event["layer"],
                "question": "",
                "state": event["state"],
                "summary": event.get("summary", ""),
            }
            yield part(f"layer-line-{event['layer']}", fragment("trace_parts.html", "line", state))

    def finish() -> Iterator[Any]:
        yield part("", f"/trace/run/{job.id}", "go")

    return streaming(follow_job(request, job, line, finish))


# --- completion, from the data ---


def complete(site: Site, request: Request) -> Page:
    """Values for a field of the question, out of the first items of the subject's table: a part of the page."""
    given = dict(request.query_params)
    subject, name = given.get("subject", ""), given.get("name", "")
    typed = given.get(f"p.{name}", given.get("user", "")).strip().lower()
    opened = site.open()
    try:
        found_ = users(opened, typed) if name == "user" else values_of(site, opened, subject, name, typed)
    except DevenvError:
        found_ = []
    document = {"schema": "devenv.ui/1", "values": found_}
    return Page("choices.html", "Choices", {"values": found_}, document)


def values_of(site: Site, opened: Stack, subject: str, name: str, typed: str) -> list[dict[str, str]]:
    """Values of a parameter: of the field of that name of the first items, each with some words about it."""
    from devenv.links.read import read_records
    from devenv.query.queries import opened as opened_items
    from devenv.ui.marks import plan_for

    trace = opened.settings.trace.get(subject)
    if trace is None or name not in trace.params:
        return []
    pattern = opened.settings.patterns.get(trace.pattern or "")
    table = pattern.table if pattern else opened.settings.entities[trace.entity].table if trace.entity else None
    if table is None:
        return []
    with opened_items(opened) as dynamodb:
        plan = plan_for(opened.settings, site.tables.look(opened, dynamodb, table).described)
        items = dynamodb.call("Scan", {"TableName": table, "Limit": READ})["Items"]
    found_: dict[str, str] = {}
    for record in read_records(plan, table, items):
        text = record.values.get(name)
        if text and trace.params[name] == "uuid" and text != text.lower():
            continue  # an id in another spelling, which is a fault of its item
        if text and typed in text.lower():
            about = next((record.values[each] for each in ("message", "name", "title") if each in record.values), "")
            found_.setdefault(text, about[:60])
    return [{"value": text, "about": about} for text, about in list(found_.items())[:CHOICES]]


def users(opened: Stack, typed: str) -> list[dict[str, str]]:
    """Names of people that begin with what was typed."""
    from psycopg import sql

    from devenv.stores.postgres.client import execute
    from devenv.stores.postgres.client import name as quoted
    from devenv.ui.rows import opened_rows

    person = opened.settings.person
    if person is None:
        return []
    table = person.table.split(".") if "." in person.table else ["public", person.table]
    query = sql.SQL("SELECT {}::text FROM {} WHERE starts_with(lower({}::text), %s) ORDER BY 1 LIMIT {}").format(
        quoted(person.name), quoted(*table), quoted(person.name), CHOICES
    )
    with opened_rows(opened) as (connection, _):
        return [{"value": row[0], "about": ""} for row in execute(connection, query, [typed]).fetchall()]
