"""The Patterns page: the matrix, each pattern run on real parameters, and what its rules found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from devenv.core.errors import UsageError
from devenv.ui.jobs import PageJob
from devenv.ui.view import Page

if TYPE_CHECKING:
    from starlette.requests import Request

    from devenv.ui.site import Site

KINDS = ("matrix", "patterns")


def show(site: Site, request: Request) -> Page:
    """The declared patterns, and their last check and matrix."""
    from devenv.patterns.command import list_patterns

    opened = site.open()
    declared = list_patterns(opened).body["patterns"]
    jobs = {kind: site.jobs.last(kind) for kind in KINDS}
    running = next((job for job in jobs.values() if job and job.ended is None), None)
    checked = document_of(jobs["patterns"])
    values = {
        "project": opened.settings.project.name,
        "declared": declared,
        "jobs": jobs,
        "running": running,
        "checked": checked,
        "shown": {row["name"]: row for row in checked.get("patterns", ())},
        "bad": [each for each in checked.get("checks", ()) if each["status"] in ("fail", "error", "warn")],
        "matrix": document_of(jobs["matrix"]),
        "refresh": f"/stream/then/{running.id}?to=/patterns" if running else "",
        "errors": [
            job.document["error"] for job in jobs.values() if job and job.document and job.document.get("error")
        ],
    }
    document = {"schema": "devenv.patterns/1", "patterns": declared, "check": checked, "matrix": values["matrix"]}
    return Page("patterns.html", "Patterns", values, document, ["patterns", "check"])


def document_of(job: PageJob | None) -> Mapping[str, Any]:
    """The document of a job that has ended well."""
    document = job.document if job else None
    return {} if document is None or "error" in document else document


def run(site: Site, request: Request) -> str:
    """Run and check all patterns, and make the matrix."""
    for kind, words in (("patterns", ["patterns", "check"]), ("matrix", ["patterns", "matrix"])):
        job = site.jobs.last(kind)
        if job is None or job.ended is not None:
            site.jobs.command(kind, words, {"title": "Patterns"})
    return "/patterns"


def show_one(site: Site, request: Request) -> Page:
    """One pattern: run on parameters out of the data, and explained. Its script is not run."""
    from devenv.patterns.command import explain_pattern, run_pattern

    name = request.path_params["name"]
    opened = site.open()
    pattern = opened.settings.patterns.get(name)
    if pattern is None:
        raise UsageError(f"there is no pattern `{name}`", hint="devenv patterns list")
    # A script is the project's own code: the command line runs it, in a trusted folder.
    quiet = replace_script(opened, name)
    given = [f"{each[2:]}={text}" for each, text in request.query_params.items() if each.startswith("p.") and text]
    ran = run_pattern(quiet, name, given, 20).body
    paragraphs = explain_pattern(quiet, name).body["paragraphs"]
    values = {
        "project": opened.settings.project.name,
        "name": name,
        "ran": ran,
        "paragraphs": paragraphs,
    }
    words = ["patterns", "run", name, *(word for pair in given for word in ("--param", pair))]
    return Page("pattern.html", name, values, {"schema": "devenv.patterns/1", **ran}, words)


def replace_script(opened: Any, name: str) -> Any:
    """The same project, in which the pattern has no script."""
    from dataclasses import replace

    import msgspec

    settings = opened.settings
    patterns = {**settings.patterns, name: msgspec.structs.replace(settings.patterns[name], script=[])}
    loaded = msgspec.structs.replace(opened.loaded, settings=msgspec.structs.replace(settings, patterns=patterns))
    return replace(opened, loaded=loaded)
