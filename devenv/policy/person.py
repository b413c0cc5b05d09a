"""The policy `person`: what a person who signed in may read without the application, by their own partition keys.

Decided by AWS's documentation (DynamoDB, IAM policy conditions; IAM, set operators and policy variables):
- dynamodb:LeadingKeys holds the partition keys of a request, of the index where it queries one. `ForAllValues` is true
  of a request without any (a Scan): `ForAnyValue` beside it demands that there is one.
- `${aws:PrincipalTag/x}` is the tag of the session; without the tag the condition does not hold.
- A `*` or `?` of the key itself is written `${*}`, `${?}`, and a `$` is `${$}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from devenv.config.schema import Pattern
from devenv.core.errors import UsageError
from devenv.policy.documents import Maker, Policy, PolicySource, document, is_meant
from devenv.policy.wish import Wish, require_place

PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
PERSON: Final = "person."
KEY: Final = "dynamodb:LeadingKeys"


def person(project: PolicySource, wish: Wish) -> Policy:
    """Allow the declared patterns whose partition key names the person. UsageError when there is none."""
    require_place(wish, "an Allow for every account and region would be more than a person needs")
    wanted: dict[tuple[str, str], dict[str, None]] = {}
    tags: dict[str, None] = {}
    left: list[str] = []
    for name, pattern in project.settings.patterns.items():
        if pattern.table is None or not is_meant(pattern.table, wish.tables):
            continue
        key = leading_key(project, pattern)
        if key is None:
            left.append(name)
            continue
        resource = f"table/{pattern.table}" + (f"/index/{pattern.index}" if pattern.index else "")
        wanted.setdefault((resource, f"dynamodb:{pattern.kind}"), {})[key] = None
        tags |= dict.fromkeys(re.findall(r"\$\{aws:PrincipalTag/([^}]+)\}", key))
    if not wanted:
        raise UsageError(
            "no declared pattern's partition key names the person, so nothing can be allowed to a person alone",
            hint='declare a pattern with a key like { pk = "USER#{person.uuid}" }',
        )
    statements = [
        {
            "Sid": f"AllowOwnItems{number}",
            "Effect": "Allow",
            "Action": [action],
            "Resource": wish.in_regions(resource),
            "Condition": condition(list(keys)),
        }
        for number, ((resource, action), keys) in enumerate(wanted.items(), 1)
    ]
    return Policy(
        name="person",
        kind="identity-based policy of a role",
        title="let signed-in people read their own items, and no others",
        explain=(
            "A person who signed in may read the items whose partition key holds their own "
            f"{' and '.join(tags)}, by the declared patterns and no other way. The value comes from the sign-in token,"
            " as a tag of the session, so another person's items cannot be requested."
        ),
        document=document(*statements),
        attach="aws iam put-role-policy --role-name person --policy-name own-items --policy-document file://FILE",
        notes=tuple(notes(project, tags, left)),
    )


def condition(keys: list[str]) -> dict[str, Any]:
    """The condition on the partition keys of a request, one of which there must be."""
    like = any("*" in re.sub(r"\$\{.\}", "", key) for key in keys)
    values = keys if like else [key.replace("${*}", "*").replace("${?}", "?") for key in keys]
    operator = "StringLike" if like else "StringEquals"
    return {f"{every}:{operator}": {KEY: values} for every in ("ForAllValues", "ForAnyValue")}


def leading_key(project: PolicySource, pattern: Pattern) -> str | None:
    """A pattern's partition key with the person's tag for the person; None when it does not single out the person."""
    if pattern.table is None or pattern.kind not in ("Query", "GetItem"):
        return None
    name = project.hash_key(pattern.table, pattern.index)
    if name is None and len(pattern.key) == 1:
        (name,) = pattern.key
    written = pattern.key.get(name or "")
    if not isinstance(written, str) or not singles_out(written):
        return None
    return "".join(parts_of(written))


def singles_out(written: str) -> bool:
    """Return True if a value of the person stands in the key with nothing variable right beside it.

    Beside a wildcard a tag `ali` would also match the key of `alice`.
    """
    found = False
    for match in PLACEHOLDER.finditer(written):
        if match[1].startswith(PERSON):
            before, after = written[: match.start()], written[match.end() :]
            if before.endswith("}") or after.startswith("{"):
                return False
            found = True
    return found


def parts_of(written: str) -> Iterator[str]:
    """The pieces of a key as IAM writes them."""
    at = 0
    for match in PLACEHOLDER.finditer(written):
        yield literal(written[at : match.start()])
        is_person = match[1].startswith(PERSON)
        yield f"${{aws:PrincipalTag/{match[1].removeprefix(PERSON)}}}" if is_person else "*"
        at = match.end()
    yield literal(written[at:])


def literal(text: str) -> str:
    """A text that stands for itself in a condition."""
    return re.sub(r"[*?$]", lambda match: f"${{{match[0]}}}", text)


def notes(project: PolicySource, tags: dict[str, None], left: list[str]) -> Iterator[str]:
    """How the tags come about, and what the policy leaves out."""
    who = project.settings.person
    claims = {tag: "sub" if who is not None and tag == who.sign_in else f"custom:{tag}" for tag in tags}
    pairs = " ".join(f"{tag}={claim}" for tag, claim in claims.items())
    yield (
        "the tags: aws cognito-identity set-principal-tag-attribute-map --identity-pool-id POOL"
        f" --identity-provider-name cognito-idp.REGION.amazonaws.com/USER_POOL --principal-tags {pairs}"
    )
    if own := [claim for claim in claims.values() if claim != "sub"]:
        yield (
            f"the app client must not be able to write {', '.join(own)}:"
            " a user who can change it can act as any other user"
        )
    if left:
        yield f"allowed to the application only, as their partition key does not name the person: {', '.join(left)}"
    yield "it allows no writes: only the application may write, because it keeps copies and groups consistent"


MAKER: Final = Maker("person", person, limit=6144, group="roles")
