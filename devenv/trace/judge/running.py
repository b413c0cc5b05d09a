"""A wrong answer of the API where the function itself, called in a new process, is right. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from devenv.capture.calls import StoreCall, shown, shown_key
from devenv.capture.tap.masks import mask_sql
from devenv.core.late import late
from devenv.core.model import Fix
from devenv.core.plural import number_of
from devenv.trace.judge.fault import NO_NEW, NO_NEXT, OK, ONE_PAGE, LayerFinding, log_text
from devenv.trace.observation import Answer, Observations, Ran

KINDS: Final = frozenset(["items_lost", "body_changed", "not_authorised", "status"])
# An earlier fault of these layers explains a wrong answer.
BLAMED: Final = frozenset(["environment", "services", "postgres", "pattern", "library", "cache"])
# So does an item without its row, or a row that is gone, whose advice cures it.
LOST: Final = frozenset(["orphan", "missing_row"])
# So many alike reads for one request are one per entry.
OFTEN: Final = 10
PARAMETER: Final = late(r"%\(\w+\)s|%s|\$\d+|(?<!:):\w+|\?")
PRIVATE: Final = Fix(
    "make shared caches skip answers that depend on the user (Cache-Control: private or no-store), or add the user to "
    "the cache's key"
)
RESTART: Final = Fix(
    "restart it and trace again. If the difference is gone, the old process caused it; if not, the cause is in the "
    "code of the route, whose calls `devenv up --tap` shows",
    "devenv restart backend",
)
REFUSED: Final = "the application refuses devenv's token, or does not find the user by its claims"
TAPPED: Final = Fix(
    RESTART.text.replace("`devenv up --tap` shows", "`devenv requests` lists"),
    RESTART.command,
)


def outside_function(finding: LayerFinding, seen: Observations, earlier: Sequence[LayerFinding]) -> LayerFinding:
    """The finding; with what is known of its place, if the application's functions do all that they should.

    Not where the log tells of an error, or where entries are all there and only look different.
    """
    library, member = seen.library, seen.http.member
    ran = library.ran
    if (
        finding.kind not in KINDS
        or ran is None
        or member is None
        or library.code_changed
        or seen.http.code_changed
        or log_text(seen)
    ):
        return finding
    if any(run.outcome != "returned" for run in (ran, *(guard for guard, _ in library.guards))):
        return finding
    if any(one.layer in BLAMED or one.kind in LOST for one in earlier):
        return finding
    # A list that ends like a page is the route's, whatever the process keeps.
    if (finding.cause or "").endswith((ONE_PAGE, NO_NEXT, NO_NEW)):
        return finding
    between = finding.difference
    refused = between is None and finding.kind in ("not_authorised", "status") and member.status not in OK
    if not refused and (between is None or not (between.missing or between.extra)):
        return finding
    parted = parted_text(seen)
    place = (
        f"{ran.function} is correct when called in a new process, so the cause is in the running process (its "
        "connections, a cache) or in the code between this function and the answer"
    )
    if parted:
        new = f"{ran.function} is correct when called in a new process"
        place = f"{new}. For this request, the running application {parted}"
    fix = RESTART if seen.http.asked is None else TAPPED
    return replace(finding, cause=f"{finding.cause}; {place}" if finding.cause else place, fix=fix)


def about_token(finding: LayerFinding, seen: Observations) -> LayerFinding:
    """The finding; with `[token]` as the first thing to check, where devenv's own token was refused."""
    if finding.kind != "not_authorised" or not seen.http.token_advice or finding.fix is None:
        return finding
    cause = "; ".join(filter(None, [finding.cause, REFUSED]))
    text = f"{seen.http.token_advice}. If they agree, {finding.fix.text}"
    return replace(finding, cause=cause, fix=replace(finding.fix, text=text))


def by_whom(finding: LayerFinding, seen: Observations) -> LayerFinding:
    """The finding; with whose entries the answer has, and with the cache that says it answered, where that is seen."""
    member, between = seen.http.member, finding.difference
    told: list[str] = []
    if between is not None:
        shared = [one.id for _, one in between.pairs]
        told += filter(None, [owners_text([one.id for one in between.extra], shared, seen)])
    if seen.http.kept_under is not None and finding.kind in KINDS:
        found, declared = seen.http.kept_under
        cause = f"the cache holds this answer under `{found}`; the declared key of this user is `{declared}`"
        fix = Fix(f"include the user in the cache key everywhere, as in `{declared}`, and delete `{found}`")
        return replace(finding, cause="; ".join([*told, cause]), fix=fix)
    if member is not None and member.kept and finding.kind in KINDS:
        return replace(finding, cause="; ".join([*told, kept_text(member)]), fix=PRIVATE)
    return replace(finding, cause="; ".join(filter(None, [*told, finding.cause]))) if told else finding


