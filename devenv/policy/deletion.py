"""The policy `deny-deletion`: an identity cannot delete the tables, whatever other permissions it has."""

from __future__ import annotations

from typing import Final

from devenv.policy.documents import Maker, Policy, PolicySource, denials, document
from devenv.policy.wish import ANY, Wish


def deny_deletion(_: PolicySource, wish: Wish) -> Policy:
    """Deny the deletion of tables and backups."""
    account = wish.account or ANY
    notes = ["a Deny wins over every Allow; attach it to groups and roles, not to single users"]
    if not wish.lock:
        notes.append(
            "UpdateTable stays allowed (no condition key shows what it changes), so deletion protection can be"
            " turned off; DeleteTable is still denied. --lock also denies UpdateTable"
        )
    if wish.account is None:
        notes.append("without --account it holds for the tables of this name in every account")
    return Policy(
        name="deny-deletion",
        kind="identity-based policy, or permissions boundary",
        title="deny the deletion of tables and backups",
        explain=(
            "A principal with this policy cannot delete the tables, their replicas or their backups, even if another"
            " policy allows it. It grants nothing, so it can be attached in addition to any other policy."
        ),
        document=document(*denials(wish, account)),
        attach="aws iam create-policy --policy-name deny-table-deletion --policy-document file://FILE",
        notes=tuple(notes),
    )


MAKER: Final = Maker("deny-deletion", deny_deletion, limit=6144)
