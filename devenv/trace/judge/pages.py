"""Where the pages of an answer do not fit together, in words: the address, the parameters sent, the entries. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from devenv.core.model import Fix
from devenv.core.plural import number_of
from devenv.trace.judge.fault import NO_NEW, NO_NEXT, ONE_PAGE, count
from devenv.trace.observation import Answer, Entry, NextPage, Subject

EXAMPLES: Final = 3
ADDRESS: Final = Fix("correct the address of the next page in the answer, or the route at that address")
CONTINUE: Final = Fix("correct the route: the next page must begin after the last entry of the page before")


def failed_page(member: Answer, lost: bool) -> NextPage | None:
    """The announced page that gave no entries.

    Behind the last entry a declared parameter may lead to anything: it is asked for without an announcement. So it
    counts only if entries are `lost`.
    """
    page = member.following[-1] if member.following else None
    return page if page is not None and page.trouble is not None and (page.header or lost) else None


def is_cut(member: Answer) -> bool:
    """Return True if a page that a header names gave no entries."""
    return failed_page(member, lost=False) is not None


def failed_text(page: NextPage, unreachable: int) -> str:
    """`the Link of page 1 leads to /a?before=3, which answers 404: 77 entries are unreachable`."""
    before = page.number - 1
    how = f"the {page.header} of page {before} leads" if page.header else f"the parameters after page {before} lead"
    number = number_of(unreachable, "entry is", "entries are")
    return f"{how} to {page.url}, which {page.trouble}{f'; {number} unreachable' if unreachable else ''}"


def behind(subject: Subject, member: Answer, missing: Sequence[Entry]) -> tuple[Entry, ...]:
    """The missing entries that do not lie among those that were read."""
    name = subject.sorted_by or ""
    texts = [text for entry in member.entries or () if (text := entry.fields.get(name)) is not None]
    if not texts:
        return tuple(missing)
    return tuple(entry for entry in missing if not min(texts) <= (entry.fields.get(name) or "") <= max(texts))


def page_numbered(member: Answer, number: int) -> NextPage | None:
    """A page behind the first."""
    return next((page for page in member.following if page.number == number), None)


def by_page(member: Answer) -> list[list[Entry]]:
    """The entries of an answer, page by page, in the order in which they came."""
    place = {name: page.number for page in member.following for name in page.ids}
    pages: dict[int, list[Entry]] = {}
    for entry in member.entries or ():
        pages.setdefault(place.get(entry.id or "?", 1), []).append(entry)
    return [pages[number] for number in sorted(pages)]


def on_pages(member: Answer, entries: Sequence[str]) -> str:
    """` (only on pages 2, 3)`; "" where they are on all pages, or there is one."""
    place = {name: page.number for page in member.following for name in page.ids}
    pages = sorted({place.get(name, 1) for name in entries})
    if not pages or len(pages) >= member.pages:
        return ""
    return f" (only on {listed_pages(pages)})"


def listed_pages(pages: Sequence[int]) -> str:
    """`page 2`, `pages 2, 3, 4, …`."""
    listed = ", ".join(map(str, pages[:EXAMPLES])) + (", …" if len(pages) > EXAMPLES else "")
    return f"{'page' if len(pages) == 1 else 'pages'} {listed}"


def first_page(member: Answer, *, alone: bool = False) -> frozenset[str | None]:
    """The ids on the first of several pages; none where there is one, unless `alone`."""
    later = {name for page in member.following for name in page.ids}
    first = frozenset(one.id for one in member.entries or () if one.id not in later)
    return first if later or alone else frozenset()


def ended_text(member: Answer, part: str) -> str:
    """The words for what is lost, with the page that should have named a next one."""
    if member.unread and not member.following:
        where = f"the header {member.unread}, not in Link"
        return f"the next page is named in {where}, so clients do not find it; {part}"
    if member.more or not part.endswith(ONE_PAGE):
        return part
    if (last := member.following[-1] if member.following else None) is not None and last.repeated and not last.ids:
        return f"{part.removesuffix(f', {ONE_PAGE}')}: page {last.number} {NO_NEW}"
    header = next((page.header for page in member.following if page.header), None)
    if header is None:
        return part
    return f"{part.removesuffix(f', {ONE_PAGE}')}: page {member.pages} has no {header} {NO_NEXT}"


def ends_text(subject: Subject, member: Answer, missing: Sequence[Entry]) -> str | None:
    """`the newest 1 of each of 3 pages is lost`: each page lacks as many at the same end; None where it is not so."""
    texts = [entry.fields.get(subject.sorted_by or "") or "" for entry in missing]
    spans = sorted(member.spans)
    if len(spans) < 2 or not all(texts):
        return None
    lows, highs = [low for low, _ in spans], [high for _, high in spans]
    ends = {
        "oldest": [sum(before < text < low for text in texts) for before, low in zip(["", *highs], lows, strict=False)],
        "newest": [
            sum(high < text and (after is None or text < after) for text in texts)
            for high, after in zip(highs, [*lows[1:], None], strict=True)
        ],
    }
    for which, numbers in ends.items():
        if numbers[0] and len(set(numbers)) == 1 and sum(numbers) == len(texts):
            lost = number_of(numbers[0], "is", "are")
            return f"the {which} {lost} lost on each of {len(spans)} pages"
    return None


# --- entries on two pages, and on none ---


def repeated_text(member: Answer) -> str:
    """`4 entries on more than one page (pages 2, 3): a, b, c and 1 more`."""
    ids = member.repeated
    rest = f" and {len(ids) - EXAMPLES} more" if len(ids) > EXAMPLES else ""
    pages = [page.number for page in member.following if page.repeated]
    which = f" ({listed_pages(pages)})" if pages else ""
    return f"{count(len(ids))} on more than one page{which}: {', '.join(ids[:EXAMPLES])}{rest}"


def gaps_between(subject: Subject, member: Answer, missing: Sequence[Entry]) -> Mapping[int, int]:
    """Page number -> how many of the missing entries lie between it and the next page."""
    name = subject.sorted_by
    texts = [entry.fields.get(name) or "" for entry in missing] if name else []
    gaps = [(min(one[1], two[1]), max(one[0], two[0])) for one, two in pairwise(member.spans)]
    places = [next((n for n, (low, high) in enumerate(gaps, 1) if low < text < high), None) for text in texts]
    return dict(sorted(Counter(place for place in places if place is not None).items()))


def gap_text(member: Answer, gaps: Mapping[int, int]) -> str:
    """`2 entries between pages 1 and 2 missing, after the entry a`."""
    first = next(iter(gaps))
    page = page_numbered(member, first + 1)
    after = f", after the entry {page.after.id}" if page and page.after else ""
    others = sum(gaps.values()) - gaps[first]
    more = f"; and {others} between {number_of(len(gaps) - 1, 'other pair')} of pages" if others else ""
    return f"{count(gaps[first])} between pages {first} and {first + 1} missing{after}{more}"


def cause_of_repeat(subject: Subject, member: Answer, expected: Sequence[Entry], page: NextPage | None) -> str | None:
    """Why a page has entries of earlier ones, as far as what was sent for it tells."""
    if page is None:
        return None
    sent, right = sent_text(subject, member, expected, page)
    if right and page.after is not None and page.repeated == (page.after.id,):
        return f"{sent}; page {page.number} must begin after that entry, but begins with it"
    if right and is_first_again(member, page):
        parameter = next(iter(page.sent))
        ignored = f"the route ignores `{parameter}`, or a cache leaves it out of its key"
        return f"{sent}; page {page.number} has exactly the entries of page 1: {ignored}"
    return f"{sent}{other_end(subject, member, expected, page)}" if right else sent


def is_first_again(member: Answer, page: NextPage) -> bool:
    """Return True if a page has the first page's entries and no others."""
    return len(page.sent) > 0 and not page.ids and set(page.repeated) == first_page(member, alone=True)


