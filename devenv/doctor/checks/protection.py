"""Compares the demands of `[safety]` with table definitions, tables, variables, items and files. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from devenv.config.masking import mask_url
from devenv.core.late import late
from devenv.links.packed import Item
from devenv.links.read import Kind, read_record

KeyOwner = Literal["aws-owned", "aws-managed", "customer-managed"]
OWNERS: Final[tuple[KeyOwner, ...]] = ("aws-owned", "aws-managed", "customer-managed")
MANAGED_KEY: Final = "alias/aws/dynamodb"
REGION: Final = r"[a-z]{2,}(?:-[a-z]+)+-\d+"
REGION_HOST: Final = late(rf"\b({REGION})\.(?:[a-z0-9-]+\.)?amazonaws\.com\b")
REGION_ARN: Final = late(rf"\barn:aws[a-z-]*:[a-z0-9-]+:({REGION}):")
TLS_MODES: Final = frozenset(["require", "verify-ca", "verify-full"])
# Long-lived keys of users begin with AKIA; ASIA are temporary ones (AWS: unique identifiers in IAM).
KEY_ID: Final = late(r"(?<![A-Za-z0-9])AKIA[A-Z0-9]{16}(?![A-Za-z0-9])")
SECRET_KEY: Final = late(
    r"(?i:secret_?access_?key)[\"']?\s*(?:[=:,]|=>)\s*[\"']?(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
)
DIFFERENT: Final = 8
# Of one file and kind: more tell no more.
MOST_LEAKS: Final = 50


class RegionUse(msgspec.Struct, frozen=True):
    """A region that something is in: `where` says what names it."""

    where: str
    region: str


def is_protected(table: Mapping[str, Any]) -> bool:
    """Return True if a CreateTable request, or a table's description, has deletion protection."""
    return table.get("DeletionProtectionEnabled") in (True, "true")


def key_owner(table: Mapping[str, Any]) -> KeyOwner:
    """The owner of the key that a table is encrypted with, by its request or description.

    DynamoDB encrypts every table: without SSESpecification by a key of its own, with it by KMS: by the account's
    `aws/dynamodb` key, or by the one that KMSMasterKeyId names.
    """
    wanted, found = table.get("SSESpecification"), table.get("SSEDescription")
    if found and found.get("SSEType") == "KMS" and found.get("Status") in ("ENABLED", "UPDATING"):
        # A description names the key by its ARN, which does not tell whose it is: it is at least this.
        return "aws-managed"
    if not wanted or wanted.get("Enabled") is not True:
        return "aws-owned"
    key = str(wanted.get("KMSMasterKeyId") or MANAGED_KEY)
    return "aws-managed" if key.endswith(MANAGED_KEY) else "customer-managed"


def is_enough(owner: KeyOwner, wanted: KeyOwner) -> bool:
    """Return True if a key of `owner` is what was asked for, or more."""
    return OWNERS.index(owner) >= OWNERS.index(wanted)


def has_recovery(answer: Mapping[str, Any]) -> bool:
    """Return True if an UpdateContinuousBackups request, or DescribeContinuousBackups' answer, turns recovery on."""
    described = answer.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
    wanted = answer.get("PointInTimeRecoverySpecification", {})
    return described.get("PointInTimeRecoveryStatus") == "ENABLED" or wanted.get("PointInTimeRecoveryEnabled") is True


def places_of_table(name: str, table: Mapping[str, Any]) -> Iterator[RegionUse]:
    """The regions that a table's request or description names: its own, its replicas', its key's."""
    for field, value in (("ARN", table.get("TableArn")), ("key", sse_key(table))):
        for region in REGION_ARN.findall(str(value or "")):
            yield RegionUse(f"the {field} of table {name}", region)
    for replica in table.get("Replicas") or ():
        if region := replica.get("RegionName"):
            yield RegionUse(f"a replica of table {name}", str(region))


def sse_key(table: Mapping[str, Any]) -> Any:
    """The KMS key that a request or a description names."""
    sse = table.get("SSEDescription") or table.get("SSESpecification") or {}
    return sse.get("KMSMasterKeyArn") or sse.get("KMSMasterKeyId")


