"""Faults of answers: pages that overlap or leave a gap, statuses that are not declared, media types, encodings."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.faults.trace.bench import GROUP, Bench
from tests.faults.trace.breaks import PAGE, Answers, Fault, code, route

BEFORE = 'page[0]["created_at"]'
LINK = """\
    page = found[-limit:]
    if len(found) > limit:
        link_older(request, response, {}, limit)
    return page"""
PLAIN = """\
    import json
    page = found[-limit:]
    if len(found) > limit:
        link_older(request, response, page[0]["created_at"], limit)
    body = json.dumps(page).encode()
    return Response({}, headers={{**dict(response.headers){}}}, media_type="{}")"""
AGAIN = "    if before is not None:\n"
REFUSED = '    raise HTTPException(401, reason, {"WWW-Authenticate": "Bearer"})'
MEMBERS = '    messages.require_member(message_group_uuid=group, user_uuid=me["uuid"])\n'


def pages(before: str) -> Callable[[Bench], None]:
    """The next page begins elsewhere."""
    return route(LINK.format(before))


def plain(body: str = "body", headers: str = "", media: str = "application/json") -> Callable[[Bench], None]:
    """The same answer, sent in another way."""
    return route(PLAIN.format(body, headers, media))


def stranger(lines: str) -> Callable[[Bench], None]:
    """A user who is not a member gets another answer."""
    inside = "".join(f"        {line}\n" for line in lines.splitlines())
    return code(
        "app.py",
        (MEMBERS, f"    try:\n    {MEMBERS}    except messages.NotAMember:\n{inside}"),
        ('-> list[messages.Message]:\n    """The newest messages', '-> Any:\n    """The newest messages'),
    )


def nobody(line: str) -> Callable[[Bench], None]:
    """A request without a token gets another answer."""
    return code("app.py", (REFUSED, f"    {line}"))


def sent_otherwise(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if the media type or the encoding is not what it was: `answers` does not hold them."""
    url = urlsplit(bench.env["BACKEND_URL"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=6)
    try:
        headers = {"Authorization": f"Bearer {bench.token('ines')}"}
        connection.request("GET", f"/api/messages/{GROUP}", headers=headers)
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    return (response.getheader("content-type"), response.getheader("content-encoding")) != ("application/json", None)


def linked(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if the pages behind the first are others: `answers` holds no second page by its link."""
    return second_page(bench) != second_page(None)


SECOND: dict[str, str] = {}


def second_fails(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if the second page is no list of messages."""
    status, body, _ = fetch(bench, link_of(second_page(bench)))
    return status != 200 or not body.startswith(b"[")


def itself(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if the second page names itself as the next one."""
    link = second_page(bench)
    return fetch(bench, link_of(link))[2] == link


def second_open(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if a user who is not a member gets the second page."""
    return fetch(bench, link_of(second_page(bench)), "mei")[0] == 200


def hidden(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if a browser's page may no longer read the Link header."""
    url = urlsplit(bench.env["BACKEND_URL"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=6)
    try:
        connection.request("GET", "/openapi.json", headers={"Origin": "http://localhost:3000"})
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    return response.getheader("access-control-expose-headers") is None


def link_of(header: str) -> str:
    """The address in a Link header."""
    return header.partition("<")[2].partition(">")[0]


def second_page(bench: Bench | None) -> str:
    """The link to the second page; of the sound application without a bench."""
    if bench is None:
        return SECOND["link"]
    return fetch(bench, f"/api/messages/{GROUP}")[2]


def fetch(bench: Bench, path: str, user: str = "ines") -> tuple[int, bytes, str]:
    """The status, the body and the Link of an answer."""
    url = urlsplit(bench.env["BACKEND_URL"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=6)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {bench.token(user)}"})
        response = connection.getresponse()
        body = response.read()
        return response.status, body, str(response.getheader("link"))
    finally:
        connection.close()


def remembering(inject: Callable[[Bench], None]) -> Callable[[Bench], None]:
    """Inject, and remember the link that the sound application gave."""

    def remembered(bench: Bench) -> None:
        SECOND["link"] = second_page(bench)
        inject(bench)

    return remembered


def cursor(name: str, before: str) -> Fault:
    """A fault of the next page."""
    return Fault(name, 30, "http", "cursor", remembering(pages(before)), changed=linked, names=("before",))


ANSWERS: tuple[Fault, ...] = (
    cursor("pages overlap by one", 'page[1]["created_at"]'),
    cursor("pages overlap by ten", 'page[10]["created_at"]'),
    cursor("the next page begins behind the newest", 'page[-1]["created_at"]'),
    cursor("the cursor is cut to the day", 'page[0]["created_at"][:10]'),
    cursor("the cursor is cut to the month", 'page[0]["created_at"][:7] + "-02"'),
    cursor(
        "a page is skipped",
        'messages.list_messages(message_group_uuid=group, before=page[0]["created_at"])[-9]["created_at"]',
    ),
    Fault(
        "a Link to a path that is not there",
        30,
        "http",
        "status",
        remembering(code("app.py", ('f\'<{request.scope["path"]}?', 'f\'<{request.scope["path"][4:]}?'))),
        changed=linked,
        names=("Link", "404"),
    ),
    Fault(
        "the second page is HTML",
        30,
        "http",
        "not_json",
        route(f"{AGAIN}        return Response('<html>', media_type='text/html')\n{PAGE}"),
        changed=second_fails,
        names=("page 2", "text/html"),
    ),
    Fault(
        "the second page fails",
        30,
        "http",
        "status",
        route(f"{AGAIN}        raise ValueError(before)\n{PAGE}"),
        changed=second_fails,
        names=("page 2", "500"),
    ),
    Fault(
        "a Link to itself",
        30,
        "http",
        "cursor",
        pages('before or page[0]["created_at"]'),
        changed=itself,
        names=("Link",),
    ),
    Fault(
        "a stranger may read the second page",
        40,
        "http",
        "open_to_strangers",
        code("app.py", (MEMBERS, f"{AGAIN.replace('is not', 'is')}    {MEMBERS}")),
        changed=second_open,
        names=("not a member", "page"),
    ),
    Fault(
        "Link is not exposed",
        41,
        "http",
        "cors",
        code("app.py", ('expose_headers=["Link"],', "")),
        changed=hidden,
        names=("Link", "Access-Control-Expose-Headers"),
    ),
    Fault(
        "JSON as text", 39, "http", "not_json", plain(media="text/plain"), changed=sent_otherwise, names=("text/plain",)
    ),
    Fault(
        "JSON as HTML", 39, "http", "not_json", plain(media="text/html"), changed=sent_otherwise, names=("text/html",)
    ),
    Fault(
        "JSON as bytes",
        39,
        "http",
        "not_json",
        plain(media="application/octet-stream"),
        changed=sent_otherwise,
        names=("application/octet-stream",),
    ),
    Fault(
        "compressed unasked",
        39,
        "http",
        "not_json",
        plain("__import__('gzip').compress(body)", ', "Content-Encoding": "gzip"'),
        changed=sent_otherwise,
        names=("Content-Encoding", "gzip"),
    ),
    Fault(
        "said to be compressed",
        39,
        "http",
        "not_json",
        plain(headers=', "Content-Encoding": "br"'),
        changed=sent_otherwise,
        names=("Content-Encoding", "br"),
    ),
    Fault(
        "a stranger gets 404",
        40,
        "http",
        "status",
        stranger('raise HTTPException(404, "no such conversation")'),
        names=("404", "not a member"),
    ),
    Fault("a stranger gets an empty list", 40, "http", "status", stranger("return []"), names=("200", "not a member")),
    Fault(
        "a stranger gets 500", 40, "http", "status", stranger('raise KeyError("member")'), names=("500", "not a member")
    ),
    Fault(
        "a stranger gets 401",
        40,
        "http",
        "status",
        stranger('raise HTTPException(401, "not you")'),
        names=("401", "not a member"),
    ),
    Fault(
        "nobody gets 403",
        40,
        "http",
        "status",
        nobody('raise HTTPException(403, "forbidden")'),
        names=("403", "without a token"),
    ),
    Fault("nobody gets 500", 40, "http", "status", nobody('raise KeyError("token")'), names=("500", "without a token")),
    Fault(
        "nobody gets 400",
        40,
        "http",
        "status",
        nobody('raise HTTPException(400, "no token")'),
        names=("400", "without a token"),
    ),
)
