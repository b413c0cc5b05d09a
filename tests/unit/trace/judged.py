"""A healthy trace and its variations, for the tests of the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from devenv.capture.calls import StoreCall
from devenv.trace.judge.verdict import Judgement, judge
from devenv.trace.observation import (
    Answer,
    DynamoObservation,
    Entry,
    HttpObservation,
    LibraryObservation,
    Observation,
    Observations,
    PatternObservation,
    PostgresObservation,
    Ran,
    Subject,
)

ORIGIN = "http://localhost:3000"
GROUP = "g-1"


def entry(number: int, **fields: str | None) -> Entry:
    return Entry(f"m{number}", {"text": f"text {number}", "by": "ada", "at": f"2023-06-0{number}T10:00:00Z", **fields})


STORED = tuple(entry(number) for number in (1, 2, 3, 4, 5))
NEWEST_FIRST = STORED[::-1]
DECLARED = StoreCall("Query", "letters", key={"pk": "MSG#g-1"}, direction="descending")
SENT = replace(DECLARED, count=5, scanned=5)
SUBJECT = Subject(
    name="conversation",
    identifier=GROUP,
    fields=("text", "by", "at"),
    types={"text": "string", "by": "string", "at": "time"},
    sorted_by="at",
    orders={"pattern": "descending", "library": "ascending", "http": "ascending"},
    limits={"library": None, "http": None},
    anonymous=(401,),
    stranger=(403,),
    origin=ORIGIN,
    person="ada",
    retry="devenv trace conversation g-1",
    began=datetime(2026, 1, 1, tzinfo=UTC),
)
RAN = Ran("list_letters()", "returned", entries=STORED, asked=(SENT,), read=NEWEST_FIRST)
MEMBER = Answer(200, entries=STORED, cors=ORIGIN)
NOBODY = Answer(401, cors=ORIGIN)
STRANGER = Answer(403, cors=ORIGIN)
HEALTHY = Observations(
    environment=Observation(),
    services=Observation(),
    postgres=PostgresObservation(person={"id": "u-ada", "handle": "ada"}),
    dynamodb=DynamoObservation(
        entries=STORED, owners=frozenset(["u-ada", "u-bo"]), members=frozenset(["u-ada", "u-bo"])
    ),
    cross_store=Observation(),
    pattern=PatternObservation(asked=DECLARED, entries=NEWEST_FIRST),
    library=LibraryObservation(ran=RAN, guards=((Ran("may_read()", "returned"), None),)),
    http=HttpObservation(member=MEMBER, anonymous=NOBODY, stranger=STRANGER, log=()),
)


def verdict(seen: Observations, subject: Subject = SUBJECT) -> tuple[str | None, str | None]:
    first = judge(subject, seen).first
    return (first.layer, first.kind) if first else (None, None)


def also(seen: Observations, subject: Subject = SUBJECT) -> list[tuple[str, str]]:
    return [(broken.layer, broken.kind) for broken in judge(subject, seen).also]


def status(found: Judgement, name: str) -> str:
    return next(layer.status for layer in found.layers if layer.name == name)


def with_library(seen: Observations = HEALTHY, **changes: Any) -> Observations:
    """The function's run changed; the API passes on what it returns, or fails where it fails."""
    ran = replace(seen.library.ran or RAN, **changes)
    answer = replace(MEMBER, entries=ran.entries)
    if ran.outcome != "returned" or ran.nothing or ran.shape:
        answer = Answer(500, cors=ORIGIN, detail="Internal Server Error")
    return replace(seen, library=replace(seen.library, ran=ran), http=replace(seen.http, member=answer))


def with_member(seen: Observations = HEALTHY, **changes: Any) -> Observations:
    return replace(seen, http=replace(seen.http, member=replace(MEMBER, **changes)))


def with_pattern(entries: Sequence[Entry], seen: Observations = HEALTHY, **changes: Any) -> Observations:
    """The declared pattern gives this, and the application does the same."""
    pattern = replace(seen.pattern, entries=tuple(entries), **changes)
    asked = pattern.asked or DECLARED
    ran = replace(RAN, asked=(asked,), read=tuple(entries), entries=tuple(sorted(entries, key=lambda e: e.id or "")))
    return replace(
        seen,
        pattern=pattern,
        library=replace(seen.library, ran=ran),
        http=replace(seen.http, member=replace(MEMBER, entries=ran.entries)),
    )
