"""The API's answers: to who asks against what the function returned, to others against what they may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from devenv.core.model import Fix
from devenv.trace.difference import Difference, compare
from devenv.trace.judge.fault import (
    FORM,
    OK,
    Judged,
    LayerFinding,
    LayerStatus,
    at_layer,
    beyond,
    changed_text,
    count,
    difference,
    is_another_list,
    is_error_line,
    log_text,
    reachable,
    reason,
    share_of,
    shown_in,
    which_part,
    without,
    wrong_order,
)
from devenv.trace.judge.giver import all_lost, gives, gives_not, name_of
from devenv.trace.judge.identity import explain_fields, explain_ids, explain_left_out, place_of_list
from devenv.trace.judge.library import is_member
from devenv.trace.judge.pages import (
    ADDRESS,
    CONTINUE,
    behind,
    by_page,
    cause_of_gap,
    cause_of_repeat,
    ended_text,
    ends_text,
    failed_page,
    failed_text,
    first_page,
    gap_text,
    gaps_between,
    is_cut,
    on_pages,
    page_numbered,
    repeated_text,
)
from devenv.trace.judge.running import about_token, by_whom, kept_text, outside_function
from devenv.trace.judge.settings import about_settings
from devenv.trace.observation import Answer, Entry, NextPage, Observations, Subject

REFUSALS: Final = (401, 403, 404)
# Statuses of a path or method that the application may not have.
HIDDEN: Final = 404
NO_ROUTE: Final = (404, 405)
FORBIDDEN: Final = 403
TELLING: Final = 8
"""Characters of an id that does not stand in a text by chance."""
NAMED: Final = 3
NEWER: Final = "was changed after the application was started"
SERVER_FAILED: Final = 500
MEDIA: Final = Fix("let the route, or a proxy in front of it, send Content-Type: application/json")
READABLE: Final = Fix("let the route, or a proxy in front of it, send whole JSON in UTF-8")
ENCODED: Final = Fix("send no Content-Encoding unless the request's Accept-Encoding names it")
LOG: Final = Fix("read the application's log", "devenv logs backend --tail 50")
RECORD: Final = Fix("record the calls of the route, then trace again: `devenv requests` lists them", "devenv up --tap")
RECORDED: Final = Fix("compare the calls of the route, which the tap recorded, with its answer", "devenv requests")


def look_closer(seen: Observations, kind: str) -> Fix:
    """Return where to look for the cause of an answer: in the log if it may tell, else in the route's calls."""
    if kind in ("status", "not_authorised", "timed_out") or log_text(seen):
        return LOG
    return RECORD if seen.http.asked is None else RECORDED


def page_of_html(subject: Subject) -> Fix:
    """Return what to do about a page where JSON was expected: it may be what the route is for."""
    return Fix(
        f"if the route is meant to answer with a page, remove [trace.{subject.name}.request]: a page cannot be"
        " compared, and devenv then skips layer http. Else correct the path, or let the route return JSON"
    )


def expected_of_http(subject: Subject, seen: Observations) -> Sequence[Entry] | None:
    """The answer expected of the API: the result of the function in the same environment; without one, the pattern's.

    Kinds that only the function leaves out are those of the pattern.
    """
    ran = seen.library.ran
    read = seen.pattern.entries if seen.pattern.entries is not None else reachable(seen)
    if ran is None:
        return shown_in(subject, "http", read)
    if ran.outcome != "returned" or ran.shape is not None:
        return None
    unshown = subject.unshown.get("library", frozenset())
    besides = [entry for entry in read or () if entry.kind in unshown]
    returned = () if ran.nothing else ran.entries
    if returned is None:
        return None
    answered = (seen.http.member.entries if seen.http.member else None) or ()
    return shown_in(subject, "http", [*with_linked(subject, returned, read or (), answered), *besides])


