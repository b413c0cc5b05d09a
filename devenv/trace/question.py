"""The question: one subject of `[trace.<subject>]` with its parameters, and what a layer needs to ask about it."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from devenv.config.schema import Settings
from devenv.config.trace import Trace
from devenv.core.errors import StoreError, UsageError
from devenv.core.plural import number_of
from devenv.core.value import Value
from devenv.links.facts import SECOND_LOOKS, Facts
from devenv.links.shown import LinkedColumn, LinkedRows, linked_columns
from devenv.links.values import number_text, uuid_text

if TYPE_CHECKING:
    from devenv.links.facts import FactsContext
    from devenv.trace.layers.subject_items import SubjectItems
    from devenv.trace.replay import Replayer

EXAMPLE: Final = "123e4567-e89b-12d3-a456-426614174000"


class RunningTap(Value, frozen=True):
    """The tap of `up --tap`: the address before the application's, and the file that it writes."""

    url: str
    journal: Path


class Application(Value, frozen=True):
    """The application's process: its environment (None: not ours to read), where it works, how it was started.

    `python` is its interpreter where it is one. `started` is epoch seconds. `log` is its log file, if devenv has it.
    `stale`: it was started with other settings than the project has now. `other`: no process of it runs, and a service
    of another devenv project, in words, listens on its port. `tap` is the one that stands before it. `connected` are
    the stores of the project that it has open connections to (None: not known). `digests` are those of the source files
    at its start, by path.
    """

    pid: int | None = None
    environ: Mapping[str, str] | None = None
    folder: Path | None = None
    python: str | None = None
    started: float | None = None
    log: Path | None = None
    stale: bool = False
    other: str | None = None
    tap: RunningTap | None = None
    connected: frozenset[str] | None = None
    digests: Mapping[str, str] = {}


class Question(Value, frozen=True):
    """One trace. `user` is what `--user` gave, `values` the parameters as text, `said` what was read differently."""

    subject: str
    trace: Trace
    values: Mapping[str, str]
    user: str | None = None
    said: tuple[str, ...] = ()

    @property
    def identifier(self) -> str | None:
        """The subject's id: its first parameter."""
        return next(iter(self.values.values()), None)


