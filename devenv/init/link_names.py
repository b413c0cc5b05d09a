"""Names by which an attribute of an item refers to a column of Postgres. Pure."""

from __future__ import annotations

import re
from typing import Final

from devenv.init.entities import ID_NAMES, FoundEntity, singular, snake
from devenv.init.sql_tables import DeclaredTable

# Columns whose values name a row as its id does.
CODES: Final = ("code", "slug", "number", "serial", "sku", "ref", "isbn", "barcode")
# Types of columns, in whatever dialect, whose values are numbers.
NUMBERS: Final = re.compile(r"int|serial|numeric|decimal|auto", re.IGNORECASE)
ID_WORD: Final = re.compile(r"_(uuid|guid|id)$", re.IGNORECASE)


def is_called_after(field: str, table: DeclaredTable, column: str) -> bool:
    """`user_uuid`, `my_user_uuid` for `users.uuid`."""
    return column in ID_NAMES and f"_{snake(field)}".endswith(f"_{singular(table.name)}_{column}")


def is_mirrored(entity: FoundEntity, field: str, table: DeclaredTable, column: str) -> bool:
    """Return True for the key `Id` of items `customer` and of rows of `Customers`: one thing in both stores."""
    thing = singular(snake(entity.name)) == singular(snake(table.name))
    return thing and not entity.match and snake(field) == snake(column) and snake(field) in ID_NAMES


def is_called_alike(field: str, table: DeclaredTable, column: str) -> bool:
    """`customer_id` for `customers.customer_id`, `ticketCode` for a unique `tickets.code`."""
    named = column in CODES and snake(field) == f"{singular(table.name)}_{column}"
    return named or (field == column and ID_WORD.search(field) is not None)
