"""Requests that leave this machine, through boto3: its credentials, regions, retries and TLS.

The bytes of a request and of its answer stay DynamoDB's own JSON, as the client on loopback has them: so both ways are
one protocol (`Transport`), with one contract test.
"""

from __future__ import annotations

import http.client
from typing import Any, Final, Protocol

import msgspec

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget

RETRIES: Final = {"mode": "standard", "total_max_attempts": 5}
SERVICES: Final = {"DynamoDB": "dynamodb", "DynamoDBStreams": "dynamodbstreams"}


class Transport(Protocol):
    """A way to send one request."""

    def send(self, operation: str, payload: bytes) -> tuple[int, bytes]:
        """The HTTP status and the body of the answer. TimeoutError, OSError or HTTPException if there is none."""

    def close(self) -> None:
        """Give connections back."""


class SdkTransport:
    """One boto3 client. Without keys in the target, boto3's chain finds them: profiles, SSO, roles, metadata."""

    def __init__(self, target: DynamoTarget, timeout: float, api: str) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        keys: dict[str, Any] = {}
        if target.access_key:
            keys = {"aws_access_key_id": target.access_key, "aws_secret_access_key": target.secret_key}
            keys |= {"aws_session_token": target.token} if target.token else {}
        # The body is made already: nothing is to be validated.
        config = Config(connect_timeout=timeout, read_timeout=timeout, retries=RETRIES, parameter_validation=False)  # type: ignore[arg-type]
        service = SERVICES[api.partition("_")[0]]
        try:
            self._client: Any = boto3.session.Session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=target.endpoint,
                region_name=target.region,
                config=config,
                **keys,
            )
        except BotoCoreError as error:
            raise StoreError(
                f"DynamoDB at {target.endpoint} cannot be reached", detail=str(error), reached=False
            ) from None
        self._payload = b"{}"
        # The last one alone: boto3 may have sent the request several times.
        self._answers: list[tuple[int, bytes]] = []
        events = self._client.meta.events
        events.register(f"before-call.{service}", self._put_body)
        events.register(f"before-parse.{service}", self._take_answer)

    def _put_body(self, params: dict[str, Any], **_: Any) -> None:
        params["body"] = self._payload

    def _take_answer(self, response_dict: dict[str, Any], **_: Any) -> None:
        self._answers[:] = [(int(response_dict["status_code"]), bytes(response_dict["body"]))]

    def send(self, operation: str, payload: bytes) -> tuple[int, bytes]:
        """The last answer, after boto3's retries."""
        from botocore import xform_name
        from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

        self._payload = payload
        self._answers.clear()
        try:
            # boto3 derives the endpoint from some of the parameters; what is sent is the payload as it is.
            getattr(self._client, xform_name(operation))(**msgspec.json.decode(payload))
        except ClientError:
            # The answer is an error of DynamoDB's, which the caller reads.
            pass
        except (ConnectTimeoutError, ReadTimeoutError):
            raise TimeoutError from None
        except BotoCoreError as error:
            raise http.client.HTTPException(str(error)) from None
        if not self._answers:
            raise http.client.HTTPException("boto3 gave no answer")
        return self._answers[0]

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()