class TraceContext(Value, frozen=True, dict=True):
    """The inputs of every layer: the question, both stores (read once, shared), and the application.

    `clock` is the trace's beginning (`time.perf_counter`), `began` the same as a moment. `replay` runs the functions of
    stream workers on a scratch copy; None where that cannot be. `row` is column -> text of the row that the subject's
    `sql` finds: layer `postgres` fills it in, and the layers that need that layer read it.
    """

    question: Question
    facts: Facts
    application: Application
    shell: Mapping[str, str] = {}
    replay: Replayer | None = None
    row: dict[str, str] = msgspec.field(default_factory=dict)
    clock: float = msgspec.field(default_factory=time.perf_counter)
    began: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        return self.facts.context.settings

    @cached_property
    def linked(self) -> Mapping[tuple[str, str], LinkedColumn]:
        """(kind, field) -> the column of a linked row that the field shows; the kind is "" where there is one."""
        trace, plan = self.question.trace, self.facts.plan
        return {
            (part.entity if trace.entities else "", name): linked
            for part in trace.kinds
            for name, linked in linked_columns(plan, plan.kind(part.entity), part.fields).items()
        }

    @cached_property
    def chosen(self) -> list[SubjectItems]:
        """The subject's items in the trace's own judgement, as `gather_own` keeps them."""
        return []

    @cached_property
    def linked_rows(self) -> LinkedRows:
        """The rows of linked tables, if the answer shows columns of them and Postgres answers."""
        try:
            return LinkedRows(self.facts.postgres().rows if self.linked else {})
        except StoreError:
            return LinkedRows({})

    def fresh_facts(self, context: FactsContext, looks: int = SECOND_LOOKS) -> Facts:
        """Facts for the same question, read anew."""
        return Facts(context, looks, self.question.trace)

    @property
    def declared_environment(self) -> dict[str, str]:
        """The environment that the application would get now, with the stores' own addresses in any case."""
        context = self.facts.context
        return {**(context.expected_application or self.shell), **context.environment}

    @property
    def project_environment(self) -> dict[str, str]:
        """The same with the tables' right names, where a setting misspells one."""
        settings, tables = self.settings, self.facts.table_names
        declared = self.declared_environment
        own = [*settings.env, *(settings.backend.env if settings.backend else ())]
        near = {name: difflib.get_close_matches(declared.get(name, ""), tables, n=1, cutoff=0.8) for name in own}
        return {**declared, **{name: found[0] for name, found in near.items() if found}}

    def parameters(self, person: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Name -> text for templates: the parameters, `person.<column>`, `row.<column>`, `user`, `year`, `today`."""
        values = {"year": f"{self.began:%Y}", "today": f"{self.began:%Y-%m-%d}", **self.question.values}
        if self.question.user is not None:
            values["user"] = self.question.user
        for prefix, columns in (("person", person or {}), ("row", self.row)):
            values |= {f"{prefix}.{name}": str(value) for name, value in columns.items() if value is not None}
        return values

    def without_value(self, name: str, person: Mapping[str, Any] | None, what: str = "it") -> str:
        """Why a layer is not run: `what` needs the placeholder `name`, which has no value."""
        head, _, column = name.partition(".")
        if head == "person" and person is None:
            return "the user is not known"
        needs = f"{what} needs {{{name}}}"
        if head == "person" and column:
            return f"{needs}, and the user's row has no value in column `{column}`"
        if head == "row" and column:
            found = f"the row that `sql` finds has no value in column `{column}`" if self.row else "`sql` found no row"
            return f"{needs}, and {found}"
        return f"{needs}, which is not known"


def ask(settings: Settings, subject: str, typed: tuple[str, ...], user: str | None) -> Question:
    """The question that was typed. UsageError for an unknown subject, a wrong number of values, a malformed one."""
    trace = settings.trace.get(subject)
    if trace is None:
        if not settings.trace:
            raise UsageError(
                "this project declares nothing to trace", hint="add a section [trace.<name>] to devenv.toml"
            )
        near = difflib.get_close_matches(subject, settings.trace, n=1)
        known = ", ".join(settings.trace)
        raise UsageError(
            f"there is no subject `{subject}`", hint=f"did you mean `{near[0]}`?" if near else f"one of: {known}"
        )
    if len(typed) != len(trace.params):
        names = " ".join(name.upper() for name in trace.params)
        needs = f"needs {number_of(len(trace.params), 'value')} ({names})" if names else "takes no value"
        raise UsageError(
            f"`{subject}` {needs}; you gave {len(typed) or 'none'}",
            hint=f"devenv trace {subject} {names}".rstrip(),
        )
    said: list[str] = []
    values = {}
    for (name, kind), text in zip(trace.params.items(), typed, strict=True):
        try:
            values[name] = normal(name, kind, text)
        except UsageError as error:
            raise error.with_hint(where_values_are(settings, trace)) from None
        if values[name] != text:
            said.append(f"{text} is read as {values[name]}")
    if user is not None and user.startswith("@"):
        user = user[1:]
        said.append(f"@{user} is read as {user}")
    return Question(subject, trace, values, user, tuple(said))


def where_values_are(settings: Settings, trace: Trace) -> str:
    """A command that shows items with values that could have been typed."""
    table = settings.patterns[trace.pattern].table if trace.pattern else None
    return f"devenv ddb scan {table} --limit 3  (shows example ids)" if table else "devenv ddb list-tables"


def normal(name: str, kind: str, text: str) -> str:
    """A typed value in its one spelling. UsageError when it is not of its kind."""
    if kind == "uuid":
        found = uuid_text(text.strip().strip("{}\"'"))
        if found is None:
            raise UsageError(
                f"{text!r} is not a uuid", detail=f"{name} looks like 5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
            )
        return found
    if kind == "number":
        number = number_text(text.strip())
        if not re.fullmatch(r"-?\d+(\.\d+)?", number):
            raise UsageError(f"{text!r} is not a number", detail=f"{name} is declared as one")
        return number
    if not text:
        raise UsageError(f"{name} is empty")
    return text
