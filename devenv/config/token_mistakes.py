"""The mistakes that `[token]` and `[person]` can have. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from devenv.core.templates import names_in

if TYPE_CHECKING:
    from devenv.config.schema import Settings


def person_mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    """(key, sentence): only SQL files and migrations leave a place for the statement that fills a placeholder."""
    person, setup = settings.person, settings.steps.setup
    if person is None or person.sign_in_placeholder is None:
        return
    if person.sign_in is None:
        yield "sign_in_placeholder", "needs `sign_in`, the column that contains the placeholder"
    if setup.command or not (setup.files or setup.migrations):
        yield "sign_in_placeholder", "step setup replaces the placeholder, but has neither `files` nor `migrations`"


def token_mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    """(key, sentence): a token is made in one way; claims and command may use the columns of `[person]`."""
    token, person = settings.token, settings.person
    if token is None:
        return
    ways = [key for key in ("issuer", "env", "column", "command") if getattr(token, key)]
    if len(ways) > 1:
        yield ways[1], f"a token is made with `{ways[0]}` or with `{ways[1]}`, not with both"
    for key in ("user_pool", "client_id"):
        if token.issuer is None and getattr(token, key) is not None:
            yield key, 'needs issuer = "cognito"'
    if token.issuer and "sub" not in token.claims and (person is None or person.sign_in is None):
        yield "issuer", "needs [person] with `sign_in`, the column that has the `sub` of a person"
    if token.column and person is None:
        yield "column", "needs a section [person], which names the table of this column"
    for key, templates in (("claims", token.claims), ("command", token.command)):
        for place in names_in(templates):
            if place.partition(".")[0] == "person" and person is None:
                yield key, f"{{{place}}} needs a section [person]"
