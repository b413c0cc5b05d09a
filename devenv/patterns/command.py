"""The commands `devenv patterns list|run|check|explain|matrix`: observe, judge, report."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import msgspec

from devenv.capture.calls import shown
from devenv.config.schema import Pattern
from devenv.core.errors import Exit, StoreError, UsageError
from devenv.core.model import CheckResult, Report
from devenv.core.portable import portable
from devenv.core.templates import names_in
from devenv.patterns.explain import explain
from devenv.patterns.judge import UNVERIFIED, exit_code, judge
from devenv.patterns.matrix import cost_of, matrix
from devenv.patterns.observe import look
from devenv.patterns.pattern_rules import script_faults
from devenv.patterns.registry import RULES
from devenv.patterns.scripts import run_script
from devenv.patterns.seen import Observed, SeenPattern, SqlRun, TableSeen, Unsampled, amount_of
from devenv.stack import Stack
from devenv.stores.dynamodb.client import Dynamo, plain, read_only
from devenv.stores.dynamodb.partiql import statement_of

# What `patterns check` says of a project's code, and of patterns while no store runs.
CODE_RULE: Final = "PAT032"
NOT_RUNNING: Final = Unsampled("DynamoDB does not run (devenv up)")
STATUSES: Final = ("ok", "warn", "fail", "skip")
VERDICTS: Final[Mapping[Exit, str]] = {Exit.DONE: "sound", Exit.FOUND: "faulty", Exit.UNCHECKED: "not_verified"}


def declared_tables(stack: Stack) -> dict[str, Mapping[str, Any]]:
    """The CreateTable requests of the step schema-load, by table. Nothing is run for it."""
    from devenv.lifecycle.steps import read_inputs

    return {definition.table: definition.request for definition in read_inputs(stack)["schema-load"].content or ()}


def report(stack: Stack, action: str, code: int, body: Mapping[str, Any]) -> Report:
    """A report of this command."""
    return Report("patterns", stack.settings.project.name, code, {"action": action, **body})


def pattern_named(stack: Stack, name: str) -> Pattern:
    """The declared pattern. UsageError when there is none of that name."""
    known = stack.settings.patterns
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else "devenv patterns list"
    if not known:
        hint = "add a section [patterns.<name>] to devenv.toml"
    raise UsageError(f"there is no pattern `{name}`", hint=hint)


def observe(stack: Stack, names: Sequence[str] | None = None, given: Mapping[str, str] | None = None) -> Observed:
    """Look at the project's DynamoDB. StoreError when it does not run."""
    target = stack.dynamodb()
    try:
        with Dynamo(read_only(target)) as dynamodb:
            return look(dynamodb, stack.settings, declared_tables(stack), names=names, given=given)
    except StoreError as error:
        raise error.with_hint("devenv doctor" if error.reached else "devenv up") from None


def list_patterns(stack: Stack) -> Report:
    """Return what is declared; no store is asked."""
    rows = []
    for name, pattern in stack.settings.patterns.items():
        rows.append(
            {
                "name": name,
                "purpose": pattern.purpose,
                "store": "postgres" if pattern.sql is not None else "dynamodb",
                "operation": "SQL" if pattern.sql is not None else pattern.kind,
                "table": pattern.table,
                "index": pattern.index,
                "sql": pattern.sql,
                "key": {attribute: str(value) for attribute, value in pattern.key.items()},
                "sort": dict(pattern.sort),
                "filter": pattern.filter,
                "projection": pattern.projection,
                "order": pattern.order,
                "limit": pattern.limit,
                "paging": pattern.paging or ("all" if pattern.paged else None),
                "requests_per_month": pattern.requests_per_month,
                "script": pattern.script,
            }
        )
    return report(stack, "list", Exit.DONE, {"patterns": rows})


def parse_params(words: Sequence[str]) -> dict[str, str]:
    """`name=value` words. UsageError for others."""
    found = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise UsageError(f"--param {word!r} is not name=value", hint="devenv patterns run NAME --param user_uuid=…")
        found[name] = value
    return found


def refuse_unknown(name: str, pattern: Pattern, given: Iterable[str]) -> None:
    """UsageError for a parameter that the pattern does not use: a slip would silently ask for something else. Pure."""
    known = names_in(msgspec.to_builtins(pattern)) | set(pattern.params)
    known |= set(re.findall(r"%\(([^)]+)\)s", pattern.sql or ""))
    if unknown := sorted(set(given) - known):
        raise UsageError(
            f"`{name}` has no parameter `{unknown[0]}`",
            detail=f"its parameters: `{'`, `'.join(sorted(known))}`" if known else "it has none",
            hint=f"devenv patterns explain {shlex.quote(name)}",
        )


