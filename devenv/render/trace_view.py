"""The parts that all forms of a trace share: the body prepared for display, and its parts in words. Pure."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from devenv.config.masking import MASK, mask
from devenv.core.late import late
from devenv.core.plural import number_of
from devenv.core.value import Value

Body = Mapping[str, Any]
Layer = Mapping[str, Any]
State = Literal["missing", "extra", "changed", "moved", "same"]

# One stored value may be megabytes; nobody reads more of it than this.
VALUE: Final = 2_000
# Looked at beyond the part that is shown, so that a secret that is cut in two is still seen as one.
MARGIN: Final = 2_000
UUID: Final = late(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
# "There is no bearer token" has no token in it.
CREDENTIAL: Final = late(
    r"eyJ[\w-]{8,}[\w.-]*|\b(?P<kept>Bearer\s+(?!(?:tokens?|auth|authentication|authorization|scheme|header)[.:)]?(?:[\s'\",;]|$))|\w*(?:password|passwd|secret|token|api_?key)=['\"]?)[^\s'\",;&]+",
    re.IGNORECASE,
)
# Here `key` is the key of an item or of a cache entry; elsewhere a value of that name is a secret.
STORED: Final = ("items", "things", "request")
CARRIERS: Final = late(r"^(authorization|cookie|set-cookie)$", re.IGNORECASE)


def readable(value: Any, limit: int = VALUE, name: str = "", known: dict[tuple[str, str], str] | None = None) -> Any:
    """A copy of `value` without secrets and tokens, each text at most about `limit` characters long.

    Observations come without secrets; this is the second lock on the door, for what an application prints or a store
    holds. A map `{name, value}` is one variable. `known` are the texts of this call: nine of ten come several times.
    """
    known = {} if known is None else known
    if isinstance(value, Mapping):
        named = value.get("name") if "value" in value else None
        own = {"value": str(named)} if named else {}
        if name in STORED:
            own["key"] = ""
        return {
            readable(str(key), limit, "", known): readable(part, limit, own.get(key, str(key)), known)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [readable(part, limit, name, known) for part in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if (text, name) not in known:
        known[text, name] = readable_text(text, limit, name)
    return known[text, name]


def readable_text(text: str, limit: int, name: str) -> str:
    """One text of `readable`."""
    seen = text[: limit + MARGIN]
    if CARRIERS.search(name) and seen:
        seen = MASK
    seen = CREDENTIAL.sub(lambda found: f"{found['kept'] or ''}{MASK}", str(mask(name, seen)))
    left = len(text) - limit
    return f"{seen[:limit]} … {number_of(left, 'more character')}" if left > 0 and seen != MASK else seen


def broken_layer(body: Body) -> Layer | None:
    """The layer that the verdict names."""
    name = body["verdict"].get("layer")
    return next((layer for layer in body["layers"] if layer["name"] == name), None)


def is_first(body: Body, layer: Layer) -> bool:
    """Return True if the verdict names this layer."""
    return bool(body["verdict"].get("layer") == layer["name"])


def short(identity: str | None) -> str:
    """An id as people tell them apart: of a uuid the first part."""
    if identity is None:
        return "?"
    if UUID.fullmatch(identity):
        return f"{identity[:8]}…"
    return identity if len(identity) <= 24 else f"{identity[:12]}…{identity[-8:]}"


def short_ids(ids: Sequence[str], most: int = 3) -> str:
    """`106: 342652c3… 3ecba7f7… 26b529f6… and 103 more`; an id that would look like another one stands in full."""
    forms = [short(identity) for identity in ids[:most]]
    told = [form if forms.count(form) == 1 else identity for form, identity in zip(forms, ids, strict=False)]
    rest = f" and {len(ids) - most} more" if len(ids) > most else ""
    return f"{len(ids)}: {' '.join(told)}{rest}"


def counts(layer: Layer) -> str:
    """`0 of 106`, or `2, not 0` where there are more; empty when nothing was captured."""
    expected, observed = layer.get("expected_count"), layer.get("observed_count")
    if expected is None and observed is None:
        return ""
    if expected is None:
        return f"{observed}"
    if observed is not None and observed > expected:
        return f"{observed}, not {expected}"
    return f"{'?' if observed is None else observed} of {expected}"


def duration(ms: float | None) -> str:
    """`<1 ms`, `4 ms`, `1.2 s`; empty when it is not known."""
    if ms is None:
        return ""
    if ms < 0.5:
        return "<1 ms"
    return f"{ms:.0f} ms" if ms < 999.5 else f"{ms / 1000:.1f} s"


def standing(layer: Layer) -> str:
    """A layer's status as one reads it; that of one whose bad answer follows from an earlier layer is no `ok`."""
    if layer.get("follows"):
        return "follows"
    return "broken" if is_same_list(layer) else str(layer["status"]).replace("_", " ")


