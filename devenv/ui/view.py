"""Pages from templates: everything escaped, control characters as escapes, one JSON document for each page."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup

from devenv import __version__
from devenv.config.masking import hide
from devenv.core.plural import number_of
from devenv.render.page import shown

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from devenv.ui.site import Site

# The pages, in the order of the head line: path, name.
NAVIGATION: Final = (
    ("/", "Stack"),
    ("/data", "Data"),
    ("/trace", "Trace"),
    ("/doctor", "Doctor"),
    ("/requests", "Requests"),
    ("/patterns", "Patterns"),
)


COLUMN: Final = re.compile(r"([a-z_]\w*\.[a-z_]\w*)\.[a-z_]\w*")
# An ISO 8601 time, or an address up to its path.
UNBROKEN: Final = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?\b"
    r"|\b[a-z]{2,12}://[\w.:@-]{1,64}/?"
)


@dataclass(frozen=True)
class Page:
    """A handler's answer: as HTML by `template`, or as `document` in JSON. `words`: the command that does it."""

    template: str
    title: str
    values: Mapping[str, Any]
    document: Mapping[str, Any]
    words: Sequence[str] = ()
    status: int = 200
    more: Mapping[str, str] = field(default_factory=dict)


def respond(site: Site, request: Request, page: Page) -> Response:
    """The answer to a request. A part of a page (asked for by htmx) comes without the frame."""
    from starlette.responses import HTMLResponse
    from starlette.responses import Response as Plain

    if request.query_params.get("format") == "json":
        text = json.dumps(page.document, indent=2, default=str, ensure_ascii=False)
        return Plain(text + "\n", page.status, media_type="application/json", headers=dict(page.more))
    values = {
        "title": page.title,
        "project": site.name,
        "navigation": NAVIGATION,
        "path": request.url.path,
        "json_address": json_address(request),
        "command": command(page.words),
        "write": site.options.write,
        **page.values,
    }
    return HTMLResponse(render(page.template, values), page.status, headers=dict(page.more))


def command(words: Sequence[str]) -> str:
    """A command as one types it; "" for none."""
    return shlex.join(["devenv", *words]) if words else ""


def json_address(request: Request) -> str:
    """This page's address as JSON."""
    return f"{request.url.path}?{request.url.query}{'&' if request.url.query else ''}format=json"


def render(template: str, values: Mapping[str, Any]) -> str:
    """A template of this package, without the secrets that this process has read."""
    return hide(environment().get_template(template).render(version=__version__, **values))


def fragment(template: str, macro: str, *values: Any) -> str:
    """A part of a page: what one macro of a template gives."""
    module = environment().get_template(template).module
    return hide(str(getattr(module, macro)(*values)))


@cache
def environment() -> jinja2.Environment:
    """The templates, with what all of them use."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("devenv.ui"),
        autoescape=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (ago, amount, number_of, command, pretty, megabytes, whole, parted, place)
    found.filters.update({each.__name__: each for each in filters})
    return found


def ago(moment: str | float | None) -> str:
    """How long ago something was (ISO 8601 or epoch seconds): `3 min`, `2 h 10 min`; "" when it is not known."""
    if moment is None:
        return ""
    try:
        then = moment if isinstance(moment, float | int) else datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return ""
    return amount(max(0.0, datetime.now(UTC).timestamp() - then))


def amount(seconds: float) -> str:
    """A length of time in at most two units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if days < 1 else f"{days} d {hours % 24} h"


def whole(value: Any) -> Markup:
    """A text whose times stay in one piece as far as there is room, and whose addresses break behind a slash."""
    text = shown(value)
    if not isinstance(text, str):
        return Markup.escape(text)
    parts, place = [], 0
    for found in UNBROKEN.finditer(text):
        parts.append(Markup.escape(text[place : found.start()]))
        place = found.end()
        for piece in re.split(r"(?<=\dT)|(?<=\d )", found[0]):
            parts.append(Markup('<span class="whole">{}</span><wbr>').format(piece))
    return Markup("").join([*parts, Markup.escape(text[place:])])


def place(subject: Any) -> str:
    """The address on the Data page of what a finding names: of a column its table, of any other text a search."""
    if found := COLUMN.fullmatch(str(subject)):
        return f"/data?{urlencode({'table': found[1]})}"
    return f"/data/find?{urlencode({'value': str(subject)})}"


def parted(name: str) -> Markup:
    """A name that breaks behind an underscore, where there is no room."""
    return Markup("_<wbr>").join(Markup.escape(shown(part)) for part in name.split("_"))


def megabytes(size: int | None) -> str:
    """Bytes as `12 MB`; "" when not known."""
    return "" if size is None else f"{size / 1e6:,.0f} MB"


def pretty(value: Any) -> Markup:
    """A plain value as indented JSON, escaped."""
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    return Markup("\n").join(Markup.escape(shown(line)) for line in text.split("\n"))


@cache
def asset(name: str) -> bytes:
    """A file of this package's `static` folder; the style sheet begins with that of the trace page."""
    own = resources.files("devenv.ui").joinpath("static", name).read_bytes()
    if name != "ui.css":
        return own
    return resources.files("devenv.render").joinpath("trace_page.css").read_bytes() + own
