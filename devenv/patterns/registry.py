"""All rules of `patterns check`. A new rule is a function in a file of rules and a line in this list."""

from __future__ import annotations

from typing import Final

from devenv.patterns import code_rules, pattern_rules, table_rules
from devenv.patterns.rule import Rule

# In `explained`: by any other rule.
ANY: Final = "*"
RULES: Final[tuple[Rule, ...]] = (
    Rule("PAT001", "scan", "pattern", "No pattern is a Scan", pattern_rules.find_scans),
    Rule("PAT002", "filter", "pattern", "No filter discards most of the items read", pattern_rules.find_filters),
    Rule("PAT003", "limit", "pattern", "No limit cuts off items that the pattern needs", pattern_rules.find_cuts),
    Rule(
        "PAT004",
        "match",
        "key",
        "Every key condition can match a stored key",
        pattern_rules.find_unmatched,
        # A key of the wrong type matches nothing: that is one fault.
        ("PAT005", "PAT015"),
    ),
    Rule("PAT005", "key-type", "key", "Values have the type of their key", pattern_rules.find_mistyped),
    Rule("PAT006", "unused-index", "index", "Every index is read by a pattern", table_rules.find_unused),
    Rule("PAT007", "no-key", "key", "Every pattern is served by a key", pattern_rules.find_unserved),
    Rule("PAT008", "hot-partition", "data", "No partition has most of the data", table_rules.find_hot),
    Rule("PAT009", "few-partitions", "data", "Partition keys have many different values", table_rules.find_few),
    Rule("PAT010", "large-item", "data", "No item is near 400 KB", table_rules.find_large),
    Rule(
        "PAT011",
        "projection",
        "index",
        "Indexes project the attributes their patterns need",
        pattern_rules.find_lacking,
    ),
    Rule("PAT012", "text-order", "data", "Sort keys sort in the order of their values", table_rules.find_misordered),
    Rule(
        "PAT013", "no-sort-key", "key", "Patterns with an order or a range have a sort key", pattern_rules.find_sortless
    ),
    Rule("PAT014", "consistency", "key", "No consistent read of a global index", pattern_rules.find_inconsistent),
    Rule("PAT015", "operator", "key", "Conditions fit the type of the sort key", pattern_rules.find_wrong_operators),
    Rule(
        "PAT016",
        "operation",
        "pattern",
        "Each pattern is the operation it declares",
        pattern_rules.find_other_operations,
    ),
    Rule("PAT017", "size", "pattern", "Answers have the expected size", pattern_rules.find_sizes),
    Rule("PAT018", "twin-index", "index", "No two indexes have the same keys", table_rules.find_twins),
    Rule("PAT019", "unread-entity", "data", "Every entity is read by a pattern", table_rules.find_unread),
    Rule("PAT020", "index-limits", "index", "Indexes are within DynamoDB's limits", table_rules.find_limits),
    Rule("PAT021", "collection", "data", "No partition nears 10 GB under a local index", table_rules.find_collections),
    Rule("PAT022", "reserved-word", "pattern", "Filters use no reserved word", pattern_rules.find_reserved),
    Rule("PAT023", "missing", "pattern", "Every pattern's table and index exist", pattern_rules.find_missing),
    Rule(
        "PAT024", "refused", "pattern", "The store accepts every pattern's request", pattern_rules.find_refused, (ANY,)
    ),
    Rule("PAT025", "script", "pattern", "Scripts send the declared query", pattern_rules.find_scripts),
    Rule("PAT026", "load", "pattern", "The stated load can be served", pattern_rules.find_loads),
    Rule("PAT027", "index-writes", "index", "Global indexes have enough write capacity", table_rules.find_slow_indexes),
    Rule("PAT028", "date-partition", "data", "No partition key is a date", table_rules.find_dated),
    Rule("PAT029", "empty-index", "index", "Every index holds items", table_rules.find_empty),
    Rule("PAT030", "clock", "pattern", "No condition depends on the current time", pattern_rules.find_clocks),
    Rule("PAT032", "code", "pattern", "No query in the code is visibly wrong", code_rules.find_code_faults),
)
