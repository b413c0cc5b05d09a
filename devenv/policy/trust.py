"""The trust policies of the two roles: who may assume them.

Decided by AWS's documentation (IAM, confused deputy; Amazon Cognito, role trust and attributes for access control):
- ECS sends aws:SourceAccount when it takes on a task's role. EC2 and Lambda do not; a role cannot be passed to them
  from another account.
- An identity pool takes a role on by AssumeRoleWithWebIdentity; `aud` is the pool, `amr` has `authenticated` for people
  who signed in. Attributes for access control arrive as session tags, for which the trust must allow sts:TagSession.
"""

from __future__ import annotations

from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.policy.documents import Maker, Policy, PolicySource, document
from devenv.policy.wish import Wish, require_place

COGNITO: Final = "cognito-identity.amazonaws.com"
LIMIT: Final = 2048


def compute_trust(_: PolicySource, wish: Wish) -> Policy:
    """The trust policy of the application's role: its compute, in this account."""
    account = require_place(wish, "a trust policy without the account would let other accounts' compute in")
    statement: dict[str, Any] = {
        "Sid": "AllowComputeToAssume",
        "Effect": "Allow",
        "Principal": {"Service": f"{wish.compute}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    notes = [f"for another service: --compute {' or '.join(name for name in COMPUTES if name != wish.compute)}"]
    if wish.compute == "ecs-tasks":
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    else:
        notes.append("this service sends no aws:SourceAccount; iam:PassRole decides who may assign the role to it")
    return Policy(
        name="compute-trust",
        kind="trust policy of a role",
        title=f"let {wish.compute} assume the application's role",
        explain=(
            f"Only the service {wish.compute} may assume the application's role, with temporary credentials."
            " No user and no other account can assume it."
        ),
        document=document(statement),
        attach="aws iam create-role --role-name ROLE --assume-role-policy-document file://FILE"
        f" --permissions-boundary arn:{wish.partition}:iam::{account}:policy/tables-boundary",
        notes=tuple(notes),
    )


COMPUTES: Final = ("ecs-tasks", "lambda", "ec2")


def person_trust(_: PolicySource, wish: Wish) -> Policy:
    """The trust policy of a person's role: people who signed in at this identity pool. UsageError without the pool."""
    account = require_place(wish, "the boundary is a policy of the account")
    if wish.pool is None:
        raise UsageError(
            "a person's role needs the identity pool that they sign in at",
            hint="add --pool REGION:ID  (aws cognito-identity list-identity-pools --max-results 10)",
        )
    statement = {
        "Sid": "AllowSignedInPeople",
        "Effect": "Allow",
        "Principal": {"Federated": COGNITO},
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        "Condition": {
            "StringEquals": {f"{COGNITO}:aud": wish.pool},
            "ForAnyValue:StringLike": {f"{COGNITO}:amr": "authenticated"},
        },
    }
    return Policy(
        name="person-trust",
        kind="trust policy of a role",
        title="let people who signed in assume a person's role",
        explain=(
            "Only people who signed in at this identity pool may assume the role; guests and other pools may not."
            " Their attributes are passed as session tags, which the policy `person` compares with keys."
        ),
        document=document(statement),
        attach="aws iam create-role --role-name person --assume-role-policy-document file://FILE"
        f" --permissions-boundary arn:{wish.partition}:iam::{account}:policy/tables-boundary",
    )


COMPUTE: Final = Maker("compute-trust", compute_trust, LIMIT, "roles")
PERSON: Final = Maker("person-trust", person_trust, LIMIT, "roles")