def owners_text(entries: Sequence[str | None], shared: Sequence[str | None], seen: Observations) -> str | None:
    """`all 2 of them are stored for mei`: the subject that all these entries have in common; None without one.

    Of several, those that have the `shared` entries, too: the subject's own ones in the same answer.
    """
    known = [seen.dynamodb.elsewhere.get(one or "", ()) for one in entries]
    if not known or not all(known):
        return None
    common = [name for name in known[0] if all(name in names for names in known)]
    both = [name for name in common if all(name in seen.dynamodb.elsewhere.get(one or "", ()) for one in shared)]
    common = both or common
    if not common:
        return f"{number_of(len(known), 'of them is', 'of them are')} stored for others: {', '.join(known[0])}"
    which = f"all {len(known)} extra entries are" if len(known) > 1 else "the extra entry is"
    return f"{which} stored for {' and '.join(common)}, so this is the answer for another user"


def kept_text(answer: Answer) -> str:
    return f"a cache answered, and not the application ({answer.kept})"


def parted_text(seen: Observations) -> str | None:
    """The first reads in which the running application and its functions in a new process part; None without any.

    The functions that find out who asks come first, as in a request.
    """
    asked, ran = seen.http.asked, seen.library.ran
    if asked is None or ran is None:
        return None
    lookups = [guard for guard, _ in seen.library.guards if guard.returned]
    others = [guard for guard, _ in seen.library.guards if not guard.returned]
    if not asked:
        first = next(((run, call) for run in (*lookups, *others, ran) for call in run.asked or ()), None)
        even = f", not even that of {first[0].function} ({quoted(first[1])})" if first else ""
        return (
            f"sends no query to the addresses that devenv gave it{even}: either the application or a cache in front of "
            "it kept the answer, or the application's code takes another address (from a file such as .env)"
        )
    known = [call for run in (*lookups, *others, ran) for call in run.asked or ()]
    strange = [one for one in asked if not any(alike(one, call) for call in known)]
    for run in (*lookups, *others, ran):
        told = list(parts_of(run, asked, strange))
        if told:
            return "; ".join(told)
    return often_text(strange)


def often_text(strange: Sequence[StoreCall]) -> str | None:
    """The read that the running application repeats most, beside those of its functions; None: none that often."""
    kinds: dict[str, list[StoreCall]] = {}
    for one in strange:
        kinds.setdefault(form(one.sql) if one.sql is not None else f"{one.operation} {one.table}", []).append(one)
    most = max(kinds.values(), key=len, default=[])
    if len(most) < OFTEN:
        return None
    return f"sends {len(most)} reads like {quoted(most[0])}, which none of the declared functions sends"


def parts_of(run: Ran, asked: Sequence[StoreCall], strange: Sequence[StoreCall]) -> Iterator[str]:
    """In what the application's reads differ from those of one function. `strange` are those that no function sends."""
    for call in run.asked or ():
        mine = next((one for one in asked if alike(one, call)), None)
        if mine is None:
            missing = f"does not send {quoted(call)}, unlike {run.function}"
            instead = next((one for one in strange if is_elsewhere(one, call)), None)
            instead = instead or next((one for one in strange if one.store == call.store), None)
            sent = f"it sends {quoted(instead)} instead" if instead else "it kept an answer, or sends another query"
            yield f"{missing}: {sent}"
            continue
        noun = ("row", "rows") if call.store == "postgres" else ("item", "items")
        head = quoted(call if call.sql is not None else replace(call, key={}, sort=None, direction=None, limit=None))
        gets = f"gets {number_of(mine.count or 0, *noun)} from {head}{in_session(mine)}"
        key = f", which sends `{shown_key(call)}`," if call.key else ""
        other = f"a new process{key} gets {call.count or 0:,}{in_session(call)}"
        if mine.error is not None and call.error is None:
            yield f"gets the error {mine.error} from {head}{in_session(mine)}"
        elif bool(mine.count) != bool(call.count):
            sent = ": the running application sends another key" if call.key and not mine.count else ""
            yield f"{gets}; {other}{sent}"
        elif mine.session and call.session and mine.session != call.session:
            yield f"{gets}; {other}"


def alike(one: StoreCall, other: StoreCall) -> bool:
    """Return True if two reads are the same statement, or reads of the same place; values are not compared."""
    if one.sql is not None or other.sql is not None:
        return form(one.sql or "") == form(other.sql or "")
    return (one.store, one.operation, one.table, one.index) == (other.store, other.operation, other.table, other.index)


def is_elsewhere(one: StoreCall, other: StoreCall) -> bool:
    """Return True if two reads are the same but for the table."""
    parts = [(each.store, each.operation, each.index, each.key, each.sort) for each in (one, other)]
    return one.sql is None and other.sql is None and parts[0] == parts[1]


def form(sql: str) -> str:
    """A statement without its values."""
    return " ".join(PARAMETER.sub("?", mask_sql(sql)).split()).lower()


def quoted(call: StoreCall) -> str:
    """A call in backticks; `shown` puts them around SQL only."""
    return shown(call) if call.sql is not None else f"`{shown(call)}`"


def in_session(call: StoreCall) -> str:
    return f" ({call.session})" if call.session else ""
