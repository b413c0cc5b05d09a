"""Links suggested by a project's own declarations: shown if no links are declared. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.config.schema import Settings


def suggested_links(settings: Settings) -> Iterator[str]:
    """`[[links]]` tables as one line each, for the entities' fields that are called after the person's id."""
    person = settings.person
    if person is None:
        return
    table = person.table.rpartition(".")[2]
    linked = {link.source for link in settings.links}
    for entity in settings.entities.values():
        for field in entity.attributes:
            if not owns(field, table, person.id):
                continue
            place = next((a for a, template in entity.match.items() if f"{{{field}}}" in template), None)
            source = f"dynamodb:{entity.table}.{field}"
            if place is not None:
                part = re.sub(r"\{\w+\}", "{}", entity.match[place])
                source = f"dynamodb:{entity.table}.{place}" + (f"[{part}]" if part != "{}" else "")
            if source not in linked:
                yield f'[[links]] from = "{source}", to = "postgres:{table}.{person.id}"'


def owns(field: str, table: str, column: str) -> bool:
    """Return True if a field is called after a table's column: `user_id`, `my_user_id`, `userId` for `users.id`."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field).lower()
    return plain == f"{table.removesuffix('s')}_{column}" or plain.endswith(f"_{table.removesuffix('s')}_{column}")
