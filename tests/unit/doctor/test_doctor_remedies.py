"""What findings say and offer: items are named, counts are plain, commands lose no more than the finding names."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from devenv.config.schema import Person, Settings
from devenv.config.trace import Trace
from devenv.core.lazy import Lazy
from devenv.core.model import DynamoTarget, PostgresTarget, StepState, Targets
from devenv.doctor.checks.cross_store import not_compared
from devenv.doctor.checks.items import judged
from devenv.doctor.checks.schema import run_steps
from devenv.doctor.checks.statements import word
from devenv.doctor.context import DoctorContext, DoctorFacts
from devenv.links.facts import DynamoFacts, PostgresFacts
from devenv.links.faults import Recreated
from devenv.links.recreated import with_recreated
from devenv.stores.dynamodb.client import typed_item
from devenv.stores.postgres.catalog import Catalog
from devenv.stores.postgres.client import store_error
from devenv.trace.layers.dynamodb import not_found, unmatched
from devenv.trace.layers.members import Members
from devenv.trace.layers.postgres import nobody
from devenv.trace.layers.whose import owners_of
from devenv.trace.observation import Finding
from devenv.trace.question import Application, Question, TraceContext
from tests.shapes import NOW, TABLE, USERS, World, messaging_settings

KEY = ({"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"})
REASON = "the last run failed: seeds/a.json: item 1 of table t: ${users[handle=ada].uuid} cannot be resolved"


@pytest.fixture
def world() -> World:
    return World()


def facts(world: World, *, seeded: Sequence[dict[str, Any]] = (), **changes: Any) -> DoctorFacts:
    """What a diagnosis of this world would know, without a store."""
    context = DoctorContext(
        settings=msgspec.convert(messaging_settings(TABLE, "letters"), Settings),
        root=Path(),
        targets=Targets.of(PostgresTarget("127.0.0.1", 1, "u", "p"), DynamoTarget("http://127.0.0.1:1", "r", "k", "s")),
        services=(),
        environment={},
        shell={},
        tables={TABLE: {"KeySchema": KEY}},
        now=lambda: NOW if NOW.tzinfo else datetime.now(UTC),
    )
    made = DoctorFacts(replace(context, **changes))
    items = DynamoFacts({TABLE: {"KeySchema": KEY}}, {TABLE: [typed_item(item) for item in world.items]})
    nothing = Catalog()
    loaded = {USERS: list(seeded)}
    made.postgres = Lazy(lambda: PostgresFacts("1", nothing, nothing, {USERS: world.rows}, loaded, nothing))
    made.described = Lazy(lambda: items.described)
    made.dynamodb = Lazy(lambda: items)
    made.judgement = Lazy(lambda: made._judge_once(items, made.postgres))
    return made


def test_a_bad_item_is_named_and_the_command_deletes_it_alone(world: World) -> None:
    item = next(item for item in world.items if item["pk"].startswith("MSG#"))
    del item["message"]
    found = judged("missing_attribute")(facts(world))
    assert found.evidence == f"1 fault: {TABLE} {item['pk']} {item['sk']}: `message` is missing"
    assert found.fix is not None
    assert found.fix.command is not None
    assert not found.fix.safe
    assert shlex.split(found.fix.command) == [
        *("devenv", "ddb", "sql", "--write"),
        f"""DELETE FROM "{TABLE}" WHERE "pk"='{item["pk"]}' AND "sk"='{item["sk"]}'""",
    ]
    assert "seed" not in found.fix.text
    seeded = judged("missing_attribute")(facts(world, is_seeded=lambda *_: True))
    assert seeded.fix is not None
    assert "came from the seed files" in seeded.fix.text


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("wrong_type", {"message": 7}, 'message = "number"'),
        ("mixed_time_format", {"sk": "noon"}, 'sk = "string"'),
        ("malformed_id", {"message_uuid": "ada"}, 'message_uuid = "string"'),
        ("missing_attribute", {"message": None}, 'message = "string?"'),
    ],
)
def test_what_every_item_contradicts_is_a_wrong_declaration(
    world: World, tmp_path: Path, kind: str, change: dict[str, Any], told: str
) -> None:
    (tmp_path / "devenv.toml").write_text('# own\n[entities.letter.attributes]\nsk = "time"\nmessage = "string"\n')
    letters = [item for item in world.items if item["pk"].startswith("MSG#")]
    for item in letters:
        item |= {name: value for name, value in change.items() if value is not None}
        for name in [name for name, value in change.items() if value is None]:
            del item[name]
    (name,) = change
    line = {"sk": ":3", "message": ":4"}.get(name, ":2")
    found = judged(kind)(facts(world, root=tmp_path))
    assert found.fix is not None
    assert (found.fix.command, found.fix.safe) == (None, False)
    assert found.fix.text.startswith(
        (f"all {len(letters)} letter items", f"none of the {len(letters)} letter items has")
    )
    assert f"devenv.toml{line} " in found.fix.text
    assert told in found.fix.text
    # One that has the right type: the others are wrong, and not the declaration.
    if kind == "wrong_type":
        letters[0]["message"] = "hello"
        other = judged(kind)(facts(world, root=tmp_path))
        assert "DELETE" in (other.fix.command or "" if other.fix else "")


def test_an_attribute_that_every_item_has_under_another_name_is_named(world: World) -> None:
    """The code that reads it may be right, so the declaration is not the only thing that can be wrong."""
    letters = [item for item in world.items if item["pk"].startswith("MSG#")]
    for item in letters:
        item["msg"] = item.pop("message")
        item["message_group_uuid"] = item["pk"].removeprefix("MSG#")
    fix = judged("missing_attribute")(facts(world)).fix
    assert fix is not None
    assert "has `message`, and all have `msg`, which is not declared" in fix.text
    letters[0]["spare"] = letters[1]["spare"] = "x"
    assert "`spare`" not in str(judged("missing_attribute")(facts(world)).fix)
    for item in letters:
        del item["msg"]
    fix = judged("missing_attribute")(facts(world)).fix
    assert fix is not None
    assert "else correct what writes the items" in fix.text


def test_of_two_that_are_one_too_many_the_one_no_seed_made_is_deleted(world: World) -> None:
    item = next(item for item in world.items if item["pk"].startswith("MSG#"))
    world.items.append({**item, "sk": "2023-01-01T00:00:00.000000+00:00"})
    ours = lambda _, found, __: not found["sk"]["S"].startswith("2023-01-01")  # noqa: E731
    found = judged("duplicate")(facts(world, is_seeded=ours))
    assert found.fix is not None
    assert "2023-01-01T00:00:00.000000+00:00" in str(found.fix.command)


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        ("3 of 3 ids in public.users.uuid changed", "devenv up"),
        ("${users[handle=bo].uuid} names no row", "DELETE FROM"),
    ],
)
def test_a_seeded_item_whose_row_was_recreated_follows(world: World, reason: str, command: str) -> None:
    world.rows.remove(world.row("bo"))
    state = StepState("seed", "stale", reason, follows=True)
    found = judged("orphan")(facts(world, is_seeded=lambda *_: True, look_steps=lambda _: [state]))
    assert found.fix is not None
    assert command in str(found.fix.command)
    assert ("DELETE" in str(found.fix.command)) is (command != "devenv up")


def recreated(facts: DoctorFacts) -> DoctorFacts:
    """The same facts, where a unique value of the first orphan's item names a row."""
    found = facts.judgement()
    orphan = next(fault for fault in found.faults if fault.kind == "orphan")
    row = Recreated("user_handle", "handle", "bo", "7")
    facts.judgement = Lazy(lambda: with_recreated(found, {id(orphan): row}))
    return facts


