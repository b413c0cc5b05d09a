"""Postgres's own description of a parsed statement, judged: could executing it do more than read?

Only for statements that could act as a superuser, or that name a function which acts outside its transaction. All
queries of this module run with `search_path = pg_catalog`: else a function or an operator of the database that fits
better than the built-in one would be called in its place, by devenv, as the role that devenv signed in as.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from devenv.core.late import late
from devenv.core.value import Value

if TYPE_CHECKING:
    import psycopg

# Of Postgres's own functions, those that may give another value each time and do nothing else.
COMPUTING: Final = [
    *("random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7", "pg_sleep"),
    *("currval", "lastval", "pg_is_in_recovery", "pg_lock_status", "pg_blocking_pids", "pg_relation_size"),
    *("pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_database_size", "pg_tablespace_size"),
]
# Built-in functions that do nothing but compute. Not those that run a text as a query, read a named table, or take
# the text form of a value of any type (pseudo-type cstring, 2275), which may run the checks of a domain.
HARMLESS: Final = r"""(
  p.pronamespace = 11 AND (p.provolatile <> 'v' OR p.proname = ANY ($1::text[]))
  AND p.proname !~ '_to_xml|^pg_input_' AND NOT 2275 = ANY (p.proargtypes::oid[]))"""
# They act at once and outlast the transaction that is rolled back; and those that run a text as a query, which may
# spell a name in parts. Pure texts: what they are is decided by `OUTSIDE`.
SUSPECT: Final = late(
    r"pg_terminate_backend|pg_cancel_backend|pg_logical_emit|dblink|_to_xml|ts_stat|ts_rewrite|crosstab|connectby|u&\"",
    re.IGNORECASE,
)
OUTSIDE: Final = r"""
SELECT coalesce(string_agg(DISTINCT p.oid::regprocedure::text, ', '), '') FROM pg_proc p
WHERE p.oid = ANY ($1::oid[]) AND (
  p.proname ~ '^(pg_terminate_backend|pg_cancel_backend|pg_logical_emit_message|query_to_xml.*|cursor_to_xml.*'
    '|ts_stat|ts_rewrite|dblink.*|crosstab.*|connectby)$'
  AND NOT (p.proname = 'ts_rewrite' AND p.pronargs = 3))
"""
# A role that may change nothing may still call these, and they then act as a superuser.
DEFINERS: Final = b"""
SELECT coalesce(array_agg(p.oid::int8), '{}') FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
WHERE p.prosecdef AND r.rolsuper AND p.prorettype <> 'trigger'::regtype AND p.oid >= 16384
  AND has_function_privilege(p.oid, 'EXECUTE')
"""
ACTING: Final = f"""
SELECT coalesce(string_agg(DISTINCT p.oid::regprocedure::text, ', '), '') FROM pg_proc p
WHERE p.oid = ANY ($2::oid[]) AND NOT {HARMLESS}
"""  # noqa: S608 - constant texts
# As ACTING, for a role that is no superuser: what C functions of extensions compute cannot reach a definer.
REACHING: Final = f"""
SELECT coalesce(string_agg(DISTINCT p.oid::regprocedure::text, ', '), '') FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang
WHERE p.oid = ANY ($2::oid[]) AND NOT {HARMLESS}
  AND NOT (l.lanname = 'c' AND (p.provolatile = 'i' OR p.proname ~ '^(uuid_generate_|gen_random_|gen_salt)'))
  AND NOT (p.pronamespace = 11 AND p.provolatile = 'v' AND p.proname !~ '_to_xml|^ts_|^set_config$')