def with_linked(
    subject: Subject, returned: Sequence[Entry], read: Sequence[Entry], answered: Sequence[Entry]
) -> Iterator[Entry]:
    """Entries of the function, with the columns of linked rows: the route may read them, and not the function.

    A wrong value of the function that the API only repeats stays.
    """
    known, given = ({entry.id: entry.fields for entry in entries} for entries in (read, answered))
    for entry in returned:
        there, shown = known.get(entry.id, {}), given.get(entry.id, {})
        names = [name for kind, name in subject.linked if kind == entry.kind and name in there]
        repeated = {name for name in names if name in entry.fields and entry.fields[name] == shown.get(name)}
        added = {name: there[name] for name in names if name not in repeated}
        yield replace(entry, fields={**entry.fields, **added}) if added else entry


def judge_http(subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]) -> Judged:
    """The API's answers: to who asks against what the function returned, to others against what they may see."""
    member = seen.http.member
    expected = expected_of_http(subject, seen)
    entries = member.entries if member else None
    return Judged(
        findings=[
            *(at_layer("http", one) for one in seen.http.findings),
            *find_http(subject, seen, expected, earlier),
        ],
        expected=expected,
        entries=entries,
        difference=difference(subject, expected, entries),
        refused=member is not None and (member.status is None or member.status not in OK or is_cut(member)),
        right=rightly_refused(subject, seen, earlier),
        another=not (member and member.more) and is_another_list(subject, seen, "http", entries),
    )


def find_http(
    subject: Subject, seen: Observations, expected: Sequence[Entry] | None, earlier: Sequence[LayerFinding]
) -> list[LayerFinding]:
    """Return what is wrong with the answers."""
    member = seen.http.member
    if member is None:
        return []
    judged = judge_member(subject, seen, member, expected, earlier)
    named = [
        explain_left_out(one, subject, member.names) if one.fix in (LOG, RECORD, RECORDED) else one for one in judged
    ]
    located = [one if one.fix == ADDRESS else by_whom(outside_function(one, seen, earlier), seen) for one in named]
    located = [about_settings(about_token(one, seen), seen) for one in located]
    explained = explain_fields(located, subject, seen.dynamodb.entries)
    found = explain_ids(explained, subject, "http", member.entries, member.names)
    blind = any(broken.layer in ("environment", "services") for broken in earlier)
    others = list(judge_others(subject, seen, member, blind))
    if subject.origin and not any(broken.kind == "stale_process" for broken in earlier):
        others += judge_cors(subject, seen, subject.origin)
    return [*found, *(replace(one, others=True) for one in others)]


def judge_member(
    subject: Subject,
    seen: Observations,
    member: Answer,
    expected: Sequence[Entry] | None,
    earlier: Sequence[LayerFinding],
) -> Iterator[LayerFinding]:
    """The answer to who asks."""
    failed = member.status is None or member.status not in OK
    if (failed and implied(seen, earlier)) or is_untold(member, belongs=seen.postgres.belongs):
        return
    said = log_text(seen)
    if member.status is None:
        if any(broken.layer == "services" and "backend" in broken.about for broken in earlier):
            return
        kind = "timed_out" if member.problem == "timed_out" else "status"
        yield http_fault(seen, kind, f"the API does not answer: {member.detail}", said)
    elif member.status in (401, 403):
        who = subject.person or "the user"
        told = ", who may read this list" if seen.dynamodb.owners is not None else ""
        text = f"the API answers {member.status} to {who}{told}"
        yield http_fault(seen, "not_authorised", text, reason(member, said))
    elif failed:
        where = f" to {member.location}" if member.location else route_of(seen) if member.status in NO_ROUTE else ""
        why = reason(member, said)
        if member.status == HIDDEN and seen.postgres.belongs is None:
            who = subject.person or "the user"
            whether = f"no group or link tells whether {who} may read this (pass --user with a user who may)"
            why = f"{why}; {whether}" if why else whether
        yield http_fault(seen, "status", f"the API answers {member.status}{where}{redirect_text(member)}", why)
    else:
        yield from judge_body(subject, seen, member, expected, earlier)


