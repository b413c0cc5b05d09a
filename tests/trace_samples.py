"""Reports of `devenv trace` as they are shaped (see devenv/trace/run.py), made by hand: for those who render them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from devenv.capture.calls import Cost
from devenv.core.errors import Exit
from devenv.core.model import Report
from devenv.trace.layers.registry import LAYERS
from devenv.trace.observation import Observation

GROUP: Final = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
INES: Final = "2e5f1fa6-ee7f-4961-b6f8-2a81f6c63d46"
RAFAEL: Final = "9b1c7c1e-52ab-4f7c-8a1e-0f6f7f5f2a10"
STALE: Final = "00000000-dead-4bad-8bad-000000000001"
DECLARED: Final = f"Query chat-messages where pk = MSG#{GROUP} descending"
NARROW: Final = f"Query chat-messages where pk = MSG#{GROUP} and begins_with(sk, 2026) descending"
NAMES: Final = (
    "environment", "services", "postgres", "dynamodb", "cross-store", "pattern", "library", "http",
)  # fmt: skip
SQL: Final = "SELECT uuid FROM public.users WHERE handle = %(user)s"
STORE: Final = "http://127.0.0.1:8000"
ROWS: Final = "127.0.0.1:5432/chat"
Body = dict[str, Any]


def message_id(number: int) -> str:
    """The id of one message."""
    return f"{(number + 1) * 0x9E3779B1 % 2**32:08x}-1111-4222-8333-{number:012x}"


def entry(number: int, **fields: str | None) -> Body:
    """One message, its text left out as a report does."""
    told = {
        "display_name": "Ines Halvorsen" if number % 2 else "Rafael Okoro",
        "handle": "ines" if number % 2 else "rafael",
        "message": f"[{10 + number} characters]",
        "created_at": f"2023-06-24T20:{number:02d}:00.000000+00:00",
    }
    return {"id": message_id(number), "fields": {**told, **fields}}


def finding(layer: str, kind: str, summary: str, cause: str | None, fix: str | None, run: str | None = None) -> Body:
    """One fault."""
    remedy = {"text": fix, "command": run, "safe": False} if fix else None
    return {"layer": layer, "class": kind, "summary": summary, "cause": cause, "fix": remedy, "subjects": []}


def layer(name: str, request: Body, output: Body, *, began: float, ms: float, **more: Any) -> Body:
    """One layer that is fine, unless `more` says otherwise."""
    plain: Body = {
        "index": NAMES.index(name) + 1, "name": name, "question": f"What about {name}?", "status": "ok",
        "began_ms": began, "ms": ms, "request": request, "output": output,
        "expected_count": None, "observed_count": None, "missing": [], "extra": [], "reordered": False,
        "changed": [], "entries": None, "expected": None, "cost": None, "findings": [], "unasked": None,
        "failure": None, "notes": [],
    }  # fmt: skip
    return plain | more


def healthy_body(count: int = 12) -> Body:
    """A conversation of `count` messages that every layer agrees on."""
    entries = [entry(number) for number in range(count)]
    seen = {"expected_count": count, "observed_count": count, "entries": entries}
    member = {
        "who": "member", "status": 200, "problem": None, "media": "application/json", "count": count, "size": 4096,
        "pages": 1, "more": False, "cors": "http://localhost:3000", "location": None, "shape": None, "detail": None,
        "ms": 31.5,
    }  # fmt: skip
    stranger = member | {"who": "stranger", "status": 403, "count": None, "detail": "you are not a member", "ms": 9.0}
    layers = [
        layer(
            "environment", {"pid": 4711},
            {
                "process": {"pid": 4711, "folder": "/home/ann/chat", "python": "/usr/bin/python3", "started": 1.5e9,
                            "connected": ["dynamodb", "postgres"]},
                "targets": {
                    "dynamodb": {"project": STORE, "application": STORE, "same": True},
                    "postgres": {"project": ROWS, "application": ROWS, "same": True},
                },
                "variables": [
                    {"name": "DATABASE_URL", "value": "postgresql://chat:****@127.0.0.1:5432/chat"},
                    {"name": "AUTH_SECRET", "value": "****"},
                ],
            },
            began=2.0, ms=0.4,
        ),
        layer(
            "services", {"services": ["postgres", "dynamodb", "backend"]},
            {
                "services": [{"name": n, "answers": True, "detail": None} for n in ("postgres", "dynamodb", "backend")],
                "tables": [{"name": "public.users", "differences": []}, {"name": "chat-messages", "differences": []}],
            },
            began=2.0, ms=51.0,
        ),
        layer(
            "postgres", {"user": None, "table": "public.users", "sql": SQL},
            {"person": {"uuid": INES, "handle": "ines"}, "rows": 1, "declared": {"uuid": INES}, "role": "chat"},
            began=2.0, ms=55.0,
        ),
        layer(
            "dynamodb", {"table": "chat-messages", "where": {"message_group_uuid": GROUP}, "items": count + 30},
            {"found": True, "items": [{"key": f"MSG#{GROUP}", "kind": "message"}], "owners": [INES], "near": []},
            began=57.0, ms=1.2, observed_count=count, entries=entries,
        ),
        layer(
            "cross-store", {"links": ["user", "owner"]},
            {"links": [{"name": "user", "target": "public.users.uuid", "ids": 2, "faults": 0}]},
            began=58.0, ms=0.6,
        ),
        layer(
            "pattern",
            {
                "pattern": "messages", "declared": DECLARED,
                "request": {"TableName": "chat-messages", "IndexName": "by-time", "ScanIndexForward": False},
            },
            {"pages": 1, "more": False, "stages": [], "plan": None},
            began=60.0, ms=34.0, **seen,
            cost={"requests": 1, "scanned": count, "returned": count, "units": 4.5, "computed": 4.5},
        ),
        layer(
            "library",
            {"calls": [{"function": "chat.messages:list_messages", "arguments": {"message_group_uuid": GROUP}}]},
            {
                "function": "list_messages()", "outcome": "returned", "detail": None,
                "queries": [
                    {
                        "text": DECLARED, "count": count, "scanned": count, "pages": 1, "target": "127.0.0.1:8000",
                        "elsewhere": None, "error": None,
                    }
                ],
                "differs": None,
                "guards": [{"function": "require_member()", "outcome": "returned", "detail": None}],
                "corrected": None, "said": [],
            },
            began=60.0, ms=290.0, **seen,
            cost={"requests": 1, "scanned": count, "returned": count, "units": None, "computed": None},
        ),
        layer(
            "http", {"method": "GET", "url": f"http://127.0.0.1:4567/messages/{GROUP}", "who": ["member", "stranger"]},
            {"answers": [member, stranger], "log": [f"GET /api/messages/{GROUP} 200 31.0ms"]},
            began=61.0, ms=66.0, **seen,
        ),
    ]  # fmt: skip
    subject = {
        "name": "conversation", "title": "the messages of a conversation", "identifier": GROUP,
        "params": {"message_group_uuid": GROUP}, "user": "ines", "said": [],
    }  # fmt: skip
    verdict: Body = {
        "status": "ok", "layer": None, "class": None, "summary": None, "cause": None, "fix": None, "also": [],
    }  # fmt: skip
    return {
        "subject": subject, "started": "2026-11-22T22:26:48.512+00:00", "ms": 350.0, "verdict": verdict,
        "layers": layers,
    }  # fmt: skip


def report_of(code: int, body: Body) -> Report:
    """The report of a body, with what each layer's record says of it."""
    records = {record.name: record for record in LAYERS}
    for one in body["layers"]:
        record = records[one["name"]]
        cost = Cost(**one["cost"]) if one["cost"] else None
        seen = Observation(request=one["request"], output=one["output"], cost=cost)
        one["summary"] = record.summarize(seen)
        one["evidence"] = [{"label": label, "text": text} for label, text in record.evidence(seen)]
        one["attributes"] = dict(record.attributes(seen))
    return Report("trace", "chat", code, body)


