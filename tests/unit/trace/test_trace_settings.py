"""A request that fails for the application's settings: a variable without a value, a table that is not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from devenv.capture.calls import StoreCall
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.judge.verdict import judge
from devenv.trace.layers.unset_variables import unset_in
from devenv.trace.observation import Observations, UnsetVariable
from tests.unit.trace.judged import HEALTHY, SUBJECT, with_member

MISSING_TABLE = "ResourceNotFoundException: Cannot do operations on a non-existent table"
TABLE = UnsetVariable("SHED_TABLE", "app/db.py:2", "…", "DDB_TABLE", "[env]")


def failed(log: str, asked: tuple[StoreCall, ...] | None = None, *unset: UnsetVariable) -> LayerFinding:
    seen: Observations = with_member(status=500, entries=None)
    seen = replace(seen, library=HEALTHY.library, http=replace(seen.http, log=(log,), asked=asked, unset=unset))
    first = judge(SUBJECT, seen).first
    assert first is not None
    return first


def log_of(root: Path, error: str) -> list[str]:
    (root / "app").mkdir()
    (root / "app" / "db.py").write_text("import os\nname = os.environ['SHED_TABLE']\n")
    return [f'  File "{root}/app/db.py", line 2, in table', '  File "<frozen os>", line 709, in __getitem__', error]


def test_a_variable_that_the_log_names_is_found_in_the_code_with_the_similar_one(tmp_path: Path) -> None:
    lines = log_of(tmp_path, "KeyError: 'SHED_TABLE'")
    known = {"PG_HOST": "[env]", "DDB_TABLE": "[env]", "PORT": "[backend] env"}
    assert list(unset_in(tmp_path, ["python"], lines, {"DDB_TABLE": "x"}, known)) == [TABLE]
    assert not list(unset_in(tmp_path, ["python"], lines, {"SHED_TABLE": ""}, known)), "it has a value"


def test_a_key_of_another_dict_is_no_variable(tmp_path: Path) -> None:
    assert not list(unset_in(tmp_path, ["python"], log_of(tmp_path, "KeyError: 'ORDER_ID'"), {}, {}))


def test_a_failed_request_names_the_variable_and_where_to_set_it() -> None:
    found = failed("KeyError: 'SHED_TABLE'", None, TABLE)
    assert found.cause == "app/db.py:2 reads SHED_TABLE, which has no value; [env] sets DDB_TABLE (similar)"
    assert found.fix is not None
    assert found.fix.text.startswith("in devenv.toml, set SHED_TABLE in [env], as DDB_TABLE is; or correct the code")
    alone = failed("KeyError: 'PG_HOST'", None, UnsetVariable("PG_HOST", "app/db.py:2", "{postgres_host}")).fix
    assert alone is not None
    assert alone.text.startswith('in devenv.toml: [env] PG_HOST = "{postgres_host}"')


def test_a_table_that_does_not_exist_is_named_if_the_call_was_recorded() -> None:
    unrecorded = failed(MISSING_TABLE).fix
    assert unrecorded is not None
    assert (unrecorded.command, "which table" in unrecorded.text) == ("devenv up --tap", True)
    call = StoreCall("Query", "repair-notes", error="ResourceNotFoundException")
    assert failed(MISSING_TABLE, (call,)).cause == (
        "the application asks for table repair-notes, which does not exist in the project's DynamoDB; "
        "the pattern's table is letters"
    )
    assert MISSING_TABLE in (failed(MISSING_TABLE, ()).cause or ""), "no recorded call lacks its table"
