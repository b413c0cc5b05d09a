"""A ninth layer and another check, given to the runners: they show in every form of the report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from devenv.core.model import Report
from devenv.doctor.checks.registry import CHECKS
from devenv.doctor.gather import doctor_context
from devenv.doctor.runner import diagnose, explain, list_checks
from devenv.lifecycle.up import read_inputs
from devenv.render.report import show_report
from devenv.render.trace_html import write_html
from devenv.render.trace_otlp import write_otlp
from devenv.render.trace_step import inspected
from devenv.stack import Stack, open_stack
from devenv.trace.layer import Layer
from devenv.trace.layers.registry import LAYERS
from devenv.trace.run import trace
from tests import another
from tests.faults.trace.bench import GROUP
from tests.support import reference_project


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    project = reference_project(tmp_path_factory.mktemp("registries") / "project")
    project.ok("up", "--no-backend")
    yield open_stack(project.path)
    project.remove()


def printed(report: Report, capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    capsys.readouterr()
    show_report(report, as_json=as_json, color="never", verbose=False)
    return capsys.readouterr().out


def declared(stack: Stack) -> list[Layer]:
    return [layer for layer in LAYERS if layer.declared(stack.settings)]


def test_a_ninth_layer_is_in_every_form_of_a_trace(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    before = trace(stack, "conversation", (GROUP,), None)
    report = trace(stack, "conversation", (GROUP,), None, layers=(*LAYERS, another.LAYER))
    document = json.loads(printed(report, capsys, as_json=True))
    assert [layer["name"] for layer in document["layers"]] == [*(layer.name for layer in declared(stack)), "mirror"]
    ninth = document["layers"][-1]
    assert (ninth["index"], ninth["status"], ninth["summary"]) == (9, "mutated", "2 copies of ines")
    assert ninth["findings"][0]["class"] == "crooked"
    verdict = document["verdict"]
    assert "mirror" in [verdict["layer"], *(other["layer"] for other in verdict["also"])]
    assert [(layer["index"], layer["name"], layer["status"]) for layer in document["layers"][:-1]] == [
        (layer["index"], layer["name"], layer["status"]) for layer in before.body["layers"]
    ]
    text = printed(report, capsys)
    assert "mirror" in text
    assert "crooked" in text
    page = write_html(report)
    assert "9. mirror" in page
    assert "What does the mirror show?" in page
    assert "the mirror shows somebody else" in page[page.index("9. mirror") :].lower()
    assert '"devenv.mirror.copies"' in write_otlp(report)
    assert any("the mirror" in line for line in inspected(report.body["layers"][-1]))


def test_a_layer_that_a_project_does_not_declare_is_not_there(stack: Stack) -> None:
    absent = replace(another.LAYER, declared=lambda settings: False)
    report = trace(stack, "conversation", (GROUP,), None, layers=(LAYERS[0], absent, *LAYERS[1:]))
    assert [(layer["index"], layer["name"]) for layer in report.body["layers"]] == [
        (number, layer.name) for number, layer in enumerate(declared(stack), 1)
    ]


def test_another_check_is_in_every_form_of_doctor(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    checks = (*CHECKS, another.CHECK)
    context = doctor_context(stack, read_inputs(stack))
    report = diagnose(context, only=["mirrors"], checks=checks)
    (row,) = json.loads(printed(report, capsys, as_json=True))["checks"]
    assert (row["code"], row["layer"], row["status"]) == ("MIR001", "mirrors", "fail")
    assert "has a crooked mirror" in printed(report, capsys)
    assert list_checks(checks)[-1]["title"] == "every mirror is straight"
    assert "Look at it from the side." in explain("mirror", checks)
