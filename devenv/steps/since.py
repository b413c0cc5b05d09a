"""How what a step loaded stands now: a value for the step's reason. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from devenv.core.plural import number_of

# So many rows or items a look compares one by one; doctor compares all.
LIMIT: Final = 1_000
SHOWN: Final = 1


class Since(msgspec.Struct, frozen=True):
    """Rows or items (`what`) that a step loaded: how many, and which of them were deleted or changed since."""

    what: str
    number: int
    deleted: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    compared: bool = True

    @property
    def words(self) -> str:
        """`; 1 of 162 items has since been deleted: MSG#…`: what to add to a reason. Empty when all are as loaded."""
        if not self.compared:
            many = f"it loaded more than {LIMIT:,} {self.what}s"
            return f"; {many}, so they were not compared one by one (devenv doctor compares them)"
        text = ""
        for verb, places in (("deleted", self.deleted), ("changed by hand", self.changed)):
            if places:
                has = "has" if len(places) == 1 else "have"
                more = f" and {len(places) - SHOWN:,} more" if len(places) > SHOWN else ""
                all_ = number_of(self.number, self.what)
                text += f"; {len(places):,} of {all_} {has} since been {verb}: {places[0]}{more}"
        return text
