"""The Doctor page: checks as they finish, what they found, and fixes that show before and after."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from devenv.core.errors import UsageError
from devenv.doctor.checks.registry import CHECKS
from devenv.doctor.runner import MENDED_BY_STEPS
from devenv.ui.job_page import found
from devenv.ui.jobs import PageJob
from devenv.ui.stream import follow_job, part, streaming
from devenv.ui.view import Page, ago, fragment

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from devenv.ui.site import Site

# An address of this page, and of no other.
OWN: Final = re.compile(r"(/[\w-]+)+")
WORST: Final = ("fail", "error", "warn", "ok", "skip")


def show(site: Site, request: Request) -> Page:
    """The last run, or one that is under way; without any, the list of checks."""
    job = found(site, request) if "job" in request.path_params else site.jobs.last("doctor")
    opened = site.open()
    values = {
        "project": opened.settings.project.name,
        "job": job,
        "stream": f"/stream/doctor/{job.id}" if job and job.ended is None else "",
        "groups": grouped(job),
        "verdict": verdict(job),
        "write": site.options.write,
        "fixes": [{"job": each, "state": standing(each, repairs(site, each))} for each in site.jobs.all("fix")[:6]],
    }
    document = dict(job.document or {}) if job else {}
    return Page("doctor.html", "Doctor", values, {"schema": "devenv.doctor/1", **document}, ["doctor"])


def results(job: PageJob | None) -> dict[str, Mapping[str, Any]]:
    """Code -> the finding, as far as they are known."""
    if job is None:
        return {}
    known = {event["check"]["code"]: event["check"] for event in list(job.events) if "check" in event}
    return {**known, **{check["code"]: check for check in (job.document or {}).get("checks", ())}}


def grouped(job: PageJob | None) -> list[dict[str, Any]]:
    """The checks by group, in running order: `{name, checks: [{code, title, result}]}`."""
    known = results(job)
    groups: dict[str, list[dict[str, Any]]] = {}
    for check in CHECKS:
        row = {"code": check.code, "name": check.name, "title": check.title, "result": known.get(check.code)}
        groups.setdefault(check.group, []).append(row)
    return [{"name": name, "checks": checks} for name, checks in groups.items()]


def verdict(job: PageJob | None) -> dict[str, Any]:
    """The verdict's block: its tone, its words, and what was found wrong, the worst first."""
    known = results(job)
    wrong = [each for each in known.values() if each["status"] in ("fail", "error", "warn")]
    bad = [{**each, "way": way_of(each)} for each in sorted(wrong, key=lambda each: WORST.index(each["status"]))]
    counts = {status: sum(each["status"] == status for each in known.values()) for status in WORST}
    document = (job.document if job else None) or {}
    state = "none" if job is None else "running" if job.ended is None else str(document.get("verdict", "failed"))
    return {"state": state, "bad": bad, "counts": counts, "total": len(CHECKS), "known": len(known), "job": job}


def way_of(check: Mapping[str, Any]) -> str:
    """How the page can fix what a check found: by a `plan` of writes, by the `steps`, or "" (it cannot)."""
    if check["status"] != "fail" or not (check.get("fix") or {}).get("safe"):
        return ""
    if check["code"] in MENDED_BY_STEPS:
        return "steps"
    return "plan" if any(each.code == check["code"] and each.faults for each in CHECKS) else ""


def run(site: Site, request: Request) -> str:
    """Start all checks."""
    job = site.jobs.last("doctor")
    if job is None or job.ended is not None:
        site.jobs.worker("doctor", ["doctor"], ["doctor"], {"title": "Doctor"})
    return "/doctor"


async def stream(site: Site, request: Request) -> Response:
    """Each check as it finishes, with the verdict so far."""
    job = found(site, request)
    write = site.options.write

    def check(event: Any) -> Iterator[Any]:
        if "check" in event:
            row = event["check"]
            html = fragment("doctor_parts.html", "row", {"code": row["code"], "title": row["title"], "result": row})
            yield part(f"check-{row['code']}", html)
            yield part("verdict", fragment("doctor_parts.html", "verdict", verdict(job), write))

    def finish() -> Iterator[Any]:
        yield part("verdict", fragment("doctor_parts.html", "verdict", verdict(job), write))

    return streaming(follow_job(request, job, check, finish))


