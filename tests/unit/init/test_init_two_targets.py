"""Two writes of one class, each to its own table, make two kinds of items, also if both tables begin with one key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

SESSIONS = """
{"TableName": "sessions", "BillingMode": "PAY_PER_REQUEST",
 "AttributeDefinitions": [{"AttributeName": "sid", "AttributeType": "S"}],
 "KeySchema": [{"AttributeName": "sid", "KeyType": "HASH"}]}
"""
MESSAGES = """
{"TableName": "messages", "BillingMode": "PAY_PER_REQUEST",
 "AttributeDefinitions": [{"AttributeName": "sid", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "S"}],
 "KeySchema": [{"AttributeName": "sid", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}]}
"""
PYTHON = """
import os
import boto3
class Chats:
    def __init__(self):
        self.sessions_table = boto3.resource("dynamodb").Table(os.environ["A"])
        self.messages_table = boto3.resource("dynamodb").Table(os.environ["B"])
    def open(self, sid, title, status):
        self.sessions_table.put_item(Item={"sid": sid, "title": title, "status": status})
    def say(self, sid, n, text):
        item = {"sid": sid, "n": n, "text": text}
        self.messages_table.put_item(Item=item)
"""
SCRIPT = """
const { PutCommand } = require('@aws-sdk/lib-dynamodb');
class Chats {
  async open(sid, title, status) {
    const item = { sid: sid, title: title, status: status };
    await this.client.send(new PutCommand({ TableName: this.sessionsTable, Item: item }));
  }
  async say(sid, n, text) {
    await this.client.send(new PutCommand({ TableName: 'messages', Item: { sid: sid, n: n, text: text } }));
  }
}
"""


@pytest.mark.parametrize(("name", "text"), [("repo.py", PYTHON), ("repo.js", SCRIPT)])
def test_each_write_is_an_item_of_its_own_table(tmp_path: Path, name: str, text: str) -> None:
    # The table with the shorter key is found first.
    settings, _ = made(tmp_path, {"a/sessions.json": SESSIONS, "b/messages.json": MESSAGES, name: text})
    found = {each.table: sorted(each.attributes) for each in settings.entities.values()}
    assert found == {"sessions": ["sid", "status", "title"], "messages": ["n", "sid", "text"]}
