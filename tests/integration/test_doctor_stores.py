"""doctor on real stores: two projects of different shape, healthy variations, and stores that do not answer rightly."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from devenv.core.errors import Exit
from devenv.core.model import ServiceState, StepState
from devenv.doctor.bundle import make_bundle
from devenv.doctor.runner import mend
from tests.conftest import Stores
from tests.integration.doctor_support import Project, messaging, orders, rows, show
from tests.shapes import TIME, conversation


@pytest.fixture
def letters(stores: Stores) -> Iterator[Project]:
    with messaging((stores.postgres, stores.dynamodb)) as made:
        yield made


@pytest.fixture
def shop(stores: Stores) -> Iterator[Project]:
    with orders((stores.postgres, stores.dynamodb)) as made:
        yield made


# --- healthy


def test_a_healthy_project_has_no_finding_and_no_warning(letters: Project) -> None:
    report = letters.doctor()
    assert rows(report, "fail", "warn", "error", "skip") == {}
    assert (report.exit_code, report.body["verdict"]) == (Exit.DONE, "healthy")


def person(letters: Project, handle: str) -> tuple[str, str, str]:
    ((id_, name),) = letters.sql("SELECT uuid, display_name FROM users WHERE handle = %s", handle)
    return str(id_), handle, name


def more_conversations(letters: Project) -> None:
    people = [person(letters, handle) for handle in ("ada", "bo", "cy", "di")]
    for number, (one, other) in enumerate(combinations(people, 2)):
        texts = [f"{one[1]} and {other[1]}, {n}" for n in range(30)]
        letters.put(*conversation(one, other, texts, datetime(2024, 6, 1 + number, tzinfo=UTC)))


def row_changed_by_use(letters: Project) -> None:
    letters.sql("ALTER TABLE users ADD COLUMN replies integer DEFAULT 0")
    letters.sql("UPDATE users SET replies = 7, email = 'new@example.com' WHERE handle = 'ada'")


def letter_sent_just_now(letters: Project) -> None:
    """As the application sends: the letter and both group rows in one transaction."""
    heads = letters.items(pk="GRP#")
    group = heads[0]["message_group_uuid"]["S"]
    now = datetime.now(UTC).strftime(TIME)
    sender = person(letters, heads[0]["user_handle"]["S"])
    letters.put(
        {
            "pk": f"MSG#{group}",
            "sk": now,
            "message_uuid": str(uuid.uuid4()),
            "message": "now",
            "user_uuid": sender[0],
            "user_handle": sender[1],
            "user_display_name": sender[2],
        }
    )
    for head in heads:
        if head["message_group_uuid"]["S"] == group:
            letters.change(head, sk=now, message="now")


def empty_conversation(letters: Project) -> None:
    letters.put(*conversation(person(letters, "bo"), person(letters, "di"), [], datetime(2024, 6, 1, tzinfo=UTC)))


def expired_items(letters: Project) -> None:
    letters.put({"pk": "MSG#MY_GROUP", "sk": "gone", "user_uuid": "TODO", "expires": int(time.time()) - 60})


def extra_attributes(letters: Project) -> None:
    for item in letters.items()[:5]:
        letters.change(item, note="MOCK", seen={"a", "b"})


def other_items(letters: Project) -> None:
    letters.put({"pk": "CONFIG", "sk": "1", "theme": "{{dark}}"}, {"pk": "CONFIG", "sk": "2"})


def extra_tables_and_columns(letters: Project) -> None:
    letters.sql("CREATE TABLE notes (id int, message text)")
    letters.sql("INSERT INTO notes VALUES (1, 'MOCK')")
    letters.sql("ALTER TABLE users ADD COLUMN bio text DEFAULT 'TODO'")


def new_user(letters: Project) -> None:
    letters.sql(
        "INSERT INTO users (display_name, handle, email, cognito_user_id)"
        " VALUES ('Null', 'null', 'null@example.com', 'a1b2')"
    )


def renamed_everywhere(letters: Project) -> None:
    letters.sql("UPDATE users SET display_name = 'Bo Harbour' WHERE handle = 'bo'")
    for item in letters.items():
        if item["user_handle"]["S"] == "bo":
            letters.change(item, user_display_name="Bo Harbour")


def open_sessions(letters: Project) -> None:
    """Sessions that are merely open, as an application's pool has them."""
    target = letters.context.targets.postgres
    OPEN.append(
        psycopg.connect(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password,
            dbname=target.database,
            autocommit=True,
        )
    )
    OPEN[-1].execute("SELECT 1")


