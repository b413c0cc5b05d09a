"""devenv.toml checked against itself: each kind of mistake, all in one pass, with line and suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.config import schema as config
from devenv.config.load import load
from devenv.config.places import find_line
from devenv.config.references import find_undeclared
from devenv.core.errors import Exit, UsageError
from devenv.doctor.checks.declared import compare_columns, compare_tables

SHOP = """\
[project]
name = "shop"

[env]
TABLE = "orders"

[entities.order]
table = "orders"
match = { pk = "ORDER#{order_id}" }

[entities.order.attributes]
status = "string"
customer = "uuid"

[entities.line]
table = "orders"
match = { pk = "ORDER#{order_id}", sk = "LINE#{line_no}" }

[[links]]
from = "dynamodb:orders.customer"
to = "postgres:customers.id"

[[groups]]
name = "whole"
rows = "order"
id = "order_id"
size = 1
entries = "line"

[patterns.order]
table = "orders"
key = { pk = "ORDER#{order_id}" }
entities = ["order", "line"]

[trace.order]
params = { order_id = "number" }
pattern = "order"
entity = "line"
where = { order_id = "{order_id}" }
group = "whole"
ids = { dynamodb = "line_no", http = "no" }
fields = { number = "line_no" }
sorted_by = "number"

[trace.order.library]
function = "shop:order"
arguments = { order_id = "{order_id}" }

[trace.order.request]
path = "/orders/{order_id}"
"""


def refused(folder: Path, text: str) -> list[str]:
    (folder / "devenv.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load(folder, {})
    assert caught.value.exit_code == Exit.USAGE
    return (caught.value.detail or "").splitlines()


def test_what_is_right_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(SHOP)
    assert load(tmp_path, {}).settings.project.name == "shop"


def test_what_selects_the_items_of_several_kinds_is_a_field_of_each(tmp_path: Path) -> None:
    """Else no item of that kind belongs to the subject, and the trace would blame a sound pattern."""
    single = SHOP[SHOP.index('entity = "line"') : SHOP.index("[trace.order.library]")]
    several = """\
where = { order_id = "{order_id}" }
group = "whole"

[[trace.order.entities]]
entity = "order"
ids = { dynamodb = "order_id", http = "id" }
fields = { status = "status" }

[[trace.order.entities]]
entity = "line"
ids = { dynamodb = "line_no", http = "no" }
fields = { number = "line_no" }

