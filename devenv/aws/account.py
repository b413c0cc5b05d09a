"""The AWS account, read only: what surrounds the tables, and the tables themselves.

Credentials come from boto3's chain, as for the AWS CLI. Every client of this module refuses to send an operation that
is not `Describe…`, `Get…` or `List…`. What cannot be read is a reason (`unread`), never an error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from devenv.aws.documents import as_document, as_list
from devenv.aws.drift import TableState
from devenv.aws.surroundings import Line, PolicyHolder, Surroundings, Topic, Trail, VpcEndpoint, merge, unreadable
from devenv.aws.trails import advanced

if TYPE_CHECKING:
    from boto3.session import Session

READS: Final = ("Describe", "Get", "List")
CONNECT_S: Final = 5
ANSWER_S: Final = 20
DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure")
GONE: Final = ("deleting", "deleted", "rejected", "failed", "expired")


class Refused(Exception):
    """The program would have sent an operation that is not a reading one."""


class Unasked(Exception):
    """The account gave no answer; the text says why."""


class AwsError(Unasked):
    """AWS answered with an error code."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


class AwsAccount:
    """One account, asked through boto3. `regions`: where the tables may be. Its methods may be called by threads.

    `own` is the endpoint of the project's own DynamoDB: a shell that leads there does not lead to an account.
    """

    def __init__(self, regions: Sequence[str], expected: str | None = None, own: str | None = None) -> None:
        self.wanted = tuple(regions)
        self.expected = expected
        self.own = own
        self._guard = threading.RLock()
        self._session: Session | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._identity: str | Unasked | None = None

    @property
    def session(self) -> Session:
        """boto3's session. Unasked when the shell's AWS settings cannot be read."""
        import boto3
        from botocore.exceptions import BotoCoreError

        with self._guard:
            if self._session is None:
                try:
                    self._session = boto3.session.Session()
                except BotoCoreError as error:
                    raise Unasked(str(error)) from None
            return self._session

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions to ask: those that are allowed, else the shell's."""
        return self.wanted or tuple(filter(None, [self.session.region_name])) or ("us-east-1",)

    def identity(self) -> str:
        """The account's number, asked once. Unasked without credentials, or when it is not the expected one."""
        with self._guard:
            if self._identity is None:
                try:
                    self._identity = self._identify()
                except Unasked as error:
                    self._identity = error
            if isinstance(self._identity, Unasked):
                raise self._identity
            return self._identity

    def _identify(self) -> str:
        endpoint = self.client("dynamodb", self.regions[0]).meta.endpoint_url
        if self.own is not None and endpoint.rstrip("/") == self.own.rstrip("/"):
            raise Unasked(
                "this shell's AWS_ENDPOINT_URL_DYNAMODB points to the project's own DynamoDB, not to an AWS account"
            )
        found = str(self.ask("sts", "get_caller_identity")["Account"])
        if self.expected is not None and found != self.expected:
            raise Unasked(f"the credentials are for account {found}, and [safety] account is {self.expected}")
        return found

    def client(self, service: str, region: str) -> Any:
        """A client that can only read. Unasked when boto3 cannot make one."""
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        key = (service, region)
        with self._guard:
            if key not in self._clients:
                retries = {"mode": "standard", "total_max_attempts": 3}
                config = Config(connect_timeout=CONNECT_S, read_timeout=ANSWER_S, retries=retries)  # type: ignore[arg-type]
                try:
                    made: Any = self.session.client(service, region_name=region, config=config)  # type: ignore[call-overload]
                except (BotoCoreError, ValueError) as error:
                    raise Unasked(str(error)) from None
                made.meta.events.register("before-call", refuse_writes)
                self._clients[key] = made
            return self._clients[key]

    def ask(self, service: str, operation: str, region: str | None = None, **request: Any) -> Mapping[str, Any]:
        """One answer. Unasked with the reason in a few words."""
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.client(service, region or self.regions[0])
        name = client.meta.method_to_api_mapping[operation]
        try:
            answer: Mapping[str, Any] = getattr(client, operation)(**request)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise AwsError(f"{service}:{name}: {code}", code) from None
        except BotoCoreError as error:
            raise Unasked(f"{service}:{name}: {error}") from None
        return answer

    def pages(self, service: str, operation: str, key: str, region: str, **request: Any) -> Iterator[Any]:
        """Every entry of a list that comes in pages by NextToken or Marker."""
        tokens = {"NextToken": "NextToken", "nextToken": "nextToken", "Marker": "Marker"}
        while True:
            page = self.ask(service, operation, region, **request)
            yield from page.get(key) or ()
            token = next((name for name in tokens if page.get(name)), None)
            if token is None:
                return
            request[tokens[token]] = page[token]

    def look(self, topic: Topic) -> Surroundings:
        """Return what the account says about one topic, in every region. Never fails: see `unread`."""
        try:
            source = f"account {self.identity()}"
        except Unasked as error:
            return unreadable("", f"the AWS account was not read: {error}")
        readers: dict[Topic, Callable[[str], Surroundings]] = {
            "cloudtrail": self._trails,
            "endpoints": self._endpoints,
            "lines": self._lines,
            "users": lambda _: self._users(),
        }
        parts = []
        for region in self.regions[:1] if topic == "users" else self.regions:
            try:
                parts.append(readers[topic](region))
            except Unasked as error:
                parts.append(unreadable("", str(error), [topic]))
        return merge(source, parts, complete=not any(part.unread for part in parts))

    def _trails(self, region: str) -> Surroundings:
        found = []
        for trail in self.ask("cloudtrail", "describe_trails", region)["trailList"]:
            arn, home = trail["TrailARN"], trail.get("HomeRegion", region)
            status = self.ask("cloudtrail", "get_trail_status", home, Name=arn)
            chosen = self.ask("cloudtrail", "get_event_selectors", home, TrailName=arn)
            selectors = as_list(chosen.get("AdvancedEventSelectors"))
            if not selectors:
                selectors = [made for each in as_list(chosen.get("EventSelectors")) for made in advanced(each)]
            found.append(
                Trail(
                    where=f"trail {trail['Name']}",
                    logging=bool(status.get("IsLogging")),
                    multi_region=bool(trail.get("IsMultiRegionTrail")),
                    selectors=tuple(selectors),
                    region=home,
                )
            )
        return Surroundings(trails=tuple(found))

    def _endpoints(self, region: str) -> Surroundings:
        found = []
        for each in self.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", region):
            if not str(each.get("ServiceName", "")).endswith(".dynamodb") or each.get("State", "").lower() in GONE:
                continue
            kind = "Interface" if each.get("VpcEndpointType") == "Interface" else "Gateway"
            found.append(
                VpcEndpoint(
                    where=f"endpoint {each['VpcEndpointId']} in {region}",
                    kind="Interface" if kind == "Interface" else "Gateway",
                    policy=as_document(each.get("PolicyDocument")),
                    routes=len(each.get("RouteTableIds") or ()),
                    available=each.get("State", "").lower() == "available",
                    region=region,
                )
            )
        return Surroundings(endpoints=tuple(found), network=True)

    def _lines(self, region: str) -> Surroundings:
        found = []
        for each in self.ask("ec2", "describe_vpn_connections", region)["VpnConnections"]:
            if each.get("State") in GONE:
                continue
            tunnels = [tunnel.get("Status") for tunnel in each.get("VgwTelemetry") or ()]
            down = None if each.get("State") == "available" else f"its state is {each.get('State')}"
            if down is None and tunnels and "UP" not in tunnels:
                down = "no tunnel is up"
            found.append(Line(f"VPN {each['VpnConnectionId']} in {region}", "Site-to-Site VPN", down))
        for each in self.ask("directconnect", "describe_virtual_interfaces", region)["virtualInterfaces"]:
            kind, state = each.get("virtualInterfaceType"), each.get("virtualInterfaceState")
            if state in GONE:
                continue
            down = "it is a public virtual interface" if kind == "public" else None
            if down is None and state != "available":
                down = f"its state is {state}"
            found.append(Line(f"Direct Connect {each.get('virtualInterfaceId')} in {region}", "Direct Connect", down))
        return Surroundings(lines=tuple(found))

    def _users(self) -> Surroundings:
        users: list[Mapping[str, Any]] = []
        groups: list[Mapping[str, Any]] = []
        policies: dict[str, Any] = {}
        # AWS's own policies are many: those that are attached are read one by one.
        request: dict[str, Any] = {"Filter": ["User", "Group", "LocalManagedPolicy"]}
        while True:
            page = self.ask("iam", "get_account_authorization_details", **request)
            users += page.get("UserDetailList") or ()
            groups += page.get("GroupDetailList") or ()
            policies |= {each["Arn"]: default_version(each) for each in page.get("Policies") or ()}
            if not page.get("IsTruncated"):
                break
            request["Marker"] = page["Marker"]
        for arn in {
            policy["PolicyArn"] for each in (*users, *groups) for policy in each.get("AttachedManagedPolicies") or ()
        }:
            if arn not in policies:
                version = self.ask("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
                found = self.ask("iam", "get_policy_version", PolicyArn=arn, VersionId=version)
                policies[arn] = found["PolicyVersion"].get("Document")
        summary = self.ask("iam", "get_account_summary").get("SummaryMap", {})
        root = summary.get("AccountAccessKeysPresent", 0)
        holders = [PolicyHolder("the root user", "root user", keys=root)] if root else []
        for each in users:
            documents, unread = attached(each, policies, "UserPolicyList")
            keys = self.ask("iam", "list_access_keys", UserName=each["UserName"])["AccessKeyMetadata"]
            active = sum(key.get("Status") == "Active" for key in keys)
            holders.append(PolicyHolder(f"user {each['UserName']}", "user", documents, unread, active))
        for each in groups:
            documents, unread = attached(each, policies, "GroupPolicyList")
            holders.append(PolicyHolder(f"group {each['GroupName']}", "group", documents, unread))
        return Surroundings(holders=tuple(holders))

    def tables(self, names: Iterable[str]) -> dict[str, list[TableState]]:
        """Table -> its state in each region that has it. Unasked when that cannot be read."""
        self.identity()
        found: dict[str, list[TableState]] = {}
        for name in names:
            found[name] = []
            for region in self.regions:
                try:
                    described = self.ask("dynamodb", "describe_table", region, TableName=name)["Table"]
                except AwsError as error:
                    if error.code == "ResourceNotFoundException":
                        continue
                    raise
                ttl = self.ask("dynamodb", "describe_time_to_live", region, TableName=name)
                backups = self.ask("dynamodb", "describe_continuous_backups", region, TableName=name)
                found[name].append(TableState(region, described, ttl, backups))
        return found


def refuse_writes(model: Any, **_: Any) -> None:
    """Raise before botocore sends an operation that does not only read."""
    if not model.name.startswith(READS):
        raise Refused(f"{model.name} was not sent: this client is read-only")


def default_version(policy: Mapping[str, Any]) -> Any:
    """The document that is in force of a managed policy."""
    versions = policy.get("PolicyVersionList") or ()
    return next((each.get("Document") for each in versions if each.get("IsDefaultVersion")), None)


def attached(
    who: Mapping[str, Any], policies: Mapping[str, Any], inline: str
) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """The documents of a user or group, and the policies whose documents were not given."""
    documents = [as_document(each.get("PolicyDocument")) for each in who.get(inline) or ()]
    unread = [each["PolicyName"] for each, found in zip(who.get(inline) or (), documents, strict=True) if found is None]
    for each in who.get("AttachedManagedPolicies") or ():
        document = as_document(policies.get(each["PolicyArn"]))
        documents.append(document)
        unread += [] if document is not None else [str(each["PolicyName"])]
    return tuple(each for each in documents if each is not None), tuple(unread)
