"""`devenv policy`: the policies of a project as one report, and as files. Nothing is sent to AWS.

A policy is one file of this package and one line of POLICIES.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devenv.config.load import Loaded
from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report
from devenv.host.writing import SHARED, write_out
from devenv.policy import application, boundary, deletion, endpoint, organisation, person, trail, trust
from devenv.policy.documents import Maker, Policy, PolicySource, as_text, characters, check_size
from devenv.policy.wish import Wish, check_wish

POLICIES: Final[tuple[Maker, ...]] = (
    deletion.MAKER,
    organisation.MAKER,
    application.MAKER,
    trust.COMPUTE,
    person.MAKER,
    trust.PERSON,
    boundary.MAKER,
    endpoint.MAKER,
    trail.MAKER,
)
GROUPS: Final = tuple(dict.fromkeys(each.group for each in POLICIES if each.group))
NAMES: Final = (*(each.name for each in POLICIES), *GROUPS)


def chosen(only: str | None) -> tuple[Maker, ...]:
    """The policies that a word asks for. UsageError for an unknown one."""
    found = tuple(each for each in POLICIES if only in (None, each.name, each.group))
    if not found:
        raise UsageError(f"there is no policy {only!r}", hint=f"one of: {', '.join(NAMES)}")
    return found


def make_report(loaded: Loaded, wish: Wish, only: str | None) -> Report:
    """The policies of this project. UsageError when none of those that were asked for can be made."""
    check_wish(wish)
    project = read_project(loaded)
    made: list[Policy] = []
    missing: list[dict[str, str]] = []
    makers = chosen(only)
    for maker in makers:
        try:
            policy = maker.make(project, wish)
            check_size(policy, maker.limit)
            made.append(policy)
        except UsageError as error:
            if maker == makers[-1] and only is not None and not made:
                raise
            missing.append({"name": maker.name, "reason": error.what, "hint": error.hint or ""})
    body = {
        "policies": [
            {
                "name": policy.name,
                "kind": policy.kind,
                "title": policy.title,
                "explain": policy.explain,
                "attach": policy.attach,
                "notes": list(policy.notes),
                "characters": characters(policy.document),
                "document": policy.document,
            }
            for policy in made
        ],
        "missing": missing,
        "written": [],
    }
    return Report("policy", loaded.settings.project.name, Exit.DONE, body)


def read_project(loaded: Loaded) -> PolicySource:
    """The settings and the table definitions of the step's files."""
    from devenv.steps.registry import STEPS

    (schema_load,) = [step for step in STEPS if step.name == "schema-load"]
    definitions = schema_load.read(loaded.settings, loaded.root).content or ()
    return PolicySource(loaded.settings, {each.table: each.request for each in definitions})


def declared_tables(loaded: Loaded) -> tuple[str, ...]:
    """Every table that the steps' files, the entities or the patterns name."""
    settings = loaded.settings
    named = [*read_project(loaded).tables]
    named += [entity.table for entity in settings.entities.values()]
    named += [pattern.table for pattern in settings.patterns.values() if pattern.table]
    return tuple(dict.fromkeys(named))


def is_single(only: str | None) -> bool:
    """Return True if the word asks for one document, which goes into one file."""
    return only is not None and only not in GROUPS


def files_of(report: Report, only: str | None, out: Path) -> dict[Path, str]:
    """Path -> content: one policy into the file `out`, several of them into files of the folder `out`."""
    policies = report.body["policies"]
    if is_single(only):
        return {out: as_text(policies[0]["document"])}
    if out.exists() and not out.is_dir():
        raise UsageError(
            f"{out} is a file, and there are {len(policies)} policies", hint=f"devenv policy NAME --out {out}"
        )
    return {out / f"{policy['name']}.json": as_text(policy["document"]) for policy in policies}


def write_files(files: Mapping[Path, str]) -> None:
    """Write them. UsageError when one cannot be written."""
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be written", detail=str(error)) from None
        write_out(path, text, SHARED, agreed=True)