def named(body: Body, name: str) -> Body:
    """One layer of a body."""
    found: Body = body["layers"][NAMES.index(name)]
    return found


def breaks(body: Body, *faults: Mapping[str, Any], status: str) -> Report:
    """The body with a verdict: the first fault, and the others as further ones."""
    first, *also = faults
    for fault in faults:
        named(body, fault["layer"])["findings"].append(dict(fault))
        named(body, fault["layer"])["status"] = "mutated"
    named(body, first["layer"])["status"] = status
    body["verdict"] = {"status": "diverged", **{k: first[k] for k in ("layer", "class", "summary", "cause", "fix")}}
    body["verdict"]["also"] = list(also)
    return report_of(Exit.FOUND, body)


def lose_all(body: Body, name: str) -> Body:
    """A layer that gives nothing of what it should; those behind it agree with it."""
    lost = named(body, name)
    lost.update(
        observed_count=0, entries=[], expected=named(body, "dynamodb")["entries"],
        missing=[one["id"] for one in named(body, "dynamodb")["entries"]],
    )  # fmt: skip
    for later in NAMES[NAMES.index(name) + 1 :]:
        named(body, later).update(expected_count=0, observed_count=0, entries=[])
    return lost


def healthy() -> Report:
    """Nothing is wrong."""
    return report_of(Exit.DONE, healthy_body())


