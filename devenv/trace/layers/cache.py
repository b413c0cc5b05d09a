"""Layer `cache`: is there an entry for this subject, and does it say what the stores say?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from devenv.config.cache import Cache
from devenv.core.errors import StoreError
from devenv.core.model import Finding, Fix
from devenv.core.templates import PLACE, Unknown, fill, names_in
from devenv.core.value import Value
from devenv.trace.answers import Form, names_of, read_answer
from devenv.trace.judge.cache import judge_cache
from devenv.trace.layer import Given, Layer
from devenv.trace.observation import CacheObservation, Entry, Observation
from devenv.trace.question import TraceContext

if TYPE_CHECKING:
    from devenv.config.schema import Settings
    from devenv.stores.redis.client import Redis

READ: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("GET",),
    "list": ("LRANGE", "0", "-1"),
    "hash": ("HVALS",),
}
SCANNED: Final = 2_000  # keys that are looked through for one of another form
STEP: Final = 500
READ_KEYS: Final = 100  # entries that are read to find an answer in them
ERRORS: Final = frozenset(["error", "errors", "detail", "exception"])
SLACK_S: Final = 1.0


class FoundEntry(Value, frozen=True):
    """An entry as it is in Redis. `left_s` None: it does not expire. `value` None: there is none."""

    type: str
    left_s: float | None = None
    value: Any = None
    unreadable: str | None = None


def caches_of(settings: Settings, subject: str) -> list[tuple[str, Cache]]:
    """The declared caches of a subject's answer."""
    return [(name, one) for name, one in settings.cache.items() if (one.subject or name) == subject]


def service_of(settings: Settings, cache: Cache) -> str:
    """The Redis that a cache is in."""
    return cache.service or next((name for name, one in settings.services.items() if one.kind == "redis"), "")


def observe(inquiry: TraceContext, given: Given) -> Observation:
    """The entry in the subject's first cache; its other caches are named as not looked at. StoreError."""
    declared = caches_of(inquiry.settings, inquiry.question.subject)
    if not declared:
        return CacheObservation(unasked="no [cache] is declared for this subject")
    (_, first), *others = declared
    seen = observe_one(inquiry, given, first)
    return replace(seen, uncovered=tuple(f"[cache.{name}], a second cache of this subject" for name, _ in others))


def observe_one(inquiry: TraceContext, given: Given, cache: Cache) -> CacheObservation:
    """The entry of the subject's key, and others for the same subject where there is none. StoreError."""
    values = inquiry.parameters(given.person)
    try:
        key = str(fill(cache.key, values))
    except Unknown as error:
        why = inquiry.without_value(error.name, given.person, "the key")
        return CacheObservation(unasked=why, declared=True)
    service = service_of(inquiry.settings, cache)
    url = inquiry.facts.context.targets.url(service)
    if url is None:
        return CacheObservation(unasked=f"there is no service {service}", declared=True)
    from devenv.stores.redis.client import Redis

    with Redis(url, read_only=True) as redis:
        found = read_entry(redis, key, cache)
        others, whole = other_keys(redis, cache, key, values) if found is None else ([], True)
    seen = observed(inquiry, cache, key, service, found, others)
    if whole:
        return seen
    return replace(seen, notes=(*seen.notes, f"other keys were looked for among {SCANNED:,} keys of {service} only"))


def observed(
    inquiry: TraceContext, cache: Cache, key: str, service: str, found: FoundEntry | None, others: list[str]
) -> CacheObservation:
    """The observation of an entry that was read. Pure."""
    findings = list(find_faults(cache, key, service, found, others))
    entries = None
    notes: tuple[str, ...] = ()
    if found is None and not others:
        notes = (f"there is no entry {key}: the next request reads the stores",)
    if found is not None and not any(one.kind == "poisoned" for one in findings):
        entries, wrong = read_answer(found.value, (form_of(inquiry, cache),))
        if wrong is not None:
            findings.append(poisoned(key, service, f"it is {wrong}"))
    return CacheObservation(
        request={"service": service, "key": key, "type": cache.type},
        output={
            "found": found is not None,
            "type": found.type if found else None,
            "expires_in_s": found.left_s if found else None,
            "other_keys": others,
        },
        entries=entries,
        findings=tuple(findings),
        notes=notes,
        key=key,
        service=service,
        left_s=found.left_s if found else None,
        ttl_s=cache.ttl_s,
        limit=cache.limit,
    )


def read_entry(redis: Redis, key: str, cache: Cache) -> FoundEntry | None:
    """One entry; None when there is none. StoreError."""
    kind = str(redis.call("TYPE", key))
    if kind == "none":
        return None
    left = redis.call("PTTL", key)
    left_s = left / 1000 if isinstance(left, int) and left >= 0 else None
    if kind != cache.type:
        return FoundEntry(kind, left_s, unreadable=f"a {kind}; declared: {cache.type}")
    command, *words = READ[kind]
    raw = redis.call(command, key, *words)
    parts = raw if isinstance(raw, list) else [raw]
    try:
        read = [json.loads(part) for part in parts if isinstance(part, bytes)]
    except ValueError:
        return FoundEntry(kind, left_s, unreadable="no JSON")
    return FoundEntry(kind, left_s, read[0] if kind == "string" and read else read)