def places_of_variables(who: str, environ: Mapping[str, str], names: Iterable[str]) -> Iterator[RegionUse]:
    """The regions that these variables name: as a region, or in the host of an AWS endpoint."""
    for name in names:
        value = environ.get(name, "")
        if name.upper().endswith("REGION") and re.fullmatch(REGION, value):
            yield RegionUse(f"{who}: {name}", value)
        for region in REGION_HOST.findall(value):
            yield RegionUse(f"{who}: the host in {name}", region)


def find_open_lines(
    who: str, environ: Mapping[str, str], names: Iterable[str], is_here: Callable[[str], bool]
) -> Iterator[tuple[str, str]]:
    """(variable, why) for what leads to another machine without TLS. `is_here`: whether a host is this machine."""
    for name in names:
        value = environ.get(name, "")
        try:
            url = urlsplit(value)
            host = url.hostname
        except ValueError:
            continue
        shown = mask_url(value)
        if not host or is_here(host):
            continue
        if url.scheme == "http":
            yield name, f"{who}: {name} is {shown}: HTTP without TLS"
        elif url.scheme.partition("+")[0] in ("postgres", "postgresql"):
            mode = (parse_qs(url.query).get("sslmode") or [environ.get("PGSSLMODE", "")])[-1]
            if mode not in TLS_MODES:
                yield name, f"{who}: {name} is {shown}: {show_mode(mode)}"
    host = environ.get("PGHOST", "")
    if host and not host.startswith("/") and not is_here(host) and environ.get("PGSSLMODE", "") not in TLS_MODES:
        yield "PGHOST", f"{who}: PGHOST is {host}: {show_mode(environ.get('PGSSLMODE', ''))}"


def show_mode(mode: str) -> str:
    """Why a libpq sslmode is not enough."""
    return f"sslmode {mode or 'prefer (the default)'} continues without TLS if the server (or an attacker) offers none"


class PlainValue(msgspec.Struct, frozen=True):
    """One stored value that should be encrypted and is not: the item's key, and why."""

    entity: str
    attribute: str
    key: str
    why: str


def find_plain(
    kinds: Sequence[Kind], wanted: Mapping[str, Sequence[str]], keys: tuple[str, ...], table: str, items: Iterable[Item]
) -> tuple[list[PlainValue], int]:
    """The values of `wanted` (entity -> attributes) that are stored readable, and how many values were looked at."""
    found: list[PlainValue] = []
    looked = 0
    for item in items:
        record = read_record(tuple(kinds), table, keys, item)
        kind = record.kind or record.near
        for attribute in wanted.get(kind.name, ()) if kind else ():
            value = item.get(attribute)
            if value is None or "NULL" in value:
                continue
            looked += 1
            if why := why_plain(value):
                found.append(PlainValue(kind.name if kind else "", attribute, record.key_text, why))
    return found, looked


def why_plain(value: Mapping[str, Any]) -> str | None:
    """Why a stored value cannot be encrypted; None when it looks so. What is in it is not told."""
    kind, content = next(iter(value.items()))
    if kind != "B":
        return f"is stored as {kind}, not as binary"
    raw = base64.b64decode(content) if isinstance(content, str) else bytes(content)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    # What a cipher makes of even a few bytes is hardly ever valid, printable UTF-8.
    return "is binary, but decodes to plain text" if text.isprintable() or text.strip().isprintable() else None


class Leak(msgspec.Struct, frozen=True):
    """A key of a user in a file, masked."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def find_keys(file: str, text: str) -> list[Leak]:
    """AWS access key ids and secret keys of users in a text. AWS's own documented examples are none."""
    if "AKIA" not in text and "secret" not in text.lower():
        return []
    found: list[Leak] = []
    for match in islice(KEY_ID.finditer(text), MOST_LEAKS):
        if not is_made_up(match[0][4:]):
            found.append(Leak(file, text.count("\n", 0, match.start()) + 1, f"access key id AKIA…{match[0][-4:]}"))
    for match in islice(SECRET_KEY.finditer(text), MOST_LEAKS):
        if not is_made_up(match["value"]):
            found.append(Leak(file, text.count("\n", 0, match.start()) + 1, "secret access key ****"))
    return sorted(found, key=lambda leak: leak.line)


def is_made_up(value: str) -> bool:
    """Return True if a key is an example or a placeholder: AWS's end in EXAMPLE, others' repeat a few characters."""
    return value.upper().endswith(("EXAMPLE", "EXAMPLEKEY")) or len(set(value)) < DIFFERENT