def test_where_the_row_has_another_id_the_declaration_is_the_fix_and_no_deletion(world: World) -> None:
    lost = {**world.row("bo"), "uuid": str(world.row("bo")["uuid"])}
    world.rows.remove(world.row("bo"))
    # Neither what setup loaded nor the step of the items is offered first: the row is there.
    done = StepState("seed", "done", "items may be left", command="devenv seed")
    fix = judged("orphan")(recreated(facts(world, seeded=[lost], look_steps=lambda _: [done]))).fix
    assert fix is not None
    assert fix.command is None
    assert fix.text.startswith('declare natural_key = { user_handle = "handle" } in [[links]] user in devenv.toml; ')
    assert "Delete no item: the rows exist. Then run `devenv doctor` again for the other" in fix.text
    stale = StepState("seed", "stale", "ids changed", follows=True)
    follows = judged("orphan")(recreated(facts(world, is_seeded=lambda *_: True, look_steps=lambda _: [stale]))).fix
    assert follows is not None
    assert follows.command == "devenv up"


def test_items_of_rows_that_setup_replaced_are_not_deleted_one_by_one(world: World) -> None:
    """The seed command wrote new items for the new rows; only the step itself clears all the old ones."""
    world.rows.remove(world.row("bo"))
    state = StepState("seed", "done", "items may be left", command="devenv seed")
    found = judged("orphan")(facts(world, look_steps=lambda _: [state]))
    assert found.fix is not None
    assert (found.fix.command, found.fix.safe) == ("devenv seed", False)
    assert "setup made new rows" in found.fix.text
    usual = judged("orphan")(facts(world, look_steps=lambda _: [replace(state, command=None)]))
    assert usual.fix is not None
    assert "DELETE" in str(usual.fix.command)


