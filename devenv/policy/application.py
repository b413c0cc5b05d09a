"""The policy `application`: the least that the application's role needs for the declared patterns."""

from __future__ import annotations

from typing import Final

from devenv.core.errors import UsageError
from devenv.policy.documents import WRITES, Maker, Policy, PolicySource, document, is_meant, sid
from devenv.policy.wish import Wish, require_place


def application(project: PolicySource, wish: Wish) -> Policy:
    """The least that the application's role needs for the declared patterns. UsageError when it cannot be said."""
    require_place(wish, "an Allow for every account and region would be more than the application needs")
    patterns = project.settings.patterns
    wanted: dict[str, dict[str, None]] = {}
    for pattern in patterns.values():
        if pattern.table is None or not is_meant(pattern.table, wish.tables):
            continue
        resource = f"table/{pattern.table}" + (f"/index/{pattern.index}" if pattern.index else "")
        wanted.setdefault(resource, {})[f"dynamodb:{pattern.kind}"] = None
    if not wanted:
        raise UsageError(
            "no access pattern reads these tables, so what the application needs is not known",
            hint="declare [patterns.NAME] in devenv.toml",
        )
    if wish.writes:
        for table in dict.fromkeys(resource.split("/")[1] for resource in wanted):
            wanted.setdefault(f"table/{table}", {}).update(dict.fromkeys(WRITES))
    statements = [
        {
            "Sid": f"{sid(resource)}{number}",
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": wish.in_regions(resource),
        }
        for number, (resource, actions) in enumerate(wanted.items(), 1)
    ]
    notes = [
        "attach it to the role that the application runs as (of an instance, a task or a function), never to a user"
    ]
    if not wish.writes:
        notes.append("patterns declare what is read; --writes allows the application to write items too")
    return Policy(
        name="application",
        kind="identity-based policy of a role",
        title="allow what the declared access patterns need, and no more",
        explain=(
            "The application may send the operations of the declared patterns to exactly these tables and indexes, and"
            " nothing else. It is the permission of a role that the application's compute assumes, not of a user."
        ),
        document=document(*statements),
        attach="aws iam put-role-policy --role-name ROLE --policy-name tables --policy-document file://FILE",
        notes=tuple(notes),
    )


MAKER: Final = Maker("application", application, limit=6144, group="roles")