def is_same_list(layer: Layer) -> bool:
    """Return True if a layer is broken although its entries are those of the layer before: another part is wrong."""
    differs = any(layer.get(name) for name in ("missing", "extra", "changed", "reordered"))
    expected, observed = layer.get("expected_count"), layer.get("observed_count")
    return layer["status"] == "mutated" and not differs and bool(expected) and expected == observed


def is_not_found(body: Body) -> bool:
    """Return True if nothing is wrong but the question: what it asks for is stored nowhere."""
    kind, layer = body["verdict"].get("class"), broken_layer(body)
    if layer is None or (body["verdict"].get("fix") or {}).get("safe"):
        return False
    if any(other["layer"] != "http" for other in body["verdict"].get("also") or ()):
        return False
    output = layer["output"]
    if kind == "missing_item":
        return output.get("found") is False and not output.get("near")
    asked = (layer.get("request") or {}).get("user")
    return kind == "missing_row" and layer["name"] == "postgres" and bool(asked) and output.get("person") is None


def told(layer: Layer) -> str:
    """One layer's own words in a line: what is wrong, or what it saw."""
    if layer["findings"]:
        return ", ".join(dict.fromkeys(finding["class"] for finding in layer["findings"]))
    if layer.get("right"):
        return str(layer["right"])
    if layer.get("follows"):
        return ": ".join(filter(None, (f"from {layer['follows']}", saw(layer))))
    return saw(layer)


def saw(layer: Layer) -> str:
    """Return what a layer saw, in a line."""
    if layer.get("unasked"):
        return str(layer["unasked"])
    if layer.get("failure"):
        return str(layer["failure"]["what"])
    return str(layer["summary"])


def cost_words(cost: Mapping[str, Any] | None) -> list[str]:
    """Return what an answer cost, part by part; what was not captured is left out."""
    parts = (
        ("requests", "request{s}"),
        ("scanned", "scanned"),
        ("returned", "returned"),
        ("units", "read units as DynamoDB Local counts them"),
        ("computed", "by DynamoDB's published rules"),
    )
    found = [(cost[name], words) for name, words in parts if cost.get(name) is not None] if cost else []
    return [f"{number:g} {words.format(s='' if number == 1 else 's')}" for number, words in found]


def declared_query(body: Body) -> str | None:
    """The declared access pattern in one line."""
    pattern = next((layer for layer in body["layers"] if layer["name"] == "pattern"), None)
    if pattern is None:
        return None
    for part in (pattern["output"], pattern["request"]):
        if text := part.get("declared") or part.get("sql"):
            return str(text)
    return None


def sent_queries(layer: Layer) -> list[str]:
    """The reads that the application really sent, each in one line with what it brought."""
    return [sent_words(query) for query in layer["output"].get("queries") or ()]


def sent_words(query: Mapping[str, Any]) -> str:
    """`Query … → 20 of 106 read`."""
    count, scanned, error = query.get("count"), query.get("scanned"), query.get("error")
    told = [] if count is None else [f"{count} of {scanned} read" if scanned is not None else f"{count} read"]
    told += [f"error {error}"] if error else []
    told += [f"at {query['target']}: {query['elsewhere']}"] if query.get("elsewhere") else []
    return f"{query['text']} → {', '.join(told)}" if told else str(query["text"])


def queries_matter(body: Body, layer: Layer) -> bool:
    """Return True if the declared query and those really sent explain what this layer's fault is."""
    return any(finding["class"] == "wrong_query" for finding in layer["findings"])