def is_untold(member: Answer, *, belongs: bool | None) -> bool:
    """Return True if a user was refused, and nothing declared says that this user may read it: that proves nothing."""
    return member.status == FORBIDDEN and belongs is None


def route_of(seen: Observations) -> str:
    """` to GET /v1/orders`: the route that was tried; "" where it is not known."""
    path = urlsplit(str(seen.http.request.get("url") or "")).path
    return f" to {seen.http.request.get('method')} {path}" if path else ""


def implied(seen: Observations, earlier: Sequence[LayerFinding]) -> bool:
    """Return True if a refusal or a failure of the API follows from what earlier layers gave."""
    ran = seen.library.ran
    failing = [
        g for g in (ran, *(guard for guard, _ in seen.library.guards)) if g is not None and g.outcome != "returned"
    ]
    member = seen.http.member
    # A function that returned some of the list did not turn the user away.
    partly = ran is not None and bool(ran.entries) and member is not None and member.status in (401, 403)
    listed = [b for b in earlier if partly and b.layer == "library" and b.difference is not None]
    blind = [b for b in earlier if b.layer in ("environment", "services", "postgres", "library") and b not in listed]
    bad = [b for b in earlier if b.kind in ("missing_attribute", "wrong_type", "placeholder", "malformed_key")]
    return bool(failing or blind or bad) or not seen.dynamodb.found or not is_member(seen)


def rightly_refused(subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]) -> str | None:
    """Why a refusal is what must come: who asks is no member, and nothing that was found could have hidden that."""
    member = seen.http.member
    if member is None or member.status not in (subject.stranger or REFUSALS) or is_member(seen):
        return None
    if any(broken.layer not in ("pattern", "library", "http") for broken in earlier):
        return None
    return f"{subject.person or 'the user'} is not a member, so {member.status} is right"


def judge_body(
    subject: Subject,
    seen: Observations,
    member: Answer,
    expected: Sequence[Entry] | None,
    earlier: Sequence[LayerFinding],
) -> Iterator[LayerFinding]:
    """A 2xx answer."""
    said = log_text(seen)
    ran = seen.library.ran
    if member.empty and (expected or (ran is not None and ran.outcome != "returned")):
        text = f"the API answers {member.status} with an empty body"
        yield http_fault(seen, "status", text, f"an error is returned as success{f'; {said}' if said else ''}")
    elif member.problem == "not_json":
        text = f"the API returns {member.media or 'no media type'}: {member.detail}"
        readable = page_of_html(subject) if "html" in (member.media or "") else READABLE
        yield http_fault(seen, "not_json", text, said, fix=None if said else ENCODED if member.encoding else readable)
    elif member.problem is not None:
        yield http_fault(seen, "body_changed", f"the API's answer cannot be read: {member.detail}", said)
    elif member.shape is not None:
        fault = http_fault(seen, "body_changed", f"the API returns {member.shape}", FORM)
        yield place_of_list(fault, subject, "request", member.shape)
    elif expected is None:
        if (page := failed_page(member, True)) and not implied(seen, earlier):
            yield page_fault(seen, member, page)
        if ran is not None and ran.outcome == "raised" and not member.entries:
            text = f"{ran.function} fails, and the API answers {member.status} with an empty list"
            yield http_fault(seen, "status", text, "an error is returned as success")
    elif member.entries is not None:
        if member.media is not None and "json" not in member.media.lower():
            text = f"the API returns JSON as {member.media}, which clients do not parse as JSON"
            yield http_fault(seen, "not_json", text, said, fix=MEDIA)
        # The next page begins by the text of this field: another spelling of the same moment is another place.
        types = {**subject.types, subject.cursor: "string"} if subject.cursor else subject.types
        between = compare(expected, member.entries, types)
        lost = without(between, seen.dynamodb.fleeting).missing
        if (page := failed_page(member, bool(lost))) and not implied(seen, earlier):
            yield page_fault(seen, member, page, replace(between, missing=behind(subject, member, lost)))
        if any(broken.layer in ("pattern", "library") for broken in earlier):
            # Pages are cut from a list that is already wrong: what is missing or out of order follows from that.
            known = {entry.id for entry in seen.dynamodb.entries or ()}
            between = replace(between, missing=(), extra=tuple(e for e in between.extra if e.id not in known))
            sorting = dict.fromkeys(subject.sorting, (None, None))
            subject = replace(subject, orders={**subject.orders, "http": None}, sorting=sorting)
            expected = [entry for entry, _ in between.pairs]
        yield from judge_list(subject, seen, member, expected, between)


