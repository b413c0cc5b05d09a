"""The surroundings that a template's resources make, in CloudFormation's form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from devenv.aws.cloudformation import Resource
from devenv.aws.documents import ALLOW_ALL, GRANTING, HARMLESS, as_document, as_list
from devenv.aws.surroundings import Document, Line, PolicyHolder, Region, Surroundings, Trail, VpcEndpoint, is_open
from devenv.aws.trails import advanced

NETWORK: Final = ("AWS::EC2::VPC", "AWS::EC2::Subnet")
PARTS: Final = ("AWS::CloudFormation::Stack", "AWS::Serverless::Application", "Module")
POLICIES: Final = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy")
VIRTUAL: Final = {
    "AWS::DirectConnect::PrivateVirtualInterface": None,
    "AWS::DirectConnect::TransitVirtualInterface": None,
    "AWS::DirectConnect::PublicVirtualInterface": "a public virtual interface: it leads to AWS's public addresses",
}


def surroundings_of(source: str, resources: Sequence[Resource]) -> Surroundings:
    """Return what these resources, of one or several files of one deployment, make together."""

    unread = tuple(
        f"{each.where}: {key} is computed"
        for each in resources
        if each.kind == "AWS::CloudTrail::Trail"
        for key in ("IsLogging", "IsMultiRegionTrail")
        if is_open(each.properties.get(key))
    )

    def of(kind: str, read: Callable[[Resource], Any]) -> tuple[Any, ...]:
        return tuple(found for each in resources if each.kind == kind and (found := read(each)) is not None)

    return Surroundings(
        source=source,
        trails=of("AWS::CloudTrail::Trail", trail_of),
        endpoints=of("AWS::EC2::VPCEndpoint", endpoint_of),
        holders=tuple(holders_of(resources)),
        lines=tuple(lines_of(resources)),
        regions=tuple(regions_of(resources)),
        parts=tuple(each.where for each in resources if each.kind in PARTS),
        network=any(each.kind in NETWORK for each in resources),
        unread={"cloudtrail": unread} if unread else {},
    )


def is_true(value: Any) -> bool:
    """Return True for a template's yes, which may be a text."""
    return str(value).lower() == "true"


def trail_of(resource: Resource) -> Trail:
    """A trail. With advanced selectors the basic ones do not count."""
    properties = resource.properties
    selectors = [each for each in as_list(properties.get("AdvancedEventSelectors")) if isinstance(each, Mapping)]
    if not selectors:
        basic = [each for each in as_list(properties.get("EventSelectors")) if isinstance(each, Mapping)]
        selectors = [made for each in basic for made in advanced(each)]
    return Trail(
        where=resource.where,
        logging=is_true(properties.get("IsLogging", True)),
        multi_region=is_true(properties.get("IsMultiRegionTrail", False)),
        selectors=tuple(selectors),
        region=resource.region,
    )


def endpoint_of(resource: Resource) -> VpcEndpoint | None:
    """A VPC endpoint of DynamoDB; None for one of another service."""
    properties = resource.properties
    if not str(properties.get("ServiceName", "")).endswith(".dynamodb"):
        return None
    kind = "Interface" if properties.get("VpcEndpointType") == "Interface" else "Gateway"
    tables = properties.get("RouteTableIds")
    given = properties.get("PolicyDocument")
    policy = as_document(given)
    if policy is None and given is not None:
        # Of a policy that cannot be read it is only known that there is one.
        policy = {
            "Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": f"${{{resource.name} policy}}"}]
        }
    return VpcEndpoint(
        where=resource.where,
        kind="Interface" if kind == "Interface" else "Gateway",
        policy=policy,
        routes=None if is_open(tables) else len(as_list(tables)),
        region=resource.region,
    )