def test_a_lost_entry_of_the_seeds_is_loaded_again(world: World) -> None:
    world.items.remove(world.letters(world.first)[-1])
    shape = messaging_settings(TABLE, "letters")
    del shape["entities"]["letter"]["ttl"]  # what may have expired is not missed
    settings = msgspec.convert(shape, Settings)
    ours = judged("missing_item")(facts(world, settings=settings, is_seeded=lambda *_: True)).fix
    assert ours is not None
    assert ours.command == "devenv seed"
    assert not ours.safe
    other = judged("missing_item")(facts(world, settings=settings)).fix
    assert other is not None
    assert other.command is None


def test_counts_are_in_plain_words_and_examples_name_their_item(world: World) -> None:
    world.row("bo")["display_name"] = "Bo Harbour"
    found = judged("stale_copy")(facts(world))
    assert found.evidence.startswith("1 fault in ")
    assert f"(in {TABLE} " in found.evidence
    assert " more items)" in found.evidence
    assert found.cause is not None
    assert found.cause.startswith("either ")
    assert " in 1 items" not in found.evidence


def test_an_item_with_another_id_that_names_a_row_is_not_deleted(world: World) -> None:
    """The attribute that leads to nothing is named, an item that two links read counts once, and both ids are shown."""
    shape = messaging_settings(TABLE, "letters")
    shape["links"] += [
        {"name": name, "from": f"dynamodb:{TABLE}.{name}", "to": "postgres:users.uuid"} for name in ("by", "also_by")
    ]
    settings = msgspec.convert(shape, Settings)
    lost, letter = str(uuid.uuid4()), next(item for item in world.items if item["pk"].startswith("MSG#"))
    letter |= {"by": lost, "also_by": lost}
    found = judged("orphan")(facts(world, settings=settings))
    place = f"(in `by`, `also_by` of {TABLE} MSG#{letter['pk'].removeprefix('MSG#')[:8]}… {letter['sk']})"
    assert found.evidence == f"1 id: {lost} matches no row of public.users.uuid {place}"
    assert found.fix is not None
    assert f"`user_uuid` of the same item refers to {letter['user_uuid']}" in found.fix.text
    assert str(found.fix.command).startswith('devenv ddb sql "SELECT')
    # Of the owner of a group's row and the other one in it neither says anything of the other.
    world.rows.remove(world.row("bo"))
    del letter["by"], letter["also_by"]
    row = next(item for item in world.items if item["pk"].startswith("GRP#") and item["user_handle"] == "bo")
    world.items[:] = [row]
    del shape["links"][2:]
    lone = judged("orphan")(facts(world, settings=msgspec.convert(shape, Settings))).fix
    assert lone is not None
    assert "DELETE" in str(lone.command)


