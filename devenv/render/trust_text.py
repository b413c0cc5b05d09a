"""The text form of `devenv trust`."""

from __future__ import annotations

from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.render.cells import clean


def trust_text(report: Report, verbose: bool) -> list[str]:
    """The trusted folders, or what happened to this one."""
    body = report.body
    if "trusted" in body:
        lines = []
        for entry in body["trusted"]:
            lines.append(f"{clean(entry['root'])}  ({number_of(len(entry['commands']), 'line')})")
            lines += [f"    {clean(line)}" for line in entry["commands"]] if verbose else []
        return lines or ["no folder is trusted"]
    if "revoked" in body:
        return [f"no longer trusted: {clean(body['root'])}" if body["revoked"] else "it was not trusted; nothing to do"]
    lines = [*body["commands"], *(["its SQL files, run by a superuser of Postgres"] if body["sql"] else [])]
    if not lines:
        return ["this folder has no commands of its own; nothing to trust"]
    return [f"trusted: {clean(body['root'])}", *(f"    {clean(line)}" for line in lines)]
