"""The verdict's first fault is one whose correction changes what the user sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from devenv.config.schema import Token
from devenv.core.model import Finding
from devenv.links.faults import Fault
from devenv.links.read import ItemRecord, Kind
from devenv.trace.layers.postgres import may_carry
from devenv.trace.layers.subject_faults import unshown_values
from devenv.trace.observation import Answer, Observations
from tests.unit.trace.judged import HEALTHY, MEMBER, RAN, SENT, STORED, also, verdict

REFUSED = Finding("placeholder", "sign-in id is MOCK", about=frozenset(["sign_in"]))
STALE = Finding("stale_preview", "the member item shows an earlier time", unshown=frozenset(["2023-06-01T10:00:00Z"]))
SHORT = replace(RAN, entries=STORED[3:], asked=(replace(SENT, sort="at > 2023-06-03"),), read=STORED[3:])


def short(member: Answer, *, stored: Sequence[Finding] = (), person: Sequence[Finding] = ()) -> Observations:
    """The function returns two of five entries; the API answers `member`."""
    return replace(
        HEALTHY,
        postgres=replace(HEALTHY.postgres, findings=tuple(person)),
        dynamodb=replace(HEALTHY.dynamodb, findings=tuple(stored)),
        library=replace(HEALTHY.library, ran=SHORT),
        http=replace(HEALTHY.http, member=member),
    )


def test_a_refusal_does_not_follow_from_a_function_that_returned_some_entries() -> None:
    seen = short(replace(MEMBER, status=401, entries=None))
    assert (verdict(seen), also(seen)) == (("library", "wrong_query"), [("http", "not_authorised")])
    nothing = replace(seen, library=replace(seen.library, ran=replace(SHORT, entries=(), read=())))
    assert also(nothing) == [], "a route may refuse because nothing was found"
    assert also(short(replace(MEMBER, status=500, entries=None))) == []


def test_a_query_that_loses_entries_comes_before_a_possible_cause_of_the_refusal() -> None:
    seen = short(replace(MEMBER, status=401, entries=None), person=[REFUSED])
    assert (verdict(seen), also(seen)) == (("library", "wrong_query"), [("postgres", "placeholder")])
    empty = replace(SHORT, entries=(), read=())
    narrow = replace(seen, library=replace(seen.library, ran=empty))
    assert verdict(narrow) == ("library", "wrong_query"), "it reads under the declared key"
    other = replace(empty, asked=(replace(SENT, key={"pk": "MSG#unknown"}),))
    unknown = replace(seen, library=replace(seen.library, ran=other))
    assert verdict(unknown) == ("postgres", "placeholder"), "the key may be wrong because of the sign-in id"


def test_a_copy_that_the_answer_does_not_show_comes_behind_what_changes_the_answer() -> None:
    answer = replace(MEMBER, entries=SHORT.entries)
    seen = short(answer, stored=[STALE])
    assert (verdict(seen), also(seen)) == (("library", "wrong_query"), [("dynamodb", "stale_preview")])
    assert verdict(replace(HEALTHY, dynamodb=seen.dynamodb)) == ("dynamodb", "stale_preview"), "it stays a fault"
    shown = short(answer, stored=[replace(STALE, unshown=frozenset())])
    assert verdict(shown) == ("dynamodb", "stale_preview"), "the answer shows the item"
    bound = replace(SHORT, asked=(replace(SENT, sort="at <= 2023-06-01T10:00:00Z"),))
    used = replace(seen, library=replace(seen.library, ran=bound))
    assert verdict(used) == ("dynamodb", "stale_preview"), "a query reads up to the stale time"


def test_a_copy_comes_before_a_fault_that_only_others_meet() -> None:
    seen = replace(HEALTHY, dynamodb=replace(HEALTHY.dynamodb, findings=(STALE,)))
    open_door = replace(seen, http=replace(seen.http, stranger=MEMBER))
    assert (verdict(open_door), also(open_door)) == (("dynamodb", "stale_preview"), [("http", "open_to_strangers")])


def test_a_stale_copy_is_apart_only_if_no_item_of_it_is_shown() -> None:
    row, entry = (ItemRecord("t", {}, (), Kind(kind, "t", (), (), (), None), None, {}) for kind in ("member", "entry"))
    one, other = (
        Fault("stale_preview", ("g",), "", item, observed=value) for item, value in ((row, "a"), (entry, "b"))
    )
    assert unshown_values([one], {"entry"}) == {"a"}
    assert unshown_values([one, other], {"entry"}) == frozenset()
    assert unshown_values([replace(one, kind="half_group")], {"entry"}) == frozenset()


def test_a_sign_in_id_matters_only_if_the_token_may_carry_it() -> None:
    column = "person.sub"
    assert may_carry(Token(env="KEY", claims={"sub": "{person.sub}"}), column)
    assert not may_carry(Token(env="KEY", claims={"sub": "{user}"}), column)
    assert may_carry(Token(issuer="cognito", claims={"scope": "all"}), column)
    assert may_carry(Token(command=["./token", "{user}"]), column)