"""
    text = SHOP.replace(single, several)
    (tmp_path / "devenv.toml").write_text(text)
    assert load(tmp_path, {}).settings.project.name == "shop"
    other = text.replace('sk = "LINE#{line_no}" }', 'sk = "LINE#{line_no}", id = "{id}" }').replace(
        'match = { pk = "ORDER#{order_id}", sk', 'match = { pk = "ORDER#{number}", sk'
    )
    wrong = "[trace.order] where: [entities.line] has no field `order_id`"
    assert sum(wrong in line for line in refused(tmp_path, other)) == 1
    own = other.replace('entity = "line"\nids', 'entity = "line"\nwhere = { number = "{order_id}" }\nids')
    assert not any(wrong in line for line in refused(tmp_path, own))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        # The case of the issue: the trace skipped http and ended "ok".
        (
            'path = "/orders/{order_id}"',
            'path = "/orders/{oder_id}"',
            "{oder_id} is unknown; did you mean `{order_id}`",
        ),
        (
            'path = "/orders/{order_id}"',
            'path = "/o"\nbody = "{order}"',
            "[trace.order.request] body: {order} is unknown",
        ),
        ('path = "/orders/{order_id}"', 'path = "/o"\nheaders = { A = "{tokn}" }', "did you mean `{token}`"),
        ('arguments = { order_id = "{order_id}" }', 'arguments = { id = "{person.uuid}" }', "no section [person]"),
        (
            'function = "shop:order"',
            "function = \"shop:Shop('a', 'b').order\"",
            "arguments are not allowed there; write `module:function`, `module:Class().method`",
        ),
        (
            'arguments = { order_id = "{order_id}" }',
            'arguments = { order_id = { call = "shop:id(7)" } }',
            "`shop:id(7)` cannot be called",
        ),
        ('where = { order_id = "{order_id}" }', 'where = { order_id = "{id}" }', "known here: {order_id}"),
        ('where = { order_id = "{order_id}" }', 'where = { oder_id = "{order_id}" }', "did you mean `order_id`"),
        # The key of a pattern that a trace uses, its condition, and what its sql asks for.
        (
            'key = { pk = "ORDER#{order_id}" }',
            'key = { pk = "ORDER#{number}" }',
            "[trace.order] uses this pattern and has no",
        ),
        (
            'key = { pk = "ORDER#{order_id}" }',
            'key = { pk = "{order_id}" }\nsort = { begins_with = "{yaer}" }',
            "`{year}`",
        ),
        ('ids = { dynamodb = "line_no"', 'ids = { dynamodb = "sk"', "[entities.line] has no field `sk`"),
        ('ids = { dynamodb = "line_no"', 'ids = { dynamodb = "line_id"', "did you mean `line_no`"),
        (
            'ids = { dynamodb = "line_no", http = "no" }',
            'ids = { dynamodb = "LINE#{line_no}", http = "number" }',
            'holds only `line_no`; write dynamodb = "line_no", or http = "LINE#{number}"',
        ),
        ('pattern = "order"\nent', 'pattern = "oder"\nent', "there is no pattern `oder`; did you mean `order`"),
        ('entity = "line"', 'entity = "lines"', "there is no entity `lines`; did you mean `line`"),
        ('group = "whole"', 'group = "all"', "there is no group `all`; declared: whole"),
        ('sorted_by = "number"', 'sorted_by = "line_no"', "there is no field `line_no`; declared: number"),
        ('sorted_by = "number"', 'payload = ["numbre"]', "did you mean `number`"),
        ('fields = { number = "line_no" }', 'fields = { number = "lineno" }', "[entities.line] has no field `lineno`"),
        # A field of a linked row: links lead from `customer` of the table, as a field or as an attribute.
        ('{ number = "line_no" }', '{ number = "line_no", who = "custmer.name" }', "did you mean `customer.name`?"),
        ('{ number = "line_no" }', '{ number = "line_no", who = "sk.name" }', "links lead from `customer`"),
        ('{ number = "line_no" }', '{ number = "line_no", who = "customer." }', "is not `<attribute>.<column>`"),
        ('path = "/orders/{order_id}"', 'path = "//evil.example/"', "[trace.order.request] path: must be"),
        (
            'path = "/orders/{order_id}"',
            'path = "http://evil.example/"',
            "[trace.order.request] path: must be",
        ),
        (
            'TABLE = "orders"',
            'TABLE = "o"\n[backend]\ncommand = ["a"]\nhealth = "@evil.example/"',
            "[backend] health: must be a path of",
        ),
        ('path = "/orders/{order_id}"', 'path = "/o"\nfields = { nummer = "n" }', "[trace.order.request] fields"),
        ('entities = ["order", "line"]', 'entities = ["order", "lin"]', "there is no entity `lin`"),
        ('rows = "order"', 'rows = "ordr"', "[[groups]] 1 rows: there is no entity `ordr`"),
        ('id = "order_id"', 'id = "id"', "there is no field `id`"),
        ('from = "dynamodb:orders.customer"', 'from = "dynamodb:orders.custmer"', "did you mean `customer`"),
        ('from = "dynamodb:orders.customer"', 'from = "dynamodb:order.customer"', "did you mean `orders`"),
        ('TABLE = "orders"', 'TABLE = "orders"\nURL = "{dynamo_url}"', "did you mean `{dynamodb_url}`"),
        (
            'TABLE = "orders"',
            'URL = "{postgres_url}x{host}"',
            "[env] URL: {host} is unknown; known here: ",
        ),
        (
            'TABLE = "orders"',
            'TABLE = "o"\n[backend.env]\nDB = "{postgres_ulr}"',
            "{postgres_ulr} is unknown; did you mean `{postgres_url}`",
        ),
        ('TABLE = "orders"', 'TABLE = "o"\n[backend]\ncommand = ["a", "{prot}"]', "did you mean `{port}`"),
        ('TABLE = "orders"', 'TABLE = "o"\n[backend]\nurl = "http://[x"', "[backend] url: is not an address"),
        ('TABLE = "orders"', 'TABLE = "o"\n[backend]\nurl = "127.0.0.1:80"', "[backend] url: is not an address"),
        (
            'params = { order_id = "number" }',
            'params = { order_id = "number" }\nsql = "SELECT %(oder_id)s"',
            "%(order_id)s",
        ),
    ],
)
def test_each_mistake_is_refused_with_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert SHOP.count(old) == 1
    text = SHOP.replace(old, new)
    told = refused(tmp_path, text)
    assert any(says in line for line in told), told
    number = int(told[0].split(":")[1])
    # The line of the key, not only of its section.
    assert text.splitlines()[number - 1] in new.splitlines()[:-1] + [
        line for line in text.splitlines() if new.splitlines()[-1] in line
    ]


def test_a_section_that_is_missing_is_named(tmp_path: Path) -> None:
    start, end = SHOP.index("[[groups]]"), SHOP.index("[patterns.order]")
    told = refused(tmp_path, SHOP[:start] + SHOP[end:])
    assert any("there is no group `whole`; nothing is declared under [[groups]]" in line for line in told), told


def test_all_mistakes_come_in_one_pass(tmp_path: Path) -> None:
    text = SHOP.replace("/orders/{order_id}", "/orders/{oder_id}").replace('"line_no", http', '"sk", http')
    text = text.replace('TABLE = "orders"', 'TABLE = "{table}"')
    told = refused(tmp_path, text)
    assert [line.split(":")[2].split("]")[0].strip() for line in told] == [
        "[env",
        "[trace.order",
        "[trace.order.request",
    ]


def test_all_values_that_do_not_fit_come_in_one_pass(tmp_path: Path) -> None:
    text = SHOP.replace("[env]\n", '[postgres]\nport = 0\nprot = 1\n[dynamodb]\nregion = "X Y"\n[env]\nA = 1\n')
    told = refused(tmp_path, text)
    assert len(told) == 4
    assert "devenv.toml:6: unknown key `prot` in `postgres`; did you mean `port`?" in told


def test_a_brace_that_is_meant_is_written_twice(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(SHOP.replace('TABLE = "orders"', 'FORM = "{{message}} {region}"'))
    from devenv.config.environment import connection_environment
    from devenv.core.model import DynamoTarget, PostgresTarget, Targets

    targets = Targets.of(PostgresTarget("h", 1, "u", "p"), DynamoTarget("http://h:1", "eu-west-1", "a", "b"))
    values = connection_environment(load(tmp_path, {}).settings, targets)
    assert values["FORM"] == "{message} eu-west-1"


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("b", 1, "x"), 6),
        (("b", 0, "x"), 4),
        (("a", "y z", "q"), 2),
        (("a", "c", "d"), 8),
        (("b", 0, "c", 1, "k"), 5),
        (("a", "unknown"), 1),
        (("nothing",), None),
    ],
)
def test_a_key_is_found_by_its_line(keys: tuple[str | int, ...], line: int | None) -> None:
    text = '[a] # here\n"y z".q = 1\n[[b]]\nx = 1\n[[b]]\nx = 2\n[a.c]\nd = 1\n'
    more = "[[e]]\n[[b]]\n[[b.c]]\nk = 1\n"
    if keys == ("b", 0, "c", 1, "k"):
        text = "[[b]]\n[[b.c]]\nk = 1\n[[b.c]]\nk = 2\n" + more
    assert find_line(text, keys) == line


def settings_of(folder: Path) -> config.Settings:
    (folder / "devenv.toml").write_text(SHOP + '[person]\ntable = "customers"\nid = "uuid"\nname = "email"\n')
    return load(folder, {}).settings


def test_columns_are_held_against_those_of_the_database(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    there = {("public", "customers"): ["id", "e_mail"], ("public", "orders"): ["id"]}
    assert [mistake.sentence for mistake in compare_columns(settings, there)] == [
        "public.customers has no column `uuid`; declared: e_mail, id",
        "public.customers has no column `email`; did you mean `e_mail`?",
    ]
    gone = {("public", "customer"): ["id"]}
    told = [mistake.sentence for mistake in compare_columns(settings, gone)]
    assert told == ["there is no table `public.customers`; did you mean `public.customer`?"] * 2


def test_columns_that_an_answer_shows_are_held_against_those_of_the_database(tmp_path: Path) -> None:
    text = SHOP.replace('{ number = "line_no" }', '{ number = "line_no", who = "customer.nam" }')
    (tmp_path / "devenv.toml").write_text(text)
    settings = load(tmp_path, {}).settings
    (wrong,) = compare_columns(settings, {("public", "customers"): ["id", "name"]})
    assert wrong.keys == ("trace", "order", "fields")
    assert wrong.sentence == "public.customers has no column `nam`; did you mean `name`?"
    assert not list(compare_columns(settings, {("public", "customers"): ["id", "nam"]}))


def test_tables_and_attributes_are_held_against_those_of_dynamodb(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert not list(compare_tables(settings, {"orders": {}}, {"orders": {"pk", "customer"}}))
    # A table without items says nothing of attributes.
    assert not list(compare_tables(settings, {"orders": {}}, {"orders": None}))
    told = [mistake.keys for mistake in compare_tables(settings, {"order": {}}, {})]
    assert told == [
        ("entities", "order", "table"),
        ("entities", "line", "table"),
        ("patterns", "order", "table"),
        ("links", 0, "from"),
    ]
    (lacks,) = compare_tables(settings, {"orders": {}}, {"orders": {"pk", "customer_id"}})
    assert lacks.sentence == "no item of table `orders` has the attribute `customer`; did you mean `customer_id`?"


def test_a_table_that_no_definition_creates(tmp_path: Path) -> None:
    told = [mistake.sentence for mistake in find_undeclared(settings_of(tmp_path), ["order"])]
    assert set(told) == {"there is no table `orders`; did you mean `order`?"}
    assert not find_undeclared(settings_of(tmp_path), ["orders"])
