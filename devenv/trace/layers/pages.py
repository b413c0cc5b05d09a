"""The pages of an answer: where the next one is, as the page before it says, and why an answer is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urljoin, urlsplit

from devenv.config.trace import TraceRequest
from devenv.core.late import late
from devenv.core.value import Value
from devenv.host.addresses import is_loopback
from devenv.patterns.declared import DIRECTIONS
from devenv.trace.observation import Answer, Entry, NextPage
from devenv.trace.question import TraceContext

LINK: Final = "Link"
NEXT: Final = late(r'<([^>]*)>\s*;[^,]*\brel="?next\b')
PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


class Ask(Value, frozen=True):
    """One request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    # It carries somebody's token.
    secret: bool = False


class PageStep(Value, frozen=True):
    """The next page and the request for it; None where it is not asked for, and the page's trouble says why."""

    page: NextPage
    ask: Ask | None


def next_page(
    inquiry: TraceContext,
    declared: TraceRequest,
    ask: Ask,
    headers: Mapping[str, str],
    entries: Sequence[Entry],
    number: int,
) -> PageStep | None:
    """The next page: by the Link header, or by the declared parameter. The others are of the page before."""
    if found := NEXT.search(headers.get("link", "")):
        page = NextPage(number, found[1], LINK, after=last_of(inquiry, entries))
        url = own_address(ask.url, found[1])
        if url is None:
            trouble = f"is an address on another host, not on {urlsplit(ask.url).netloc}, and was not requested"
            return PageStep(replace(page, kind="cursor", trouble=trouble), None)
        return PageStep(replace(page, url=shown(url), sent=new_parameters(ask.url, url)), replace(ask, url=url))
    if not declared.next or not entries or (declared.limit and len(entries) < declared.limit):
        return None
    ((parameter, name),) = declared.next.items()
    sorted_by = inquiry.question.trace.sorted_by or name
    oldest = min(entries, key=lambda entry: entry.fields.get(sorted_by) or "")
    value = oldest.id if name == "id" else oldest.fields.get(name)
    if value is None:
        return None
    place = urlsplit(ask.url)
    query = {**dict(parse_qsl(place.query)), parameter: value}
    url = place._replace(query=urlencode(query)).geturl()
    return PageStep(NextPage(number, shown(url), None, {parameter: value}, oldest), replace(ask, url=url))


def own_address(asked: str, link: str) -> str | None:
    """The address that a link on `asked` leads to, at the same host; None for another host, or what is no address.

    Names of this machine are one host: the token is sent to the application itself.
    """
    try:
        ours, theirs = urlsplit(asked), urlsplit(urljoin(asked, link))
        same = ours.netloc == theirs.netloc or (
            port_of(ours) == port_of(theirs) and is_loopback(ours.hostname or "") and is_loopback(theirs.hostname or "")
        )
    except ValueError:
        return None
    if not same or ours.scheme != theirs.scheme:
        return None
    return theirs._replace(netloc=ours.netloc, fragment="").geturl()


def port_of(place: SplitResult) -> int | None:
    return place.port or PORTS.get(place.scheme)


def shown(url: str) -> str:
    """An address without its host."""
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


def new_parameters(before: str, url: str) -> dict[str, str]:
    """The parameters of an address that the one before did not have, or had with another value."""
    known = set(parse_qsl(urlsplit(before).query))
    return {name: text for name, text in parse_qsl(urlsplit(url).query) if (name, text) not in known}


def last_of(inquiry: TraceContext, entries: Sequence[Entry]) -> Entry | None:
    """The entry of a page that the next page continues behind: at the end of the declared order of pages."""
    trace = inquiry.question.trace
    told = [entry for entry in entries if trace.sorted_by and entry.fields.get(trace.sorted_by) is not None]
    if not told:
        return entries[-1] if entries else None
    last = max if trace.order and DIRECTIONS[trace.order] == "ascending" else min
    return last(told, key=lambda entry: entry.fields[trace.sorted_by or ""] or "")


def leads_back(page: NextPage, to: int) -> NextPage:
    """A page whose address is that of an earlier one."""
    where = "that page itself" if to == page.number - 1 else f"page {to} again"
    return replace(page, kind="cursor", trouble=f"is {where}: the pages never end")


def trouble_of(answer: Answer, media: str | None) -> tuple[str, str] | None:
    """The class and the words for an answer that is no page of a list; None: it is one. `media` is the first page's."""
    if answer.status is None:
        return ("timed_out" if answer.problem == "timed_out" else "status"), "does not answer"
    if not 200 <= answer.status < 300:
        where = f" to {answer.location}" if answer.location else ""
        return ("not_authorised" if answer.status in (401, 403) else "status"), f"answers {answer.status}{where}"
    if answer.empty:
        return "status", f"answers {answer.status} without a list"
    if answer.problem == "not_json":
        return "not_json", f"answers {answer.status} as {answer.media or 'no media type'}"
    if answer.problem is not None:
        return "body_changed", f"answers {answer.status} and cannot be read"
    if answer.shape is not None or answer.entries is None:
        return "body_changed", f"answers {answer.status} with {answer.shape or 'no list'}"
    if answer.media not in (None, media) and "json" not in (answer.media or "").lower():
        return "not_json", f"answers {answer.status} as {answer.media}"
    return None


def named_elsewhere(headers: Mapping[str, str]) -> str | None:
    """Another header than Link that names a next page, where Link does not."""
    if NEXT.search(headers.get("link", "")):
        return None
    return next((name for name, text in headers.items() if NEXT.search(text)), None)


def exposes_link(headers: Mapping[str, str]) -> bool:
    """Return True if a page of another origin may read the Link header (Fetch, 3.2.4: `*` not with credentials)."""
    names = {name.strip().lower() for name in headers.get("access-control-expose-headers", "").split(",")}
    every = "*" in names and headers.get("access-control-allow-credentials") != "true"
    return every or LINK.lower() in names


def span_of(inquiry: TraceContext, entries: Sequence[Entry]) -> tuple[str, str] | None:
    """The least and the greatest value of the sorted field on a page; None where it has none."""
    name = inquiry.question.trace.sorted_by
    texts = [text for entry in entries if (text := entry.fields.get(name or "")) is not None]
    return (min(texts), max(texts)) if texts else None


def signature(entry: Entry) -> tuple[str | None, ...]:
    """Return what tells one entry from another, also where ids are wrong."""
    return (entry.id, *entry.fields.values())
