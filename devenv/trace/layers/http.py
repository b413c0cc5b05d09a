"""Layer `http`: what the API answers to a member, to a stranger, to nobody, and what the application logs meanwhile."""

from __future__ import annotations

import html
import http.client
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from devenv.config.trace import TraceRequest
from devenv.core.late import late
from devenv.core.templates import Unknown, names_in
from devenv.core.value import Value
from devenv.host import processes
from devenv.patterns.declared import DIRECTIONS
from devenv.trace.answers import Form, by_kind, forms_of_answer, names_of_entries, read_answer, unplaced
from devenv.trace.judge.fault import last_error, raised_below
from devenv.trace.judge.http import NEWER, is_untold, judge_http
from devenv.trace.layer import Given, Layer
from devenv.trace.layers import lost
from devenv.trace.layers.between import kept_by_cache, no_json
from devenv.trace.layers.log import read_log_of, size_of
from devenv.trace.layers.origins import find_origins, own_environment
from devenv.trace.layers.pages import (
    Ask,
    exposes_link,
    leads_back,
    named_elsewhere,
    next_page,
    own_address,
    signature,
    span_of,
    trouble_of,
)
from devenv.trace.layers.requests import needs_token, not_ours, requests_of
from devenv.trace.layers.services import was_left_out
from devenv.trace.layers.token_readers import refused_token
from devenv.trace.layers.unset_variables import find_unset_variables
from devenv.trace.observation import Answer, HttpObservation, NextPage, Observation
from devenv.trace.question import TraceContext
from devenv.trace.sources import newer_code