def run_pattern(stack: Stack, name: str, params: Sequence[str], limit: int) -> Report:
    """Execute one pattern on the live table, and its script if it has one."""
    pattern = pattern_named(stack, name)
    given = parse_params(params)
    refuse_unknown(name, pattern, given)
    if pattern.sql is not None:
        return run_sql_pattern(stack, name, pattern.sql, {**{k: str(v) for k, v in pattern.params.items()}, **given})
    seen = observe(stack, [name], given)
    access = seen.accesses[name]
    if pattern.script:
        access = with_script(stack, seen, access)
    body = run_body(seen, access, limit)
    differs = list(script_faults(access, key_names(seen, access))) if access.script else []
    if access.script:
        body["script"] = script_row(access, differs)
    code = Exit.FOUND if differs else Exit.DONE
    if access.main is None:
        code = Exit.FOUND if access.place is None or (access.unsampled and access.unsampled.fault) else Exit.UNCHECKED
    elif access.main.code is not None:
        code = Exit.FOUND
    return report(stack, "run", code, body)


def key_names(seen: Observed, access: SeenPattern) -> tuple[str, ...]:
    """The keys of the pattern's table."""
    table = seen.tables.get(access.pattern.table or "")
    return table.places[0].keys if table and table.places else ()


def run_body(seen: Observed, access: SeenPattern, limit: int) -> dict[str, Any]:
    """Return what one run showed. `items` are at most `limit` of them, `count` is their number."""
    place, run = access.place, access.main
    body: dict[str, Any] = {
        "pattern": access.name,
        "purpose": access.pattern.purpose,
        "place": None if place is None else {"table": place.table, "index": place.index, "keys": list(place.keys)},
        "amounts_to": access.amount,
        "entities": list(access.entities),
        "not_run": None,
    }
    if run is None:
        gap = access.unsampled
        why = gap.reason if gap else "there is no such table or index"
        return {**body, "not_run": why + (f"; stored keys are {', '.join(gap.stored)}" if gap and gap.stored else "")}
    body |= {
        "params": dict(run.sample.values),
        "sample": run.sample.why,
        "request": dict(run.request),
        "partiql": statement_of(run.request, place.sort if place else None) if run.request else None,
    }
    if run.read is None:
        return {**body, "refused": {"code": run.code, "detail": run.detail}}
    return {
        **body,
        "count": len(run.read.items),
        "scanned": run.read.scanned,
        "pages": run.read.pages,
        "more": run.read.more,
        "bytes": run.bytes,
        "read_units": {"local": run.read.units, "computed": run.units},
        "ms": None if run.ms is None else round(run.ms, 1),
        "cost": cost_of(access, seen),
        "items": [{key: portable(value) for key, value in plain(item).items()} for item in run.read.items[:limit]],
    }


def with_script(stack: Stack, seen: Observed, access: SeenPattern) -> SeenPattern:
    """The same with its script run. The project's own code: only when the user says so."""
    table = seen.tables.get(access.pattern.table or "")
    environ = {**stack.environ, **stack.environment()}
    target = stack.engine.targets().dynamodb
    ran = run_script(access, table.described if table else None, stack.settings, environ, stack.root, target)
    return replace(access, script=ran)


def script_row(access: SeenPattern, differs: Sequence[str]) -> dict[str, Any]:
    """A script's run, for the report."""
    script = access.script
    assert script is not None  # noqa: S101 - asked only of patterns that have run one
    return {
        "command": list(script.command),
        "queries": None if script.asked is None else [shown(one) for one in script.asked],
        "items": None if script.items is None else len(script.items),
        "printed": script.printed,
        "ms": None if script.ms is None else round(script.ms, 1),
        "differs": list(differs),
    }


def run_sql_pattern(stack: Stack, name: str, text: str, values: Mapping[str, str]) -> Report:
    """A pattern of Postgres, read-only."""
    import time

    from devenv.patterns.declared import run_sql

    target = stack.postgres()
    if missing := missing_values(text, values):
        raise UsageError(
            f"`{name}` needs parameter `{missing[0]}`",
            hint=f"devenv patterns run {shlex.quote(name)} --param {shlex.quote(missing[0])}=…",
        )
    began = time.perf_counter()
    answer, plan = run_sql(target, text, values)
    ms = (time.perf_counter() - began) * 1000
    body = {
        "pattern": name,
        "purpose": stack.settings.patterns[name].purpose,
        "sql": text,
        "columns": answer.columns,
        "rows": [[portable(value) for value in row] for row in answer.rows],
        "count": len(answer.rows),
        "plan": plan,
        "ms": round(ms, 1),
    }
    return report(stack, "run", Exit.DONE, body)


def missing_values(text: str, values: Iterable[str]) -> list[str]:
    """The parameters of an SQL pattern that have no value. Pure."""
    return [each for each in dict.fromkeys(re.findall(r"%\(([^)]+)\)s", text)) if each not in values]


