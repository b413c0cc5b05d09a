"""Table definitions and other findings that `init` cannot use, each with the reason. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from devenv.init.code import Code

REQUEST: Final = "write its CreateTable request as JSON and name the file in [steps.schema-load]"
# (suffixes, how a table is defined there, how it is called). What devenv reads in full is not in here.
KINDS: Final = (
    ((".java", ".kt", ".scala"), re.compile(r"@DynamoDbBean|@DynamoDBTable|CreateTableRequest\b"), "Java"),
    ((".rb", ".rake"), re.compile(r"include\s+Dynamoid::Document"), "Ruby"),
    ((".cs",), re.compile(r"\[DynamoDBTable\b|new\s+CreateTableRequest"), "C#"),
    ((".php",), re.compile(r"->createTable\(\s*\["), "PHP"),
    ((".rs",), re.compile(r"\.create_table\(\)"), "Rust"),
    ((".py",), re.compile(r"\baws_dynamodb\b"), "the CDK"),
    ((".py",), re.compile(r"^from\s+pynamodb|^import\s+pynamodb", re.MULTILINE), "PynamoDB"),
    (
        (".ts", ".js", ".mjs", ".cjs"),
        re.compile(r"\bnew\s+(?:\w+\.)?(?:Table|TableV2|CfnTable)\(\s*(?:this|scope)\b"),
        "the CDK",
    ),
    ((".ts", ".js", ".mjs", ".cjs"), re.compile(r"\bdynamoose\.(?:model|Table)\b|from\s+['\"]electrodb"), "a model"),
    ((".ts", ".js"), re.compile(r"\bnew\s+(?:sst\.(?:aws\.)?)?(?:Dynamo|Table)\(\s*(?:this|stack|['\"])"), "SST"),
)
# How tests make tables, in the languages whose tests are not read.
IN_TESTS: Final = (
    ((".ts", ".tsx", ".js", ".mjs", ".cjs"), re.compile(r"\bnew\s+CreateTableCommand\s*\(|\.createTable\(\s*\{")),
    ((".py",), re.compile(r"\bcreate_table\((?=[^;]{0,2000}\bKeySchema\b)", re.DOTALL)),
    ((".go",), re.compile(r"\bCreateTableInput\s*\{")),
)
FOLDER: Final = re.compile(r"(?:^|/)(?:tests?|__tests__|spec)/")
TEST: Final = re.compile(rf"{FOLDER.pattern}|\.(?:test|spec)\.\w+$|(?:^|/)(?:test_|conftest)[^/]*$|_test\.go$")
SUFFIXES: Final = frozenset(suffix for suffixes, _, _ in KINDS for suffix in suffixes)
SHOWN: Final = 3


def unread_tables(texts: Mapping[str, str]) -> list[str]:
    """Sentences about table definitions in a form that devenv does not read."""
    said = []
    for name, text in texts.items():
        for suffixes, pattern, what in KINDS:
            found = pattern.search(text) if name.endswith(suffixes) else None
            if found:
                line = text.count("\n", 0, found.start()) + 1
                what = "Kotlin" if name.endswith(".kt") else what
                said.append(f"{name}:{line}: a table definition in {what}, which devenv does not read: {REQUEST}")
                break
    return said


def tables_in_tests(texts: Mapping[str, str], used: Collection[str]) -> list[str]:
    """Sentences about files of tests that make tables of DynamoDB, but those whose tables are `used`."""
    said = []
    for name, text in texts.items():
        if name in used or not TEST.search(name):
            continue
        for suffixes, pattern in IN_TESTS:
            if name.endswith(suffixes) and (found := pattern.search(text)):
                line = text.count("\n", 0, found.start()) + 1
                where = "a folder of tests" if FOLDER.search(name) else "a test"
                said.append(f"{name}:{line}: not used, because this table definition is in {where}")
    return said


def unknown_tables(code: Iterable[Code], others: Iterable[str], said: Iterable[str]) -> list[str]:
    """Sentences about code that uses tables whose definition is nowhere, with the table and key that queries name.

    `others` are files that only suggest DynamoDB: one sentence names them, unless `said` or code asks for a definition.
    """
    found = []
    used = []
    for each in code:
        if not each.uses_dynamodb:
            continue
        used.append(each.file)
        asked = {query.table: query for query in each.queries if query.table}
        for table, query in asked.items():
            key = f" by {', '.join(f'`{name}`' for name in query.key)}" if query.key else ""
            found.append(
                f"{each.file}:{query.line}: queries table {table}{key}, but no definition of the table was found:"
                f" {REQUEST}"
            )
        if not asked and (each.writes or each.queries):
            found.append(f"{each.file}: uses DynamoDB, but no definition of its table was found: {REQUEST}")
    files = used or [*others]
    if files and not found and not any(REQUEST in sentence for sentence in said):
        found.append(
            f"{files[0]}: {'uses' if used else 'suggests'} DynamoDB, but neither a definition nor a query of a table"
            f" was found. If the project has a table, {REQUEST}"
        )
    return found


def listed(names: Iterable[str]) -> str:
    """The first few of them, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ("routes " if len(names) > 1 else "route ") + ", ".join(names[:SHOWN]) + more


def unclear_tables(file: str, lines: Iterable[int], what: str) -> list[str]:
    """Sentences about calls that make a table with a request that is computed."""
    return [f"{file}:{line}: {what}, whose request is computed: {REQUEST}" for line in sorted(set(lines))]