def test_a_seeded_row_that_is_gone_is_inserted_again(world: World) -> None:
    seeded = [{name: str(value) for name, value in row.items()} for row in world.rows]
    gone = world.row("bo")
    world.rows.remove(gone)
    found = judged("orphan")(facts(world, seeded=seeded))
    assert found.fix is not None
    words = shlex.split(str(found.fix.command))
    assert words[:3] == ["devenv", "db", "--write"]
    assert words[3].startswith('INSERT INTO "public"."users" SELECT')
    assert str(gone["uuid"]) in words[3]
    # A row that setup never loaded cannot be brought back so: the items that name it can be deleted.
    unknown = judged("orphan")(facts(world))
    assert unknown.fix is not None
    assert "DELETE FROM" in str(unknown.fix.command)


def test_a_missing_row_whose_natural_key_another_loaded_row_took(world: World) -> None:
    seeded = [{name: str(value) for name, value in row.items()} for row in world.rows]
    gone = world.row("di")
    world.rows.remove(gone)
    world.row("cy")["handle"] = "di"
    found = judged("missing_row")(facts(world, seeded=seeded))
    assert found.status == "fail"
    assert str(gone["uuid"]) in found.subjects


@pytest.mark.parametrize(
    "statement",
    ["""DELETE "t" WHERE "a"='\\ it''s'""", """DELETE "t" WHERE "a"='x $HOME `id` \\ "q" it''s'""", "'wow!'"],
)
def test_a_statement_is_one_word_of_a_shell(statement: str) -> None:
    assert shlex.split(word(statement)) == [statement]


def test_tables_that_nothing_is_declared_about_are_reported(world: World) -> None:
    assert not_compared(facts(world)) == ""
    more = {TABLE: {"KeySchema": KEY}, "bookmarks": {"KeySchema": KEY}}
    assert not_compared(facts(world, tables=more)) == "not compared: bookmarks (no link names it)"


@pytest.mark.parametrize(
    ("state", "evidence"),
    [
        (StepState("seed", "done", "all there"), "seed"),
        (
            StepState("seed", "stale", "7 of 8 ids changed", follows=True),
            "seed is stale (7 of 8 ids changed; the next `devenv up` updates the items)",
        ),
        *(
            (
                StepState("seed", "stale", f"{each} to another value (${{users[handle=ada].name}})", follows=True),
                f"seed is stale ({each} to another value (${{users[handle=ada].name}}); the next `devenv up` updates"
                " the items)",
            )
            for each in ("1 reference now resolves", "2 references now resolve")
        ),
        (
            StepState("seed", "stale", "${users[handle=ada].uuid}: no row", follows=True, stuck=True),
            "seed is stale (${users[handle=ada].uuid}: no row; `devenv up` would stop at this reference: restore the "
            "row's value, or edit the seed file)",
        ),
    ],
)
def test_a_step_that_is_behind_the_rows_is_no_finding_but_reported(
    world: World, state: StepState, evidence: str
) -> None:
    found = run_steps(facts(world, look_steps=lambda _: [state]))
    assert (found.status, found.evidence) == ("ok", evidence)


def test_a_step_that_would_fail_again_is_not_offered_again(world: World) -> None:
    failed = StepState("seed", "failed", REASON)
    again = run_steps(facts(world, look_steps=lambda _: [failed]))
    assert again.fix is not None
    assert (again.fix.command, again.fix.safe) == ("devenv up", True)
    world.row("ada")["handle"] = f"ada-{uuid.uuid4()}"
    stuck = run_steps(facts(world, look_steps=lambda _: [failed]))
    assert stuck.fix is not None
    assert (stuck.fix.command, stuck.fix.safe) == (None, False)
    assert "restore the row's value" in stuck.fix.text
    assert "seeds/a.json" in stuck.fix.text


def test_the_words_of_libpq_are_one_line() -> None:
    error = psycopg.OperationalError("connection failed: Connection refused\n\tIs the server running on that host?\n")
    assert (
        store_error(error, "h:1/d").detail
        == "connection failed: Connection refused Is the server running on that host?"
    )


WHO = Person(table="public.users", id="uuid", name="handle")


