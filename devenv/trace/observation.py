"""The observations of each layer: plain values for `devenv.trace.judge`. None means "not captured", which is not empty.

Every answer, wherever it comes from, is reduced to entries: an id and the declared fields, as text. So an item of
DynamoDB, what a function returns and a JSON body can be held against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from devenv.capture.calls import Cost, Direction, StoreCall
from devenv.core.model import Failure, Finding
from devenv.core.value import Value

# The end of an answer's `shape`, where its list holds something else than maps.
NO_MAPS: Final = "not only maps"


class Entry(Value, frozen=True, eq=False):
    """One thing in an answer: its id (None: it has none there) and its fields as text (None: null, or absent).

    `kind` is the declared kind where an answer consists of several; the id then begins with it. `absent` are declared
    fields that the answer does not have, `others` the values of undeclared ones.
    """

    concealed: ClassVar[frozenset[str]] = frozenset({"absent", "others"})

    id: str | None
    fields: Mapping[str, str | None]
    kind: str = ""
    absent: frozenset[str] = frozenset()
    others: Mapping[str, str] = {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return self.id == other.id and self.kind == other.kind and self.fields == other.fields

    def __ne__(self, other: object) -> bool:
        # Without it `!=` is the one of Struct, which compares nothing here.
        return not self == other


class Observation(Value, frozen=True, kw_only=True):
    """The observation of one layer. `request` is what went in, `output` what came out besides entries, both for people.

    `entries` None: not captured. `failure`: asking failed. `unasked`: not asked, and why; with `declared`, although
    devenv.toml declares it. `uncovered` names what is declared and was not looked at. `began_ms` counts from the
    trace's beginning.
    """

    request: Mapping[str, Any] = {}
    output: Mapping[str, Any] = {}
    entries: tuple[Entry, ...] | None = None
    findings: tuple[Finding, ...] = ()
    failure: Failure | None = None
    unasked: str | None = None
    declared: bool = False
    uncovered: tuple[str, ...] = ()
    cost: Cost | None = None
    notes: tuple[str, ...] = ()
    began_ms: float = 0.0
    ms: float = 0.0

    def lists(self) -> tuple[tuple[Entry, ...] | None, ...]:
        """All lists of entries that it brought."""
        return (self.entries,)


class PostgresObservation(Observation, frozen=True, kw_only=True):
    """`person` is the row of who asks, `stranger` that of somebody who does not belong to the subject.

    `belongs` is None where nothing tells that `person` may read it, and `estranged` False where nothing tells who may.
    """

    person: Mapping[str, Any] | None = None
    stranger: Mapping[str, Any] | None = None
    belongs: bool | None = True
    estranged: bool = True


class DynamoObservation(Observation, frozen=True, kw_only=True):
    """`entries` are all that are meant to be the subject's. `found`: there is such a subject at all.

    `hidden` are ids of entries that their right key does not reach, `fleeting` those that need not show (past their
    time to live, or written during the trace), `young` those of the last seconds, with their times. `owners` are the
    ids of the group's owners as they are written, `members` those that are meant; None without a group. `elsewhere` is
    entry -> whose it is, of those that an answer has and that are stored for another subject.
    """

    found: bool = True
    hidden: frozenset[str] = frozenset()
    fleeting: frozenset[str] = frozenset()
    young: Mapping[str, datetime] = {}
    elsewhere: Mapping[str, tuple[str, ...]] = {}
    owners: frozenset[str] | None = None
    members: frozenset[str] | None = None


class PatternObservation(Observation, frozen=True, kw_only=True):
    """`entries` is what the declared pattern gives; `stages` the same without its limit, then without its filter,
    then without its sort condition: only what it declares is there. `strays`: items of other kinds that came along.
    `refused` is the store's error code. `expected` bounds the number of items, as declared.
    """

    asked: StoreCall | None = None
    stages: tuple[tuple[Literal["limit", "filter", "sort"], tuple[Entry, ...]], ...] = ()
    strays: int = 0
    refused: str | None = None
    expected: tuple[int, int | None] = (0, None)


Outcome = Literal["returned", "raised", "exited", "timed_out", "unstarted", "unreadable"]


class Unfound(Value, frozen=True):
    """Where the function of devenv.toml was looked for (`cause`), and what to change (`text`)."""

    cause: str
    text: str


class Denied(Value, frozen=True):
    """Why a role of Postgres does not see a row, and the statement that gives it the right, where one does."""

    text: str
    grant: str | None = None


class Ran(Value, frozen=True):
    """How one function of the application ended. `error` is the type's name, `detail` its words, `where` the place.

    `asked` are its reads (None: not captured), `read` the entries that they brought. `shape` says what is wrong with
    the form of what was returned; `nothing`: it returned no value at all. `returned` are the fields that it had to
    return: name, expected, observed. `names` are the fields of the entries, as the function calls them. `unfound` says
    what of a function that could not be called was not found, and what to write instead. `denied` says what hides the
    row of a lookup from the application's role. `namesake` is the table of another schema that a lookup's row is from.
    """

    function: str
    outcome: Outcome
    entries: tuple[Entry, ...] | None = None
    nothing: bool = False
    shape: str | None = None
    error: str | None = None
    detail: str | None = None
    where: str | None = None
    asked: tuple[StoreCall, ...] | None = None
    read: tuple[Entry, ...] | None = None
    returned: tuple[tuple[str, str, str | None], ...] = ()
    names: tuple[str, ...] = ()
    unfound: Unfound | None = None
    denied: Denied | None = None
    namesake: str | None = None


class LibraryObservation(Observation, frozen=True, kw_only=True):
    """`ran` is the function in the environment of the running process. `corrected` is the same function with the
    project's own settings: asked where that environment leads elsewhere, so that function and environment can be told
    apart. `page` is the function called as the route calls it. `guards` are the declared guards with their declared
    patterns. `diverted` are settings that the
    application's code changed by itself.
    """

    ran: Ran | None = None
    corrected: Ran | None = None
    page: Ran | None = None
    guards: tuple[tuple[Ran, StoreCall | None], ...] = ()
    diverted: tuple[Finding, ...] = ()
    code_changed: str | None = None

    def lists(self) -> tuple[tuple[Entry, ...] | None, ...]:
        """Return what both runs of the function gave."""
        return tuple(run.entries for run in (self.ran, self.corrected) if run is not None)


class NextPage(Value, frozen=True):
    """A page behind the first, as the page before it announces it.

    `header` names it (None: the declared parameter does). `url` has a host only if that is not the application's.
    `sent` are the parameters that the request for the page before did not have so. `after` is the entry of that page
    that it must continue behind. `ids` are its entries, without those of earlier pages,
    which are `repeated`. With `trouble` it gave no entries: the words that follow its address in a sentence, `kind` the
    class of that fault, `detail` what it says of itself.
    """

    number: int
    url: str
    header: str | None = None
    sent: Mapping[str, str] = {}
    after: Entry | None = None
    repeated: tuple[str, ...] = ()
    trouble: str | None = None
    kind: str = "status"
    status: int | None = None
    detail: str | None = None
    ids: tuple[str, ...] = ()


class Answer(Value, frozen=True):
    """One HTTP answer. `status` None: there was none, and `problem` says why (`timed_out`, `refused`, `broken`).

    `problem` may also be `not_json` or `too_large`. `shape` says what is wrong with the form of the JSON.
    `cors` is the Access-Control-Allow-Origin header. `pages` were read; `more`: the last one names a further page.
    `encoding` is the Content-Encoding. `spans` are the least and the greatest value of the sorted field on each page,
    in the order of the pages; `repeated` are ids that several pages have. `names` are the fields of its entries.
    `following` are the pages behind the first, as they were announced; only the last of them may have trouble.
    `kept` are the headers by which a cache says that the answer is its own.
    `refusal` is the beginning of the body of an answer that is no success. `redirected`: the redirect that led to this
    answer, `302 to /login`.
    `unread` is another header than Link that names a next page. `exposed`: a page of another origin may read the Link
    header (None: pages are not found by it).
    """

    status: int | None
    problem: Literal["timed_out", "refused", "broken", "not_json", "too_large"] | None = None
    detail: str | None = None
    entries: tuple[Entry, ...] | None = None
    shape: str | None = None
    cors: str | None = None
    location: str | None = None
    redirected: str | None = None
    media: str | None = None
    size: int = 0
    encoding: str | None = None
    pages: int = 1
    spans: tuple[tuple[str, str], ...] = ()
    repeated: tuple[str, ...] = ()
    following: tuple[NextPage, ...] = ()
    unread: str | None = None
    kept: str | None = None
    refusal: str = ""
    exposed: bool | None = None
    more: bool = False
    empty: bool = False
    ms: float = 0.0
    names: tuple[str, ...] = ()


class UnsetVariable(Value, frozen=True):
    """A variable that the code reads at `place` (`file:line`) and that has no value.

    `meaning` is what it most likely stands for in devenv.toml; `similar` is a variable that `section` sets.
    """

    name: str
    place: str
    meaning: str
    similar: str | None = None
    section: str | None = None


class HttpObservation(Observation, frozen=True, kw_only=True):
    """The answers to a member, to somebody without a token, to a stranger (None: not asked); the log lines meanwhile.

    `preflight` is the answer to a browser's question whether it may ask. `origins` are variables of the application
    that hold other origins than the declared one, with their texts. `later` are the answers at the address of
    the member's second page: to `anonymous` and to `stranger`. `code_changed` is a source file of the application
    that is newer than its process. `asked` are the reads of the running application for the member's request (None:
    not captured). `kept_under` is another key of the cache that has this answer, and the declared one. `token_advice`
    is the next step where devenv's token was refused. `unset` are variables that the application lacks, by its log.
    """

    member: Answer | None = None
    anonymous: Answer | None = None
    stranger: Answer | None = None
    preflight: Answer | None = None
    origins: tuple[tuple[str, str], ...] = ()
    later: Mapping[str, Answer] = {}
    log: tuple[str, ...] | None = None
    code_changed: str | None = None
    asked: tuple[StoreCall, ...] | None = None
    kept_under: tuple[str, str] | None = None
    token_advice: str | None = None
    unset: tuple[UnsetVariable, ...] = ()

    def lists(self) -> tuple[tuple[Entry, ...] | None, ...]:
        """Return what all answers held."""
        answers = (self.member, self.stranger, self.anonymous, *self.later.values())
        return tuple(one.entries for one in answers if one is not None)


class CacheObservation(Observation, frozen=True, kw_only=True):
    """`entries` are those of the cache's entry under `key`; None without one, or when it is no answer.

    `left_s` is how long it lives (None: for ever), `ttl_s` and `limit` are as declared.
    """

    key: str = ""
    service: str = ""
    left_s: float | None = None
    ttl_s: int | None = None
    limit: int | None = None


class Observations(Value, frozen=True, kw_only=True):
    """The observations of all layers. `more` are the layers that the judges of these eight do not know, by name."""

    environment: Observation = Observation()
    services: Observation = Observation()
    postgres: PostgresObservation = PostgresObservation()
    dynamodb: DynamoObservation = DynamoObservation()
    cross_store: Observation = Observation()
    pattern: PatternObservation = PatternObservation()
    library: LibraryObservation = LibraryObservation()
    http: HttpObservation = HttpObservation()
    more: Mapping[str, Observation] = {}

    def has(self, name: str) -> bool:
        """Return True if a layer was observed, or is one of the eight."""
        return name in self.more or hasattr(self, name.replace("-", "_"))

    def layer(self, name: str) -> Observation:
        found: Observation = self.more[name] if name in self.more else getattr(self, name.replace("-", "_"))
        return found


def observations(found: Mapping[str, Observation]) -> Observations:
    """The observations of a run, by the names of their layers."""
    known = {one.name: one.name.replace("_", "-") for one in fields(Observations)}
    mine: Mapping[str, Any] = {name: found[layer] for name, layer in known.items() if layer in found}
    return Observations(**mine, more={name: found[name] for name in found.keys() - known.values()})


class DeclaredIds(Value, frozen=True):
    """The `ids` of one kind of entries: layer -> field or template, and where they stand in devenv.toml."""

    place: str
    names: Mapping[str, str]


class Subject(Value, frozen=True):
    """The subject of a trace, as the judgement needs it. `identifier` is the subject's id in a report, if it has one.

    `types` gives the declared type of each field. `sorted_by` is the field that orders are of; `orders` the wanted
    one per layer (pattern, library, http), `limits` the declared sizes of an answer. `anonymous` and `stranger` are
    the statuses that are right for them (empty: not judged). `origin`: a page of that origin must be able to read.
    `cursor` is the field by whose text the next page begins. Of several kinds, `sorting` gives the field and the
    direction of each, and `unshown` the kinds that a layer's answer leaves out. `ids` is by kind. `linked` gives the
    column of each field, by kind and name, that shows a linked row's. `payload` are fields whose values are not said.
    `sources` are the attributes that fields of the answer are read from, where no entity declares them.
    """

    name: str
    identifier: str | None
    fields: Sequence[str]
    types: Mapping[str, str]
    sorted_by: str | None
    orders: Mapping[str, Direction | None]
    limits: Mapping[str, int | None]
    anonymous: Sequence[int]
    stranger: Sequence[int]
    origin: str | None
    person: str | None
    retry: str
    began: datetime
    cursor: str | None = None
    sorting: Mapping[str, tuple[str | None, Direction | None]] = {}
    unshown: Mapping[str, frozenset[str]] = {}
    ids: Mapping[str, DeclaredIds] = {}
    linked: Mapping[tuple[str, str], str] = {}
    payload: Sequence[str] = ()
    sources: Mapping[str, str] = {}

    def linked_place(self, identity: str, name: str) -> str | None:
        """The column that a field of an entry shows; None for a field of the item itself."""
        return self.linked.get(("", name)) or self.linked.get((identity.partition(" ")[0], name))
