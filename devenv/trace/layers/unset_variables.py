"""Variables that the failing application reads and that have no value, as its log and its code name them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from devenv.steps.unset import meaning_at, named_unset
from devenv.trace.observation import UnsetVariable
from devenv.trace.question import TraceContext

SIMILAR: Final = 0.75


def find_unset_variables(inquiry: TraceContext, lines: Sequence[str] | None) -> tuple[UnsetVariable, ...]:
    """Return those that the logged lines name; none where the variables of the process are not known."""
    settings, environ = inquiry.settings, inquiry.application.environ
    if not lines or settings.backend is None or environ is None:
        return ()
    sections = {**dict.fromkeys(settings.env, "[env]"), **dict.fromkeys(settings.backend.env, "[backend] env")}
    return tuple(unset_in(inquiry.facts.context.root, settings.backend.command or (), lines, environ, sections))


def unset_in(
    root: Path, command: Sequence[str], lines: Sequence[str], environ: Mapping[str, str], sections: Mapping[str, str]
) -> Iterator[UnsetVariable]:
    """Yield variables that the lines name as missing, that the project's code reads, and that `environ` lacks.

    `sections` are the variables that devenv.toml sets, with the section of each. A key that only looks like a variable
    (`KeyError: 'ORDER_ID'` of any dict) is read nowhere as one.
    """
    for name, place in named_unset(root, command, "\n".join(lines)).items():
        if place and name not in environ:
            similar = similar_to(name, sections)
            yield UnsetVariable(name, place, meaning_at(root, name, place), similar, sections.get(similar or ""))


def similar_to(name: str, known: Mapping[str, str]) -> str | None:
    """The known variable that this one may have been: of the same last word, else of similar spelling."""
    same = [one for one in known if one.rpartition("_")[2] == name.rpartition("_")[2]]
    near = difflib.get_close_matches(name, same, n=1, cutoff=0) or difflib.get_close_matches(
        name, known, n=1, cutoff=SIMILAR
    )
    return near[0] if near else None