def run_sql_patterns(stack: Stack) -> dict[str, SqlRun]:
    """Every pattern in SQL, run with the values that it declares; no rule judges its rows."""
    from devenv.patterns.declared import run_sql

    found: dict[str, SqlRun] = {}
    for name, pattern in stack.settings.patterns.items():
        if pattern.sql is None:
            continue
        values = {key: str(value) for key, value in pattern.params.items()}
        if missing := missing_values(pattern.sql, values):
            found[name] = SqlRun(
                not_run=f"it is SQL, and `params` of [patterns.{name}] has no value for `{'`, `'.join(missing)}`"
            )
            continue
        try:
            found[name] = SqlRun(len(run_sql(stack.postgres(), pattern.sql, values)[0].rows))
        except StoreError as error:
            words = (error.detail or error.what).splitlines()[0]
            found[name] = SqlRun(refused=words) if error.reached else SqlRun(not_run=f"it is SQL: {error.what}")
    return found


def check_patterns(stack: Stack, scripts: bool) -> Report:
    """Run all patterns and judge them and their tables. `scripts`: run the project's scripts too."""
    if not stack.settings.patterns:
        raise UsageError("this project declares no pattern", hint="add a section [patterns.<name>] to devenv.toml")
    from devenv.init.review import review_folder

    code = review_folder(stack.root)
    try:
        observed = observe(stack)
    except StoreError as error:
        if error.reached or not code.faults:
            raise
        # What was read in the code holds without a store; of the patterns none was run.
        seen = replace(unobserved(stack), code=code.faults)
        return check_report(stack, seen, judge(seen, [each for each in RULES if each.code == CODE_RULE]), ())
    seen = replace(observed, code=code.faults, sql=run_sql_patterns(stack))
    if scripts:
        ran = {
            name: with_script(stack, seen, access) if access.pattern.script else access
            for name, access in seen.accesses.items()
        }
        seen = replace(seen, accesses=ran)
    return check_report(stack, seen, judge(seen), [*code.unparsed, *code.unread])


def check_report(stack: Stack, seen: Observed, findings: Sequence[CheckResult], unread: Sequence[str]) -> Report:
    """The findings, what each pattern showed, and the files of code that could not be read."""
    code = exit_code(findings)
    rows = [
        {
            "name": access.name,
            "amounts_to": access.amount,
            "place": access.place.subject if access.place else None,
            "items": len(run.read.items) if (run := access.main) and run.read else None,
            "scanned": run.read.scanned if run and run.read else None,
            "pages": run.read.pages if run and run.read else None,
            "read_units": run.units if run else None,
            "script": bool(access.script) if access.pattern.script else None,
        }
        for access in seen.accesses.values()
    ]
    body = {
        "verdict": VERDICTS[code],
        "summary": {status: sum(finding.status == status for finding in findings) for status in STATUSES},
        "checks": [asdict(finding) for finding in findings],
        "patterns": rows,
        "not_judged": [*seen.sql],
        "not_read": [*unread],
        "sql": [{"name": name, **asdict(ran)} for name, ran in seen.sql.items()],
    }
    return report(stack, "check", code, body)


def list_rules(stack: Stack) -> Report:
    """The rules of `patterns check`."""
    rows = [
        {"code": rule.code, "name": rule.name, "layer": rule.group, "title": rule.title}
        for rule in (*RULES, UNVERIFIED)
    ]
    return report(stack, "check", Exit.DONE, {"list": rows})


def explain_pattern(stack: Stack, name: str) -> Report:
    """The rule behind one pattern. Without a running store from the declared tables alone."""
    pattern = pattern_named(stack, name)
    if pattern.sql is not None:
        first = f"{name} is SQL: Postgres plans how to execute it. devenv patterns run {name} shows the plan."
        return report(stack, "explain", Exit.DONE, {"pattern": name, "paragraphs": [first]})
    try:
        seen = observe(stack, [name])
    except StoreError as error:
        if error.reached:
            raise
        seen = unobserved(stack, name)
    return report(
        stack, "explain", Exit.DONE, {"pattern": name, "paragraphs": list(explain(seen.accesses[name], seen))}
    )


def unobserved(stack: Stack, *names: str) -> Observed:
    """Patterns (none named: all of DynamoDB) and their tables as they are declared."""
    declared = declared_tables(stack)
    tables: dict[str, TableSeen] = {}
    accesses: dict[str, SeenPattern] = {}
    for name, pattern in stack.settings.patterns.items():
        if (names and name not in names) or pattern.sql is not None:
            continue
        title = pattern.table or ""
        table = tables.setdefault(title, TableSeen(title, None, declared=declared.get(title)))
        place = table.place(pattern.index)
        accesses[name] = SeenPattern(
            name, pattern, place, amount_of(pattern, place), unsampled=None if names else NOT_RUNNING
        )
    return Observed(stack.settings, tables, accesses)


def show_matrix(stack: Stack) -> Report:
    """Entities, patterns and keys against each other."""
    seen = observe(stack)
    return report(stack, "matrix", Exit.DONE, matrix(seen))
