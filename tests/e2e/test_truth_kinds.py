"""The ten kinds of a ✓ that was not looked at: which tests hold each, with inputs of their own."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# Kind -> file -> test -> its inputs of this kind, without those that the kind was first seen in.
KINDS: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {
    "1 a verdict is bounded by its coverage": {
        "e2e/test_truth.py": {
            "test_a_lookup_that_cannot_be_called_is_named_as_not_looked_at": ("a function without code",),
            "test_a_project_of_which_nothing_is_compared_is_not_healthy": ("nothing declared",),
        },
        "e2e/test_cache_layer.py": {
            "test_a_second_cache_of_a_subject_is_named_as_not_looked_at": ("a second cache",),
        },
        "integration/test_patterns_command.py": {
            "test_a_pattern_in_sql_without_values_is_not_verified": ("no values",),
        },
        "integration/test_truth_ids.py": {
            "test_links_that_read_no_id_in_any_item_prove_nothing": ("another attribute",),
            "test_a_value_in_which_no_id_can_be_read_proves_nothing": (
                "binary",
                "a map",
                "a list of maps",
                "a set of binaries",
                "a truth value",
                "a name",
                "hyphens of another kind",
                "digits of another script",
            ),
        },
        "unit/doctor/test_could_not_look.py": {
            "test_a_check_that_could_not_look_says_why": (
                "variables of another account",
                "an unknown index",
                "rows that cannot be read",
                "Docker without containers",
            ),
        },
        "unit/init/test_review.py": {
            "test_what_may_have_queries_and_cannot_be_read_is_named": (
                "code of Python 2",
                "UTF-16",
            ),
        },
        "unit/test_coverage.py": {
            "test_a_check_that_could_not_look_says_why": (
                "workers",
                "Redis",
                "issuer",
                "code",
            ),
        },
    },
    "2 the configuration is checked against itself and the stores": {
        "unit/config/test_config_references.py": {
            "test_each_mistake_is_refused_with_its_line": ("30 mistakes",),
            "test_columns_are_held_against_those_of_the_database": ("columns",),
            "test_tables_and_attributes_are_held_against_those_of_dynamodb": (
                "a table",
                "an attribute",
            ),
        },
        "integration/test_trace_single_table.py": {
            "test_config_check_refuses_what_does_not_fit": (
                "a trace",
                "ids",
            ),
        },
    },
    "3 done is looked up": {
        "integration/test_steps_since.py": {
            "test_what_was_deleted_or_changed_is_counted_and_stays_so": ("both stores",),
            "test_deleted_seeds_come_back_when_asked_and_nothing_else_changes": ("restored",),
            "test_above_a_thousand_a_look_says_that_it_did_not_compare": ("1,001 items",),
            "test_a_materialized_view_is_as_fresh_as_after_a_fresh_load": (
                "a view of a view",
                "a view behind a plain one",
                "in another schema",
                "WITH NO DATA",
            ),
        },
    },
    "4 a command step is not believed": {
        "integration/test_steps_command.py": {
            "test_an_old_address_is_refused_before_the_program_runs": ("other forms",),
            "test_a_program_whose_writes_go_elsewhere_fails_and_says_where": ("elsewhere",),
            "test_a_program_that_did_nothing_fails": ("nothing written",),
            "test_a_program_that_fills_a_table_of_its_own_instead_of_the_declared_one_fails": ("another table",),
            "test_a_setup_that_makes_no_table_fails": ("an empty database",),
        },
        "integration/test_steps_migrations.py": {
            "test_a_command_that_writes_elsewhere_is_not_believed": ("a migration",),
        },
        "e2e/test_truth_cases.py": {
            "test_an_application_with_the_old_port_written_in_is_named_when_the_port_moved": ("an application",),
        },
    },
    "5 what runs is what is written": {
        "e2e/test_truth.py": {
            "test_a_setting_that_is_not_in_effect_is_named_with_what_makes_it_so": (
                "port",
                "source",
                "local",
                "version",
            ),
            "test_another_first_user_is_refused_at_once": ("user",),
            "test_a_store_that_runs_without_a_record_has_the_settings_only_if_the_file_is_older": ("no record",),
            "test_a_process_with_other_settings_than_the_file_has_is_named_until_up": (
                "command",
                "variables",
                "[env]",
            ),
        },
        "unit/trace/test_trace_judge_http.py": {
            "test_an_application_that_is_older_than_its_code_is_said": ("code",),
        },
    },
    "6 the application's own view": {
        "e2e/test_truth_cases.py": {
            "test_every_variable_that_leads_elsewhere_is_found_whatever_its_name": (
                "READ_REPLICA",
                "DDB_URL",
                "POSTGRES_HOST",
            ),
        },
        "unit/doctor/test_doctor_addresses.py": {
            "test_every_postgres_address_is_judged_by_where_it_leads": ("addresses",),
            "test_the_endpoint_of_the_aws_configuration_file": ("~/.aws/config",),
            "test_a_service_of_libpq_outranks_the_variables": ("PGSERVICE",),
            "test_every_endpoint_of_dynamodb_and_what_goes_around_it": ("DYNAMODB_HOST", "host:port", "quotes"),
        },
    },
    "7 ids are compared as the stores compare them": {
        "integration/test_truth_ids.py": {
            "test_the_same_id_in_another_spelling_is_named": (
                "without dashes",
                "in braces",
                "urn:uuid:",
                "a leading blank",
                "behind a prefix",
                "in a set",
                "in a list",
                "in a set of keys",
            ),
        },
    },
    "8 single-table reads are traced": {
        "integration/test_trace_single_table.py": {
            "test_a_fault_is_named_at_its_layer": ("12 faults",),
            "test_an_order_without_lines_is_healthy": ("no children",),
            "test_more_items_than_the_pattern_expects": ("expected",),
            "test_an_item_of_a_kind_that_the_pattern_does_not_declare": ("entities",),
        },
    },
    "9 explanations that are true": {
        "unit/trace/test_trace_judge.py": {
            "test_a_function_that_returns_none_is_explained_by_its_query": ("None",),
            "test_equal_queries_are_not_shown_as_different": ("equal queries",),
            "test_what_fails_behind_a_fault_follows_from_it": ("a consequence",),
        },
        "integration/test_trace_single_table.py": {
            "test_a_view_that_a_link_names_is_no_missing_table": ("a view",),
        },
        "e2e/test_truth.py": {
            "test_another_first_user_is_refused_at_once": ("a refused password",),
        },
    },
    "10 no harm": {
        "integration/test_doctor_settling.py": {
            "test_a_row_that_changes_again_while_fix_waits_is_not_spread": ("rolled back",),
            "test_an_old_row_is_not_spread_over_items_that_a_write_has_already_changed": ("an open transaction",),
            "test_an_entry_that_is_deleted_while_fix_waits_is_not_shown_in_its_rows": ("an entry unsent",),
        },
        "integration/test_trace_single_table.py": {
            "test_an_item_that_was_changed_since_is_not_taken_back": ("undone late",),
        },
    },
}


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_three_inputs_of_its_own(kind: str) -> None:
    lost = [test for file, tests in KINDS[kind].items() for test in tests if test not in names_in(file)]
    assert lost == []
    assert sum(len(inputs) for tests in KINDS[kind].values() for inputs in tests.values()) >= 3


def test_there_are_ten_kinds() -> None:
    assert [int(kind.split()[0]) for kind in KINDS] == list(range(1, 11))
