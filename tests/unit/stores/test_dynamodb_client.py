"""The DynamoDB client's pure parts: signature, codec, batches. What needs a server is in tests/integration."""

import json
from decimal import Decimal

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import (
    API,
    BATCH_BYTES,
    CONTENT_TYPE,
    DESCRIBE_S,
    Dynamo,
    patience,
    plain,
    plain_value,
    sign,
    split_batches,
    typed,
    typed_item,
)


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:8000", "http://localhost", "https://dynamodb.eu-west-1.amazonaws.com", "http://[::1]:8000/"],
)
@pytest.mark.parametrize(
    ("operation", "body"),
    [("ListTables", {}), ("GetItem", {"TableName": "t", "Key": {"pk": {"S": "Zoë ✓ / +%&=\n"}}})],
)
@pytest.mark.parametrize(
    ("access", "secret"), [("local", "local"), ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")]
)
def test_the_signature_is_botocores(endpoint, operation, body, access, secret):
    payload = json.dumps(body, ensure_ascii=False).encode()
    request = AWSRequest(
        "POST",
        endpoint if endpoint.endswith("/") else endpoint + "/",
        data=payload,
        headers={"Content-Type": CONTENT_TYPE, "X-Amz-Target": f"{API}.{operation}"},
    )
    SigV4Auth(Credentials(access, secret), "dynamodb", "eu-west-1").add_auth(request)

    ours = sign(DynamoTarget(endpoint, "eu-west-1", access, secret), operation, payload, request.headers["X-Amz-Date"])

    assert ours["authorization"] == request.headers["Authorization"]


def test_every_kind_of_value_has_its_attribute_type():
    item = {
        "text": "a",
        "number": Decimal("12345678901234567890123456789012345678"),
        "small": Decimal("1E-130"),
        "bytes": b"\x00\xff",
        "yes": True,
        "nothing": None,
        "list": ["a", 1, []],
        "map": {"inner": {"deep": False}},
        "names": {"b", "a"},
        "numbers": {1, Decimal("2.50")},
        "blobs": {b"a"},
    }
    assert typed_item(item) == {
        "text": {"S": "a"},
        "number": {"N": "12345678901234567890123456789012345678"},
        "small": {"N": "1E-130"},
        "bytes": {"B": "AP8="},
        "yes": {"BOOL": True},
        "nothing": {"NULL": True},
        "list": {"L": [{"S": "a"}, {"N": "1"}, {"L": []}]},
        "map": {"M": {"inner": {"M": {"deep": {"BOOL": False}}}}},
        "names": {"SS": ["a", "b"]},
        "numbers": {"NS": ["1", "2.50"]},
        "blobs": {"BS": ["YQ=="]},
    }
    assert plain(typed_item(item)) == item


scalars = (
    st.none()
    | st.booleans()
    | st.text()
    | st.binary()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
)
sets = st.sets(st.text(), min_size=1) | st.sets(st.integers(), min_size=1) | st.sets(st.binary(), min_size=1)
values = st.recursive(scalars | sets, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(st.dictionaries(st.text(), values))
def test_plain_undoes_typed_item(item):
    assert plain(typed_item(item)) == item


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_digit(number):
    assert str(plain_value(typed(number))) == str(number)


@pytest.mark.parametrize("value", [1.5, set(), {"a", 1}, {True}, {None}, object(), {"deep": [0.1]}])
def test_what_has_no_exact_form_is_refused(value):
    with pytest.raises(TypeError):
        typed(value)


@pytest.mark.parametrize("value", [{}, {"S": "a", "N": "1"}, {"X": "a"}])
def test_malformed_attribute_values_are_refused(value):
    with pytest.raises(ValueError):
        plain_value(value)


def test_batches_keep_the_order_and_hold_25_requests():
    requests = [{"PutRequest": {"Item": {"pk": {"N": str(n)}}}} for n in range(60)]
    batches = list(split_batches(requests))
    assert [len(batch) for batch in batches] == [25, 25, 10]
    assert [request for batch in batches for request in batch] == requests


def test_batches_stay_below_the_size_limit():
    requests = [{"PutRequest": {"Item": {"pk": {"S": "\x01" * 390_000}}}} for _ in range(13)]
    batches = list(split_batches(requests))
    assert sum(len(batch) for batch in batches) == 13
    assert len(batches) > 1
    assert all(len(json.dumps(batch)) < BATCH_BYTES + 1000 for batch in batches)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:8000",
        "localhost",
        "http://",
        "ftp://127.0.0.1:8000",
        "http://127.0.0.1:nine",
        "http://127.0.0.1:99999",
    ],
)
def test_an_endpoint_that_is_none_is_named(endpoint):
    with pytest.raises(StoreError) as caught:
        Dynamo(DynamoTarget(endpoint, "us-east-1", "local", "local"))
    assert caught.value.what == f"{endpoint!r} is not a DynamoDB endpoint"
    assert not caught.value.reached


def test_text_that_is_no_unicode_is_refused_before_anything_is_sent():
    with pytest.raises(StoreError, match="not Unicode"):
        Dynamo(DynamoTarget("http://127.0.0.1:1", "us-east-1", "local", "local")).call(
            "PutItem", {"TableName": "\ud800"}
        )


def test_only_a_description_without_a_limit_of_its_own_may_take_longer():
    """DynamoDB Local counts all items for it; who set a limit (status, the first look of doctor) does not wait."""
    assert patience("DescribeTable", 10.0) == DESCRIBE_S > 10.0
    assert patience("DescribeTable", 2.0) == 2.0
    assert patience("Scan", 10.0) == 10.0
