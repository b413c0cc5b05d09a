"""One contract for both ways to DynamoDB: the thin client of loopback, and boto3, which everything else goes through.

Each test runs with both, on DynamoDB Local and on moto's server; what they answer must be the same.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import Dynamo, is_local
from devenv.stores.dynamodb.remote import SdkTransport
from tests.e2e.world import free_port
from tests.integration.dynamodb_support import answering, reply, wait_for

ITEM = {
    "pk": {"S": "ключ ✓ \u0000"},
    "sk": {"N": "12345678901234567890.12345678901234567"},
    "binary": {"B": "AAH/"},
    "yes": {"BOOL": True},
    "none": {"NULL": True},
    "map": {"M": {"a": {"L": [{"N": "1"}, {"S": ""}, {"M": {}}]}}},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "bytes": {"BS": ["AAE=", "/w=="]},
}


class ByBoto(Dynamo):
    """The client as it is for a store that is not on loopback."""

    def __init__(self, target: DynamoTarget, *, timeout: float = 10.0) -> None:
        super().__init__(target, timeout=timeout)
        self.transport = SdkTransport(target, timeout, self.api)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamoTarget]:
    port = free_port()
    log = (tmp_path_factory.mktemp("moto") / "log").open("wb")
    server = Path(__file__).parents[1] / "moto_server.py"
    process = subprocess.Popen([sys.executable, str(server), str(port)], stdout=log, stderr=log)
    where = DynamoTarget(f"http://127.0.0.1:{port}", "us-east-1", "tests", "tests")

    def ready() -> bool:
        try:
            with Dynamo(where) as dynamodb:
                dynamodb.call("ListTables")
        except StoreError:
            return False
        return True

    try:
        wait_for(ready)
        yield where
    finally:
        process.kill()
        process.wait()
        log.close()


@pytest.fixture(params=["thin", "boto3"])
def way(request: pytest.FixtureRequest) -> type[Dynamo]:
    return Dynamo if request.param == "thin" else ByBoto


@pytest.fixture(params=["local", "moto"])
def where(request: pytest.FixtureRequest) -> DynamoTarget:
    if request.param == "moto":
        return request.getfixturevalue("moto")  # type: ignore[no-any-return]
    return request.getfixturevalue("stores").dynamodb  # type: ignore[no-any-return]


@pytest.fixture
def table(where: DynamoTarget) -> Iterator[str]:
    name = f"contract-{secrets.token_hex(4)}"
    with Dynamo(where) as dynamodb:
        dynamodb.call(
            "CreateTable",
            {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "N"},
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            },
        )
        yield name
        dynamodb.call("DeleteTable", {"TableName": name})


def test_every_type_comes_back_as_it_was_sent(way: type[Dynamo], where: DynamoTarget, table: str) -> None:
    with way(where) as dynamodb:
        dynamodb.call("PutItem", {"TableName": table, "Item": ITEM})
        key = {name: ITEM[name] for name in ("pk", "sk")}
        found = dynamodb.call("GetItem", {"TableName": table, "Key": key})["Item"]
    for name, value in ITEM.items():
        kind = next(iter(value))
        if kind in ("SS", "NS", "BS"):
            assert sorted(found[name][kind]) == sorted(value[kind])  # type: ignore[index,type-var]
        else:
            assert found[name] == value


def test_pages_and_batches(way: type[Dynamo], where: DynamoTarget, table: str) -> None:
    requests = [{"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"N": str(number)}}}} for number in range(60)]
    with way(where) as dynamodb:
        dynamodb.write_batch(table, requests)
        query = {
            "TableName": table,
            "KeyConditionExpression": "pk = :a",
            "ExpressionAttributeValues": {":a": {"S": "a"}},
        }
        pages = [
            [item["sk"]["N"] for item in page["Items"]] for page in dynamodb.pages("Query", {**query, "Limit": 25})
        ]
        assert [len(page) for page in pages if page] == [25, 25, 10]
        assert [number for page in pages for number in page] == [str(number) for number in range(60)]
        assert len(list(dynamodb.scan(table, Limit=7))) == 60
        keys = [{"pk": {"S": "a"}, "sk": {"N": str(number)}} for number in range(70)]
        assert len(list(dynamodb.read_keys(table, keys))) == 60


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("DescribeTable", {"TableName": "nowhere"}, "ResourceNotFoundException"),
        ("GetItem", {"TableName": "nowhere", "Key": {"pk": {"S": "a"}}}, "ResourceNotFoundException"),
    ],
)
def test_errors_have_the_same_code(
    way: type[Dynamo], where: DynamoTarget, operation: str, body: dict[str, object], code: str
) -> None:
    with way(where) as dynamodb, pytest.raises(StoreError) as refused:
        dynamodb.call(operation, body)
    assert (refused.value.code, refused.value.reached) == (code, True)
    assert refused.value.detail


def test_a_condition_that_does_not_hold(way: type[Dynamo], where: DynamoTarget, table: str) -> None:
    put = {
        "TableName": table,
        "Item": {"pk": {"S": "a"}, "sk": {"N": "1"}},
        "ConditionExpression": "attribute_exists(pk)",
    }
    with way(where) as dynamodb, pytest.raises(StoreError) as refused:
        dynamodb.call("PutItem", put)
    assert refused.value.code == "ConditionalCheckFailedException"


def test_a_store_that_is_not_there(way: type[Dynamo]) -> None:
    nowhere = DynamoTarget(f"http://127.0.0.1:{free_port()}", "us-east-1", "tests", "tests")
    with way(nowhere, timeout=1) as dynamodb, pytest.raises(StoreError) as refused:
        dynamodb.call("ListTables")
    assert (refused.value.reached, refused.value.exit_code) == (False, 3)


THROTTLED = (
    b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}'
)


@pytest.mark.matrix(2)
def test_throttling_is_tried_again_by_boto3_and_reported_by_both(way: type[Dynamo]) -> None:
    refusal = reply(THROTTLED, "400 Bad Request")
    with answering([refusal] * 5 + [reply(b'{"TableNames":[]}')]) as (where, seen), way(where) as dynamodb:
        with pytest.raises(StoreError) as refused:
            dynamodb.call("ListTables")
        assert refused.value.code == "ProvisionedThroughputExceededException"
        assert len(seen) == (1 if way is Dynamo else 5)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1", True),
        ("::1", True),
        ("127.0.0.1.example.com", False),
        ("dynamodb.eu-west-1.amazonaws.com", False),
        ("10.0.0.1", False),
    ],
)
def test_only_loopback_is_asked_by_the_thin_client(host: str, local: bool) -> None:
    assert is_local(host) is local
    name = f"[{host}]" if ":" in host else host
    with Dynamo(DynamoTarget(f"https://{name}", "us-east-1", "key", "secret")) as dynamodb:
        assert isinstance(dynamodb.transport, SdkTransport) is not local


def test_without_keys_boto3_finds_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = FROMPROFILE\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    with answering([reply(b'{"TableNames":["a"]}')]) as (where, seen):
        bare = DynamoTarget(where.endpoint, "eu-central-1", "", "")
        with ByBoto(bare) as dynamodb:
            assert dynamodb.call("ListTables") == {"TableNames": ["a"]}
    assert b"Credential=FROMPROFILE/" in seen[0]
    assert b"/eu-central-1/dynamodb/" in seen[0]