def asked(world: World, user: str, seeded: Sequence[dict[str, Any]] = ()) -> Finding:
    """What a trace says of somebody who has no row; bo alone is a member."""
    question = Question("conversation", Trace(), {"group": "g-1"}, user)
    inquiry = TraceContext(question, facts(world, seeded=seeded), Application())
    return nobody(inquiry, WHO, world.rows, lambda: Members(frozenset([world.id("bo")])))


def test_who_is_not_there_is_reported_who_is(world: World) -> None:
    found = asked(world, "nobody")
    assert found.summary == "no row of public.users has handle 'nobody'; existing values: ada, bo, cy, di"
    assert found.fix is not None
    assert found.fix.command == "devenv trace conversation g-1 --user bo"
    world.rows += [{"uuid": uuid.uuid4(), "handle": f"x{number:02}"} for number in range(9)]
    assert asked(world, "nobody").summary.endswith("ada, bo, cy, di, x00, x01, x02, x03, x04, x05, x06, x07, …")


def test_a_row_that_setup_loaded_and_a_table_without_rows_are_loaded_again(world: World) -> None:
    gone = asked(world, "eve", seeded=[{"uuid": str(uuid.uuid4()), "handle": "eve"}])
    assert gone.cause == "setup loaded this row; it was deleted later"
    assert gone.fix is not None
    assert gone.fix.command == "devenv up --restore-seeds"
    bo = world.id("bo")
    inquiry = TraceContext(Question("conversation", Trace(), {}, "ada"), facts(world), Application())
    empty = nobody(inquiry, WHO, [], lambda: Members(frozenset([bo])))
    assert (empty.cause, empty.fix and empty.fix.command) == ("public.users is empty", "devenv up --from setup")
    assert empty.summary.endswith("existing values: none")


PROFILES = {
    "project": {"name": "profiles"},
    "steps": {"seed": {"files": ["seeds/*.json"]}},
    "entities": {
        "profile": {
            "table": TABLE,
            "match": {"pk": "USER#{user_uuid}", "sk": "PROFILE"},
            "attributes": {"user_uuid": "uuid", "user_handle": "string"},
        }
    },
    "links": [
        {
            "name": "user",
            "from": f"dynamodb:{TABLE}.pk[USER#{{}}]",
            "to": "postgres:users.uuid",
            "natural_key": {"user_handle": "handle"},
        }
    ],
}
WRONG = "11111111-2222-4333-8444-555555555557"


def profiles(world: World, *handles: str) -> DoctorFacts:
    """Ada's profile under a wrong id, and those of `handles` under their own."""
    owners = {handle: str(world.row(handle)["uuid"]) for handle in handles}
    named = [(WRONG, "ada"), *((uuid, handle) for handle, uuid in owners.items())]
    world.items[:] = [{"pk": f"USER#{uuid}", "sk": "PROFILE", "user_handle": handle} for uuid, handle in named]
    return facts(world, settings=msgspec.convert(PROFILES, Settings))


def test_an_id_whose_key_is_free_is_written(world: World) -> None:
    fix = judged("mismatched_id")(profiles(world, "bo")).fix
    assert fix is not None
    assert (fix.command, fix.safe) == ("devenv doctor --fix", True)
    assert fix.text == "write the correct value; no data is lost"


def test_an_id_whose_key_another_item_has_gets_a_command_that_ends_it(world: World) -> None:
    """`--fix` leaves both alone, so the finding must not send the reader to it again."""
    fix = judged("mismatched_id")(profiles(world, "ada", "bo")).fix
    assert fix is not None
    assert not fix.safe
    assert fix.text.startswith(f"another item has the key pk = USER#{world.row('ada')['uuid']} already")
    statement = f"""DELETE FROM "{TABLE}" WHERE "pk"='USER#{WRONG}' AND "sk"='PROFILE'"""
    assert shlex.split(str(fix.command)) == ["devenv", "ddb", "sql", "--write", statement]


