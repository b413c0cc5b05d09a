"""`[trace.<subject>]` of devenv.toml: one request followed through all layers, and how its answers are written."""

from typing import Annotated, Any, Literal

import msgspec

from devenv.config.types import Order, Seconds, Section, Text
from devenv.config.writes import TraceAction, TraceStress


class Call(Section, frozen=True):
    """One of the application's own functions, `package.module:function`, and its arguments by name.

    An argument may use the parameters of what is traced, or be `{ call = "module:function" }`, whose result it is.
    `pattern` names the access pattern that the function should use. `returns` are fields of what it must return
    (`{ uuid = "{person.uuid}" }`): so the application's own lookup of the user is compared with `[person]`.
    """

    function: Text
    arguments: dict[str, Any] = {}
    pattern: str | None = None
    returns: dict[str, Text] = {}


class TraceLibrary(Section, frozen=True):
    """`[trace.<subject>.library]`: the application's function, or a command that prints what it returns as JSON.

    `items` is the place of the list in it (`data`, `data.messages`; empty: it is the list). `fields` gives
    fields the names that this answer uses. `guards` are functions that must let the one who asks pass.
    `page` are further arguments by which the route asks for a page (`{ limit = 51 }`): the function is called with
    them too, and must give the first entries of the whole list, as many as this argument says.
    """

    function: Text | None = None
    arguments: dict[str, Any] = {}
    page: dict[str, Any] = {}
    command: list[Text] = []
    guards: list[Call] = []
    items: str = ""
    fields: dict[str, str] = {}
    order: Order | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    folder: Text | None = None
    seconds: Seconds = 20.0


class TraceRequest(Section, frozen=True):
    """`[trace.<subject>.request]`: the request whose answer holds the items. `{token}` is a token of who asks.

    Further pages are found by a Link header (`rel="next"`), or by `next = { before = "created_at" }`: the parameter
    `before` takes field `created_at` of the last page's oldest entry. `limit` is the size of a page. `anonymous` and
    `stranger` are the statuses for no token and for a person who does not belong to the group (an empty list: this
    request is not sent). With `origin` the answers, errors too, must have the CORS headers for it.
    """

    path: Text
    method: str = "GET"
    headers: dict[str, str] = {}
    body: Text | None = None
    items: str = ""
    fields: dict[str, str] = {}
    order: Order | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    next: dict[str, str] = {}
    anonymous: list[int] = []
    stranger: list[int] = []
    origin: str | None = None
    seconds: Seconds = 10.0


class AnswerShape(Section, frozen=True):
    """Where an answer holds one of several kinds: `items` is the place of the object or of the list.

    The path starts at `items` of [trace.<subject>.library] or .request, and may lead through lists (`orders.lines`).
    `fields` works as in those sections. `only` keeps the elements whose fields match (`{ sk = "LINE#*" }`), where kinds
    share a list. `shown = false`: the answer leaves this kind out.
    """

    items: str = ""
    fields: dict[str, str] = {}
    only: dict[str, str] = {}
    shown: bool = True


class TraceEntity(Section, frozen=True):
    """`[[trace.<subject>.entities]]`: one kind of item that the answer consists of, where there are several.

    `where` (by default that of the trace), `ids`, `fields`, `sorted_by` and `order` are as in `[trace.<subject>]`.
    `at_least` and `at_most` bound how many items of this kind belong to one subject.
    """

    entity: str
    where: dict[str, str] = {}
    ids: dict[Literal["dynamodb", "library", "http"], str] = {}
    fields: dict[str, str] = {}
    sorted_by: str | None = None
    order: Order | None = None
    at_least: Annotated[int, msgspec.Meta(ge=0)] = 0
    at_most: Annotated[int, msgspec.Meta(ge=1)] | None = None
    library: AnswerShape = AnswerShape()
    request: AnswerShape = AnswerShape()


class Trace(Section, frozen=True):
    """`[trace.<subject>]`: one request to follow through all layers.

    `params` are what is typed behind the subject, in order, with their types. `entity` is the kind of item that the
    answer consists of, `where` tells which items belong to it (`{ field = "{param}" }`), `group` names the `[[groups]]`
    that they are part of. `fields` maps fields of the answer to fields of the item, or to a column of the row that a
    link leads to (`{ borrower_name = "borrower.full_name" }`). `ids` maps the id's name in each layer (`dynamodb`,
    `library`, `http`; with `sql`, `postgres`). `sorted_by` is the field (a time or a number) by which the entries are
    sorted; `order` is the expected order. `payload` are fields with people's own words, which reports leave out. `sql`
    finds the one row that the request relies on; its columns can be used as `{row.column}`. `entities` stands in the
    place of `entity`, `ids`, `fields`, `sorted_by` and `order` where items of several kinds lie under one key.
    """

    title: str = ""
    params: dict[str, Literal["uuid", "string", "number"]] = {}
    sql: Text | None = None
    pattern: str | None = None
    entity: str | None = None
    entities: list[TraceEntity] = []
    where: dict[str, str] = {}
    group: str | None = None
    ids: dict[Literal["postgres", "dynamodb", "library", "http"], str] = {}
    fields: dict[str, str] = {}
    payload: list[str] = []
    sorted_by: str | None = None
    order: Order | None = None
    library: TraceLibrary | None = None
    request: TraceRequest | None = None
    action: TraceAction | None = None
    stress: TraceStress | None = None

    @property
    def kinds(self) -> tuple[TraceEntity, ...]:
        """The kinds of entries in the answer: one kind or several; () when no entity is declared."""
        if self.entities or self.entity is None:
            return tuple(self.entities)
        ids = {place: name for place, name in self.ids.items() if place != "postgres"}
        return (
            TraceEntity(
                entity=self.entity,
                where=self.where,
                ids=ids,
                fields=self.fields,
                sorted_by=self.sorted_by,
                order=self.order,
            ),
        )
