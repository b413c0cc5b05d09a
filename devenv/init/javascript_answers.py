"""The answers of routes in JavaScript: the field that holds a function's list, and the fields picked from it. Pure."""

from __future__ import annotations

import re
from typing import Final

CALLED: Final = re.compile(r"(\w+)\s*:\s*(?:await\s+)?(?:[\w$]+\.)*([\w$]+)\(")
GIVEN: Final = re.compile(r"\b(?:const|let|var)\s+(\w+)\s*=\s*(?:await\s+)?(?:[\w$]+\.)*([\w$]+)\(")
# `.map((r) => ({ … }))` behind a name.
MAPPED: Final = r"(?:\.map\(\s*\(?\s*(\w+)\s*\)?\s*=>\s*\(\{((?:[^{}]|\{[^{}]*\})*)\}\))?"
# `res.json({ loans: Items })`, of a handler that sends the query itself.
ITEMS: Final = re.compile(r"(?:json|send)\(\s*\{(?:[^{}]*,)?\s*(\w+)\s*:\s*(?:\w+\.)?Items\b")
# `res.json(result.Item)`, `res.json({ visit: Item })`, of a handler that gets one item itself.
ITEM: Final = re.compile(r"(?:json|send)\(\s*(?:\{(?:[^{}]*,)?\s*(\w+)\s*:\s*)?(?:\w+\.)?Item\b(?!\s*(?:\?\.|\.|\[))")
# `{ buyer: sale.buyer, total: Number(sale?.total) }`, an answer with some fields of one thing.
OBJECT: Final = re.compile(r"(?:json|send)\(\s*\{([^{}]*)\}")
# `const { data } = await Order.query.byCustomer({ … }).go()`, `const { Items: rows } = await doc.send(…)`.
TAKEN: Final = re.compile(r"\{\s*(data|Items)\s*(?::\s*(\w+)\s*)?(?:=[^{}]*)?\}\s*=\s*await\b")
# `const [deps, notices] = await Promise.all([list(…), notices(…)])`.
TOGETHER: Final = re.compile(r"\[([\w\s,]+)\]\s*=\s*await\s+Promise\.all\(\s*\[([^\[\]]*)\]")
CALL: Final = re.compile(r"(?:[\w$]+\.)*([\w$]+)\((?:[^()]|\([^()]*\))*\)")
# Of each item only a value, or only some of the items.
VALUES: Final = r"\.(?:map\(\s*\(?\s*(\w+)\s*\)?\s*=>\s*\1\b|map\(\s*(?:String|Number)\b|filter\(|reduce\(|length\b)"
# What makes HTML: a template of a view engine, a text that begins like it.
PAGE: Final = re.compile(
    r"\b(?:res|reply|ctx|c|response)\s*(?:\.\w+\([^()]*\)\s*)*\.(?:render|view|html)\("
    r"|(?:send|end|body\s*=)\s*\(?\s*['\"`]\s*<"
    r"|\btype\(\s*['\"](?:text/)?html"
)
JSON: Final = re.compile(r"(?<!status)\bjson\(\s*(?!\{\s*(?:error|message)\b)")
REFUSES: Final = re.compile(r"\b401\b")
LONGEST: Final = 20_000


def is_page(text: str) -> bool:
    """Return True for a handler that answers with HTML, and with JSON only when it fails."""
    return PAGE.search(text[:LONGEST]) is not None and JSON.search(text[:LONGEST]) is None


def together(text: str) -> list[tuple[str, str]]:
    """(name, function) of what a handler waits for at once."""
    found: list[tuple[str, str]] = []
    for names, calls in TOGETHER.findall(text):
        given = [name.strip() for name in names.split(",")]
        called = [each[1] for each in CALL.finditer(calls)]
        found += zip(given, called, strict=True) if len(given) == len(called) else []
    return found


def picks(text: str) -> dict[str, dict[str, str]]:
    """Function -> field -> its own field, of a handler that answers with some fields of the one thing it got."""
    found: dict[str, dict[str, str]] = {}
    text = text[:LONGEST]
    for name, function in GIVEN.findall(text):
        for answer in OBJECT.findall(text):
            picked = dict(re.findall(rf"(\w+)\s*:\s*(?:\w+\(\s*)?{re.escape(name)}\??\.(\w+)", answer))
            if picked and not re.search(rf"(?:\.\.\.|[:,{{]\s*|^\s*){re.escape(name)}\b(?!\s*[.?\w])", answer):
                found[function] = picked
    return found


def read_answer(text: str, own: str = "") -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """(function -> field, function -> field -> its own field) of a handler like `res.json({ data: await list(…) })`.

    The function `own` is the handler itself.
    """
    text = text[:LONGEST]
    wraps = {function: field for field, function in CALLED.findall(text)}
    if (own_items := ITEMS.search(text)) is not None:
        wraps[own] = own_items[1]
    elif (own_item := ITEM.search(text)) is not None and own not in wraps:
        wraps[own] = own_item[1] or ""
    answers: dict[str, dict[str, str]] = {}
    given = [*GIVEN.findall(text), *together(text), *((name or kind, own) for kind, name in TAKEN.findall(text))]
    for name, function in given:
        for place in re.finditer(
            rf"(?:(\w+)\s*:\s*|(?:return|json\(|send\()\s*){re.escape(name)}\b{MAPPED}(?!\s*[.(\w])", text
        ):
            if place[1]:
                wraps[function] = place[1]
            # `({ ...row, title })` keeps all fields.
            if function != own and place[2] and f"...{place[2]}" not in place[3]:
                picked = re.findall(rf"(\w+)\s*:\s*{re.escape(place[2])}\.(\w+)\s*(?:,|$)", place[3].strip())
                answers[function] = dict(picked)
        if function not in answers and re.search(rf":\s*{re.escape(name)}{VALUES}", text):
            answers[function] = {}
        if re.search(rf"(?:return\s*|json\(\s*|send\(\s*)\{{(?:[^{{}}]*,)?\s*{re.escape(name)}\s*[,}}]", text):
            wraps[function] = name
    return wraps, answers