def wrong_query() -> Report:
    """The application alone asks for one year only."""
    body = healthy_body()
    output = lose_all(body, "library")["output"]
    output["queries"][0].update(text=NARROW, count=0, scanned=0)
    output["differs"] = "sort-key condition"
    summary = "list_messages() returns 0 of 12: its query does not return 12 entries that the declared pattern returns"
    cause = f"it sends {NARROW}; the declared query is {DECLARED} (differs in sort-key condition)"
    strangers = "the API answers 200 to a user who is not a member, with 12 entries"
    open_to_all = finding(
        "http", "open_to_strangers", strangers, "the user is not checked", "check membership", "devenv logs backend"
    )
    return breaks(
        body,
        finding("library", "wrong_query", summary, cause, "correct list_messages()"),
        open_to_all,
        status="missing",
    )


def narrowed() -> Report:
    """The declared pattern itself asks for one year only."""
    body = healthy_body()
    pattern = lose_all(body, "pattern")
    pattern["request"]["declared"] = NARROW
    pattern["output"]["stages"] = [{"without": "sort", "count": 12}]
    pattern["notes"] = ["it leaves out what is not begins_with(sk, 2026)"]
    summary = "the declared pattern: it returns 0 of 12: its sort-key condition leaves them out"
    cause = "its sort-key condition (begins_with(sk, 2026)) leaves them out"
    fix = "correct the pattern in devenv.toml and the application's query"
    return breaks(body, finding("pattern", "narrowed", summary, cause, fix, "devenv config check"), status="missing")


def orphan() -> Report:
    """A sender whose row is gone; besides, the function mangles what it returns."""
    body = healthy_body()
    mangle(body)
    summary = f"user_uuid {STALE} of 6 items names no row of public.users"
    cause = "the row was deleted, or the database was set up again, and the items were kept"
    return breaks(
        body,
        finding("cross-store", "orphan", summary, cause, "make the items follow the rows", "devenv up"),
        MANGLED,
        status="missing",
    )


def mangled() -> Report:
    """The function drops a field of one entry, adds an entry, and mixes up the order."""
    body = healthy_body()
    mangle(body)
    return breaks(body, MANGLED, status="mutated")


MANGLED: Final = finding("library", "field_changed", "list_messages() returns 1 entry without `handle`", None, None)


def mangle(body: Body) -> None:
    """What `mangled` says, in the layer itself."""
    given = named(body, "pattern")["entries"]
    blank = given[-1] | {"fields": {**given[-1]["fields"], "handle": None}}
    named(body, "library").update(
        entries=[given[1], given[0], *given[2:-1], blank, entry(99)], expected=given, observed_count=13, reordered=True,
        extra=[message_id(99)],
        changed=[{"id": blank["id"], "field": "handle", "expected": "ines", "observed": None}],
    )  # fmt: skip


def down() -> Report:
    """DynamoDB could not be asked, and nothing else is known to be wrong."""
    body = healthy_body()
    for name in ("dynamodb", "cross-store", "pattern"):
        named(body, name).update(
            status="error", expected_count=None, observed_count=None, entries=None, cost=None, output={},
            failure={
                "what": "DynamoDB at 127.0.0.1:8000 does not answer", "detail": "Connection refused\n[Errno 111]",
                "cause": None, "hint": "devenv up",
            },
        )  # fmt: skip
    for name in ("library", "http"):
        named(body, name).update(
            status="not_run", expected_count=None, observed_count=None, entries=None, cost=None, output={}, ms=0.0,
            unasked="it needs {person.uuid}, which is not known",
        )  # fmt: skip
    body["verdict"].update(status="not_verified", summary="could not be checked: dynamodb, cross-store, pattern")
    return report_of(Exit.UNCHECKED, body)


SAMPLES: Final[Mapping[str, Callable[[], Report]]] = {
    "healthy": healthy,
    "wrong_query": wrong_query,
    "narrowed": narrowed,
    "orphan": orphan,
    "mangled": mangled,
    "down": down,
}


# Words of our own that are asked for by name; everything else may hold what others wrote.
OURS: Final = ("status", "name", "layer", "started", "without", "who")


def everywhere(report: Report, text: str) -> Report:
    """The report with `text` behind every stored, logged or written text: values, keys, ids, summaries."""

    def put(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: put(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [put(part, name) for part in value]
        return value + text if isinstance(value, str) and name not in OURS else value

    body = put(dict(report.body))
    for one in body["layers"]:
        one["request"][f"key{text}"] = [{f"inner{text}": text}, {f"inner{text}": None}]
    return Report(report.command, report.project, report.exit_code, body)