OPEN: list[psycopg.Connection[Any]] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


HEALTHY: list[Callable[[Project], None]] = [
    more_conversations,
    row_changed_by_use,
    letter_sent_just_now,
    empty_conversation,
    expired_items,
    extra_attributes,
    other_items,
    extra_tables_and_columns,
    new_user,
    renamed_everywhere,
    open_sessions,
]


@pytest.mark.parametrize("vary", HEALTHY, ids=lambda vary: vary.__name__)
@pytest.mark.matrix(4)
def test_healthy_variations_give_no_finding(letters: Project, vary: Callable[[Project], None]) -> None:
    vary(letters)
    report = letters.doctor()
    assert rows(report, "fail", "warn", "error", "skip") == {}, show(report)


def test_letters_sent_while_doctor_looks_give_no_finding(letters: Project) -> None:
    """Correct writers, each letter and both rows in one transaction, as fast as they can."""
    from devenv.stores.dynamodb.client import Dynamo, typed_item

    heads = [head for head in letters.items(pk="GRP#") if head["user_handle"]["S"] in ("ada", "bo")]
    group = next(h["message_group_uuid"]["S"] for h in heads if h["user_handle"]["S"] == "bo")
    pair = [head for head in letters.items(pk="GRP#") if head["message_group_uuid"]["S"] == group]
    sender = person(letters, "ada")
    stop = threading.Event()

    def write() -> None:
        with Dynamo(letters.context.targets.dynamodb) as dynamodb:
            current = pair
            while not stop.is_set():
                at = datetime.now(UTC).strftime(TIME)
                letter = {"pk": f"MSG#{group}", "sk": at, "message_uuid": str(uuid.uuid4()), "message": at}
                letter |= {"user_uuid": sender[0], "user_handle": sender[1], "user_display_name": sender[2]}
                moved = [{**head, "sk": {"S": at}, "message": {"S": at}} for head in current]
                actions: list[dict[str, Any]] = [{"Put": {"TableName": letters.table, "Item": typed_item(letter)}}]
                for old, new in zip(current, moved, strict=True):
                    key = {"pk": old["pk"], "sk": old["sk"]}
                    actions += [
                        {"Delete": {"TableName": letters.table, "Key": key}},
                        {"Put": {"TableName": letters.table, "Item": new}},
                    ]
                dynamodb.call("TransactWriteItems", {"TransactItems": actions})
                current = moved

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            report = letters.doctor()
            assert rows(report) == {}, show(report)
    finally:
        stop.set()
        writer.join()


# --- one cause, one finding


def test_all_ids_changed_by_plain_sql_is_one_finding_that_fix_repairs(letters: Project) -> None:
    letters.sql("UPDATE users SET uuid = gen_random_uuid()")
    report = letters.doctor()
    (row,) = rows(report).values()
    assert row["code"] == "XST002"
    assert row["evidence"].startswith("3 ids in 21 items: ")
    assert set(letters.ids().values()) & set(row["subjects"]) == {letters.ids()[h] for h in ("ada", "bo", "cy")}
    fixed = mend(letters.context)
    assert (fixed.exit_code, len(fixed.body["repairs"])) == (Exit.DONE, 21)
    assert rows(letters.doctor(), "fail", "warn", "error", "skip") == {}
    assert mend(letters.context).body["repairs"] == []


