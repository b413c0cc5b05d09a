"""Seeded design faults, one test each, on small tables in a real DynamoDB; and sound designs, which give no finding.

Where a fact needs more data than a test should write (10 GB, thousands of items), it is judged on values instead.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from devenv.patterns.judge import judge
from devenv.patterns.observe import look
from devenv.patterns.seen import Observed
from devenv.stores.dynamodb.client import Dynamo, typed_item
from devenv.stores.dynamodb.partiql import statement_of
from tests.conftest import Stores
from tests.integration.design_support import BASE, NOW, ROOM, Design, bad, chat, index, one_of, settings_of, table, told

FAULTS = {
    "a scan": Design(
        '[patterns.everybody]\ntable = "Tab"\noperation = "scan"\nkey = { who = "{who}" }\n',
        chat(),
        BASE,
        "PAT001",
        ["12 items", "add a global index (who)", "added online"],
    ),
    "a scan where a key serves": Design(
        '[patterns.room]\ntable = "Tab"\noperation = "scan"\nkey = { pk = "ROOM#{room}" }\n',
        chat(),
        BASE,
        "PAT001",
        ['operation = "query"'],
    ),
    "no key serves": Design(
        '[patterns.by_sender]\ntable = "Tab"\nkey = { who = "{who}" }\norder = "newest first"\n',
        chat(),
        BASE,
        "PAT007",
        [
            "add a global index (who, sk)",
            "online",
            '"IndexName": "who-sk-index"',
            "types: who S sk S",
            "reads 12 items for 4",
        ],
    ),
    "only another sort key would serve": Design(
        '[patterns.of_sender]\ntable = "Tab"\nkey = { pk = "ROOM#{room}", who = "{who}" }\n',
        chat(),
        BASE,
        "PAT007",
        ["global index (pk, who)", "local index, which needs a new table"],
    ),
    "no key serves a consistent read": Design(
        '[patterns.by_sender]\ntable = "Tab"\nconsistent = true\nkey = { who = "{who}" }\n',
        chat(),
        BASE,
        "PAT007",
        ["needs a new table", "cannot be read consistently"],
    ),
    "the index is there and not named": Design(
        '[patterns.by_sender]\ntable = "Tab"\nkey = { who = "{who}" }\n'
        '[patterns.also]\ntable = "Tab"\nindex = "who-index"\nkey = { who = "{who}" }\n',
        chat(),
        table("pk", "sk", indexes=[index("who-index", "who")]),
        "PAT007",
        ['write index = "who-index"'],
    ),
    "a filter": Design(
        ROOM + 'filter = "who = :who"\nvalues = { who = "u1" }\n',
        chat(48),
        BASE,
        "PAT002",
        ["24 items", "returned 8", "67 %", "sparse global index on who with pk"],
    ),
    "a limit": Design(ROOM + "limit = 4\npaged = false\n", chat(), BASE, "PAT003", ["4 items of 6", 'paging = "all"']),
    "a limit, wanted whole": Design(
        ROOM + 'limit = 4\npaged = false\npaging = "all"\n', chat(), BASE, "PAT003", ["there are more pages"]
    ),
    "a wrong prefix": Design(
        '[patterns.room]\ntable = "Tab"\nkey = { pk = "room#{room}" }\n',
        chat(),
        BASE,
        "PAT004",
        ["pk = room#{room}", "stored keys are ROOM#0"],
    ),
    "a year that is over": Design(
        ROOM + 'sort = { begins_with = "{year}" }\n',
        [item | {"sk": item["sk"].replace("2026", "2023")} for item in chat()],
        BASE,
        "PAT004",
        ["sk begins_with 2026", "stored keys are 2023-06-24", "remove the condition"],
    ),
    "only this year": Design(
        ROOM + 'sort = { begins_with = "{year}" }\n',
        [*chat(), {"pk": "ROOM#1", "sk": "2025-12-31T23:59:59Z"}],
        BASE,
        "PAT030",
        ["leaves out 1 of 7 items", "follow the pages"],
    ),
    "an entity with another key": Design(
        '[patterns.room]\ntable = "Tab"\nkey = { pk = "CHAT#{room}" }\n'
        '[entities.message]\ntable = "Tab"\nmatch = { pk = "ROOM#{room}" }\n',
        [],
        BASE,
        "PAT004",
        ["pk = CHAT#{room}", "ROOM#{room}"],
    ),
    "text for a number": Design(
        '[patterns.order]\ntable = "Tab"\nkey = { n = "ORDER#{n}" }\n',
        [{"n": 1}, {"n": 2}],
        table("n"),
        "PAT005",
        ["type N", "is text"],
    ),
    "an unused index": Design(
        ROOM,
        chat(),
        table("pk", "sk", indexes=[index("who-index", "who")]),
        "PAT006",
        ["Tab/who-index", "deleted online"],
    ),
    "an unused local index": Design(
        ROOM,
        chat(),
        table("pk", "sk", local=[index("text-index", "pk", "text")]),
        "PAT006",
        ["only be deleted with its table"],
    ),
    "an item near the limit": Design(
        ROOM,
        [*chat(2), {"pk": "ROOM#9", "sk": "a", "photo": "x" * 350_000}],
        BASE,
        "PAT010",
        ["ROOM#9 a", "341.8 KB", "photo"],
    ),
    "an index without what is wanted": Design(
        '[patterns.by_sender]\ntable = "Tab"\nindex = "who-index"\nkey = { who = "{who}" }\n',
        chat(),
        table("pk", "sk", indexes=[index("who-index", "who", projection="KEYS_ONLY")]),
        "PAT011",
        ["wants text", "4 further reads", "project text"],
    ),
    "a local index without what is wanted": Design(
        '[patterns.day]\ntable = "Tab"\nindex = "day"\nkey = { pk = "ROOM#{room}" }\nprojection = ["text"]\n',
        chat(day="a"),
        table("pk", "sk", local=[index("day", "pk", "day", projection="KEYS_ONLY")]),
        "PAT011",
        ["reads each item from the table too"],
    ),
    "times of two zones": Design(
        ROOM + 'order = "newest first"\n',
        [{"pk": "ROOM#1", "sk": "2026-06-24T10:00:00+02:00"}, {"pk": "ROOM#1", "sk": "2026-06-24T09:00:00+00:00"}],
        BASE,
        "PAT012",
        ["sorts before", "UTC", "fixed width"],
    ),
    "numbers of several widths": Design(
        ROOM + 'order = "ascending"\n',
        [{"pk": "ROOM#1", "sk": f"MSG#{number}"} for number in (9, 10)],
        BASE,
        "PAT012",
        ["MSG#10 sorts before MSG#9", "leading zeros"],
    ),
    "an order without a sort key": Design(
        '[patterns.one]\ntable = "Tab"\nkey = { pk = "{pk}" }\norder = "newest first"\n',
        [{"pk": "a", "created_at": "2026-06-24"}],
        table("pk"),
        "PAT013",
        ["order 'newest first'", "no sort key", "new table", "pk-created_at-index"],
    ),
    "a consistent read of a global index": Design(
        '[patterns.by_sender]\ntable = "Tab"\nindex = "who-index"\nconsistent = true\nkey = { who = "{who}" }\n',
        chat(),
        table("pk", "sk", indexes=[index("who-index", "who")]),
        "PAT014",
        ["a global index", "without consistent = true"],
    ),
    "begins_with on a number": Design(
        '[patterns.room]\ntable = "Tab"\nkey = { pk = "ROOM#{room}" }\nsort = { begins_with = 2026 }\n',
        [{"pk": "ROOM#1", "when": 20260624}],
        table("pk", "when"),
        "PAT015",
        ["begins_with on `when`", "between"],
    ),
    "half a key for a get": Design(
        '[patterns.message]\ntable = "Tab"\noperation = "get"\nkey = { pk = "ROOM#{room}" }\n',
        chat(),
        BASE,
        "PAT016",
        ["is a Query", "sk is not given", "give sk"],
    ),
    "a get of an index": Design(
        '[patterns.sender]\ntable = "Tab"\nindex = "who-index"\noperation = "get"\nkey = { who = "{who}" }\n',
        chat(),
        table("pk", "sk", indexes=[index("who-index", "who")]),
        "PAT016",
        ["no unique key", 'operation = "query"'],
    ),
    "more than expected": Design(
        ROOM + "expected = { at_most = 5 }\n", chat(), BASE, "PAT017", ["6 items, expected at most 5"]
    ),
    "fewer than expected": Design(
        ROOM + "expected = { at_least = 6 }\n", chat(11), BASE, "PAT017", ["5 items, expected at least 6", "room 1"]
    ),
    "two indexes with one key": Design(
        '[patterns.by_sender]\ntable = "Tab"\nindex = "who-index"\nkey = { who = "{who}" }\n'
        '[patterns.again]\ntable = "Tab"\nindex = "who-again"\nkey = { who = "{who}" }\n',
        chat(),
        table("pk", "sk", indexes=[index("who-index", "who"), index("who-again", "who")]),
        "PAT018",
        ["same keys (who)", "delete who-again"],
    ),
    "an entity that nobody reads": Design(
        ROOM + '[entities.message]\ntable = "Tab"\nmatch = { pk = "ROOM#{room}" }\n'
        '[entities.setting]\ntable = "Tab"\nmatch = { pk = "SET#{name}" }\n',
        [*chat(), {"pk": "SET#a", "sk": "1"}],
        BASE,
        "PAT019",
        ["the entity setting"],
        "warn",
    ),
    "a reserved word": Design(
        ROOM + 'filter = "status = :s"\nvalues = { s = "x" }\n',
        chat(),
        BASE,
        "PAT022",
        ["status", 'names = { status = "status" }'],
    ),
    "a misspelt index": Design(
        '[patterns.by_sender]\ntable = "Tab"\nindex = "who-indx"\nkey = { who = "{who}" }\n'
        '[patterns.also]\ntable = "Tab"\nindex = "who-index"\nkey = { who = "{who}" }\n',
        chat(),
        table("pk", "sk", indexes=[index("who-index", "who")]),
        "PAT023",
        ["no index who-indx", "did you mean who-index?"],
    ),
    "a filter that is none": Design(
        ROOM + 'filter = "who is :w"\nvalues = { w = "x" }\n', chat(), BASE, "PAT024", ["ValidationException"]
    ),
    "a range with one end": Design(
        ROOM + 'sort = { between = ["2026"] }\n', chat(), BASE, "PAT024", ["not possible", "two values in a list"]
    ),
    "more load than a partition serves": Design(
        '[patterns.front]\ntable = "Tab"\nkey = { pk = "ROOM#0" }\nper_second = 10000\n',
        chat(),
        BASE,
        "PAT026",
        ["5,000 read units", "3,000", "shard"],
    ),
    "more load than is provisioned": Design(
        ROOM + "per_second = 100\n",
        chat(),
        table("pk", "sk", capacity=5),
        "PAT026",
        ["50.0 read units", "5 provisioned"],
    ),
    "an index slower than its table": Design(
        '[patterns.by_sender]\ntable = "Tab"\nindex = "who-index"\nkey = { who = "{who}" }\n' + ROOM,
        chat(),
        table(
            "pk",
            "sk",
            capacity=10,
            indexes=[
                index("who-index", "who")
                | {"ProvisionedThroughput": {"ReadCapacityUnits": 10, "WriteCapacityUnits": 2}}
            ],
        ),
        "PAT027",
        ["2 write units, its table 10", "throttles"],
    ),
    "a date as partition key": Design(
        '[patterns.day]\ntable = "Tab"\nkey = { pk = "{day}" }\n',
        [{"pk": f"2026-06-{1 + number // 6:02}", "sk": f"u{number}"} for number in range(24)],
        BASE,
        "PAT028",
        ["`pk` is a date", "keep the date in the sort key"],
        "warn",
    ),
    "an index that nothing is in": Design(
        '[patterns.by_tag]\ntable = "Tab"\nindex = "tag-index"\nkey = { tag = "{tag}" }\n' + ROOM,
        chat(),
        table("pk", "sk", indexes=[index("tag-index", "tag")]),
        "PAT029",
        ["no item has `tag`"],
    ),
}


SOUND = {
    "one table, an order with its lines in one request": Design(
        '[patterns.order]\ntable = "Tab"\nkey = { pk = "ORDER#{order}" }\nentities = ["order", "line"]\n'
        '[entities.order]\ntable = "Tab"\nmatch = { pk = "ORDER#{order}", sk = "HEAD" }\n'
        '[entities.line]\ntable = "Tab"\nmatch = { pk = "ORDER#{order}", sk = "LINE#{line}" }\n',
        [{"pk": f"ORDER#{n}", "sk": sk} for n in (1, 2) for sk in ("HEAD", "LINE#01", "LINE#02")],
        BASE,
    ),
    "a get from a table without a sort key": Design(
        '[patterns.user]\ntable = "Tab"\noperation = "get"\nkey = { id = "{id}" }\n'
        "expected = { at_least = 1, at_most = 1 }\n",
        [{"id": number, "name": "x"} for number in range(3)],
        table("id"),
    ),
    "a get with the whole key, consistently": Design(
        '[patterns.message]\ntable = "Tab"\noperation = "get"\nconsistent = true\n'
        'key = { pk = "ROOM#{room}", sk = "{at}" }\n',
        chat(),
        BASE,
    ),
    "a range of numbers": Design(
        '[patterns.june]\ntable = "Tab"\nkey = { pk = "ROOM#{room}" }\nsort = { between = [20260600, 20260699] }\n'
        'order = "descending"\n',
        [{"pk": "ROOM#1", "when": 20260600 + day} for day in range(1, 25)],
        table("pk", "when"),
    ),
    "a sparse index": Design(
        ROOM + '[patterns.flagged]\ntable = "Tab"\nindex = "flagged"\nkey = { flag = "yes" }\n',
        [*chat(), {"pk": "ROOM#1", "sk": "2026-06-25T00:00:00Z", "flag": "yes"}],
        table("pk", "sk", indexes=[index("flagged", "flag", "sk")]),
    ),
    "an index that holds what is wanted": Design(
        '[patterns.senders]\ntable = "Tab"\nindex = "by-who"\nkey = { pk = "ROOM#{room}" }\n'
        'sort = { equals = "{who}" }\n'
        'projection = ["sk", "text"]\n' + ROOM,
        chat(),
        table("pk", "sk", local=[index("by-who", "pk", "who", projection=["text"])]),
    ),
    "the newest few": Design(ROOM + 'order = "newest first"\nlimit = 3\npaging = "first"\n', chat(), BASE),
    "as many as the limit": Design(ROOM + "limit = 6\npaged = false\n", chat(), BASE),
    "page by page": Design(ROOM + 'limit = 3\npaging = "page"\nexpected = { at_most = 3 }\n', chat(), BASE),
    "pages to the end": Design(
        ROOM + 'limit = 2\npaging = "all"\nexpected = { at_least = 6, at_most = 6 }\n', chat(), BASE
    ),
    "a filter that keeps most": Design(
        ROOM + 'filter = "#who <> :who"\nnames = { who = "who" }\nvalues = { who = "u1" }\n', chat(24), BASE
    ),
    "padded numbers": Design(
        ROOM + 'order = "ascending"\n', [{"pk": "ROOM#1", "sk": f"{number:04}"} for number in (9, 10, 100)], BASE
    ),
    "several shards of one key": Design(
        '[patterns.feed]\ntable = "Tab"\nkey = { pk = "FEED#{shard}" }\n'
        'params = { shard = ["0", "1"] }\nper_second = 9000\n',
        [{"pk": f"FEED#{number % 2}", "sk": f"{number:03}"} for number in range(10)],
        BASE,
    ),
    "a scan with a reason": Design(
        '[patterns.export]\ntable = "Tab"\noperation = "scan"\naccept = { PAT001 = "once a night, all of it" }\n',
        chat(),
        BASE,
    ),
}


@pytest.fixture
def dynamodb(stores: Stores) -> Iterator[Dynamo]:
    """A real DynamoDB Local, without the table Tab before and after."""
    with Dynamo(stores.dynamodb) as opened:
        yield opened
        if "Tab" in opened.call("ListTables")["TableNames"]:
            opened.call("DeleteTable", {"TableName": "Tab"})


def observe(dynamodb: Dynamo, design: Design) -> Observed:
    dynamodb.call("CreateTable", design.table)
    dynamodb.write_batch("Tab", [{"PutRequest": {"Item": typed_item(item)}} for item in design.items])
    return look(dynamodb, settings_of(design.patterns), {}, now=NOW)


@pytest.mark.parametrize("name", FAULTS)
def test_a_design_fault_is_found(dynamodb: Dynamo, name: str) -> None:
    design = FAULTS[name]
    findings = bad(judge(observe(dynamodb, design)))
    mine = [finding for finding in findings if finding.code == design.code and finding.status == design.status]
    assert mine, findings
    assert mine[0].fix is not None
    assert [word for word in design.words if word not in " ".join(map(told, mine))] == [], told(mine[0])
    # What else is found must follow from the fault: an empty index has also nothing to take parameters from.
    allowed = {design.code, *({"PAT031", "PAT006"} if design.code in ("PAT029", "PAT004", "PAT023") else ())}
    assert {finding.code for finding in findings if finding.status in ("fail", "skip")} <= allowed, findings


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_design_gives_no_finding(dynamodb: Dynamo, name: str) -> None:
    seen = observe(dynamodb, SOUND[name])
    assert bad(judge(seen)) == []
    for access in seen.accesses.values():
        for run in access.runs:
            assert run.read is not None
            # DynamoDB Local counts nothing for a page without items, and whole items for a local index.
            if access.place and access.place.kind != "local" and all(run.pages):
                assert run.read.units == run.units, "DynamoDB Local counts otherwise than the published rules"


@pytest.mark.parametrize("name", [name for name in SOUND if "page by page" not in name and "newest" not in name])
def test_the_equivalent_statement_brings_the_same(dynamodb: Dynamo, name: str) -> None:
    seen = observe(dynamodb, SOUND[name])
    for access in seen.accesses.values():
        run = access.runs[0]
        assert run.read is not None
        assert access.place is not None
        statement = statement_of(run.request, access.place.sort)
        pages = list(dynamodb.pages("ExecuteStatement", {"Statement": statement}))
        brought = [item for page in pages for item in page["Items"]]
        if access.amount == "Scan":
            brought, expected = (sorted(map(str, map(sorted_item, items))) for items in (brought, run.read.items))
            assert brought == expected
        else:
            assert brought == list(run.read.items), statement


def sorted_item(item: Mapping[str, Any]) -> list[Any]:
    return sorted(item.items())


def test_what_could_not_be_run_is_not_called_sound(dynamodb: Dynamo) -> None:
    findings = bad(judge(observe(dynamodb, Design(ROOM, [], BASE))))
    assert [(finding.code, finding.status) for finding in findings] == [("PAT031", "skip")]
    assert "has no item from which" in findings[0].evidence


def test_the_advised_index_makes_it_sound(dynamodb: Dynamo) -> None:
    design = FAULTS["no key serves"]
    finding = one_of(bad(judge(observe(dynamodb, design))), "PAT007")
    assert finding.fix is not None
    found = re.search(r"put (\{.*\}) \(types: (\w+) (\w) (\w+) (\w)\)", finding.fix.text)
    assert found is not None
    made = json.loads(found[1])
    types = [{"AttributeName": found[n], "AttributeType": found[n + 1]} for n in (2, 4)]
    change = {"TableName": "Tab", "AttributeDefinitions": types, "GlobalSecondaryIndexUpdates": [{"Create": made}]}
    dynamodb.call("UpdateTable", change)
    end = time.monotonic() + 60
    while not is_ready(dynamodb):
        assert time.monotonic() < end, "the index is never ready"
        time.sleep(0.05)
    patterns = design.patterns + f'index = "{made["IndexName"]}"\n'
    assert bad(judge(look(dynamodb, settings_of(patterns), {}, now=NOW))) == []


def is_ready(dynamodb: Dynamo) -> bool:
    """Whether the added index is filled."""
    described = dynamodb.call("DescribeTable", {"TableName": "Tab"})["Table"]
    return bool(described["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE")