MAX_BYTES: Final = 50_000_000
MAX_PAGES: Final = 100
MAX_REDIRECTS: Final = 3
UNAUTHORISED: Final = 401
SERVER_FAILED: Final = 500
UNTOLD: Final = "no group or link tells"
SHOWN_LINES: Final = 4
DETAIL: Final = 300
PAGE: Final = 16 * 1024
FIRST_WORDS: Final = 120
REFUSAL: Final = 64 * 1024
MARKUP: Final = late(r"\s*<(?:!doctype|html|head|body|h1|title|center)\b", re.IGNORECASE)
TITLE: Final = late(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
UNSEEN: Final = late(r"<(style|script)\b.*?</\1>", re.IGNORECASE | re.DOTALL)
TAG: Final = late(r"<[^>]*>")
# Headers that may come several times: together they are one list.
LISTS: Final = ("link", "access-control-expose-headers")
CHUNK: Final = 1 << 16
# A map with only such names says that something went wrong, whatever the status says.
ERROR_WORDS: Final = frozenset(
    ["error", "errors", "message", "msg", "detail", "details", "reason", "code", "status", "ok", "success"]
)


class Raw(Value, frozen=True):
    """One answer as it came. `problem` and `redirected` as in `Answer`; `body` may be cut off."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes
    problem: Any = None
    detail: str | None = None
    redirected: str | None = None


def observe(inquiry: TraceContext, given: Given) -> HttpObservation:
    """Ask as a member, as a stranger and without a token, at the same time. DevenvError when no token can be made."""
    declared = inquiry.question.trace.request
    url = inquiry.facts.context.targets.backend_url
    if declared is None:
        return HttpObservation(unasked="the subject declares no request")
    if url is None:
        return HttpObservation(unasked="the project has no [backend] to send the request to", declared=True)
    place = urlsplit(url)
    if was_left_out(inquiry.facts.context) and not processes.answers(place.hostname or "", place.port):
        return HttpObservation(unasked="the application was not started: devenv up", declared=True)
    if inquiry.application.other is not None:
        return HttpObservation(unasked=inquiry.application.other, declared=True)
    try:
        asks = requests_of(inquiry, declared, url, given.person, given.stranger)
    except Unknown as error:
        unasked = inquiry.without_value(error.name, given.person, "the request")
        return HttpObservation(unasked=unasked, declared=True)
    if any(ask.secret for ask in asks.values()) and (why := not_ours(inquiry, url)):
        return HttpObservation(unasked=why, declared=True)
    forms = forms_of_answer(inquiry.question.trace, "http")
    answers, later, lines = ask_all(inquiry, declared, forms, asks)
    ended: list[str] = []
    # All of it takes at most as long again as one request may.
    end = time.monotonic() + declared.seconds
    while (words := lost.ended_connection(declared.method, answers.values(), lines)) and len(ended) < lost.TRIES:
        if time.monotonic() > end:
            break
        ended.append(words)
        answers, later, lines = ask_all(inquiry, declared, forms, asks)
    if (told := answers.get("preflight")) is not None and told.problem == "not_json":
        answers["preflight"] = replace(told, problem=None, detail=None)  # only its headers matter
    old = newer_code(inquiry)
    if inquiry.settings.token is None and answers["member"].status == UNAUTHORISED:
        why = f"it answers {UNAUTHORISED} to a request without a token, and devenv.toml declares no [token]"
        return HttpObservation(unasked=why, declared=True, log=lines)
    return HttpObservation(
        request={"method": declared.method, "url": asks["member"].url, "who": list(asks), "origin": declared.origin},
        output={
            "answers": [{"who": who, **summary(answer)} for who, answer in answers.items()],
            "later": [
                {"who": who, "url": answers["member"].following[0].url, "status": answer.status or answer.problem}
                for who, answer in later.items()
            ],
            "log": None if lines is None else list(lines),
            "code_changed": old,
        },
        entries=answers["member"].entries,
        member=answers["member"],
        anonymous=answers.get("anonymous"),
        stranger=answers.get("stranger"),
        preflight=answers.get("preflight"),
        origins=tuple(find_origins(own_environment(inquiry), declared.origin)) if declared.origin else (),
        later=later,
        log=lines,
        uncovered=tuple(find_uncovered(declared, answers, given)),
        notes=(
            *unplaced(forms, answers["member"].entries),
            *([f"{old} {NEWER}"] if old else []),
            *([lost.note(len(ended), ended[-1])] if ended and words is None else []),
        ),
        code_changed=old,
        unset=find_unset_variables(inquiry, lines),
        token_advice=refused_token(inquiry.facts.context.root) if refuses_token(inquiry, answers["member"]) else None,
    )


def refuses_token(inquiry: TraceContext, member: Answer) -> bool:
    """Return True if the application answers 401 to a token with claims of devenv.toml."""
    token = inquiry.settings.token
    return token is not None and bool(token.claims) and member.status == UNAUTHORISED


def ask_all(
    inquiry: TraceContext, declared: TraceRequest, forms: Sequence[Form], asks: Mapping[str, Ask]
) -> tuple[dict[str, Answer], dict[str, Answer], tuple[str, ...] | None]:
    """User -> the answer; the same for the member's second page; what was logged meanwhile."""
    log = inquiry.application.log
    mark = size_of(log)
    with ThreadPoolExecutor(len(asks)) as pool:
        pages = pool.map(lambda ask: ask_pages(inquiry, declared, forms, ask), asks.values())
        answers = dict(zip(asks, pages, strict=True))
        later = ask_later(pool, declared, forms, asks, answers["member"])
    failed = (answers["member"].status or 0) >= SERVER_FAILED
    return answers, later, read_log_of(log, mark, failed=failed)


def ask_later(
    pool: ThreadPoolExecutor,
    declared: TraceRequest,
    forms: Sequence[Form],
    asks: Mapping[str, Ask],
    member: Answer,
) -> dict[str, Answer]:
    """User -> the answer to the request for the member's second page, of those who must not read it.

    Not asked where the address itself has the member's token.
    """
    second = member.following[0] if member.following else None
    url = own_address(asks["member"].url, second.url) if second is not None and second.trouble is None else None
    if url is None or "token" in names_in(declared.path):
        return {}
    others = [who for who in ("anonymous", "stranger") if who in asks]
    found = pool.map(lambda who: read(follow(declared, replace(asks[who], url=url))[0], forms), others)
    return dict(zip(others, found, strict=True))


def find_uncovered(declared: TraceRequest, answers: Mapping[str, Answer], given: Given) -> Iterator[str]:
    """The declared parts of the request that were not sent, in words."""
    for who, statuses in (("anonymous", declared.anonymous), ("stranger", declared.stranger)):
        if statuses and who not in answers:
            reason = "no such person is known" if given.estranged else f"{UNTOLD} who may read this"
            unsigned = "the request carries neither {token} nor {person.COLUMN} in a header"
            reason = reason if needs_token(declared) else unsigned
            yield f"the answer {'without a token' if who == 'anonymous' else 'to a stranger'} ({reason})"
    member = answers["member"]
    if is_untold(member, belongs=given.belongs):
        yield f"the answer to a user who may read this ({UNTOLD} who that is; name one: --user)"
    if member.more and not (member.following and member.following[-1].trouble):
        yield f"the pages after the first {member.pages}"


def summary(answer: Answer) -> dict[str, Any]:
    return {
        "status": answer.status,
        "problem": answer.problem,
        "media": answer.media,
        "count": None if answer.entries is None else len(answer.entries),
        "size": answer.size,
        "pages": answer.pages,
        "more": answer.more,
        "next": [
            {
                "page": one.number,
                "url": one.url,
                "by": one.header or "next",
                "status": one.status,
                "trouble": one.trouble,
            }
            for one in answer.following
        ],
        "cors": answer.cors,
        "location": answer.location,
        "redirected": answer.redirected,
        "shape": answer.shape,
        "detail": answer.detail,
        "ms": round(answer.ms, 1),
    }


def ask_pages(inquiry: TraceContext, declared: TraceRequest, forms: Sequence[Form], ask: Ask) -> Answer:
    """An answer with all its pages, as one. A page that fails is the last one; pages of a failed answer are not asked.

    A page without anything new ends them, too, unless it is empty and names a further one.
    """
    began = time.perf_counter()
    raw, ask = follow(declared, ask)
    answer = read(raw, forms)
    exposed = exposes_link(raw.headers)
    entries = list(answer.entries or ())
    seen = {signature(entry) for entry in entries}
    spans = [span_of(inquiry, entries)]
    found: list[NextPage] = []
    asked = {ask.url: 1}
    step = next_page(inquiry, declared, ask, raw.headers, answer.entries, 2) if answer.entries is not None else None
    while step is not None and len(found) + 1 < MAX_PAGES:
        page = step.page
        if step.ask is not None and step.ask.url in asked:
            page = leads_back(page, asked[step.ask.url])
        if step.ask is None or page.trouble is not None:
            found.append(page)
            break
        asked[step.ask.url] = page.number
        raw, ask = follow(declared, step.ask)
        told = read(raw, forms)
        if trouble := trouble_of(told, answer.media):
            kind, words = trouble
            found.append(replace(page, kind=kind, trouble=words, status=told.status, detail=told.detail))
            break
        brought = told.entries or ()
        new = [entry for entry in brought if signature(entry) not in seen]
        again = tuple(entry.id or "?" for entry in brought if signature(entry) in seen)
        found.append(replace(page, status=told.status, repeated=again, ids=tuple(one.id or "?" for one in new)))
        spans += [span_of(inquiry, brought)] if brought else []
        step = next_page(inquiry, declared, ask, raw.headers, brought, page.number + 1) if new or not brought else None
        # Pages go from new to old; an answer that is oldest first has the older page before it.
        entries = [*new, *entries] if declared.order and DIRECTIONS[declared.order] == "ascending" else [*entries, *new]
        seen |= {signature(entry) for entry in new}
    return replace(
        answer,
        entries=None if answer.entries is None else by_kind(entries, [form.kind for form in forms]),
        pages=1 + sum(page.trouble is None for page in found),
        more=step is not None,
        ms=(time.perf_counter() - began) * 1000,
        spans=tuple(span for span in spans if span is not None) if None not in spans else (),
        repeated=tuple(dict.fromkeys(name for page in found for name in page.repeated)),
        following=tuple(found),
        exposed=exposed if found and found[0].header and not declared.next else None,
    )


def follow(declared: TraceRequest, ask: Ask) -> tuple[Raw, Ask]:
    """One answer, redirects within the same host followed, and the request that it is the answer to."""
    end = time.monotonic() + declared.seconds
    raw = send(ask, end)
    redirected = None
    for _ in range(MAX_REDIRECTS):
        if raw.status not in (301, 302, 303, 307, 308) or ask.method != "GET":
            break
        url = urljoin(ask.url, raw.headers.get("location", ""))
        if urlsplit(url).netloc != urlsplit(ask.url).netloc or url == ask.url:
            break
        redirected = redirected or f"{raw.status} to {urlsplit(url).path}"
        ask = replace(ask, url=url)
        raw = send(ask, end)
    return replace(raw, redirected=redirected), ask


def send(ask: Ask, end: float) -> Raw:
    """One request; it must be answered completely before `end` (monotonic seconds)."""
    url = urlsplit(ask.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    limit = end - time.monotonic()
    connection = kind(url.hostname or "127.0.0.1", url.port, timeout=max(0.05, limit))
    try:
        target = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
        connection.request(ask.method, target, ask.body, dict(ask.headers))
        response = connection.getresponse()
        headers = {name.lower(): text for name, text in response.getheaders()}
        for name in LISTS:
            if name in headers:
                headers[name] = ", ".join(response.headers.get_all(name) or ())
        body = bytearray()
        while chunk := response.read(CHUNK):
            body += chunk
            if len(body) > MAX_BYTES:
                return Raw(response.status, headers, b"", "too_large", f"it has more than {MAX_BYTES // 1_000_000} MB")
            if time.monotonic() > end:
                raise TimeoutError
        return Raw(response.status, headers, bytes(body))
    except TimeoutError:
        return Raw(None, {}, b"", "timed_out", f"no complete answer within {limit:.0f} s")
    except ConnectionRefusedError as error:
        return Raw(None, {}, b"", "refused", f"{url.netloc}: {error}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Raw(None, {}, b"", "broken", f"{type(error).__name__}: {error}")
    finally:
        connection.close()


# --- answers ---


def read(raw: Raw, forms: Sequence[Form]) -> Answer:
    """An answer with its entries."""
    answer = Answer(
        status=raw.status,
        problem=raw.problem,
        detail=raw.detail,
        cors=raw.headers.get("access-control-allow-origin"),
        location=raw.headers.get("location"),
        redirected=raw.redirected,
        media=raw.headers.get("content-type"),
        encoding=encoding if (encoding := raw.headers.get("content-encoding")) != "identity" else None,
        size=len(raw.body),
        unread=named_elsewhere(raw.headers),
        kept=kept_by_cache(raw.headers),
        refusal=raw.body[:REFUSAL].decode("utf-8", "replace") if (raw.status or 0) >= 300 else "",
    )
    if raw.status is None or raw.problem is not None:
        return answer
    if answer.encoding is not None:
        return replace(
            answer, problem="not_json", detail=f"it is encoded ({answer.encoding}), which the request did not accept"
        )
    if not raw.body.strip():
        return replace(answer, empty=True)
    try:
        # UTF-8 is the only one that JSON is sent in (RFC 8259), and that browsers read.
        value = json.loads(raw.body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if raw.status >= 300:
            return replace(answer, detail=words_of(raw.body))
        return replace(answer, problem="not_json", detail=no_json(raw.body, error))
    if raw.status >= 300:
        return replace(answer, detail=reason_of(value))
    entries, shape = read_answer(value, forms)
    empty = value is None or (isinstance(value, Mapping) and set(value) <= ERROR_WORDS and entries is None)
    detail = reason_of(value) if empty else None
    names = names_of_entries(value, forms)
    return replace(answer, entries=entries, shape=shape, empty=empty, detail=detail, names=names)


def words_of(body: bytes) -> str:
    """The words of an error that is no JSON: of a page of HTML its title, else the first words."""
    text = body[:PAGE].decode("utf-8", "replace")
    if not MARKUP.match(text):
        return " ".join(text.split())[:DETAIL]
    title = TITLE.search(text)
    words = title[1] if title and title[1].strip() else TAG.sub(" ", UNSEEN.sub(" ", text))
    return " ".join(html.unescape(words).split())[:FIRST_WORDS]


def reason_of(value: Any) -> str | None:
    """Return what an error says of itself."""
    if isinstance(value, Mapping):
        for name in ("reason", "detail", "error", "message", "errors", "msg"):
            if value.get(name):
                found = value[name]
                return (found if isinstance(found, str) else json.dumps(found))[:DETAIL]
        return None
    return value[:DETAIL] if isinstance(value, str) else None


def summarize(seen: Observation) -> str:
    """Summarise the answer for each user."""
    answers = seen.output.get("answers") or ()
    return ", ".join(f"{answer['who']} {answer['status'] or answer['problem']}" for answer in answers)


def evidence(seen: Observation) -> Iterator[tuple[str, str]]:
    """Every answer, and the last lines of the log."""
    for answer in seen.output.get("answers") or ():
        status = answer["status"] if answer["status"] is not None else answer["problem"]
        yield "answer", f"{status} to {answer['who']}" + (f": {answer['detail']}" if answer["detail"] else "")
    for answer in seen.output.get("later") or ():
        yield "answer", f"{answer['status']} to {answer['who']} for the next page"
    lines = seen.output.get("log") or ()
    last = last_error(lines)
    # Under an error of Node are its frames and properties: the error itself says more.
    for line in lines[-SHOWN_LINES:] if last is None or not raised_below(lines[last + 1 :]) else lines[last : last + 1]:
        yield "log", line


def attributes(seen: Observation) -> Mapping[str, Any]:
    """The request and the statuses of its answers."""
    path = urlsplit(seen.request.get("url") or seen.request.get("path") or "").path
    statuses = {}
    for answer in seen.output.get("answers") or ():
        name = "http" if answer["who"] == "member" else f"devenv.http.{answer['who']}"
        statuses[f"{name}.response.status_code"] = answer["status"]
    return {"http.request.method": seen.request.get("method"), "url.path": path, **statuses}


LAYER: Final = Layer(
    name="http",
    question="What does the API return to a member, to a stranger and without a token?",
    observe=observe,
    needs=("postgres",),
    judge=judge_http,
    summarize=summarize,
    evidence=evidence,
    attributes=attributes,
    empty=HttpObservation,
)
