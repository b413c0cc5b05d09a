"""Which layer breaks first, and why: a pure function over what the layers gave.

Each layer is held against the one before it: what must survive (ids, fields, order) and what may be taken away and by
what (a page that is followed, an item past its time). Nothing here knows a symptom's usual cause: a later failure is
left out only where an earlier layer's own output already implies it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Literal

from devenv.capture.calls import shown
from devenv.core.value import Value
from devenv.trace.difference import Difference
from devenv.trace.judge.fault import OK, Judged, LayerFinding, LayerStatus, judge_findings
from devenv.trace.layer import Layer
from devenv.trace.layers.registry import LAYERS
from devenv.trace.observation import Entry, Observation, Observations, Subject

# Rows and items that are wrong leave a list as long as it was: the other layers take from it, or add to it.
STORED: Final = frozenset(["postgres", "dynamodb", "cross-store"])

# The layers whose answer is a list that is held against another one.
COMPARED: Final = frozenset(["pattern", "library", "http"])

# The layers that answer the request, and those of them whose fault is a query.
ANSWERS: Final = frozenset(["pattern", "library", "cache", "http"])
QUERIES: Final = frozenset(["pattern", "library"])

# Of these layers' faults, the ones that may leave the answer as it is: they are about the way to it.
UNSEEN: Final = frozenset(["scan", "wrong_query", "wrong_index"])

# What a seed left in place of a sign-in id.
SIGN_IN: Final = ("postgres", "placeholder")


class LayerVerdict(Value, frozen=True):
    """One layer judged. `expected` are the entries of the layer before, `entries` its own (None: not captured).

    `follows` is the earlier layer whose fault explains a bad answer that is no fault of this one; `right` says why a
    refusal is none at all.
    """

    layer: Layer
    status: LayerStatus
    expected: Sequence[Entry] | None
    entries: Sequence[Entry] | None
    difference: Difference | None
    findings: tuple[LayerFinding, ...]
    follows: str | None = None
    right: str | None = None

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name

    @property
    def expected_count(self) -> int | None:
        """How many entries there should be; None: nothing to compare with."""
        return None if self.expected is None else len(self.expected)

    @property
    def observed_count(self) -> int | None:
        """How many there are; None: not captured."""
        return None if self.entries is None else len(self.entries)


class Judgement(Value, frozen=True):
    """The first fault and the further ones, and how each layer stands. `unverified` are layers that could not tell,
    `gaps` the same in words: what is declared and was not looked at.
    """

    first: LayerFinding | None
    also: tuple[LayerFinding, ...]
    layers: tuple[LayerVerdict, ...]
    unverified: tuple[str, ...]
    gaps: tuple[str, ...] = ()

    @property
    def status(self) -> Literal["ok", "diverged", "not_verified"]:
        """The verdict's status."""
        return "diverged" if self.first else "not_verified" if self.unverified else "ok"

    @property
    def fit(self) -> bool:
        """True if the request itself is answered as it must be: what was found concerns only requests of others."""
        found = [one for one in (self.first, *self.also) if one is not None]
        return not self.unverified and all(one.others for one in found)


def judge(subject: Subject, seen: Observations, layers: Sequence[Layer] = LAYERS) -> Judgement:
    """Name the first layer whose output does not follow from the one before; further faults follow in order.

    A layer that the project does not declare was not observed, and is left out.
    """
    found: list[LayerFinding] = []
    untidy: list[LayerFinding] = []
    verdicts: list[LayerVerdict] = []
    passed = is_signed_in(seen)
    for layer in layers:
        if not seen.has(layer.name):
            continue
        judged = (layer.judge or partial(judge_findings, layer.name, "mutated"))(subject, seen, found)
        verdicts.append(judge_layer(layer, seen.layer(layer.name), judged, found))
        harmless = [one for one in judged.findings if passed and (one.layer, one.kind) == SIGN_IN]
        found += [one for one in judged.findings if one not in harmless]
        untidy += harmless
    gaps = {one.name: tuple(gaps_of(seen.layer(one.name), one)) for one in verdicts}
    if not any(gaps.values()) and (nothing := uncompared(verdicts)):
        gaps["pattern"] = (nothing,)
    unverified = tuple(name for name, told in gaps.items() if told)
    sentences = tuple(f"{name}: {gap}" for name, told in gaps.items() for gap in told)
    found = [*visible_first(causes_first(found), seen), *untidy]
    return Judgement(found[0] if found else None, tuple(found[1:]), tuple(verdicts), unverified, sentences)


def is_signed_in(seen: Observations) -> bool:
    """Return True if the application knows who asks, whatever the sign-in id is: it gives what only a user gets.

    A refusal, a failure, or nothing of what is stored may follow from a placeholder, which then comes first.
    """
    ran, member = seen.library.ran, seen.http.member
    runs = [ran, *(guard for guard, _ in seen.library.guards)]
    if seen.http.failure is not None or any(one is not None and one.outcome != "returned" for one in runs):
        return False
    if member is not None:
        given = member.entries if member.status in OK else None
    else:
        given = ran.entries if ran is not None else None
    return bool(given) or (given is not None and not seen.dynamodb.entries)