def judge_list(
    subject: Subject, seen: Observations, member: Answer, expected: Sequence[Entry], between: Difference
) -> Iterator[LayerFinding]:
    """The entries of an answer."""
    between = without(between, seen.dynamodb.fleeting)
    entries = member.entries or ()
    said = log_text(seen)
    if member.more and (limit := subject.limits.get("http") or len(entries)):
        between = replace(between, missing=beyond(subject, expected, between.missing, min(limit, len(entries))))
    gaps = gaps_between(subject, member, between.missing)
    skipped = bool(gaps) and sum(gaps.values()) == len(between.missing)
    again = next((one for one in member.following if one.repeated), None)
    gap = page_numbered(member, next(iter(gaps)) + 1) if skipped else None
    repeats = []
    if member.repeated:
        text, fix = repeated_text(member), CONTINUE if again else None
        cause = cause_of_repeat(subject, member, expected, again) or said
        repeats = [http_fault(seen, "cursor", text, cause, status="extra", ids=member.repeated, fix=fix)]
    # The page that is wrong first is the cause of later ones.
    gap_first = gap is not None and again is not None and gap.number < again.number
    yield from [] if gap_first else repeats
    if skipped:
        text = f"the API returns {len(entries)} of {len(expected)}: {gap_text(member, gaps)}"
        cause = cause_of_gap(subject, member, expected, gap)
        yield http_fault(seen, "cursor", text, cause, between, "missing", fix=CONTINUE if gap else None)
        yield from repeats if gap_first else []
    elif between.extra and not between.pairs:
        text = f"the API returns {count(len(entries))}, none of which {gives(seen)}"
        yield http_fault(seen, "body_changed", text, said, between, "mutated")
    elif between.missing:
        logged = any(is_error_line(line) for line in seen.http.log or ())
        share = share_of(len(entries), len(expected), between, gives_not(seen))
        head = f"the API returns {share}"
        if not entries and logged:
            yield http_fault(seen, "status", f"{head}: an error is answered as {member.status}", said, between)
        else:
            part = which_part(subject, expected, between, first_page(member)) if entries else all_lost(seen)
            part = ends_text(subject, member, between.missing) or ended_text(member, part)
            yield http_fault(seen, "items_lost", head, part, between, "missing")
    elif between.extra:
        text = f"the API returns {count(len(between.extra))} that {gives_not(seen)}"
        yield http_fault(seen, "body_changed", text, said, between, "extra")
    elif between.changed:
        where = on_pages(member, [change.id for change in between.changed])
        text = f"{changed_text(subject, 'the API returns', between.changed)}{where}"
        if all(subject.linked_place(change.id, change.field) for change in between.changed):
            said = said or "its code, or its query for these rows, is wrong"
        yield http_fault(seen, "body_changed", text, said, between, "mutated")
    else:
        wanted = wrong_order(subject, "http", entries, expected, between, name_of(seen))
        if wanted is not None:
            broken = [
                one.id or "?"
                for page in by_page(member)
                if wrong_order(subject, "http", page, expected, None, "")
                for one in page
            ]
            text = f"the API returns them in a different order than {wanted}{on_pages(member, broken)}"
            yield http_fault(seen, "body_changed", text, said, between, "reordered")


