"""`[cache.<name>]`: entries that the application keeps in Redis, each with a traced subject's answer."""

from typing import Annotated, Literal

import msgspec

from devenv.config.types import Section, Text

CacheType = Literal["string", "list", "hash"]


class Cache(Section, frozen=True):
    """`key` is a template such as `conv:{person.uuid}`, with the placeholders of the subject `[trace.<subject>]`.

    `subject` is the section's own name where nothing else is said, `service` the project's only Redis. A `string` holds
    JSON; a `list` or a `hash` holds JSON in each element. `items` is the place of the list in it, `id` the id's name,
    `fields` maps the subject's fields to other names; by default these are those of the function's answer. `ttl_s` is
    how long an entry lives, `limit` how many elements it has at most.
    """

    key: Text
    service: str = ""
    subject: str = ""
    type: CacheType = "string"
    ttl_s: Annotated[int, msgspec.Meta(ge=1)] | None = None
    items: str = ""
    id: str | None = None
    fields: dict[str, str] = {}
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