def changes_by_field(changed: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Field -> its changes."""
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for change in changed:
        found[change["field"]].append(change)
    return dict(found)


def failed_layers(body: Body) -> list[str]:
    """The layers that could not be asked."""
    return [layer["name"] for layer in body["layers"] if layer.get("failure")]


def agreement(body: Body) -> str:
    """How far the layers of a trace without a fault agree: those that were not run are named with their reason."""
    idle = [f"{layer['name']} ({layer.get('unasked')})" for layer in body["layers"] if layer["status"] == "not_run"]
    words = [f"every layer {'that ran ' if idle else ''}agrees with the one before"]
    words += [f"not run: {', '.join(idle)}"] if idle else []
    return "; ".join([*words, *(layer["right"] for layer in body["layers"] if layer.get("right"))])


def trace_command(body: Body) -> str:
    """The command that traces the same again."""
    subject = body["subject"]
    words = ["devenv", "trace", subject["name"], *subject["params"].values()]
    words += ["--user", subject["user"]] if subject.get("user") else []
    return shlex.join(words)


def judgement(body: Body, layer: Layer) -> list[str]:
    """Why a layer stands as it does, in sentences; findings say the rest."""
    if layer.get("unasked"):
        return [f"It was not checked: {layer['unasked']}."]
    if failure := layer.get("failure"):
        return [f"It could not be checked: {failure['what']}."]
    if layer.get("right"):
        return [f"It is correct: {layer['right']}."]
    if layer.get("follows"):
        return [f"Its answer is wrong because of {layer['follows']}; no other fault of this layer is known."]
    expected, observed = layer.get("expected_count"), layer.get("observed_count")
    entries = "" if observed is None else number_of(observed, "entry", "entries")
    if layer["findings"]:
        first = body["verdict"].get("layer") == layer["name"]
        where = "This is the first layer that breaks" if first else "This is broken too"
        if is_same_list(layer):
            are = "is" if observed == 1 else "are"
            return [f"{where}: its {entries} {are} as expected, but another part of its answer is wrong."]
        compared = f": {counts(layer)} entries" if expected is not None else ""
        return [f"{where} ({layer['status']}){compared}."]
    if expected is not None and observed is not None:
        head = f"{entries} came out of it, {expected} went in"
        tail = "nothing is lost, new or changed" if expected == observed else "and that is allowed here"
        return [f"{head}: {tail}."] if expected == observed else [f"{head}, {tail}."]
    if expected is not None:
        return [f"{number_of(expected, 'entry', 'entries')} went in; what came out was not captured."]
    if observed is not None:
        return [f"{entries} found; the next layers are compared with them."]
    return ["It is as the project declares it."]


class EntryPair(Value, frozen=True):
    """One entry before and after a layer: its fields (None: not there) and places, counted from 1."""

    id: str | None
    state: State
    expected: Mapping[str, str | None] | None
    observed: Mapping[str, str | None] | None
    was: int | None = None
    now: int | None = None
    fields: frozenset[str] = frozenset()


def pair_entries(layer: Layer) -> list[EntryPair]:
    """Return what went in beside what came out, differences first. Empty when one of them was not captured."""
    if layer.get("expected") is None or layer.get("entries") is None:
        return []
    changed: defaultdict[str | None, set[str]] = defaultdict(set)
    renamed: defaultdict[str | None, list[str]] = defaultdict(list)
    for change in layer["changed"]:
        changed[change["id"]].add(change["field"])
        if change["field"] == "id":
            renamed[change["observed"]].append(change["expected"])
    waiting: defaultdict[str | None, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
    for place, entry in enumerate(layer["expected"], 1):
        waiting[entry["id"]].append((place, entry["fields"]))
    pairs = []
    for place, entry in enumerate(layer["entries"], 1):
        name = entry["id"]
        if not waiting[name] and renamed[name]:
            name = renamed[name].pop(0)
        was, fields = waiting[name].pop(0) if waiting[name] else (None, None)
        touched = frozenset(changed[name]) if was is not None else frozenset[str]()
        state: State = "extra" if was is None else "changed" if touched else "same"
        pairs.append(EntryPair(name, state, fields, entry["fields"], was, place, touched))
    if layer.get("reordered"):
        pairs = list(mark_moved(pairs))
    pairs += [EntryPair(name, "missing", fields, None, was) for name, left in waiting.items() for was, fields in left]
    order: Sequence[State] = ("missing", "extra", "changed", "moved", "same")
    return sorted(pairs, key=lambda pair: (order.index(pair.state), pair.now or pair.was or 0))


def mark_moved(pairs: Sequence[EntryPair]) -> Iterator[EntryPair]:
    """The pairs, those that stand at another place among what was found again marked as moved."""
    ranks = {was: rank for rank, was in enumerate(sorted(pair.was for pair in pairs if pair.was is not None))}
    rank = 0
    for pair in pairs:
        if pair.was is None:
            yield pair
            continue
        moved = ranks[pair.was] != rank and pair.state == "same"
        rank += 1
        yield EntryPair(pair.id, "moved", pair.expected, pair.observed, pair.was, pair.now) if moved else pair