# --- fixes ---


def plan(site: Site, request: Request) -> str:
    """Start to plan the fix of one check: what would be written, before anything is."""
    site.require_write()
    code = request.path_params["code"]
    if code not in {check.code for check in CHECKS}:
        raise UsageError(f"there is no check {code!r}", hint="devenv doctor --list")
    opened = site.open()
    if code in MENDED_BY_STEPS:
        site.require_trust(opened, "steps", "services")
        words = ["doctor", "--fix", "--only", code]
        return f"/jobs/{site.jobs.command('stack', words, {'title': f'Fix {code}'}).id}"
    number = len(site.jobs.all("fix"))
    file = opened.folder / "ui" / f"fix-{code}-{site.door.port}-{number}.jsonl"
    about = {"title": f"Fix {code}", "code": code}
    job = site.jobs.worker("fix", ["fix", code, "--file", str(file)], ["repair", "apply", str(file)], about)
    return f"/doctor/fix/{job.id}"


def repairs(site: Site, job: PageJob) -> list[PageJob]:
    """The times a fix was applied or undone, newest first."""
    return [each for each in site.jobs.all("repair") if each.about.get("fix") == job.id]


def standing(job: PageJob, steps: Sequence[PageJob]) -> str:
    """How a fix stands, in words: `planned`, `applied` or `undone`, or that this is under way or failed."""
    last = steps[0] if steps else job
    task = str(last.about.get("task", "plan"))
    if last.state == "running":
        return {"plan": "being planned", "apply": "being applied", "undo": "being undone"}[task]
    word = {"plan": "planned", "apply": "applied", "undo": "undone"}[task]
    return f"{'not ' if last.state == 'failed' else ''}{word} {ago(last.began)} ago"


def show_fix(site: Site, request: Request) -> Page:
    """The plan of a fix, what became of it, and the way back."""
    job = found(site, request)
    steps = repairs(site, job)
    running = next((each for each in (job, *steps) if each.ended is None), None)
    applied = next((each for each in steps if each.about["task"] == "apply"), None)
    # Undone and applied again, it stands as applied.
    undone = steps[0] if steps and steps[0].about["task"] == "undo" else None
    values = {
        "project": site.open().settings.project.name,
        "job": job,
        "applied": applied,
        "undone": undone,
        "running": running,
        "refresh": f"/stream/then/{running.id}?to=/doctor/fix/{job.id}" if running else "",
    }
    ends = {"applied": outcome(applied), "undone": outcome(undone)}
    document = {"schema": "devenv.ui/1", "state": job.state, "plan": job.document, **ends}
    return Page("fix.html", job.about["title"], values, document, job.words)


def outcome(job: PageJob | None) -> Mapping[str, Any] | None:
    """The document of a repair, when it has ended."""
    return job.document if job else None


def repair(site: Site, request: Request) -> str:
    """Apply a plan, or undo it."""
    site.require_write()
    job = found(site, request)
    task = request.path_params["task"]
    file = (job.document or {}).get("plan")
    if task not in ("apply", "undo") or job.kind != "fix" or not file or not Path(file).is_file():
        raise UsageError("this plan cannot be used any more", hint="devenv doctor")
    about = {"title": f"{task} {job.about['code']}", "fix": job.id, "task": task}
    site.jobs.command("repair", ["repair", task, str(file)], about)
    return f"/doctor/fix/{job.id}"


async def then(site: Site, request: Request) -> Response:
    """Wait for a job, then open an address of this page."""
    job = found(site, request)
    address = request.query_params.get("to", "/")

    def finish() -> Iterator[Any]:
        yield part("", address if OWN.fullmatch(address) else "/", "go")

    return streaming(follow_job(request, job, lambda _: (), finish))
