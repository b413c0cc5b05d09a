"""The tables' surroundings in AWS, as plain values: trails, endpoints, users, lines, regions.

Read from templates (`resources.py`) or from the account (`account.py`), judged by doctor's checks. A text in which
`${…}` is left could not be worked out; a `*` in an ARN stands for the partition, region or account of a deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final, Literal

import msgspec

from devenv.core.value import Value

# `regions` of the account are those of its tables (`drift.TableState`), which are read apart.
Topic = Literal["cloudtrail", "endpoints", "users", "lines", "regions"]
Document = Mapping[str, Any]
OPEN: Final = "${"


class Trail(msgspec.Struct, frozen=True):
    """A CloudTrail trail. `selectors` are advanced event selectors; basic ones are translated (`trails.py`).

    `region` None: that of the deployment. `multi_region`: it logs in every region.
    """

    where: str
    logging: bool
    multi_region: bool
    selectors: tuple[Document, ...]
    region: str | None = None


class VpcEndpoint(msgspec.Struct, frozen=True):
    """A VPC endpoint of DynamoDB. `policy` None: AWS's default, which lets everything through.

    `routes`: how many route tables of a gateway endpoint (None: could not be worked out).
    """

    where: str
    kind: Literal["Gateway", "Interface"]
    policy: Document | None
    routes: int | None = None
    available: bool = True
    region: str | None = None


class PolicyHolder(msgspec.Struct, frozen=True):
    """An IAM user or group, the documents that apply to it, and names of policies whose documents are not known."""

    where: str
    kind: Literal["user", "group", "root user"]
    documents: tuple[Document, ...] = ()
    unread: tuple[str, ...] = ()
    keys: int = 0


class Line(msgspec.Struct, frozen=True):
    """A Site-to-Site VPN or a Direct Connect from on premises. `down` says why it carries nothing private."""

    where: str
    kind: Literal["Site-to-Site VPN", "Direct Connect"]
    down: str | None = None


class Region(msgspec.Struct, frozen=True):
    """A region that data is in: `where` says what names it."""

    where: str
    region: str


class Surroundings(Value, frozen=True):
    """Everything found in one kind of source. `source` names it for a sentence; empty: nothing could be looked at.

    `network`: it defines a VPC, so that a missing endpoint is a finding. `complete`: what is not listed does not exist.
    `parts`: modules and nested stacks that may hold more. `unread`: per topic, what could not be read.
    """

    source: str = ""
    trails: tuple[Trail, ...] = ()
    endpoints: tuple[VpcEndpoint, ...] = ()
    holders: tuple[PolicyHolder, ...] = ()
    lines: tuple[Line, ...] = ()
    regions: tuple[Region, ...] = ()
    parts: tuple[str, ...] = ()
    network: bool = False
    complete: bool = False
    unread: Mapping[Topic, tuple[str, ...]] = {}


TOPICS: Final[tuple[Topic, ...]] = ("cloudtrail", "endpoints", "users", "lines", "regions")
LISTS: Final = tuple(
    each.name for each in fields(Surroundings) if each.name not in ("source", "network", "complete", "unread")
)


def merge(source: str, parts: Sequence[Surroundings], *, complete: bool = False) -> Surroundings:
    """All parts as one, under one name."""
    lists: dict[str, Any] = {name: tuple(each for part in parts for each in getattr(part, name)) for name in LISTS}
    return Surroundings(
        source=source,
        network=any(part.network for part in parts),
        complete=complete,
        unread={topic: found for topic in TOPICS if (found := gather(part.unread.get(topic, ()) for part in parts))},
        **lists,
    )


def gather(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All texts, each once, in order."""
    return tuple(dict.fromkeys(text for group in groups for text in group))


def unreadable(source: str, why: str, topics: Iterable[Topic] = TOPICS) -> Surroundings:
    """Surroundings of which nothing is known, with the reason for every topic."""
    return replace(Surroundings(source), unread=dict.fromkeys(topics, (why,)))


def is_open(text: object) -> bool:
    """Return True if a part of the text could not be worked out."""
    return isinstance(text, str) and OPEN in text
