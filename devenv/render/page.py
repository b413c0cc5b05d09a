"""Pages of HTML from `templates/`: no network, no script, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from devenv import __version__
from devenv.render.cells import clean


def shown(value: Any) -> Any:
    """A value for a template: control and direction characters of stored text as escapes."""
    return value if isinstance(value, Markup) else clean(str(value))


def render_page(
    template: str,
    style: str,
    title: str,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]] | None = None,
) -> str:
    """The page of a template of this package, with one of its style sheets."""
    folder = resources.files(__package__)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("devenv.render"),
        autoescape=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters or {})
    sheet = folder.joinpath(style).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    return environment.get_template(template).render(
        title=title,
        style=Markup(sheet),  # noqa: S704 - a file of ours
        digest=Markup(digest),  # noqa: S704 - base64
        version=__version__,
        **values,
    )
