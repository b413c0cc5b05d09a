"""`schema-load` and `seed` from files that were made for something else: what they say is in the stores afterwards."""

from __future__ import annotations

import gzip
import json
from typing import Any

from devenv.stores.dynamodb.client import Dynamo

pytest_plugins = ("tests.integration.step_support",)

TEMPLATE = """
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: {table}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {{AttributeName: pk, AttributeType: S}}
        - {{AttributeName: n, AttributeType: N}}
      KeySchema: [{{AttributeName: pk, KeyType: HASH}}]
      GlobalSecondaryIndexes:
        - {{IndexName: by-n, KeySchema: [{{AttributeName: n, KeyType: HASH}}], Projection: {{ProjectionType: ALL}}}}
      StreamSpecification: {{StreamViewType: NEW_IMAGE}}
      DeletionProtectionEnabled: true
      TimeToLiveSpecification: {{AttributeName: {ttl}, Enabled: true}}
      KinesisStreamSpecification: {{StreamArn: x}}
"""


def test_a_template_becomes_a_table_with_all_that_it_says(small: Any) -> None:
    table = small.table("orders")
    small.steps["schema-load"] = {"files": ["infra/template.yaml"]}
    small.write("infra/template.yaml", TEMPLATE.format(table=table, ttl="expires"))
    outcome = small.run("schema-load")
    assert outcome.warnings == (f"left out: infra/template.yaml: KinesisStreamSpecification of table {table}",)
    assert small.look("schema-load").state == "done"
    with Dynamo(small.dynamodb) as dynamo:
        described = dynamo.call("DescribeTable", {"TableName": table})["Table"]
        ttl = dynamo.call("DescribeTimeToLive", {"TableName": table})["TimeToLiveDescription"]
    assert described["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert described["DeletionProtectionEnabled"]
    assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["by-n"]
    assert ttl["AttributeName"] == "expires"
    small.write("infra/template.yaml", TEMPLATE.format(table=table, ttl="gone_at"))
    assert small.look("schema-load").state == "stale"
    small.run("schema-load")
    assert small.look("schema-load").state == "done"


def test_an_export_and_a_csv_are_loaded(small: Any) -> None:
    table = small.table("orders")
    small.steps["schema-load"] = {"files": ["template.yaml"]}
    small.steps["seed"] = {
        "files": ["data/*"],
        "mapping": {"data/*.csv": {"attributes": {"pk": "C#{id}", "n": "{n}"}}},
    }
    small.write("template.yaml", TEMPLATE.format(table=table, ttl="expires"))
    lines = [{"Item": {"pk": {"S": str(n)}, "n": {"N": f"{n}.50"}, "s": {"NS": ["1", "2"]}}} for n in (1, 2)]
    small.write("data/a.json.gz", gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    small.write("data/b.csv", "id,n\n1,7\n2,\n")
    small.write("data/c.json", json.dumps({table: [{"DeleteRequest": {"Key": {"pk": {"S": "1"}}}}]}))
    small.up()
    found = {item["pk"]: item for item in small.items("orders")}
    assert set(found) == {"1", "2", "C#1", "C#2"}
    assert (float(found["1"]["n"]), found["C#1"]["n"]) == (1.5, 7)
    assert small.look("seed").state == "done"
