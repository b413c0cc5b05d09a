"""Safety around the tables in AWS: logging, endpoints, users, the private path, as `[safety]` demands.

Held against the project's templates, and against the account when the user allows it (`--allow-remote`). Where neither
says anything the row is *not verified*.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from devenv.aws.account import Unasked
from devenv.aws.demands import (
    DemandOutcome,
    is_public_name,
    judge_endpoints,
    judge_lines,
    judge_trails,
    judge_users,
)
from devenv.aws.surroundings import Surroundings, Topic
from devenv.core.model import Fix, Outcome
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.checks.environment import look_up, own_variables, sources, unseen
from devenv.doctor.checks.safety import NOTHING, demanded
from devenv.doctor.checks.settings import Lookup, is_this_machine
from devenv.doctor.context import DoctorFacts

LOOK_S: Final = 120.0
ASK: Final = Fix("read the account (read-only)", "devenv doctor --only safety --allow-remote")


def judge_all(
    facts: DoctorFacts, topics: tuple[Topic, ...], judge: Callable[[Surroundings], DemandOutcome]
) -> DemandOutcome:
    """Judge the templates, and the account where it may be asked."""
    judged = judge(facts.templates())
    if facts.context.account is not None:
        judged.add(judge(facts.account(*topics)))
    return judged


def outcome(facts: DoctorFacts, judged: DemandOutcome, *, cause: str, fix: str, absent: str) -> Outcome:
    """One row of what was judged. `absent` says what neither the templates nor the account hold."""
    if judged.bad:
        return failed(judged.bad, cause=cause, fix=Fix(fix), subjects=judged.subjects)
    asked = facts.context.account is not None
    if judged.unclear:
        return unverified("; ".join(dict.fromkeys(judged.unclear)), fix=None if asked else ASK)
    if not judged.good:
        where = (
            "neither a template nor the AWS account has"
            if asked
            else "the AWS account was not read, and no template has"
        )
        return unverified(f"{where} {absent}", fix=None if asked else ASK)
    return passed("; ".join(dict.fromkeys(judged.good)) + ("" if asked else "; the AWS account was not read"))


def run_cloudtrail(facts: DoctorFacts) -> Outcome:
    """Data events of the tables in CloudTrail."""
    safety = demanded(facts)
    if safety is None or safety.cloudtrail is False:
        return unneeded("not configured: [safety] cloudtrail" if safety else NOTHING)
    if not facts.table_names:
        return unneeded("no tables are declared")
    tables, reads = facts.table_names, safety.cloudtrail is True
    # With one region allowed, the tables that a template makes are there.
    region = dict.fromkeys(tables, safety.regions if len(safety.regions) == 1 else [])
    judged = judge_trails(facts.templates(), tables, region, reads=reads)
    if facts.context.account is not None:
        judged.add(judge_trails(facts.account("cloudtrail"), tables, account_regions(facts), reads=reads))
    return outcome(
        facts,
        judged,
        cause="a trail logs management events only, unless event selectors name the tables",
        fix="devenv policy trail --account ID --region NAME; then: aws cloudtrail put-event-selectors …",
        absent="a trail",
    )


def account_regions(facts: DoctorFacts) -> dict[str, list[str]]:
    """Table -> the regions of the account that have it, as far as that can be read."""
    try:
        return {name: [state.region for state in found] for name, found in facts.account_tables().items()}
    except Unasked:
        return {}


def run_endpoint(facts: DoctorFacts) -> Outcome:
    """The gateway endpoint of the VPC, and its policy."""
    safety = demanded(facts)
    if safety is None or not safety.vpc_endpoint:
        return unneeded("not configured: [safety] vpc_endpoint" if safety else NOTHING)
    if not facts.table_names:
        return unneeded("no tables are declared")
    return outcome(
        facts,
        judge_all(facts, ("endpoints",), lambda found: judge_endpoints(found, facts.table_names)),
        cause="without an endpoint, requests leave the VPC; with the default policy, data can be copied to any account",
        fix="devenv policy endpoint --account ID --region NAME; then: aws ec2 modify-vpc-endpoint …",
        absent="a VPC endpoint for DynamoDB",
    )


def run_users(facts: DoctorFacts) -> Outcome:
    """Users and groups that may touch the tables themselves."""
    safety = demanded(facts)
    if safety is None or not safety.no_users:
        return unneeded("not configured: [safety] no_users" if safety else NOTHING)
    if not facts.table_names:
        return unneeded("no tables are declared")
    return outcome(
        facts,
        judge_all(facts, ("users",), lambda found: judge_users(found, facts.table_names)),
        cause="a user's access key works until someone revokes it; a role's keys expire by themselves",
        fix="give roles instead: devenv policy roles --account ID --region NAME; then detach the policy of the user",
        absent="a user or a group",
    )


def run_private_path(facts: DoctorFacts) -> Outcome:
    """The way from on premises: endpoint variables, and the VPN or Direct Connect."""
    safety = demanded(facts)
    if safety is None or not safety.private_path:
        return unneeded("not configured: [safety] private_path" if safety else NOTHING)
    judged = judge_variables(facts)
    judged.add(judge_all(facts, ("lines", "endpoints"), judge_lines))
    return outcome(
        facts,
        judged,
        cause="the public name of a service resolves to internet addresses, even if there is a private connection",
        fix="create a VPN or Direct Connect and an interface endpoint, and set AWS_ENDPOINT_URL_DYNAMODB to the"
        " endpoint's own name (vpce-…)",
        absent="a Site-to-Site VPN or Direct Connect",
    )


def judge_variables(facts: DoctorFacts) -> DemandOutcome:
    """Every variable that holds an endpoint of AWS: none may be a public name or address. What is fine is not told."""
    judged = DemandOutcome()
    lookup = look_up(facts)
    if hidden := unseen(facts):
        judged.unclear.append(hidden)
    for who, name, host in endpoint_hosts(facts):
        why = why_public(host, lookup)
        if why == "":
            judged.unclear.append(f"{who}: {host} in {name} cannot be resolved on this machine")
        elif why is not None:
            judged.fault(f"{who}: {name} leads to {host}: {why}", name)
    return judged


def endpoint_hosts(facts: DoctorFacts) -> Iterator[tuple[str, str, str]]:
    """(whose, variable, host) of every variable that leads to AWS or to DynamoDB."""
    context = facts.context
    expected = {**context.environment, **(context.expected_application or {}), **own_variables(facts)}
    seen: set[tuple[str, str]] = set()
    for who, environ in [("devenv env", expected), *((source.who, source.environ) for source in sources(facts))]:
        for name, value in environ.items():
            try:
                host = urlsplit(value).hostname or ""
            except ValueError:
                continue
            if host and (name.startswith("AWS_ENDPOINT_URL") or "dynamodb" in host) and (name, host) not in seen:
                seen.add((name, host))
                yield who, name, host


def why_public(host: str, lookup: Lookup) -> str | None:
    """Why a host is reached over the internet; None for a private one, "" when that is not known."""
    if is_this_machine(host, lookup):
        return None
    if is_public_name(host):
        return "a public name"
    addresses = lookup.addresses(host)
    public = [each for each in addresses if not ipaddress.ip_address(each.partition("%")[0]).is_private]
    if public:
        return f"a public address ({public[0]})"
    return None if addresses else ""


CHECKS = (
    Check(
        code="SAF010",
        name="cloudtrail",
        group="safety",
        title="CloudTrail logs who reads and writes the tables",
        run=run_cloudtrail,
        limit_s=LOOK_S,
        explain="""\
