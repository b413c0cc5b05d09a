"""Safety: who could reach or read this stack, and is the data protected as `[safety]` requires?

DynamoDB Local encrypts nothing, keeps no backups and lies in no region: there the definitions are judged, which the
real tables are made from, and the evidence says so. A table in AWS is asked itself.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from devenv.aws.account import Unasked
from devenv.aws.drift import regions_of
from devenv.config.schema import Safety
from devenv.core.errors import StoreError
from devenv.core.model import Fix, Outcome
from devenv.core.plural import number_of, tables_named
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.checks.environment import look_up, own_variables, sources, unseen
from devenv.doctor.checks.protection import (
    PlainValue,
    RegionUse,
    find_open_lines,
    find_plain,
    has_recovery,
    is_enough,
    is_protected,
    key_owner,
    places_of_table,
    places_of_variables,
)
from devenv.doctor.checks.safety_files import encrypted_attributes
from devenv.doctor.checks.settings import REGIONS, is_this_machine
from devenv.doctor.context import DoctorFacts
from devenv.host.addresses import is_loopback

EXAMPLES: Final = 3
NOTHING: Final = "[safety] is not configured"


def run_listeners(facts: DoctorFacts) -> Outcome:
    """Every listening socket of the project's own services is on loopback."""
    found = list(facts.context.listeners())
    open_ = [each for each in found if not is_loopback(each.ip)]
    if open_:
        settings = facts.context.settings
        processes = {name for name, own in settings.services.items() if own.command}
        processes |= {"backend"} if settings.docker.backend == "process" else set()
        stores = [each.service for each in open_ if each.service not in processes]
        own = list(dict.fromkeys(each.service for each in open_ if each.service in processes))
        return failed(
            (f"{each.service} listens on {each.ip}:{each.port}" for each in open_),
            cause="anyone who can reach this machine can reach the data: DynamoDB Local has no password"
            if stores
            else "anyone who can reach this machine can reach the application, and through it the data",
            fix=Fix("restart it with devenv, which binds to 127.0.0.1", "devenv down && devenv up")
            if stores
            else Fix(
                f"{own[0]} chooses the address that it listens on; most frameworks' default is all addresses: set the"
                ' host 127.0.0.1 in its command or code (Express: `app.listen(port, "127.0.0.1")`), then restart it',
                f"devenv restart {' '.join(own)}",
            ),
            subjects=(each.service for each in open_),
        )
    seen = {each.service for each in found}
    unseen = [state.name for state in facts.context.services if state.pid and state.port and state.name not in seen]
    if unseen:
        return unverified(f"your user cannot see on which addresses {', '.join(unseen)} listens")
    return passed(number_of(len(found), "listener")) if found else unneeded("no service of the project listens")


