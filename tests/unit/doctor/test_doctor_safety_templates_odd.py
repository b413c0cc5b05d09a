"""Templates that no tool would write: whatever is in them, doctor says so in a row, and does not break."""

from __future__ import annotations

import copy
import json
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devenv.aws import hcl
from devenv.aws.cloudformation import parse
from devenv.aws.files import read_templates
from devenv.doctor.runner import diagnose
from tests.unit.doctor.test_doctor_safety import context
from tests.unit.doctor.test_doctor_safety_templates import CLOUDFORMATION, CODES, DEMANDS, TERRAFORM, YAML_FAULTS

JUNK = st.sampled_from(
    [
        None,
        True,
        0,
        7,
        "",
        "*",
        "x",
        "arn:aws:dynamodb",
        "${",
        "${}",
        "arn:",
        [],
        [[]],
        {},
        {"a": []},
        [None],
        ["x"],
        [{}],
    ]
)
FUNCTIONS = st.sampled_from(
    [
        {"Ref": "Letters"},
        {"Ref": ["x"]},
        {"Ref": "AWS::NoValue"},
        {"Fn::Sub": "${Letters}${!x}${AWS::Region}${Letters.Arn}${"},
        {"Fn::Sub": ["${a}", {"a": {"Ref": "Table"}}]},
        {"Fn::Sub": {}},
        {"Fn::GetAtt": ["Letters", "Arn"]},
        {"Fn::GetAtt": "Letters.Arn"},
        {"Fn::GetAtt": []},
        {"Fn::Join": [",", [{"Ref": "Letters"}, 1]]},
        {"Fn::Join": ","},
        {"Fn::If": ["x", "a", "b"]},
        {"Fn::Select": ["1", ["a", "b"]]},
        {"Fn::Select": ["9", ["a"]]},
        {"Fn::Split": ["", "x"]},
        {"Fn::Unheard": {"Fn::Of": 1}},
    ]
)
EXPRESSIONS = st.sampled_from(['"x"', "x ? 1 : 2", "[for a in b : a]", "f(1, [2], {a = 3})", "a.b[0].c", "-1.5"])
WITH_GROUP = YAML_FAULTS["a group with everything"][1](CLOUDFORMATION)
SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every node."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(each for key, part in items for each in places(part, (*path, key)))]


def look(folder: Path, name: str, text: str) -> None:
    """Every row is a judgement, none a crash; what is said has no traceback in it."""
    for file in folder.iterdir():
        file.unlink()
    (folder / name).write_text(text)
    made = context(DEMANDS, root=folder, read_templates=partial(read_templates, folder, ()))
    found = diagnose(made, only=CODES).body["checks"]
    crashed = [row for row in found if "the check itself failed" in row["evidence"]]
    assert crashed == []


@SETTINGS
@given(data=st.data())
def test_cloudformation_with_anything_anywhere(tmp_path_factory: Any, data: st.DataObject) -> None:
    tree = copy.deepcopy(
        parse(data.draw(st.sampled_from([CLOUDFORMATION, YAML_FAULTS["a group with everything"][1](CLOUDFORMATION)])))
    )
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from([each for each in places(tree) if each]))
        part = tree
        for key in path:
            part = part[key]
        part[last] = copy.deepcopy(data.draw(JUNK | FUNCTIONS))
    look(tmp_path_factory.mktemp("odd"), "template.json", json.dumps(tree))


@SETTINGS
@given(data=st.data())
def test_terraform_with_anything_anywhere(tmp_path_factory: Any, data: st.DataObject) -> None:
    text = TERRAFORM
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 30))
        more = data.draw(
            st.sampled_from(["", "{", "}", "[", "]", '"', "${", "<<EOF\n", "\n", "=", "(", ")", "/*", "é", "\0"])
        )
        text = text[:at] + more + text[at + cut :]
    look(tmp_path_factory.mktemp("odd"), "main.tf", text)


@SETTINGS
@given(
    value=JUNK
    | FUNCTIONS
    | st.sampled_from(['"x"', "x ? 1 : 2", "[for a in b : a]", "f(1, [2], {a = 3})", "a.b[0].c", "-1.5"])
)
def test_terraform_with_any_value(tmp_path_factory: Any, value: Any) -> None:
    written = value if isinstance(value, str) else json.dumps(value)
    for attribute in (
        "route_table_ids = [aws_route_table.main.id]",
        'read_write_type = "All"',
        "name     = local.table",
    ):
        assert attribute in TERRAFORM
        changed = TERRAFORM.replace(attribute, f"{attribute.partition('=')[0]}= {written or 'null'}", 1)
        look(tmp_path_factory.mktemp("odd"), "main.tf", changed)


@pytest.mark.parametrize("text", ['"' + '${"' * 120_000, "<<A\n" * 90_000, "a = " + "${" * 180_000, "/*" * 190_000])
def test_terraform_with_beginnings_and_no_end_is_read_in_linear_time(text: str) -> None:
    """Quadratic readers took a minute; a slow machine takes some seconds."""
    begun = time.process_time()
    with suppress(hcl.Broken):
        hcl.read(text)
    assert time.process_time() - begun < 20


def test_a_heredoc_ends_at_its_mark() -> None:
    (block,) = hcl.read('x "y" {\n  a = <<-EOT\n    one\n    two\n  EOT\n  b = 1\n}\n')
    assert (block.line, block.attributes) == (1, {"a": "    one\n    two\n", "b": 1})