With `[safety] cloudtrail = true` a trail must log every data event of every declared table: who read or wrote which
item key, and when. `cloudtrail = "writes"` requires only the events that change items, which costs less: data
events cost about 0.10 USD per 100,000, management events of the first trail nothing.

Scope: trails and their event selectors in CloudFormation, SAM and Terraform files of the project (those that
`[safety] templates` names, else all), and with --allow-remote in the account, read-only.
Common causes: a new trail logs management events only; a selector names another table; logging was stopped.
Fix: devenv policy trail writes the selectors.""",
    ),
    Check(
        code="SAF011",
        name="vpc-endpoint",
        group="safety",
        title="the VPC has a gateway endpoint for DynamoDB, which allows the declared tables only",
        run=run_endpoint,
        limit_s=LOOK_S,
        explain="""\
With `[safety] vpc_endpoint = true` the VPC must have a gateway endpoint for DynamoDB with a route table, so that
requests do not leave Amazon's network, and with a policy that names the declared tables only: with the default
policy, anyone inside can copy data to a table of another account. A gateway endpoint costs nothing.

Scope: endpoints, their route tables and policies in the project's templates, and with --allow-remote in the
account, read-only. The subnets' use of these route tables is not checked.
Fix: devenv policy endpoint writes the policy.""",
    ),
    Check(
        code="SAF012",
        name="no-users",
        group="safety",
        title="roles have access to the tables, users and groups do not",
        run=run_users,
        limit_s=LOOK_S,
        explain="""\
With `[safety] no_users = true` no IAM user and no group may have a policy that allows anything on the declared
tables, and the root user must have no access key. People get access through a role: with a Cognito identity pool or
IAM Identity Center. Conditions of an Allow are ignored: a user who is allowed only with MFA counts as allowed.

Scope: users, groups and their policies in the project's templates, and with --allow-remote in the account,
read-only. A policy that cannot be read makes the check *not verified*.
Fix: devenv policy roles writes the roles.""",
    ),
    Check(
        code="SAF013",
        name="private-path",
        group="safety",
        title="on-premises systems reach DynamoDB over a private connection",
        run=run_private_path,
        limit_s=LOOK_S,
        explain="""\
With `[safety] private_path = true` there must be a Site-to-Site VPN or a Direct Connect (with a private or transit
interface) and an interface endpoint for DynamoDB, as a gateway endpoint cannot be reached from on premises. No
endpoint variable may hold a public name (dynamodb.REGION.amazonaws.com) or a public address: the endpoint's own name
(vpce-….vpce.amazonaws.com) and private addresses are correct.

Scope: the variables of `devenv env`, of the running application and of this shell; the project's
templates; with --allow-remote the account, read-only. On-premises routers cannot be checked.
Fix: an interface endpoint, and AWS_ENDPOINT_URL_DYNAMODB=https://vpce-….dynamodb.REGION.vpce.amazonaws.com""",
    ),
)
