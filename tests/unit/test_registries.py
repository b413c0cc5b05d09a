"""What is added is one file and one line in a registry: every file that defines a record is in its registry."""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType

import pytest

import devenv.doctor.checks
import devenv.steps.seed.formats
import devenv.trace.layers
from devenv.doctor.checks.registry import CHECKS
from devenv.patterns import code_rules, pattern_rules, table_rules
from devenv.patterns.judge import UNVERIFIED
from devenv.patterns.registry import ANY, RULES
from devenv.steps.seed.formats.registry import FORMATS
from devenv.trace.layers.registry import LAYERS


def records(package: ModuleType, name: str) -> dict[str, object]:
    """Module -> its record, of the modules of a package that define one."""
    names = [one.name for one in pkgutil.iter_modules(package.__path__) if one.name != "registry"]
    modules = [importlib.import_module(f"{package.__name__}.{one}") for one in names]
    return {module.__name__: getattr(module, name) for module in modules if hasattr(module, name)}


def test_every_file_with_a_layer_is_in_the_registry_once() -> None:
    found = records(devenv.trace.layers, "LAYER")
    assert sorted(map(id, found.values())) == sorted(map(id, LAYERS))
    assert len({layer.name for layer in LAYERS}) == len(LAYERS)


def test_a_layer_needs_only_layers_before_it() -> None:
    names = [layer.name for layer in LAYERS]
    for place, layer in enumerate(LAYERS):
        assert set(layer.needs) <= set(names[:place]), layer.name


def test_a_code_means_one_thing() -> None:
    codes = [one.code for one in (*CHECKS, *RULES, UNVERIFIED)]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("module", sorted(records(devenv.doctor.checks, "CHECKS")))
def test_every_check_of_every_file_is_in_the_registry(module: str) -> None:
    assert set(importlib.import_module(module).CHECKS) <= set(CHECKS)


def test_every_rule_is_in_the_registry_and_explained_by_known_ones() -> None:
    found = {
        one
        for module in (code_rules, pattern_rules, table_rules)
        for one in vars(module).values()
        if getattr(one, "__module__", None) == module.__name__ and re.match(r"PAT\d{3}: ", one.__doc__ or "")
    }
    assert found == {rule.find for rule in RULES}
    assert {code for rule in RULES for code in rule.explained} <= {ANY, *(rule.code for rule in RULES)}


def test_every_form_of_seed_files_is_in_the_registry_once() -> None:
    found = records(devenv.steps.seed.formats, "FORMAT")
    assert sorted(map(id, found.values())) == sorted(map(id, FORMATS))
    assert all((form.read is None) != (form.read_text is None) for form in FORMATS)
