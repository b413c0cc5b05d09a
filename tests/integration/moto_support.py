"""moto's server as an AWS account: a process of its own that records every request it gets."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest

from tests.e2e.world import free_port
from tests.support import REPOSITORY

ACCOUNT = "123456789012"
REGION = "eu-central-1"
LIMIT_S = 60.0
# Making a client takes longer than most requests.
CLIENTS: dict[tuple[str, ...], Any] = {}


@dataclass(frozen=True)
class Moto:
    """A running server; its first administrator may do everything. `record` is the file of all requests."""

    url: str
    record: Path

    def client(self, service: str, key: Mapping[str, str] | None = None, region: str = REGION) -> Any:
        key = key or {"AccessKeyId": "setup", "SecretAccessKey": "setup"}
        wanted = (self.url, service, region, key["AccessKeyId"])
        if wanted not in CLIENTS:
            CLIENTS[wanted] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=key["AccessKeyId"],
                aws_secret_access_key=key["SecretAccessKey"],
                aws_session_token=key.get("SessionToken"),
            )
        return CLIENTS[wanted]

    def post(self, path: str, body: str = "") -> None:
        headers = {"Content-Type": "text/plain"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body.encode(), headers)) as answer:
            answer.read()

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of a shell that leads to this account."""
        keys = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "reader", "AWS_REGION": REGION}
        return {**keys, "AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true", **more}

    def calls(self) -> list[str]:
        """The operations of all requests since the record was emptied, as `service:Operation`."""
        if not self.record.exists():
            return []
        return [name for line in self.record.read_text().splitlines() if (name := operation(json.loads(line)))]

    def forget(self) -> None:
        """Empty the record."""
        self.record.write_text("")


def operation(entry: Mapping[str, Any]) -> str | None:
    """The AWS operation of one recorded request; None for one to moto itself."""
    if "/moto-api/" in entry["url"]:
        return None
    headers = {name.lower(): value for name, value in entry["headers"].items()}
    service = headers.get("authorization", "").partition("Credential=")[2].split("/")[3:4]
    body = base64.b64decode(entry["body"]).decode() if entry["body_encoded"] else entry["body"]
    name = headers.get("x-amz-target", "").rpartition(".")[2] or parse_qs(body).get("Action", [""])[0]
    # A REST service tells by its method and path; what is not known must not pass for a reading call.
    return f"{service[0] if service else '?'}:{name or entry['method'] + ' ' + entry['url']}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """moto's server as a process of its own."""
    port = free_port()
    folder = tmp_path_factory.mktemp("moto")
    log, record = folder / "log", folder / "record"
    recording = {"MOTO_ENABLE_RECORDING": "1", "MOTO_RECORDER_FILEPATH": str(record)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(REPOSITORY / "tests" / "moto_server.py"), str(port)],
            stdout=output,
            stderr=output,
            env={"PATH": "", "PYTHONPATH": str(REPOSITORY), **recording},
        )
    made = Moto(f"http://127.0.0.1:{port}", record)
    try:
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                made.post("/moto-api/reset")
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
        yield made
    finally:
        process.terminate()
        process.wait(LIMIT_S)
