"""`devenv init` reads what shell scripts write with the AWS CLI, or lists the command."""

from __future__ import annotations

import json
from pathlib import Path

from devenv.init.command import init
from tests.unit.init.test_init import TABLE, write

SCRIPT = r"""#!/bin/sh
T=${ORDERS:-orders}
aws dynamodb put-item --table-name "$T" --item '{"pk": {"S": "A;1"}, "n": {"N": "1"}}'
aws dynamodb batch-write-item \
  --request-items '{"orders": [{"PutRequest": {"Item": {"pk": {"S": "B"}}}}]}' >/dev/null
aws dynamodb batch-write-item --request-items file://orders.json
aws dynamodb batch-write-item --request-items=file://lost.json
aws dynamodb put-item --table-name "$T" --item "{\"pk\": {\"S\": \"$1\"}}"
aws dynamodb put-item --table-name other --item '{"pk": {"S": "C"}}'
aws dynamodb batch-write-item --request-items '{"orders": [{"PutRequest": [1]}, 2]}'
"""


def test_the_items_of_commands(tmp_path: Path) -> None:
    listed = {"orders": [{"PutRequest": {"Item": {"pk": {"S": "D"}}}}]}
    write(tmp_path, {"t.json": json.dumps(TABLE), "bin/load.sh": SCRIPT, "orders.json": json.dumps(listed)})
    body = init(tmp_path).body
    made = json.loads((tmp_path / "seeds/dynamodb/items/from-scripts.json").read_text())
    items = [{"pk": {"S": "A;1"}, "n": {"N": "1"}}, {"pk": {"S": "B"}}]
    assert made == {"orders": [{"PutRequest": {"Item": each}} for each in items]}
    assert "bin/load.sh: items, for seeds/dynamodb/items/from-scripts.json" in body["found"]
    why = "whose items are not read: write them into a file of [steps.seed]"
    assert [each for each in body["unused"] if "bin/load.sh" in each] == [
        f"bin/load.sh:7: batch-write-item, {why}",
        f"bin/load.sh:8: put-item, {why}",
        f"bin/load.sh:9: put-item, {why}",
        f"bin/load.sh:10: batch-write-item, {why}",
    ]
    text = (tmp_path / "devenv.toml").read_text()
    assert 'files = ["orders.json", "seeds/dynamodb/items/from-scripts.json"]' in text
