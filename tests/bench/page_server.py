"""A stand-in for DynamoDB with as many items as wanted, made when they are asked for: `python page_server.py N`.

Serves one table of conversations (two rows and 98 messages each) in the reference project's shape. Only what verify
asks for is there: DescribeTable, Scan (segments, projection, start key), BatchGetItem, Query by hash key. A share of
the items is damaged, by number, so that what must be found is known exactly. tests/integration/test_verify_fake.py
holds it against DynamoDB Local.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MESSAGES = 98
PAGE_CONVERSATIONS = 30
NAMES = ("pk", "sk", "message_uuid", "message", "user_uuid", "user_handle", "user_display_name", "message_group_uuid")
DAMAGES = ("stale_copy", "orphan", "mismatched_id", "malformed_id", "duplicate")
ROW_SK = "2023-06-24T23:00:00"
Fields = dict[str, str]
Message = dict[str, Any]


def user_uuid(number: int) -> str:
    return f"{number:08x}-2222-4222-8222-000000000000"


@dataclass(frozen=True)
class World:
    """`conversations` among `users` people; `damaged` of the messages and `halved` conversations are wrong."""

    table: str
    conversations: int
    users: int
    damaged: int = 0
    halved: int = 0

    @property
    def items(self) -> int:
        return self.conversations * (MESSAGES + 2) - self.halved

    @property
    def expected(self) -> Counter[str]:
        """What verify must find."""
        found = Counter(DAMAGES[number % len(DAMAGES)] for number in range(self.damaged))
        return found + Counter({"missing_member": self.halved})

    def members(self, conversation: int) -> tuple[int, int]:
        first = conversation * 7 % self.users
        return first, (first + 1 + conversation % 5) % self.users

    @cached_property
    def of_user(self) -> dict[int, list[int]]:
        """The conversations of each person."""
        found: dict[int, list[int]] = {}
        for conversation in range(self.conversations):
            for user in self.members(conversation):
                found.setdefault(user, []).append(conversation)
        return found

    def damage(self, conversation: int, number: int) -> str | None:
        """What is wrong with a message. Only every other one may be damaged, spread evenly over all."""
        if number % 2 or not self.damaged:
            return None
        place, places = conversation * (MESSAGES // 2) + number // 2, self.conversations * (MESSAGES // 2)
        before, after = place * self.damaged // places, (place + 1) * self.damaged // places
        return DAMAGES[before % len(DAMAGES)] if after > before else None

    def is_damaged(self, conversation: int) -> bool:
        if conversation < self.halved:
            return True
        half, places = MESSAGES // 2, self.conversations * (MESSAGES // 2)
        return (conversation + 1) * half * self.damaged // places > conversation * half * self.damaged // places

    def message(self, conversation: int, number: int) -> Fields:
        user = self.members(conversation)[number % 2]
        found = {
            "pk": f"MSG#{group_uuid(conversation)}",
            "sk": f"2023-06-24T20:{number // 60:02}:{number % 60:02}.{conversation:06}+00:00",
            "message_uuid": message_uuid(conversation, number),
            "message": f"words number {number}",
            "user_uuid": user_uuid(user),
            "user_handle": f"user{user}",
            "user_display_name": f"Person {user}",
        }
        match self.damage(conversation, number):
            case "stale_copy":
                found["user_display_name"] = "Another Name"
            case "orphan":
                found |= {"user_uuid": lost_uuid(conversation, number), "user_handle": "nobody"}
            case "mismatched_id":
                found["user_uuid"] = lost_uuid(conversation, number)
            case "malformed_id":
                found["message_uuid"] = found["message_uuid"].replace("-", "_")
            case "duplicate":
                found["message_uuid"] = message_uuid(conversation, number + 1)
        return found

    def rows(self, conversation: int) -> list[Fields]:
        first, second = self.members(conversation)
        pairs = [(first, second)] if conversation < self.halved else [(first, second), (second, first)]
        return [
            {
                "pk": f"GRP#{user_uuid(owner)}",
                "sk": f"{ROW_SK}.{conversation:06}+00:00",
                "message": f"words number {MESSAGES - 1}",
                "user_uuid": user_uuid(other),
                "user_handle": f"user{other}",
                "user_display_name": f"Person {other}",
                "message_group_uuid": group_uuid(conversation),
            }
            for owner, other in pairs
        ]

    def conversation(self, conversation: int) -> list[Fields]:
        return [*self.rows(conversation), *(self.message(conversation, number) for number in range(MESSAGES))]

    def find(self, pk: str, sk: str) -> Fields | None:
        """The item of a key."""
        clock, _, fraction = sk.partition("+")[0].partition(".")
        if not fraction.isdigit() or int(fraction) >= self.conversations:
            return None
        conversation, (minutes, seconds) = int(fraction), map(int, clock.split(":")[-2:])
        some = (
            self.rows(conversation) if pk.startswith("GRP#") else [self.message(conversation, minutes * 60 + seconds)]
        )
        return next((item for item in some if (item["pk"], item["sk"]) == (pk, sk)), None)


def group_uuid(conversation: int) -> str:
    return f"{conversation:08x}-1111-4111-8111-000000000000"


def message_uuid(conversation: int, number: int) -> str:
    return f"{conversation:08x}-3333-4333-8333-{number:012x}"


def lost_uuid(conversation: int, number: int) -> str:
    return f"{conversation:08x}-4444-4444-8444-{number:012x}"


def raw(item: Fields, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"S": item[name]} for name in names if name in item}


class Server:
    """Answers requests about one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._templates: dict[tuple[str, ...], bytes] = {}

    def template(self, names: tuple[str, ...]) -> bytes:
        """The JSON of an undamaged conversation, with marks for what differs between conversations."""
        if names not in self._templates:
            plain = World(self.world.table, 1, 2)
            text = json.dumps([raw(item, names) for item in plain.conversation(0)], separators=(",", ":"))[1:-1]
            for old, new in [
                *(
                    ('"' + form.format(user) + '"', '"' + form.format(mark) + '"')
                    for user, mark in ((0, "@A"), (1, "@B"))
                    for form in ("user{}", "Person {}")
                ),
                (user_uuid(0), "@a"),
                (user_uuid(1), "@b"),
                ("00000000-", "@C-"),
                (".000000+", ".@D+"),
            ]:
                text = text.replace(old, new)
            self._templates[names] = text.encode()
        return self._templates[names]

    def conversation(self, number: int, names: tuple[str, ...]) -> tuple[bytes, int]:
        """The JSON of one conversation's items, and how many they are."""
        if self.world.is_damaged(number):
            items = self.world.conversation(number)
            return json.dumps([raw(item, names) for item in items], separators=(",", ":"))[1:-1].encode(), len(items)
        first, second = self.world.members(number)
        text = self.template(names)
        for mark, value in (
            (b"@A", str(first)),
            (b"@B", str(second)),
            (b"@a", user_uuid(first)),
            (b"@b", user_uuid(second)),
            (b"@C", f"{number:08x}"),
            (b"@D", f"{number:06}"),
        ):
            text = text.replace(mark, value.encode())
        return text, MESSAGES + 2

    def scan(self, request: Message) -> bytes:
        names = tuple(request["ExpressionAttributeNames"].values()) if "ProjectionExpression" in request else NAMES
        segment, total = request.get("Segment", 0), request.get("TotalSegments", 1)
        count = self.world.conversations
        begin, end = count * segment // total, count * (segment + 1) // total
        if start := request.get("ExclusiveStartKey"):
            begin = int(start["pk"]["S"].removeprefix("MSG#")[:8], 16) + 1
        last = min(begin + PAGE_CONVERSATIONS, end)
        parts = [self.conversation(number, names) for number in range(begin, last)]
        items = sum(number for _, number in parts)
        more = b""
        if last < end:
            key = self.world.message(last - 1, MESSAGES - 1)
            more = b',"LastEvaluatedKey":' + json.dumps(raw(key, ("pk", "sk"))).encode()
        body = b",".join(text for text, _ in parts)
        return b'{"Items":[%b],"Count":%d,"ScannedCount":%d%b}' % (body, items, items, more)

    def batch_get(self, request: Message) -> bytes:
        found = {}
        for table, wanted in request["RequestItems"].items():
            items = [self.world.find(key["pk"]["S"], key["sk"]["S"]) for key in wanted["Keys"]]
            found[table] = [raw(item, NAMES) for item in items if item is not None]
        return json.dumps({"Responses": found, "UnprocessedKeys": {}}).encode()

    def query(self, request: Message) -> bytes:
        (value,) = request["ExpressionAttributeValues"].values()
        kind, _, identifier = value["S"].partition("#")
        number = int(identifier[:8], 16)
        if kind == "GRP":
            items = [item for c in self.world.of_user.get(number, ()) for item in self.world.rows(c)]
        else:
            items = self.world.conversation(number) if number < self.world.conversations else []
        items = [item for item in items if item["pk"] == value["S"]]
        return json.dumps({"Items": [raw(item, NAMES) for item in items], "Count": len(items)}).encode()

    def describe(self, request: Message) -> bytes:
        table = {
            "TableName": self.world.table,
            "TableArn": f"arn:aws:dynamodb:ddblocal:000000000000:table/{self.world.table}",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
            "ItemCount": self.world.items,
            "TableStatus": "ACTIVE",
            "CreationDateTime": 1.0,
        }
        return json.dumps({"Table": table}).encode()

    def answer(self, operation: str, request: Message) -> tuple[int, bytes]:
        """(status, body) for one request."""
        names = [request["TableName"]] if "TableName" in request else list(request["RequestItems"])
        if names != [self.world.table]:
            error = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
            return 400, json.dumps(
                {"__type": error, "message": "Cannot do operations on a non-existent table"}
            ).encode()
        answers = {
            "Scan": self.scan,
            "BatchGetItem": self.batch_get,
            "Query": self.query,
            "DescribeTable": self.describe,
        }
        return 200, answers[operation](request)


def make_server(world: World, port: int = 0) -> ThreadingHTTPServer:
    """An HTTP server for a world, not yet serving."""
    served = Server(world)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = served.answer(self.headers["x-amz-target"].rpartition(".")[2], request)
            head = f"HTTP/1.1 {status} OK\r\ncontent-length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    table, *numbers = sys.argv[1:]
    made = make_server(World(table, *map(int, numbers)))
    print(made.server_address[1], flush=True)
    made.serve_forever()