def causes_first(found: Sequence[LayerFinding]) -> list[LayerFinding]:
    """The findings in the layers' order, but each one that another explains right behind it.

    A function that was run on a copy shows which stored faults it corrects: to correct them by hand would help until
    the next write only.
    """
    left = list(found)
    for cause in found:
        if not cause.explains:
            continue
        follows = [one for one in left if (one.kind, one.subjects) in cause.explains and one is not cause]
        left = [one for one in left if one not in follows]
        place = left.index(cause) + 1
        left[place:place] = follows
    return left


def visible_first(found: Sequence[LayerFinding], seen: Observations) -> list[LayerFinding]:
    """The findings in their order, but behind those whose correction changes the traced answer the ones that cannot.

    These are a copy in an item that the answer does not show, unless a query uses its value; and the placeholder of a
    sign-in id where the function reads under the declared key: its query is wrong whoever the user is.
    """
    explained = {one for cause in found for one in cause.explains}
    last = max((place for place, one in enumerate(found) if changes_answer(one)), default=-1)
    reads = sent_queries(seen)
    aside = [
        one
        for one in found[: last + 1]
        if (one.kind, one.subjects) not in explained and is_aside(one, found[: last + 1], seen, reads)
    ]
    return [*(one for one in found if one not in aside), *aside] if aside else list(found)


def is_aside(one: LayerFinding, found: Sequence[LayerFinding], seen: Observations, reads: str) -> bool:
    """Return True if correcting this finding leaves the answer as it is, while others of `found` change it."""
    if one.unshown:
        return not any(value in reads for value in one.unshown)
    wrong = any(other.layer in QUERIES and changes_answer(other) for other in found)
    return (one.layer, one.kind) == SIGN_IN and wrong and reads_subject(seen)


def reads_subject(seen: Observations) -> bool:
    """Return True if the function returned, and gave entries or sent a query with the declared table and key."""
    ran, declared = seen.library.ran, seen.pattern.asked
    if ran is None or ran.outcome != "returned":
        return False
    same = declared is not None and any(
        (one.table, one.index, one.key) == (declared.table, declared.index, declared.key) and one.key
        for one in ran.asked or ()
    )
    return same or bool(ran.entries)


def changes_answer(one: LayerFinding) -> bool:
    """Return True if the user sees the correction of this finding in the traced answer."""
    if one.others or one.layer not in ANSWERS:
        return False
    return one.kind not in UNSEEN or (
        one.difference is not None and bool(one.difference.missing or one.difference.extra)
    )


def sent_queries(seen: Observations) -> str:
    """The application's captured reads, as text."""
    runs = [seen.library.ran, *(guard for guard, _ in seen.library.guards)]
    calls = [call for run in runs if run is not None for call in run.asked or ()]
    return "\n".join(shown(call) for call in (*calls, *(seen.http.asked or ())))


def gaps_of(observation: Observation, verdict: LayerVerdict) -> Iterator[str]:
    """The declared things that a layer did not check, in words. A fault of the layer itself says more."""
    if verdict.findings:
        return
    if observation.failure is not None:
        yield observation.failure.what
    elif observation.unasked is not None and observation.declared:
        yield observation.unasked
    elif observation.unasked is None and verdict.status == "ok" and is_uncompared(verdict):
        yield "its answer contains no list, so it was not compared"
    yield from observation.uncovered


def is_uncompared(verdict: LayerVerdict) -> bool:
    """Return True if a layer that answers with a list gave none, and nothing else explains that."""
    return verdict.name in COMPARED and verdict.entries is None and verdict.right is None and verdict.follows is None


def uncompared(verdicts: Sequence[LayerVerdict]) -> str | None:
    """Why layers that agree say nothing: fewer than two of them gave entries."""
    telling = [verdict.name for verdict in verdicts if verdict.entries is not None]
    refused = any(verdict.right for verdict in verdicts)
    if len(telling) > 1 or refused:
        return None
    return (
        f"only {telling[0]} returned entries, so there was nothing to compare"
        if telling
        else "no layer returned entries"
    )


def judge_layer(layer: Layer, seen: Observation, judged: Judged, earlier: Sequence[LayerFinding]) -> LayerVerdict:
    """Return how one layer stands."""
    mine = tuple(judged.findings)
    status: LayerStatus = "ok"
    if mine:
        status = mine[0].status
    elif seen.unasked is not None:
        status = "not_run"
    elif seen.failure is not None:
        status = "error"
    evidence = mine[0].difference or judged.difference if mine else None
    verdict = LayerVerdict(layer, status, judged.expected, judged.entries, evidence, mine)
    return explained(verdict, judged, earlier) if status == "ok" else verdict


def explained(verdict: LayerVerdict, judged: Judged, earlier: Sequence[LayerFinding]) -> LayerVerdict:
    """A layer without a fault of its own, with why its answer is bad, where it is: nobody shall take it for healthy."""
    if not (judged.refused or judged.another):
        return verdict
    stored = frozenset[str]() if judged.refused else STORED
    follows = next((one.layer for one in earlier if one.layer not in stored), None)
    return replace(verdict, follows=follows, right=judged.right if judged.refused else None)