def test_repairs_tell_before_and_after_and_change_nothing_else(letters: Project) -> None:
    before = {item["message_uuid"]["S"]: item for item in letters.items(pk="MSG#")}
    letters.sql("UPDATE users SET display_name = 'Bo Harbour' WHERE handle = 'bo'")
    told: list[Any] = []
    mend(letters.context, tell=told.append)
    assert {change["attribute"] for repair in told for change in repair["changes"]} == {"user_display_name"}
    assert {change["before"] for repair in told for change in repair["changes"]} == {"Bo South"}
    for item in letters.items(pk="MSG#"):
        old = before[item["message_uuid"]["S"]]
        expected = {"S": "Bo Harbour"} if old["user_handle"]["S"] == "bo" else old["user_display_name"]
        assert item == {**old, "user_display_name": expected}


def test_fix_repairs_only_what_was_chosen(letters: Project) -> None:
    letters.sql("UPDATE users SET display_name = 'Bo Harbour' WHERE handle = 'bo'")
    letters.delete(letters.items(pk="GRP#")[0])
    mend(letters.context, only=["DAT008"])
    assert set(rows(letters.doctor())) == {"XST003"}


def test_fix_leaves_an_item_that_changed_in_between(letters: Project) -> None:
    from devenv.links.facts import Facts
    from devenv.stores.dynamodb.client import Dynamo
    from devenv.verify.repair import apply_writes, plan_repairs

    letters.sql("UPDATE users SET uuid = gen_random_uuid() WHERE handle = 'bo'")
    facts = Facts(letters.context)
    writes = plan_repairs(facts.judgement(), facts.known_plan())
    for item in letters.items():
        letters.change(item, message="changed meanwhile")
    before = letters.items()
    with Dynamo(letters.context.targets.dynamodb) as dynamodb:
        assert {written.state for written in apply_writes(dynamodb, writes)} == {"changed_meanwhile"}
    assert letters.items() == before


def test_a_plan_can_be_taken_back(letters: Project) -> None:
    from devenv.links.facts import Facts
    from devenv.stores.dynamodb.client import Dynamo
    from devenv.verify.repair import apply_writes, plan_repairs

    def ordered() -> list[Any]:
        return sorted(letters.items(), key=json.dumps)

    before = ordered()
    letters.sql("UPDATE users SET uuid = gen_random_uuid()")
    letters.delete(letters.items(pk="GRP#")[0])
    damaged = ordered()
    facts = Facts(letters.context)
    writes = plan_repairs(facts.judgement(), facts.known_plan())
    with Dynamo(letters.context.targets.dynamodb) as dynamodb:
        assert {written.state for written in apply_writes(dynamodb, writes)} == {"applied"}
        assert ordered() != damaged
        assert {w.state for w in apply_writes(dynamodb, [write.undone() for write in writes])} == {"applied"}
    assert ordered() == damaged != before


# --- the other project, by configuration alone


def test_a_project_of_another_shape_is_healthy(shop: Project) -> None:
    report = shop.doctor()
    assert rows(report) == {}, show(report)
    # No groups, no times, nothing unique, no column for an id of another system, no time to live.
    assert set(rows(report, "skip")) == {*OF_GROUPS, "DAT005", "DAT007", "DAT012", "DAT016"}


NO_LINKS = "not run: no [[links]] are declared in devenv.toml"
NO_GROUPS = "not run: no [[groups]] are declared in devenv.toml"
NO_ENTITIES = "not run: no [entities] are declared in devenv.toml"
NOTHING = "not run: no [entities] and no [[links]] are declared in devenv.toml"
OF_GROUPS = ("DAT006", "DAT008", "DAT009", "DAT010")
OF_LINKS = ("SCH004", "XST001", "XST002", "XST003", "DAT011", "DAT012", "DAT013")
OF_ITEMS = ("DAT001", "DAT003", "DAT005", "DAT007")