"""  # noqa: S608 - constant texts
# Types whose values call functions of the database when they are made or compared, and whatever holds such a type:
# domains with checks, operator classes, ranges over them.
TYPES: Final = f"""
WITH RECURSIVE own AS (
  SELECT p.oid FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
), family AS (
  SELECT m.amprocfamily AS oid FROM pg_amproc m JOIN own ON own.oid = m.amproc
  UNION SELECT m.amopfamily FROM pg_amop m JOIN pg_operator o ON o.oid = m.amopopr JOIN own ON own.oid = o.oprcode
), held AS (
  SELECT t.typelem AS part, t.oid AS whole FROM pg_type t WHERE t.typelem <> 0
  UNION ALL SELECT t.typbasetype, t.oid FROM pg_type t WHERE t.typbasetype <> 0
  UNION ALL SELECT a.atttypid, c.reltype FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attnum > 0 AND c.reltype <> 0
  UNION ALL SELECT r.rngsubtype, r.rngtypid FROM pg_range r
  UNION ALL SELECT r.rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid FROM pg_range r
), acting AS (
  SELECT c.contypid AS oid FROM pg_constraint c WHERE c.contypid >= 16384 AND EXISTS (
    SELECT FROM regexp_matches(c.conbin::text, 'funcid (\\d+)', 'g') f JOIN pg_proc p ON p.oid = f[1]::oid
    WHERE NOT {HARMLESS})
  UNION SELECT o.opcintype FROM pg_opclass o JOIN family f ON f.oid = o.opcfamily WHERE o.opcdefault
  UNION SELECT r.rngtypid FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc JOIN family f ON f.oid = o.opcfamily
  UNION SELECT r.rngtypid FROM pg_range r JOIN own ON own.oid = r.rngcanonical
  UNION SELECT h.whole FROM held h JOIN acting a ON a.oid = h.part
)
SELECT t.oid::int8, t.typname::text FROM acting a JOIN pg_type t ON t.oid = a.oid
"""  # noqa: S608 - constant texts
# Reading such a table runs a program on the server (file_fdw).
PROGRAMS: Final = b"""
SELECT coalesce(string_agg(f.ftrelid::regclass::text, ', '), '') FROM pg_foreign_table f
WHERE f.ftrelid = ANY ($1::oid[]) AND EXISTS (SELECT FROM unnest(f.ftoptions) o WHERE o LIKE 'program=%')
"""
OPERATORS: Final = b"SELECT o.oprcode::oid::int8 FROM pg_operator o WHERE o.oid = ANY ($1::oid[])"
# Planning evaluates what is constant in the expressions of a table's indexes, as whoever reads the table.
PLANNING: Final = r"""
WITH RECURSIVE tables AS (
  SELECT unnest($1::oid[]) AS oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tables t ON t.oid = i.inhparent
), expressions AS (
  SELECT concat(i.indexprs::text, ' ', i.indpred::text) AS text FROM pg_index i JOIN tables t ON t.oid = i.indrelid
)
SELECT DISTINCT p.oid::int8 FROM expressions e
CROSS JOIN LATERAL regexp_matches(e.text, 'funcid (\d+)', 'g') f
JOIN pg_proc p ON p.oid = f[1]::oid JOIN pg_language l ON l.oid = p.prolang
WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
"""
NAMES: Final = b"SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc WHERE oid = ANY ($1::oid[])"
# In the description, whose lines the server breaks at blanks.
CALLED: Final = late(r":\w*(?:funcid|fnoid) (\d+)")
OPERATED: Final = late(r":(?:\w*op|opno|opnos \(o) ([\d ]+)")
TYPED: Final = late(r":(?:\w*type(?:id)?|\w*types \(o) ([\d ]+)")
RELATIONS: Final = late(r":relid (\d+)")
# A function or an operator of the database in the place of a built-in one: of its name, and of built-in types only. And
# functions in indexes that do not belong to a superuser: planning a superuser's query evaluates them.
SHADOWS: Final = rb"""
SELECT coalesce(string_agg(name, ', '), '') FROM (
  SELECT p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE p.oid >= 16384 AND (p.prokind = 'a' OR l.lanname NOT IN ('c', 'internal'))
    AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) a WHERE a >= 16384)
    AND EXISTS (SELECT FROM pg_proc b WHERE b.proname = p.proname AND b.pronamespace = 11)
  UNION ALL
  SELECT o.oid::regoperator::text FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
  JOIN pg_language l ON l.oid = p.prolang
  WHERE o.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') AND o.oprleft < 16384 AND o.oprright < 16384
    AND EXISTS (SELECT FROM pg_operator b WHERE b.oprname = o.oprname AND b.oprnamespace = 11)
  UNION
  SELECT p.oid::regprocedure::text FROM pg_index i
  CROSS JOIN LATERAL regexp_matches(concat(i.indexprs::text, ' ', i.indpred::text), 'funcid (\d+)', 'g') f
  JOIN pg_proc p ON p.oid = f[1]::oid JOIN pg_language l ON l.oid = p.prolang JOIN pg_roles r ON r.oid = p.proowner
  WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') AND NOT r.rolsuper
    AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
) found
"""
CATALOG_FIRST: Final = b"SET LOCAL search_path = pg_catalog"
AS_SET_UP: Final = b"SET LOCAL search_path TO DEFAULT"
SPACE: Final = " \t\n\r\f\v"
# Options of EXPLAIN in parentheses; a query in parentheses begins with another word.
OPTIONS: Final = late(
    r"\((?:\s*(?!SELECT\b|WITH\b|VALUES\b|TABLE\b)[a-z_]+(?:\s+[\w']+)?\s*(?:,|(?=\))))+\)", re.IGNORECASE
)
WORDS: Final = late(r"(?:ANALYZE|ANALYSE|VERBOSE)\b", re.IGNORECASE)


class Called(Value, frozen=True):
    """The functions, operators, types and relations of a described statement, by oid."""

    functions: frozenset[int]
    operators: frozenset[int]
    types: frozenset[int]
    relations: frozenset[int]


def called_by(described: Sequence[str]) -> Called:
    """Read the server's description of a statement. Pure."""
    text = " ".join(" ".join(described).split())

    def numbers(pattern: re.Pattern[str]) -> frozenset[int]:
        return frozenset(int(each) for found in pattern.findall(text) for each in found.split())

    return Called(*map(numbers, (CALLED, OPERATED, TYPED, RELATIONS)))


