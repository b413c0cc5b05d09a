"""The giver of the entries that an answer is compared with, in words: the declared function, or the stores. Pure."""

from __future__ import annotations

from devenv.trace.observation import Observations


def name_of(seen: Observations) -> str:
    """`the function` where a declared one gave the entries; `the stores` where devenv read them itself."""
    return "the stores" if seen.library.ran is None else "the function"


def all_lost(seen: Observations) -> str:
    """The place where a whole list is lost."""
    return f"the list is lost between {name_of(seen)} and the answer"


def gives(seen: Observations) -> str:
    """`entries, none of which …`."""
    return "devenv reads from the stores" if seen.library.ran is None else "the function returns"


def gives_not(seen: Observations) -> str:
    """`an entry that …`."""
    return "devenv does not read from the stores" if seen.library.ran is None else "the function does not return"