@pytest.mark.parametrize(
    ("gone", "skipped"),
    [
        (("groups",), dict.fromkeys(OF_GROUPS, NO_GROUPS)),
        (("links",), dict.fromkeys(OF_LINKS, NO_LINKS)),
        (
            ("entities", "links", "groups"),
            {
                **dict.fromkeys(OF_LINKS, NO_LINKS),
                **dict.fromkeys(OF_GROUPS, NO_GROUPS),
                **dict.fromkeys(OF_ITEMS, NO_ENTITIES),
                **dict.fromkeys(("DAT002", "DAT004"), NOTHING),
            },
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_what_nothing_is_declared_about_is_not_said_to_hold(
    letters: Project, gone: tuple[str, ...], skipped: dict[str, str]
) -> None:
    """Damage that would be seen is not looked for: then no ✓ may claim that there is none."""
    letters.sql("DELETE FROM users WHERE handle = 'bo'")
    settings = msgspec.structs.replace(
        letters.context.settings, **{name: type(getattr(letters.context.settings, name))() for name in gone}
    )
    report = replace(letters, context=replace(letters.context, settings=settings)).doctor()
    assert {code: row["evidence"] for code, row in rows(report, "skip").items()} == skipped
    if "links" in gone:
        assert list(rows(report)) == ["XST004"]
        assert (report.body["verdict"], report.exit_code) == ("not_verified", Exit.UNCHECKED), show(report)
        # The links that the data has examples of, in both forms.
        told = rows(report)["XST004"]["fix"]["text"]
        table = letters.context.settings.links[0].source.removeprefix("dynamodb:").rpartition(".")[0]
        for source in (f"{table}.pk[GRP#{{}}]", f"{table}.user_uuid"):
            assert f'[[links]] from = "dynamodb:{source}", to = "postgres:users.uuid"' in told, told


def test_links_without_natural_keys_and_copies_compare_ids_alone(letters: Project) -> None:
    settings = letters.context.settings
    bare = [msgspec.structs.replace(link, natural_key={}, copies={}) for link in settings.links]
    context = replace(letters.context, settings=msgspec.structs.replace(settings, links=bare))
    assert {
        code: row["evidence"] for code, row in rows(replace(letters, context=context).doctor(), "skip").items()
    } == {
        **dict.fromkeys(("XST002", "DAT011", "DAT013"), "not run: no natural_key is declared in [[links]]"),
        "XST003": "not run: no copies are declared in [[links]]",
    }


def test_the_application_that_a_project_has_not_does_not_answer(letters: Project) -> None:
    (row,) = (row for row in letters.doctor().body["checks"] if row["code"] == "SVC003")
    assert (row["status"], row["evidence"]) == ("skip", "not run: the project declares no application")


@pytest.mark.parametrize(
    ("damage", "code", "subjects"),
    [
        ("UPDATE shop.customers SET id = id + 5000 WHERE code = 'C-ONE'", "XST002", {"6001", "1001"}),
        ("DELETE FROM shop.products WHERE sku = 'apple'", "XST001", {"apple"}),
        ("UPDATE shop.products SET label = 'Red apple' WHERE sku = 'apple'", "XST003", {"apple"}),
        ("UPDATE shop.customers SET code = 'C-NEW' WHERE id = 1002", "XST003", {"1002"}),
        ("ALTER TABLE shop.products RENAME COLUMN label TO name", "SCH004", {"shop.products.label"}),
    ],
)
def test_faults_of_a_project_of_another_shape(shop: Project, damage: str, code: str, subjects: set[str]) -> None:
    shop.sql(damage)
    report = shop.doctor()
    assert {c: set(row["subjects"]) for c, row in rows(report).items()} == {code: subjects}


@pytest.mark.long
def test_numbers_as_ids_are_fixed_as_numbers(shop: Project) -> None:
    shop.sql("UPDATE shop.customers SET id = id + 5000")
    assert mend(shop.context).exit_code == Exit.DONE
    assert {item["customer"]["N"] for item in shop.items()} == {"6001", "6002"}


def test_a_wrong_type_in_a_project_of_another_shape(shop: Project) -> None:
    shop.put({"order_no": {"N": "9"}, "customer": {"S": "1001"}, "sku": {"S": "apple"}})
    assert list(rows(shop.doctor())) == ["DAT003"]


# --- steps, folders, listeners


def test_a_stale_step_is_run_by_fix(letters: Project) -> None:
    states = [StepState("seed", "stale", "its files changed")]
    runs: list[str] = []

    def run() -> None:
        runs.append("run")
        states[:] = [StepState("seed", "done", "loaded")]

    project = replace(letters, context=replace(letters.context, look_steps=lambda _: states, run_steps=run))
    assert list(rows(project.doctor())) == ["SCH005"]
    fixed = mend(project.context)
    assert (fixed.exit_code, runs) == (Exit.DONE, ["run"])
    assert fixed.body["repairs"] == [
        {"step": "seed", "before": "stale", "after": "done", "reasons": ["its files changed"], "state": "applied"}
    ]


def test_files_that_others_can_read_and_open_listeners(letters: Project, tmp_path: Path) -> None:
    from devenv.core.model import Listener

    secret = tmp_path / "secrets.json"
    secret.write_text("{}")
    secret.chmod(0o644)
    listeners = (Listener("dynamodb", "::", 8000), Listener("postgres", "127.0.0.1", 5432))
    context = replace(letters.context, private_files=(secret,), listeners=lambda: listeners)
    found = rows(replace(letters, context=context).doctor())
    assert found["SAF001"]["evidence"] == "dynamodb listens on :::8000"
    assert found["SAF002"]["subjects"] == (str(secret),)
    secret.chmod(0o600)
    assert "SAF002" not in rows(replace(letters, context=context).doctor())


def test_a_data_folder_that_dynamodb_local_cannot_write(letters: Project, tmp_path: Path) -> None:
    """Its process runs as another account than the folder's owner: as root for real, else by the folder's mode."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    account = 65534 if os.geteuid() == 0 else os.geteuid()
    as_account = {"user": account} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **as_account) as process:  # type: ignore[call-overload]
        services = (letters.context.services[0], ServiceState("dynamodb", "running", pid=process.pid))
        context = replace(letters.context, dynamodb_folder=folder, services=services)
        found = rows(replace(letters, context=context).doctor())
        folder.chmod(0o707)
        mended = rows(replace(letters, context=context).doctor())
        process.terminate()
    assert f"cannot be written by DynamoDB Local (uid {account})" in found["SVC004"]["evidence"]
    assert mended == {}


def test_the_bundle_of_a_sick_project_holds_nothing_of_its_data(letters: Project) -> None:
    letters.sql("UPDATE users SET display_name = 'Bo Harbour', cognito_user_id = 'MOCK'")
    bundle = make_bundle(letters.context, letters.doctor())
    for hidden in ("Harbour", "letter number", "bo@example.com", "user_display_name is"):
        assert hidden not in bundle
    found = {row["code"]: row for row in json.loads(bundle)["report"]["checks"]}
    assert found["XST003"]["status"] == "fail"


def test_a_second_look_lets_a_write_under_way_finish(letters: Project) -> None:
    """A row that is missing for a moment, between a delete and a put, is no finding."""
    head = letters.items(pk="GRP#")[0]
    letters.delete(head)
    back = threading.Timer(0.1, lambda: letters.put(head))
    back.start()
    report = letters.doctor()
    back.join()
    assert rows(report) == {}, show(report)


@pytest.mark.long
def test_many_items_are_scanned_in_segments(letters: Project) -> None:
    people = person(letters, "ada"), person(letters, "bo")
    from devenv.links import facts
    from devenv.links import facts as reading
    from devenv.links.packed import PackedItems

    texts = [f"text {n}" for n in range(facts.SEGMENT_ABOVE + 100)]
    items = conversation(*people, texts, datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=1))
    from devenv.stores.dynamodb.client import Dynamo, typed_item

    with Dynamo(letters.context.targets.dynamodb) as dynamodb:
        dynamodb.write_batch(letters.table, [{"PutRequest": {"Item": typed_item(item)}} for item in items])
    found = reading.Facts(letters.context)
    described = found.dynamodb().described[letters.table]
    assert described is not None
    assert described["ItemCount"] > facts.SEGMENT_ABOVE
    plain = found.dynamodb().items[letters.table]
    assert len(plain) == len(items) + 21
    packed = facts.scan_segments(letters.context, letters.table, found.reading, PackedItems)
    assert sorted(map(str, packed)) == sorted(map(str, plain))
    assert found.judgement().faults == []