def functions_of(raw: psycopg.RawCursor[Any], called: Called) -> list[int]:
    """Every function that is called: by name, behind operators (sorting names only these), and in planning."""
    raw.execute(OPERATORS, [sorted(called.operators)])
    found = {number for (number,) in raw.fetchall()}
    raw.execute(PLANNING.encode(), [sorted(called.relations)])
    return sorted(called.functions | found | {number for (number,) in raw.fetchall()})


def explained(statement: str) -> str:
    """The statement inside of an EXPLAIN. Pure.

    What is not taken for an option stays in front of it, and the server refuses it then.
    """
    place = after_blanks(statement, after_blanks(statement, 0) + len("EXPLAIN"))
    if found := OPTIONS.match(statement, place):
        return statement[found.end() :]
    while found := WORDS.match(statement, place):
        place = after_blanks(statement, found.end())
    return statement[place:]


def after_blanks(text: str, place: int, signs: str = SPACE) -> int:
    """Return where the blanks (`signs`) and comments end that stand at `place`, as Postgres reads them. Pure.

    Comments nest: one that is thought to end early could pass a COPY off as a SELECT.
    """
    while place < len(text):
        if text[place] in signs:
            place += 1
        elif text.startswith("--", place):
            ends = [end for sign in "\n\r" if (end := text.find(sign, place)) >= 0]
            place = min(ends, default=len(text))
        elif text.startswith("/*", place):
            place = after_comment(text, place)
        else:
            break
    return place


def after_comment(text: str, place: int) -> int:
    """Return where the comment that begins at `place` ends."""
    depth = 0
    for sign in re.compile(r"/\*|\*/").finditer(text, place):
        depth += 1 if sign[0] == "/*" else -1
        if depth == 0:
            return sign.end()
    return len(text)
