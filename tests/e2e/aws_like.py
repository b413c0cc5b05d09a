"""What answers as AWS does."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any


class Cloud(BaseHTTPRequestHandler):
    """What AWS answers, as far as it is asked: tables with its own ARNs, no key that it did not give out."""

    tables: tuple[str, ...] = ()
    asked: list[str]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, "healthy: dynamodb.eu-west-1.amazonaws.com")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        self.asked.append(operation)
        if "Credential=devenvlocal/" not in self.headers["Authorization"]:
            self.answer(400, json.dumps({"__type": "x#UnrecognizedClientException", "message": "no such key"}))
        elif operation == "ListTables":
            self.answer(200, json.dumps({"TableNames": self.tables}))
        elif operation == "DescribeTable":
            arn = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{self.tables[0]}"
            self.answer(200, json.dumps({"Table": {"TableArn": arn}}))
        else:
            self.answer(200, "{}")

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *values: Any) -> None:
        """Quiet."""