def judge_others(subject: Subject, seen: Observations, member: Answer, blind: bool) -> Iterator[LayerFinding]:
    """Find users who can read this and may not. An empty answer counts where the member's is empty too, unless the
    application is `blind`, as it then has nothing to show to anybody.
    """
    for name, who, answer, right in (
        ("anonymous", "a request without a token", seen.http.anonymous, subject.anonymous),
        ("stranger", "a user who is not a member", seen.http.stranger, subject.stranger),
    ):
        if answer is None or not right or answer.status is None:
            continue
        later = seen.http.later.get(name)
        if inside := refused_ids(subject, (answer, later), member):
            text = f"the API answers {answer.status} to {who}, and its body has {count(len(inside))} of the list"
            more = f" and {len(inside) - NAMED} more" if len(inside) > NAMED else ""
            cause = f"the body of the refusal contains the ids {', '.join(inside[:NAMED])}{more}"
            fix = Fix("answer a refusal with a fixed text")
            yield http_fault(seen, "open_to_strangers", text, cause, status="extra", ids=inside, fix=fix)
        if answer.status in right and later is not None and later.status is not None and member.following:
            answer, who = later, f"{who} for the next page ({member.following[0].url})"
        if answer.status in right:
            continue
        leaks = bool(answer.entries) or not (member.entries or blind)
        if answer.status in OK and leaks:
            text = f"the API answers {answer.status} to {who}, with {count(len(answer.entries or ()))}"
            expected = " or ".join(map(str, right))
            why = kept_text(answer) if answer.kept else "the application does not check the user"
            yield http_fault(
                seen,
                "open_to_strangers",
                text,
                f"it must answer {expected}: {why}",
                status="extra",
                fix=None if answer.kept else guard_fix(seen, right),
            )
        elif not leaks and not blind and member.status in OK and (answer.problem is None or answer.redirected):
            wanted = " or ".join(map(str, right))
            text = f"the API answers {answer.status} to {who}{redirect_text(answer)}, not {wanted}"
            place = f"`{name}` in [trace.{subject.name}.request]"
            fix = Fix(f"let the route answer {wanted}; if {answer.status} is meant, add it to {place} of devenv.toml")
            failed = answer.status is None or answer.status >= SERVER_FAILED
            yield http_fault(seen, "status", text, answer.detail, fix=None if failed else fix)


def redirect_text(answer: Answer) -> str:
    """` (redirected: 302 to /login)`; "" where it was not."""
    return f" (redirected: {answer.redirected})" if answer.redirected else ""


def guard_fix(seen: Observations, right: Sequence[int]) -> Fix:
    """The check that the route lacks: the application logs nothing about a request that it answers."""
    route = route_of(seen).removeprefix(" to ") or "the route"
    return Fix(f"let {route} check that the user may read this, and answer others with {right[0]}; then restart it")


def refused_ids(subject: Subject, refused: Sequence[Answer | None], member: Answer) -> tuple[str, ...]:
    """The entries of the member's answer whose ids stand in refusals. A short id may be any number."""
    told = " ".join(one.refusal for one in refused if one is not None)
    named = [one.id for one in member.entries or () if one.id and len(one.id) >= TELLING and one.id in told]
    return tuple(name for name in named if name != subject.identifier)