def run_modes(facts: DoctorFacts) -> Outcome:
    """Files with secrets can be read by their owner alone."""
    files = [path for path in facts.context.private_files if path.exists()]
    loose = [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if loose:
        return failed(
            (f"{path} has mode {stat.S_IMODE(path.stat().st_mode):04o}" for path in loose),
            cause="it was copied, or its mode was changed",
            fix=Fix("remove the access of other users", "chmod go= " + " ".join(map(str, loose))),
            subjects=map(str, loose),
        )
    return passed(number_of(len(files), "file")) if files else unneeded("there are no files with secrets yet")


def demanded(facts: DoctorFacts) -> Safety | None:
    return facts.context.settings.safety


def in_aws(facts: DoctorFacts) -> bool:
    """Return True if the project's DynamoDB is on another machine, and so no DynamoDB Local."""
    host = urlsplit(facts.context.targets.dynamodb.endpoint).hostname or ""
    return not is_this_machine(host, look_up(facts))


def definitions(facts: DoctorFacts) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(table, what was looked at, what it says): each table's definition; in AWS, or without one, the table itself."""
    undeclared = set(facts.table_names) - set(facts.context.tables)
    described = facts.described() if undeclared or in_aws(facts) else {}
    for name in facts.table_names:
        if name in facts.context.tables:
            yield name, "its definition", facts.context.tables[name]
        if (table := described.get(name)) is not None:
            yield name, "the table itself", table


def run_deletion(facts: DoctorFacts) -> Outcome:
    """Deletion protection, where it is demanded."""
    safety = demanded(facts)
    if safety is None or not safety.deletion_protection:
        return unneeded("not configured: [safety] deletion_protection" if safety else NOTHING)
    looked = list(definitions(facts))
    bare = [(name, what) for name, what, table in looked if not is_protected(table)]
    if bare:
        return failed(
            (f"table `{name}`: {what} has no DeletionProtectionEnabled" for name, what in bare),
            cause="DynamoDB's default is off: any caller with DeleteTable can delete the table and all its items",
            fix=Fix(
                'add "DeletionProtectionEnabled": true to the table\'s definition, and to the table in AWS by: '
                "aws dynamodb update-table --table-name NAME --deletion-protection-enabled; "
                "`devenv policy` writes the policies that deny DeleteTable"
            ),
            subjects=(name for name, _ in bare),
        )
    return passed(f"DeletionProtectionEnabled: {show_looked(looked)}") if looked else no_tables(facts)


def show_looked(looked: Iterable[tuple[str, str, Any]]) -> str:
    """Which tables were looked at, and by what."""
    return ", ".join(f"table `{name}` ({what})" for name, what, _ in looked)


def no_tables(facts: DoctorFacts) -> Outcome:
    """There is nothing to judge: either no table, or only tables that a command of the project makes."""
    if facts.table_names:
        such = "none of them" if len(facts.table_names) > 1 else "no such table"
        return unverified(f"no definition of {tables_named(facts.table_names)} is known, and DynamoDB has {such}")
    return unneeded("no tables are declared")


def run_regions(facts: DoctorFacts) -> Outcome:
    """Every region that settings, variables and tables name."""
    safety, context = demanded(facts), facts.context
    if safety is None or not safety.regions:
        return unneeded("not configured: [safety] regions" if safety else NOTHING)
    places = list(named_regions(facts))
    outside = [place for place in places if place.region not in safety.regions]
    if outside:
        return failed(
            (f"{place.where} is in {place.region}" for place in outside),
            cause=f"the data may live in {', '.join(safety.regions)} only ([safety] regions)",
            fix=Fix("change the region there, or [safety] regions in devenv.toml", "devenv config show"),
            subjects=(place.region for place in outside),
        )
    if unread := [*unread_regions(facts), *filter(None, [unseen(facts)])]:
        return unverified(f"{'; '.join(unread)}: the regions there are not known")
    local = "" if in_aws(facts) else "; DynamoDB Local itself is on this machine"
    asked = "settings, variables, endpoints and table definitions" + (
        "" if context.application is None else ", the application too"
    )
    asked += f", {facts.templates().source}" if facts.templates().source else ""
    asked += "" if context.account is None else ", the account"
    return passed(f"{len(places)} in {', '.join(safety.regions)} ({asked}){local}")


def named_regions(facts: DoctorFacts) -> Iterator[RegionUse]:
    """Every region that the data could lie in, and what names it."""
    context = facts.context
    yield RegionUse("devenv.toml: [dynamodb] region", context.settings.dynamodb.region)
    expected = {**context.environment, **(context.expected_application or {})}
    yield from places_of_variables("devenv.toml", expected, own_variables(facts))
    for source in sources(facts):
        names = [name for name in source.environ if name in expected or is_endpoint(name)]
        # A shell's region may be for other work: it counts where the process is the application.
        kept = [name for name in names if source.required or name not in REGIONS]
        yield from places_of_variables(source.who, source.environ, kept)
    for name, _, table in definitions(facts):
        yield from places_of_table(name, table)
    yield from (RegionUse(each.where, each.region) for each in facts.templates().regions)
    with contextlib.suppress(Unasked):
        yield from (RegionUse(each.where, each.region) for each in regions_of(facts.account_tables()))


def unread_regions(facts: DoctorFacts) -> tuple[str, ...]:
    """Why regions of templates or of the account are not known."""
    unread = facts.templates().unread.get("regions", ())
    if facts.context.account is None:
        return unread
    try:
        facts.account_tables()
    except Unasked as error:
        return (*unread, f"the AWS account was not read: {error}")
    return unread


def is_endpoint(name: str) -> bool:
    """Return True if a variable is one of the AWS SDK's for endpoints."""
    return name.startswith("AWS_ENDPOINT_URL")


def run_encryption(facts: DoctorFacts) -> Outcome:
    """Check the key that encrypts the tables at rest."""
    safety = demanded(facts)
    if safety is None:
        return unneeded(NOTHING)
    wanted = safety.encryption_at_rest
    looked = list(definitions(facts))
    owners = [(name, what, key_owner(table)) for name, what, table in looked]
    # A table itself does not tell whose KMS key it has: its definition does.
    weak = [
        (name, what, owner)
        for name, what, owner in owners
        if not is_enough(owner, wanted) and not (what == "the table itself" and owner == "aws-managed")
    ]
    if weak:
        return failed(
            (f"the encryption key of table `{name}` is {owner}, according to {what}" for name, what, owner in weak),
            cause=f"[safety] encryption_at_rest requires a key that is {wanted}",
            fix=Fix(
                'set SSESpecification in the table\'s definition: {"Enabled": true, "SSEType": "KMS"}'
                + (', and "KMSMasterKeyId" with your key' if wanted == "customer-managed" else "")
            ),
            subjects=(name for name, _, _ in weak),
        )
    told = {name for name, _, owner in owners if is_enough(owner, wanted)}
    unknown = [name for name in facts.table_names if name not in told]
    if unknown and wanted != "aws-owned":
        said = "the tables do not report it" if len(unknown) > 1 else "the table does not report it"
        return unverified(
            f"no definition states the encryption key of {tables_named(unknown)}, and {said}", subjects=unknown
        )
    if not owners:
        return no_tables(facts)
    local = "" if in_aws(facts) else "; DynamoDB Local's own files are not encrypted"
    return passed("; ".join(f"table `{name}`: {owner}, according to {what}" for name, what, owner in owners) + local)


def run_tls(facts: DoctorFacts) -> Outcome:
    """Endpoints and databases outside of this machine."""
    safety, context = demanded(facts), facts.context
    if safety is None or not safety.tls:
        return unneeded("turned off: [safety] tls = false" if safety else NOTHING)
    lookup = look_up(facts)
    expected = {**context.environment, **(context.expected_application or {})}
    found: list[tuple[str, str]] = []
    looked = 0
    asked = [("devenv env", expected), *((source.who, source.environ) for source in sources(facts))]
    for who, environ in asked:
        names = [name for name in environ if name in expected or is_endpoint(name)]
        looked += len(names)
        found += find_open_lines(who, environ, names, lambda host: is_this_machine(host, lookup))
    if found:
        return failed(
            dict.fromkeys(why for _, why in found),
            cause="anyone on the network path can read the data and the password",
            fix=Fix("use https:// for endpoints, and sslmode=verify-full for Postgres"),
            subjects=(name for name, _ in found),
        )
    if why := unseen(facts):
        return unverified(why)
    return passed(f"{number_of(looked, 'variable')}: connections that leave this machine use TLS; loopback needs none")


def run_encrypted(facts: DoctorFacts) -> Outcome:
    """The stored values of the attributes that the application encrypts itself."""
    safety = demanded(facts)
    if safety is None or not safety.encrypted:
        return unneeded("not configured: [safety] encrypted" if safety else NOTHING)
    wanted = encrypted_attributes(facts.context.settings)
    found: list[PlainValue] = []
    looked = 0
    seen = facts.dynamodb()
    plan = facts.known_plan(seen)
    for table, items in seen.items.items():
        kinds = tuple(kind for kind in plan.kinds if kind.table == table)
        table_found, table_looked = find_plain(kinds, wanted, plan.keys.get(table, ()), table, items)
        found += table_found
        looked += table_looked
    if found:
        shown = [f"{each.entity} {each.key}: {each.attribute} {each.why}" for each in found[:EXAMPLES]]
        more = [f"and {len(found) - EXAMPLES} more"] if len(found) > EXAMPLES else []
        return failed(
            [f"{len(found)} of {number_of(looked, 'value')} readable", *shown, *more],
            cause="a seed, or code that does not encrypt, wrote them",
            fix=Fix(
                "encrypt them in the application before PutItem (AWS Database Encryption SDK), and write them again"
            ),
            subjects=(each.key for each in found),
        )
    if not looked:
        return unverified(f"no item has {', '.join(safety.encrypted)}, so there was nothing to check")
    return passed(
        f"{number_of(looked, 'value is', 'values are')} binary, not readable text; "
        "the strength of the encryption cannot be checked"
    )


def run_recovery(facts: DoctorFacts) -> Outcome:
    """Point-in-time recovery, where it is demanded."""
    safety = demanded(facts)
    if safety is None or not safety.point_in_time_recovery:
        return unneeded("not configured: [safety] point_in_time_recovery" if safety else NOTHING)
    if not facts.table_names:
        return no_tables(facts)
    asked = {name: ask_recovery(facts, name) for name in facts.table_names} if in_aws(facts) else {}
    declared = facts.context.read_backups()
    told = [(name, "the table itself", answer) for name, answer in asked.items() if answer is not None]
    told += [(name, "[safety] backups", declared[name]) for name in facts.table_names if name in declared]
    off = [(name, what) for name, what, answer in told if not has_recovery(answer)]
    if off:
        return failed(
            (f"point-in-time recovery of table `{name}` is off, according to {what}" for name, what in off),
            cause="it is off by default: data that is overwritten or deleted by mistake is lost",
            fix=Fix(
                "aws dynamodb update-continuous-backups --table-name NAME "
                "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
            ),
            subjects=(name for name, _ in off),
        )
    known = {name for name, _, _ in told}
    if unknown := [name for name in facts.table_names if name not in known]:
        return unverified(
            f"DynamoDB Local has no backups, and no file of [safety] backups names {tables_named(unknown)}",
            fix=Fix("name the files with your UpdateContinuousBackups requests in [safety] backups of devenv.toml"),
            subjects=unknown,
        )
    return passed("; ".join(f"table `{name}`, according to {what}" for name, what, _ in told))


def ask_recovery(facts: DoctorFacts, table: str) -> Mapping[str, Any] | None:
    """DescribeContinuousBackups of a table; None when this DynamoDB, or who asks, cannot be told."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    try:
        with Dynamo(read_only(facts.context.targets.dynamodb)) as dynamodb:
            return dynamodb.call("DescribeContinuousBackups", {"TableName": table})
    except StoreError as error:
        if not error.reached:
            raise
        return None


def run_keys(facts: DoctorFacts) -> Outcome:
    """Long-lived keys of users in the project's files."""
    safety = demanded(facts)
    if safety is None or not safety.no_user_keys:
        return unneeded("turned off: [safety] no_user_keys = false" if safety else NOTHING)
    searched = facts.context.search_keys()
    if searched is None:
        return unverified("the project's files were not searched")
    if searched.leaks:
        return failed(
            map(str, searched.leaks),
            cause="such a key works for anyone who reads the file, until it is revoked",
            fix=Fix(
                "revoke the key in IAM first, then remove it from the file (it stays in git's history); use a role: "
                "aws configure sso, or the role of the instance. For files without real keys: [safety] user_keys_except"
            ),
            subjects=(leak.file for leak in searched.leaks),
        )
    if searched.unread:
        return unverified(f"{'; '.join(searched.unread[:EXAMPLES])} could not be read; no key found in {searched.what}")
    return passed(f"no key found in {searched.what}")


CHECKS = (
    Check(
        code="SAF001",
        name="loopback-only",
        group="safety",
        title="services listen on loopback only",
        run=run_listeners,
        explain="""\
A service that listens on all addresses can be reached from the network. DynamoDB Local has no authentication, and
listens on all addresses by default; devenv starts it on loopback only.

Common causes: it was started by hand or by another tool; an application was started with --host 0.0.0.0.
Fix: devenv down && devenv up; for the application, its own host setting.""",
    ),
    Check(
        code="SAF002",
        name="private-files",
        group="safety",
        title="files with secrets are readable only by you",
        run=run_modes,
        explain="""\
The state folder holds the generated password and the development key. Its files have mode 0600.

Fix: chmod go= FILE.""",
    ),
    Check(
        code="SAF003",
        name="deletion-protection",
        group="safety",
        title="tables that must not be deleted have deletion protection",
        run=run_deletion,
        explain="""\
With `[safety] deletion_protection = true`, every table's definition must have "DeletionProtectionEnabled": true.
DynamoDB then refuses DeleteTable until the protection is removed with UpdateTable. DynamoDB Local enforces this
too; devenv removes the protection when you ask it to recreate the tables.

Scope: the definitions that step schema-load reads; for a table in AWS, its actual setting.
Common causes: the default is off.
Fix: add it to the definition, and to the table in AWS. A policy also covers callers of UpdateTable: devenv policy.""",
    ),
    Check(
        code="SAF004",
        name="data-region",
        group="safety",
        title="the data is in allowed regions only",
        run=run_regions,
        explain="""\
Data of people in Europe belongs in a European region. `[safety] regions` lists the allowed regions. Every region
that is named anywhere must be one of them: [dynamodb] region, region variables and AWS endpoints of the
application, of [env] and of this shell, ARNs, replicas and keys of tables, also in CloudFormation, SAM and
Terraform files, and, with --allow-remote, in the account.

Common causes: us-east-1 is the default of many tools; a replica or a KMS key was created in another region. Fix:
change the region, and enforce it for the whole organisation: devenv policy.""",
    ),
    Check(
        code="SAF005",
        name="encryption-at-rest",
        group="safety",
        title="tables are encrypted at rest with the required key",
        run=run_encryption,
        explain="""\
DynamoDB encrypts every table at rest, at no cost, with a key that AWS owns. `[safety] encryption_at_rest` requires
more: "aws-managed" is the account's own aws/dynamodb key in KMS, "customer-managed" one that you create and can
revoke (both cost KMS requests).

Scope: SSESpecification in the definitions; the table itself in AWS, although AWS does not report who manages its KMS
key. DynamoDB Local does not encrypt its files: keep no sensitive data in it.
Fix: SSESpecification in the definition.""",
    ),
    Check(
        code="SAF006",
        name="tls",
        group="safety",
        title="connections that leave this machine use TLS",
        run=run_tls,
        explain="""\
An endpoint on this machine needs no TLS. Any other must be https://, and a Postgres on another machine needs
sslmode=require or stricter (verify-full also verifies the server's identity); libpq's default allows connections
without TLS.

Scope: the variables of `devenv env`, of the running application and of this shell that hold endpoints or Postgres
addresses.
Fix: https://, sslmode=verify-full. `[safety] tls = false` turns this check off.""",
    ),
    Check(
        code="SAF007",
        name="client-side-encryption",
        group="safety",
        title="attributes that the application encrypts are stored as binary",
        run=run_encrypted,
        needs=("SVC002",),
        explain="""\
`[safety] encrypted = ["message.message"]` says that the application encrypts this attribute of this entity before
it stores it, as AWS recommends for data that users with read access to the table must not see. Every stored value
must then be binary, and must not decode to plain text. Values are never printed.

Scope: all items of the declared entities. The strength of the encryption cannot be checked.
Common causes: a seed or a script wrote plain values; one code path does not encrypt. Fix: encrypt there, and write
the items again.""",
    ),
    Check(
        code="SAF008",
        name="point-in-time-recovery",
        group="safety",
        title="tables that must be recoverable have point-in-time recovery",
        run=run_recovery,
        explain="""\
With `[safety] point_in_time_recovery = true` every table must be restorable to any second of the last days. A
CreateTable request cannot turn it on, so it is declared separately: `[safety] backups` names the files that you
pass to `aws dynamodb update-continuous-backups --cli-input-json`. DynamoDB Local has no backups: without such a
file the check is *not verified*. For a table in AWS, devenv reads its actual setting.

Fix: turn it on for the table, and keep the request in a file.""",
    ),
    Check(
        code="SAF009",
        name="user-keys",
        group="safety",
        title="no file contains a user's AWS key",
        run=run_keys,
        explain="""\
A user's access key (AKIA…) works until it is revoked, for anyone who has it. Use roles: their keys expire. The
check searches the text files that git tracks (without git: all text files), .env and compose files and devenv.toml;
~/.aws/credentials only with `[safety] credentials_file = true`. Found keys are shown masked. AWS's documented
examples and obvious placeholders are ignored.

Fix: revoke the key first; removing it from the file leaves it in git's history. `[safety] user_keys_except` lists
files (globs) whose keys are not real.""",
    ),
)
