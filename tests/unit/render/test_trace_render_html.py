"""A trace as a page: what is in it, that nothing in it can act, and that it is well formed."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from devenv.render.trace_html import MOST, write_html
from tests.trace_samples import (
    GROUP,
    NAMES,
    SAMPLES,
    down,
    entry,
    everywhere,
    healthy,
    healthy_body,
    mangled,
    message_id,
    named,
    report_of,
    wrong_query,
)

VOID = {"meta", "link", "br", "rect"}


class Page(HTMLParser):
    """All elements with their attributes, and the text; AssertionError for a tag that does not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words += data + " "

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def classes(self, name: str) -> int:
        return sum(name in (attributes.get("class") or "").split() for _, attributes in self.elements)


def squeezed(page: Page) -> str:
    return " ".join(page.words.split())


@pytest.mark.parametrize("name", SAMPLES)
def test_every_layer_is_there_and_only_the_broken_one_stands_open(name: str) -> None:
    report = SAMPLES[name]()
    page = Page(write_html(report))
    blocks = [a for a in page.named("details") if "layer" in (a.get("class") or "").split()]
    assert len(blocks) == 8
    opened = [NAMES[place] for place, block in enumerate(blocks) if "open" in block]
    assert opened == [layer for layer in [report.body["verdict"]["layer"]] if layer]
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = {(a["href"] or "").removeprefix("#") for a in page.named("a")}
    assert links <= targets
    assert {f"layer-{number}" for number in range(1, 9)} <= targets


def test_the_verdict_comes_first_with_cause_and_command() -> None:
    words = squeezed(Page(write_html(wrong_query())))
    head = words[: words.index("Layer by layer")]
    assert "✗ Broken It breaks at library wrong_query" in head
    assert "list_messages() returns 0 of 12" in head
    assert f"Then devenv trace conversation {GROUP} --user ines" in head
    assert "Also http open_to_strangers the API answers 200 to a user" in head


def test_both_queries_stand_side_by_side_with_the_difference_marked() -> None:
    text = write_html(wrong_query())
    assert "<mark> and begins_with(sk, 2026)</mark>" in text or "<mark>and begins_with(sk, 2026) </mark>" in text
    words = squeezed(Page(text))
    assert "Declared query Query chat-messages where pk =" in words
    assert "0 of 0 read They differ in the sort-key condition." in words


def test_entries_stand_side_by_side() -> None:
    page = Page(write_html(wrong_query()))
    assert page.classes("absent") == 12
    words = squeezed(Page(write_html(mangled())))
    assert "handle ines" in words
    assert "handle null" in words
    assert "moved 2 → 1" in words
    assert "9 entries are the same" in words


def test_healthy_and_unverified_say_so() -> None:
    assert "✓ Healthy Every layer agrees with the one before" in squeezed(Page(write_html(healthy())))
    words = squeezed(Page(write_html(down())))
    assert "? Not verified dynamodb, cross-store, pattern could not be checked" in words
    assert "It was not checked: it needs {person.uuid}, which is not known." in words
    assert "Run devenv up" in words


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_needs_nothing_from_elsewhere_and_allows_nothing(name: str) -> None:
    text = write_html(SAMPLES[name]())
    page = Page(text)
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy") or ""
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"url\(|@import|@font-face", style)
    assert {tag for tag, _ in page.elements} & {"script", "iframe", "img", "form", "object", "base"} == set()
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name in ("style", "src") for name in attributes), (tag, attributes)
    assert {a["href"] for a in page.named("link")} == {"data:,"}
    assert all((a["href"] or "").startswith("#") for a in page.named("a"))


HOSTILE = (
    "<script>window.owned=1</script>",
    "'\"><img src=x onerror=window.owned=1>",
    "</style></title></textarea><svg onload=window.owned=1>",
    "javascript:window.owned=1",
    "&lt;script&gt;",
    "\u202e\u2066\u200f\x00\x1b]0;x\x07\ud800",
)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_stored_text_stays_text(name: str, hostile: str) -> None:
    tags = {tag for tag, _ in Page(write_html(SAMPLES[name]())).elements}
    text = write_html(everywhere(SAMPLES[name](), hostile))
    page = Page(text)
    # A further key with a list in it makes a table where the sample had none.
    assert {tag for tag, _ in page.elements} <= tags | {"table", "thead", "tbody", "tr", "th", "td", "pre"}
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert (attributes.get("href") or "#")[0] in "#d"
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    text.encode()


def test_lists_are_cut_where_no_one_would_read_on() -> None:
    body = healthy_body(3)
    library = named(body, "library")
    library.update(missing=[f"{number:08x}" for number in range(3 * MOST)], expected=None, entries=None)
    words = squeezed(Page(write_html(report_of(1, body))))
    assert f"Missing: {3 * MOST}" in words
    assert f"and {2 * MOST:,} further ids not shown" in words


def test_a_long_list_of_entries_says_how_many_there_are() -> None:
    body = healthy_body(3)
    named(body, "dynamodb").update(entries=[entry(number) for number in range(500)], observed_count=8000)
    text = write_html(report_of(0, body))
    assert "8000 entries, the first 500" in text
    assert message_id(499) in text


def test_null_zero_and_nothing_are_distinguished() -> None:
    body = healthy_body(0)
    named(body, "services")["output"] = {"gone": None, "none": [], "zero": 0, "blank": "", "no": False}
    words = squeezed(Page(write_html(report_of(0, body))))
    assert "gone null none none zero 0 blank empty text no no" in words
    assert "0 of 0" in words