def holders_of(resources: Sequence[Resource]) -> Iterator[PolicyHolder]:
    """Users and groups with what is attached to them, from either side."""
    documents = {
        each.name: as_document(each.properties.get("PolicyDocument")) for each in resources if each.kind in POLICIES
    }
    attached: dict[tuple[str, str], list[Resource]] = {}
    for each in resources:
        if each.kind in POLICIES:
            names = [("user", who) for key in ("Users", "UserName") for who in as_list(each.properties.get(key))]
            names += [("group", who) for key in ("Groups", "GroupName") for who in as_list(each.properties.get(key))]
            for kind, who in names:
                attached.setdefault((kind, str(who)), []).append(each)
    known = {(kind, name) for kind, names in defined(resources).items() for name in names}
    for each in resources:
        if each.kind not in ("AWS::IAM::User", "AWS::IAM::Group"):
            continue
        kind = "user" if each.kind == "AWS::IAM::User" else "group"
        more = [policy for name in own_names(each) for policy in attached.get((kind, name), ())]
        yield holder(kind, each, more, documents, resources)
    for (kind, name), policies in attached.items():
        if (kind, name) not in known:
            # Defined elsewhere: what this template gives it is known all the same.
            where = policies[0].where
            shown = f"{where} ({kind} {name})"
            yield holder(kind, Resource(shown, name, "", {}), policies, documents, resources)


def defined(resources: Iterable[Resource]) -> dict[str, set[str]]:
    """Kind -> the names under which its users and groups are referred to."""
    found: dict[str, set[str]] = {"user": set(), "group": set()}
    for each in resources:
        if each.kind in ("AWS::IAM::User", "AWS::IAM::Group"):
            found["user" if each.kind == "AWS::IAM::User" else "group"] |= set(own_names(each))
    return found


def own_names(resource: Resource) -> tuple[str, ...]:
    """Return what a policy may call this user or group: by reference, or by its name."""
    given = resource.properties.get("UserName") or resource.properties.get("GroupName")
    return (f"${{{resource.name}}}", *([str(given)] if given else []))


def holder(
    kind: str,
    resource: Resource,
    policies: Sequence[Resource],
    documents: Mapping[str, Document | None],
    resources: Sequence[Resource],
) -> PolicyHolder:
    """A user or group with all its documents. A managed policy is read where this template or AWS defines it."""
    found: list[Document | None] = [as_document(each.properties.get("PolicyDocument")) for each in policies]
    unread = [each.where for each, document in zip(policies, found, strict=True) if document is None]
    for inline in as_list(resource.properties.get("Policies")):
        document = as_document(inline.get("PolicyDocument")) if isinstance(inline, Mapping) else None
        found.append(document)
        unread += [] if document is not None else [f"a policy of {resource.where}"]
    for arn in map(str, as_list(resource.properties.get("ManagedPolicyArns"))):
        name = arn.strip("${}").rpartition("/")[2]
        if name in GRANTING:
            found.append(ALLOW_ALL)
        elif documents.get(name) is not None:
            found.append(documents[name])
        elif name not in HARMLESS:
            unread.append(arn)
    mine = {f"${{{resource.name}}}", str(resource.properties.get("UserName"))}
    keys = sum(
        each.kind == "AWS::IAM::AccessKey"
        and str(each.properties.get("UserName")) in mine
        and each.properties.get("Status", "Active") == "Active"
        for each in resources
    )
    return PolicyHolder(
        resource.where,
        "user" if kind == "user" else "group",
        tuple(each for each in found if each),
        tuple(unread),
        keys,
    )


def lines_of(resources: Iterable[Resource]) -> Iterator[Line]:
    """VPN connections and the virtual interfaces of Direct Connect."""
    for each in resources:
        if each.kind == "AWS::EC2::VPNConnection":
            yield Line(each.where, "Site-to-Site VPN")
        elif each.kind in VIRTUAL:
            yield Line(each.where, "Direct Connect", VIRTUAL[each.kind])


def regions_of(resources: Iterable[Resource]) -> Iterator[Region]:
    """Replicas of tables, and the region of a table's own provider."""
    for each in resources:
        if each.kind == "AWS::DynamoDB::GlobalTable":
            if each.region:
                yield Region(each.where, each.region)
            for replica in as_list(each.properties.get("Replicas")):
                region = str(replica.get("Region", "")) if isinstance(replica, Mapping) else ""
                if region not in ("", "*"):
                    yield Region(f"a replica of {each.where}", region)