def judge_cors(subject: Subject, seen: Observations, origin: str) -> Iterator[LayerFinding]:
    """Find answers that a page of the declared origin may not read; errors count, too."""
    answers = {
        f"to {subject.person or 'the user'}": seen.http.member,
        "without a token": seen.http.anonymous,
        "to a stranger": seen.http.stranger,
        "to the browser's preflight request": seen.http.preflight,
    }
    told = {name: answer for name, answer in answers.items() if answer is not None and answer.status is not None}
    closed = {name: answer for name, answer in told.items() if answer.cors not in (origin, "*")}
    if closed:
        shown_answers = ", ".join(f"{answer.status} {name}" for name, answer in closed.items())
        which = "no answer" if len(closed) == len(told) else "not every answer"
        text = f"{which} may be read by a web page of {origin}: no Access-Control-Allow-Origin with {shown_answers}"
        named = sorted({answer.cors for answer in closed.values() if answer.cors})
        if named:
            text = f"{which} may be read by a web page of {origin}: Access-Control-Allow-Origin is {', '.join(named)}"
        fault = http_fault(seen, "cors", text, answer_to_origin(seen, origin), status="mutated")
        yield replace(fault, fix=where_origins_are(seen, origin))
    member = seen.http.member
    if member is not None and member.exposed is False and member.cors in (origin, "*"):
        text = f"a page of {origin} cannot read the Link header: Access-Control-Expose-Headers does not name it"
        cause = f"the list has {count(member.pages, 'page')}, and a browser finds only the first page"
        fix = Fix("name Link in Access-Control-Expose-Headers")
        yield http_fault(seen, "cors", text, cause, status="mutated", fix=fix)


def answer_to_origin(seen: Observations, origin: str) -> str:
    """The answer to the preflight request of a browser, in words."""
    asked, preflight = f"a preflight request with Origin: {origin}", seen.http.preflight
    if preflight is None or preflight.status is None:
        return f"the application does not allow the origin {origin}"
    said = f" ({preflight.detail})" if preflight.detail else ""
    if preflight.status in OK and preflight.cors in (origin, "*"):
        return f"the application allows the origin {origin}, but answers the preflight request with {preflight.status}"
    return f"the application answers {preflight.status} to {asked}{said}"


def where_origins_are(seen: Observations, origin: str) -> Fix:
    """The remedy for an origin that is not allowed, with the variables that may decide."""
    if not seen.http.origins:
        return Fix(f"allow {origin} in the application's CORS settings, or correct `origin` in devenv.toml", None)
    found = " or ".join(f"{name} ({text})" for name, text in seen.http.origins)
    return Fix(
        f"look at {found} in the application's environment, which may be its list of allowed origins: {origin} is "
        "not in it; or correct `origin` in devenv.toml",
        None,
    )


def page_fault(seen: Observations, member: Answer, page: NextPage, between: Difference | None = None) -> LayerFinding:
    """A next page that was announced and is none."""
    text = failed_text(page, len(between.missing) if between else 0)
    said = log_text(seen) if page.status is None or page.status >= 500 else None
    cause = "; ".join(filter(None, (page.detail, said))) or None
    fix = LOG if (page.status is not None and page.status >= 500) or page.kind == "timed_out" else ADDRESS
    return http_fault(seen, page.kind, text, cause, between, "missing", fix=fix)


def http_fault(
    seen: Observations,
    kind: str,
    summary: str,
    cause: str | None,
    between: Difference | None = None,
    status: LayerStatus = "error",
    ids: Sequence[str] = (),
    fix: Fix | None = None,
) -> LayerFinding:
    """A fault of the API. An application older than its code explains much, so that is said."""
    old = seen.library.code_changed or seen.http.code_changed
    if old and kind not in ("cors", "open_to_strangers"):
        stale = f"{old} {NEWER}"
        cause = f"{cause}; {stale}" if cause else stale
        fix = Fix("start the application again, then trace again", "devenv restart backend")
    else:
        fix = fix or look_closer(seen, kind)
    subjects = (between.missing_ids or between.extra_ids or tuple(c.id for c in between.changed)) if between else ids
    return LayerFinding(
        kind,
        summary,
        cause,
        fix,
        tuple(dict.fromkeys(subjects)),
        frozenset(["http"]),
        layer="http",
        difference=between,
        status=status,
    )