def cause_of_gap(subject: Subject, member: Answer, expected: Sequence[Entry], page: NextPage | None) -> str:
    """Why entries between two pages are missing, as far as what was sent for the second tells."""
    if page is None:
        return "the next page does not begin right after the last entry of the page before"
    sent, right = sent_text(subject, member, expected, page)
    if not right:
        return sent
    return f"{sent}{other_end(subject, member, expected, page) or f'; page {page.number} skips entries after it'}"


def other_end(subject: Subject, member: Answer, expected: Sequence[Entry], page: NextPage) -> str:
    """Words for a page that is read from the other end: it is not the last one, and has the entry at that end."""
    name = subject.sorted_by or ""
    texts = [text for entry in expected if (text := entry.fields.get(name)) is not None]
    last = page.after.fields.get(name) if page.after else None
    is_last = page.number == member.pages and not member.more
    if not texts or last is None or len(member.spans) < page.number or is_last:
        return ""
    low, high = member.spans[page.number - 1]
    end = "oldest" if low == min(texts) and last != low else "newest" if high == max(texts) and last != high else ""
    is_turned = end == "oldest" and sum(high < text < last for text in texts)
    return f"; page {page.number} has the {end} entries: it is read in the opposite order" if is_turned else ""


def sent_text(subject: Subject, member: Answer, expected: Sequence[Entry], page: NextPage) -> tuple[str, bool]:
    """The parameter sent for a page, with the entry that this is the value of; True if it is the right one."""
    who = (
        f"the {page.header} of page {page.number - 1} sends"
        if page.header
        else f"page {page.number} was requested with"
    )
    if not page.sent:
        return f"{who} the same parameters as for the page before", False
    last, wanted = page.after, subject.cursor or subject.sorted_by
    for parameter, text in page.sent.items():
        what = f"{who} `{parameter}` = {text}"
        if last is not None and wanted and last.fields.get(wanted) == text:
            return f"{what}, the `{wanted}` of the last entry {last.id}", True
        if last is not None and (name := field_with(subject, last, text)) is not None:
            pages = f"; pages are sorted by `{wanted}`" if wanted and name != wanted else ""
            return f"{what}, the `{name}` of the last entry{pages}", wanted is None or name == wanted
        for entry in (*(member.entries or ()), *expected):
            if wanted and entry.fields.get(wanted) == text:
                shown = "" if any(entry.id == one.id for one in member.entries or ()) else " (which is on no page)"
                right = f"it should be that of the last entry{known(last)}"
                return f"{what}. That is the `{wanted}` of the entry {entry.id}{shown}; {right}", False
    parameter, text = next(iter(page.sent.items()))
    has = last.fields.get(wanted) if last is not None and wanted else None
    told = f", not the `{wanted}` of the last entry{known(last)}, which is {has}" if has is not None else ""
    return f"{who} `{parameter}` = {text}{told}", False


def known(entry: Entry | None) -> str:
    """An entry's id behind the word for it."""
    return f" {entry.id}" if entry is not None and entry.id is not None else ""


def field_with(subject: Subject, entry: Entry, text: str) -> str | None:
    """The name of the field that has a text; of the id its name in the answer."""
    if entry.id == text:
        declared = subject.ids.get(entry.kind)
        return declared.names.get("http", "id") if declared else "id"
    return next((name for name, value in entry.fields.items() if value == text), None)
