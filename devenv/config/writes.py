"""The schema of `[trace.<subject>.action]`: a request that writes, and what it must have written."""

from typing import Annotated, Literal

import msgspec

from devenv.config.types import Seconds, Section, Text


class Written(Section, frozen=True):
    """`[[trace.<subject>.action.writes]]`: items of an `entity`, or rows of a Postgres `table`, that the action writes.

    `change` says what happens to them: `new`, `changed` (an item whose key changes too: it moves) or `deleted`.
    `where` names those that are meant, `count` says how many. `fields` gives their values afterwards; of what is
    `changed` all other fields stay. Values may use the parameters of the trace, `{text}`, `{now}` (the moment of the
    request) and `{entity.field}` of the one new item of that entity.
    """

    entity: str | None = None
    table: Text | None = None
    change: Literal["new", "changed", "deleted"] = "new"
    where: dict[str, str] = {}
    fields: dict[str, str] = {}
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class TraceAction(Section, frozen=True):
    """`[trace.<subject>.action]`: a request that writes, for `devenv trace SUBJECT … --action`.

    It is sent to an application of its own on a scratch copy of both stores. `{text}` in the `body` is a text that
    occurs nowhere else. `status` lists the right ones. `answer` maps fields of the JSON answer to what was written:
    `{ uuid = "message.message_uuid" }`. `one_transaction`: all of it is written in one transaction of each store.
    """

    path: Text
    title: str = ""
    method: str = "POST"
    headers: dict[str, str] = {}
    body: Text | None = None
    status: list[int] = msgspec.field(default_factory=lambda: [200, 201, 202, 204])
    answer: dict[str, str] = {}
    one_transaction: bool = False
    writes: list[Written] = []
    seconds: Seconds = 10.0


class TraceStress(Section, frozen=True):
    """`[trace.<subject>.stress]`: for `devenv trace SUBJECT … --stress`.

    `accept` maps conditions (`devenv trace --stress --list`) to the reason for which a wrong answer is accepted there.
    """

    accept: dict[str, str] = {}