def other_keys(redis: Redis, cache: Cache, key: str, values: Mapping[str, str]) -> tuple[list[str], bool]:
    """Keys of the declared form with another name of the same subject, however they are spelt; and if all keys of the
    Redis were looked at. StoreError.
    """
    prefixes = {name.partition(".")[0] for name in names_in(cache.key) if "." in name}
    names = {text for name, text in values.items() if name.partition(".")[0] in prefixes and len(text) > 1}
    names |= {values[name] for name in names_in(cache.key) if name in values}
    forms = {plain(str(fill(cache.key, {**values, **dict.fromkeys(names_in(cache.key), text)}))) for text in names}
    found: list[str] = []
    cursor, seen = "0", 0
    while True:
        answer = redis.call("SCAN", cursor, "COUNT", STEP)
        if not isinstance(answer, list) or len(answer) != 2 or not isinstance(answer[1], list):
            return found, False
        for raw in answer[1]:
            name = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
            if name != key and plain(name) in forms:
                found.append(name)
        seen += len(answer[1])
        cursor = answer[0].decode() if isinstance(answer[0], bytes) else str(answer[0])
        if cursor == "0" or seen >= SCANNED:
            return found, cursor == "0"


def kept_under(
    inquiry: TraceContext, person: Mapping[str, Any] | None, entries: Sequence[Entry]
) -> tuple[str, str] | None:
    """The key under which a declared cache holds exactly these entries, and the key that is declared for who asks.

    None where the two are one, no cache holds them, or it does not answer.
    """
    from devenv.stores.redis.client import Redis

    wanted = [entry.id for entry in entries]
    for _, cache in caches_of(inquiry.settings, inquiry.question.subject) if wanted else ():
        url = inquiry.facts.context.targets.url(service_of(inquiry.settings, cache))
        if url is None:
            continue
        try:
            key = str(fill(cache.key, inquiry.parameters(person)))
            with Redis(url, read_only=True) as redis:
                for name in framed_keys(redis, cache.key):
                    found = read_entry(redis, name, cache) if name != key else None
                    held = read_answer(found.value, (form_of(inquiry, cache),))[0] if found else None
                    if held is not None and [entry.id for entry in held] == wanted:
                        return name, key
        except (StoreError, Unknown):
            continue
    return None


def framed_keys(redis: Redis, template: str) -> list[str]:
    """The first keys that have the texts between the placeholders of a declared key. StoreError."""
    texts = [re.sub(r"([\\*?\[\]])", r"\\\1", text) for text in PLACE.split(template)[::2]]
    found: list[str] = []
    cursor = "0"
    for _ in range(SCANNED // STEP):
        answer = redis.call("SCAN", cursor, "MATCH", "*".join(texts), "COUNT", STEP)
        if not isinstance(answer, list) or len(answer) != 2 or not isinstance(answer[1], list):
            break
        found += [raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw) for raw in answer[1]]
        cursor = answer[0].decode() if isinstance(answer[0], bytes) else str(answer[0])
        if cursor == "0" or len(found) >= READ_KEYS:
            break
    return found[:READ_KEYS]


def form_of(inquiry: TraceContext, cache: Cache) -> Form:
    """The form of what a cache holds."""
    trace = inquiry.question.trace
    section = trace.library
    renamed = {**(section.fields if section else {}), **cache.fields}
    return Form(cache.items, cache.id or trace.ids.get("library"), names_of(trace.fields, renamed))


def plain(key: str) -> str:
    """A key without its capitals and punctuation."""
    return "".join(letter for letter in key.lower() if letter.isalnum())


def find_faults(cache: Cache, key: str, service: str, found: FoundEntry | None, others: list[str]) -> Iterator[Finding]:
    """The faults of an entry, whatever the stores hold."""
    if found is None:
        if others:
            text = f"there is no entry {key}, but there is {others[0]}: the application does not use the declared key"
            cause = "code that deletes the declared key does not delete this entry, so it becomes stale"
            fix = Fix(f"build the key as {cache.key} wherever it is written, read or deleted")
            yield Finding("wrong_key", text, cause, fix, tuple(others), frozenset([service, *others]))
        return
    error = error_in(found.value)
    if found.unreadable is not None:
        yield poisoned(key, service, f"it is {found.unreadable}")
    elif error is not None:
        yield poisoned(key, service, f"an error was stored as an answer (`{error}`)")
    if cache.ttl_s is not None and (found.left_s is None or found.left_s > cache.ttl_s + SLACK_S):
        goes = "never expires" if found.left_s is None else f"expires in {found.left_s:.0f} s"
        text = f"{key} {goes}; `ttl_s` declares at most {cache.ttl_s} s"
        fix = Fix(f"store it with an expiry: SET … EX {cache.ttl_s}")
        yield Finding("no_expiry", text, None, fix, (key,), frozenset([service, key]))


def error_in(value: Any) -> str | None:
    """The name by which a stored value tells an error; None when it does not."""
    if not isinstance(value, Mapping) or any(isinstance(part, list) and part for part in value.values()):
        return None
    return next((name for name in value if str(name).lower() in ERRORS), None)


def poisoned(key: str, service: str, what: str) -> Finding:
    """The entry is no answer."""
    fix = Fix(f"delete {key}, and store only what was read without an error (devenv help caching)")
    return Finding("poisoned", f"{key} is not a usable answer: {what}", None, fix, (key,), frozenset([service, key]))


def summarize(seen: Observation) -> str:
    """The key and how long it lives."""
    if not seen.output.get("found"):
        return "no entry" if seen.output else ""
    left = seen.output.get("expires_in_s")
    return f"{seen.request['key']}, {'no expiry' if left is None else f'expires in {left:.0f} s'}"


LAYER: Final = Layer(
    name="cache",
    question="Does the cache agree with the stores?",
    observe=observe,
    needs=("postgres",),
    judge=judge_cache,
    summarize=summarize,
    empty=CacheObservation,
    declared=lambda settings: bool(settings.cache),
)