def test_the_line_of_a_seed_that_has_the_wrong_id_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds/users.json").write_text(f'{{"table": "t",\n "items": [\n{{"pk": "USER#{WRONG}"}}]}}')
    made = profiles(world, "bo")
    made.context = replace(made.context, root=tmp_path)
    fix = judged("mismatched_id")(made).fix
    assert fix is not None
    assert fix.safe
    wanted = "seeds/users.json:3 has the wrong value, too: correct it there, or the next load writes it again"
    assert fix.text == f"write the correct value; no data is lost. {wanted}"


@pytest.mark.parametrize("pattern", ["../seeds/*.json", "/tmp/seeds/*.json", "seeds/*.csv"])
def test_files_outside_the_project_and_other_files_are_not_searched(world: World, tmp_path: Path, pattern: str) -> None:
    for folder in (tmp_path / "seeds", tmp_path / "project/seeds"):
        folder.mkdir(parents=True)
        (folder / "users.json").write_text(WRONG)
    made = profiles(world, "bo")
    settings = msgspec.convert({**PROFILES, "steps": {"seed": {"files": [pattern]}}}, Settings)
    made.context = replace(made.context, root=tmp_path / "project", settings=settings)
    fix = judged("mismatched_id")(made).fix
    assert fix is not None
    assert fix.text == "write the correct value; no data is lost"


def test_a_match_that_fits_no_item_is_named_and_not_the_id_that_was_asked_for(world: World) -> None:
    """The id is there, in items that the entity does not match: to trace another one, or the same again, is no help."""
    shape = messaging_settings(TABLE, "letters")
    shape["entities"]["letter"]["match"] = {"pk": "MSG#{message_group_uuid}", "user_handle": "NOPE#{handle}"}
    del shape["groups"]
    context = facts(world, settings=msgspec.convert(shape, Settings))
    trace = Trace(params={"group": "uuid"}, entity="letter", where={"message_group_uuid": "{group}"})
    inquiry = TraceContext(Question("letters", trace, {"group": world.first}), context, Application())
    [found] = unmatched(inquiry, context.judgement())
    assert (found.kind, found.summary) == ("unmatched", "no item matches [entities.letter]")
    assert str(found.cause).endswith('match no entity: user_handle = "NOPE#{handle}" fits none of them')
    assert found.fix is not None
    assert found.fix.command == f"devenv ddb scan {TABLE} --limit 20"
    again = not_found(inquiry, []).fix
    assert again is not None
    assert again.command != f"devenv trace letters {world.first}"
    # Where all items are of a kind, the kind that has none may just have none.
    whole = facts(world)
    inquiry = TraceContext(Question("letters", trace, {"group": "none"}), whole, Application())
    assert list(unmatched(inquiry, whole.judgement())) == []


def test_a_step_that_up_does_not_correct_names_its_own_command(world: World) -> None:
    """A seed that is a command: `devenv up` would run it beside its old items."""
    stale = StepState("seed", "stale", "setup has run again", command="devenv seed")
    found = run_steps(facts(world, look_steps=lambda _: [stale]))
    assert found.fix is not None
    assert (found.fix.command, found.fix.safe) == ("devenv seed", False)


def test_steps_that_a_store_did_not_tell_of_are_not_verified(world: World) -> None:
    """`devenv up` corrects nothing there, and `--fix` must not run it."""
    states = [StepState(name, "pending", "cannot be checked: no answer", unread=True) for name in ("setup", "seed")]
    found = run_steps(facts(world, look_steps=lambda _: states))
    assert (found.status, found.fix) == ("error", None)
    assert found.evidence == "not verified: setup, seed: cannot be checked: no answer"


def test_the_owner_of_entries_of_another_group_is_named(world: World) -> None:
    trace = Trace(
        params={"group": "uuid"},
        entity="letter",
        where={"message_group_uuid": "{group}"},
        ids={"dynamodb": "message_uuid"},
    )
    inquiry = TraceContext(Question("letters", trace, {"group": world.first}), facts(world), Application())
    mine, theirs = (world.letters(group)[0]["message_uuid"] for group in (world.first, world.second))
    assert owners_of(inquiry, [mine, theirs, None, "nobody's"], None) == {
        theirs: (f"`message_group_uuid` = {world.second}",)
    }
