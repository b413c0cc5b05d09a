"""A trace in the terminal: one line per layer, the broken one opened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import typer

from devenv.core.model import Report, cause_label
from devenv.core.plural import number_of
from devenv.render.cells import cell_width, clean, pad
from devenv.render.trace_stress import listed_lines, stress_lines
from devenv.render.trace_view import (
    Body,
    Layer,
    agreement,
    broken_layer,
    changes_by_field,
    cost_words,
    counts,
    declared_query,
    duration,
    failed_layers,
    is_first,
    judgement,
    queries_matter,
    readable,
    sent_queries,
    short,
    short_ids,
    standing,
    told,
    trace_command,
)
from devenv.render.trace_written import written_rows

SIGNS: Final[Mapping[str, tuple[str, str]]] = {"ok": ("✓", "green"), "not_run": ("-", "white")}
BROKEN: Final = ("✗", "red")
UNANSWERED: Final = ("?", "yellow")
FOLLOWS: Final = ("=", "yellow")
VERDICTS: Final = {"ok": ("✓", "green"), "diverged": ("✗", "red"), "not_verified": ("?", "yellow")}
LABEL: Final = 10
WIDEST: Final = 120
# Name and status of a layer stand on one line.
NARROWEST: Final = 32
QUERIES: Final = 4
EXAMPLES: Final = 3
COMMANDS: Final = ("run", "then")
LISTS: Final = ("entries", "expected")
# A label and what stands beside it; a command is never broken over lines, so that it can be copied.
Row = tuple[str, str]


def trace_text(report: Report, verbose: bool) -> list[str]:
    """`trace`: what was asked, the tree of layers with the first broken one opened, what else, the verdict."""
    if (listed := listed_lines(report)) is not None:
        return listed
    # This form shows no entries, and they are nearly all of a body.
    shown = [{name: part for name, part in layer.items() if name not in LISTS} for layer in report.body["layers"]]
    body = readable({**report.body, "layers": shown})
    width = terminal_width()
    lines = heading(body, width)
    layers = body["layers"]
    sizes = columns(layers)
    said: list[Row] = []
    for place, layer in enumerate(layers):
        last = place == len(layers) - 1
        head = layer_lines(layer, sizes, width, "└ " if last else "├ ")
        rows = list(opened(body, layer, verbose) if is_first(body, layer) else remarks(body, layer, verbose))
        lines += head
        lines += indent(unsaid(rows, said, head[0], layer), width, "    " if last else "│   ")
        said = rows
    return [*lines, *further(body, width), *stress_lines(body, verbose), *verdict_lines(body, width)]


def unsaid(rows: list[Row], before: list[Row], line: str, layer: Layer) -> list[Row]:
    """Return what is left to say below a layer's line: not again what the line says, or the layer before it."""
    in_line = clean(told(layer)) in line
    if rows and rows == before:
        return [] if in_line else [("", "for the same reason")]
    return [] if in_line and rows == [("", told(layer))] else rows


def terminal_width() -> int:
    """Cells of a line."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((100, 24)).columns))


def heading(body: Body, width: int) -> list[str]:
    """Return what was traced, for whom, how long it took, and what was read differently from what was typed."""
    subject = body["subject"]
    name = " ".join(filter(None, (subject["name"], subject.get("identifier"))))
    lines = [typer.style(line, bold=True) for line in wrap(name, width)]
    told = [subject.get("title"), f"as {subject['user']}" if subject.get("user") else None, duration(body.get("ms"))]
    lines += [typer.style(line, dim=True) for line in wrap(", ".join(filter(None, told)), width)]
    return lines + [line for said in subject.get("said") or () for line in wrap(f"note: {said}", width)]


def sign_of(layer: Layer) -> tuple[str, str]:
    """The sign of a layer and its colour; its status always stands beside it."""
    if layer.get("failure") and not layer["findings"]:
        return UNANSWERED
    if layer.get("uncovered") and not layer["findings"]:
        return UNANSWERED
    if layer.get("follows"):
        return FOLLOWS
    return SIGNS.get(layer["status"], BROKEN)


def cells_of(layer: Layer) -> tuple[str, str, str, str]:
    """Name, status, counts, time."""
    return layer["name"], standing(layer), counts(layer), duration(layer.get("ms"))


def columns(layers: Sequence[Layer]) -> list[int]:
    """Return how wide each column of the tree is."""
    rows = [cells_of(layer) for layer in layers]
    return [max(map(cell_width, column)) for column in zip(*rows, strict=True)]


def layer_lines(layer: Layer, sizes: Sequence[int], width: int, guide: str) -> list[str]:
    """The line of one layer; on a narrow terminal without its time, then in two."""
    sign, color = sign_of(layer)
    name, status, count, ms = (clean(cell) for cell in cells_of(layer))
    wide_name, wide_status, wide_count, wide_ms = sizes
    parts = [pad(name, wide_name), pad(status, wide_status), count.rjust(wide_count), ms.rjust(wide_ms)]
    room = width - len(guide) - 2
    while len(parts) > 2 and cell_width("  ".join(parts)) > room:
        parts.pop()
    tail = [] if len(parts) > 2 or not count else [f"{guide.replace('├', '│').replace('└', ' ')}  {count}"]
    left = room - cell_width("  ".join(parts)) - 2
    words = cut(clean(told(layer)), left) if len(parts) == len(sizes) and left >= 12 else ""
    bold = color == "red"
    # The style ends before the padding, so that no line ends in spaces.
    styled = typer.style(status, fg=color, bold=bold) + parts[1][len(status) :]
    parts[:2] = [typer.style(name, bold=bold) + parts[0][len(name) :], styled]
    parts += [typer.style(words, dim=True)] if words else []
    return [f"{guide}{typer.style(sign, fg=color, bold=bold)} {'  '.join(parts)}".rstrip(), *tail]


def opened(body: Body, layer: Layer, verbose: bool) -> Iterator[Row]:
    """All that is known of why a layer is as it is: its findings, the differences, both queries, cause and remedy."""
    if failure := layer.get("failure"):
        yield from failure_rows(failure)
    first, *others = layer["findings"] or [None]
    if first is not None:
        yield "", f"{first['class']}: {first['summary']}"
    yield from difference_rows(layer, verbose)
    yield from written_rows(layer, verbose=True)
    yield from evidence_rows(layer)
    queries = list(query_rows(body, layer))
    yield from queries
    if first is not None:
        # The cause of a wrong query is the two queries, which stand above it.
        declared = declared_query(body) if any(label == "differs" for label, _ in queries) else None
        yield from remedy_rows(first, with_cause=declared is None or declared not in (first["cause"] or ""))
        yield from then_rows(body, first)
    told = list(remedy_rows(first)) if first else []
    for finding in others:
        yield "also", f"{finding['class']}: {finding['summary']}"
        if (rows := list(remedy_rows(finding))) != told:
            yield from rows
            told = rows
    yield from remarks(body, layer, verbose, broken=True)


def failure_rows(failure: Mapping[str, Any]) -> Iterator[Row]:
    """Why a layer could not be asked."""
    yield "", failure["what"]
    for name in ("detail", "cause", "hint"):
        if failure.get(name):
            yield ("run" if name == "hint" else name), failure[name]


def remarks(body: Body, layer: Layer, verbose: bool, *, broken: bool = False) -> Iterator[Row]:
    """Remarks at a layer that is not the broken one."""
    if layer.get("unasked"):
        yield "", layer["unasked"]
    for gap in layer.get("uncovered") or ():
        if gap != layer.get("unasked"):
            yield "not looked at", gap
    if not broken and (failure := layer.get("failure")):
        # Behind a layer that breaks, a failure is most likely its consequence.
        yield from failure_rows(failure) if verbose or not body["verdict"].get("layer") else [("", failure["what"])]
    if not broken:
        yield from written_rows(layer, verbose=verbose)
    # An empty answer is always explained, and one with another number of entries.
    count = layer.get("observed_count")
    old = bool(layer["output"].get("code_changed"))
    if verbose or broken or old or count == 0 or count != layer.get("expected_count"):
        told = body["verdict"].get("cause") or "" if broken else ""
        yield from (("note", note) for note in layer.get("notes") or () if note not in told)
    if verbose and (cost := cost_words(layer.get("cost"))):
        yield "cost", ", ".join(cost)


def difference_rows(layer: Layer, verbose: bool) -> Iterator[Row]:
    """Ids that are missing or new, fields that changed, and whether the order did."""
    yield from id_rows(layer, verbose=verbose)
    for field, changes in changes_by_field(layer.get("changed") or ()).items():
        shown = changes if verbose else changes[:EXAMPLES]
        examples = "; ".join(
            f"{short(change['id'])} {value_text(change['expected'])} → {observed_text(change)}" for change in shown
        )
        rest = f"; and {len(changes) - len(shown)} more" if len(changes) > len(shown) else ""
        entries = number_of(len({change["id"] for change in changes}), "entry", "entries")
        yield "changed", f"{field} on {entries}: {examples}{rest}"
    if layer.get("reordered"):
        yield "order", "the same entries in a different order"


def id_rows(layer: Layer, *, verbose: bool) -> Iterator[Row]:
    """The ids that are missing, and those that are new."""
    for name in ("missing", "extra"):
        if ids := layer.get(name):
            yield name, f"{len(ids)}: {' '.join(ids)}" if verbose else short_ids(ids, EXAMPLES)


def value_text(value: str | None) -> str:
    """A field's value; null is a word, as an empty text is none."""
    return "null" if value is None else f"“{value}”" if not value.strip() else value


def observed_text(change: Mapping[str, Any]) -> str:
    """The value that came instead of the expected one."""
    if not change.get("absent"):
        return value_text(change["observed"])
    return f"absent (`{change['instead']}` has it)" if change.get("instead") else "absent"


def query_rows(body: Body, layer: Layer) -> Iterator[Row]:
    """The declared query beside those that were sent, where they are the fault."""
    declared = declared_query(body)
    if "stages" in layer["output"] and layer["findings"] and declared:
        yield "declared", declared
        for stage in layer["output"]["stages"]:
            part = "sort-key condition" if stage["without"] == "sort" else stage["without"]
            yield "without", f"its {part}: {number_of(stage['count'], 'entry', 'entries')}"
    if not queries_matter(body, layer):
        return
    if declared:
        yield "declared", declared
    sent = sent_queries(layer)
    for query in sent[:QUERIES]:
        yield "sent", query
    if len(sent) > QUERIES:
        yield "", f"and {number_of(len(sent) - QUERIES, 'more query')}"
    if not sent:
        captured = layer["output"].get("queries") is not None
        yield "sent", "no query at all" if captured else "not captured"
    if differs := layer["output"].get("differs"):
        yield "differs", f"in the {differs}"


def evidence_rows(layer: Layer) -> Iterator[Row]:
    """The rows of a layer's own output that show its fault."""
    if layer["findings"]:
        yield from ((row["label"], row["text"]) for row in layer["evidence"])


def remedy_rows(finding: Mapping[str, Any], *, with_cause: bool = True) -> Iterator[Row]:
    if with_cause and finding.get("cause"):
        yield cause_label(finding["cause"]), finding["cause"]
    fix = finding.get("fix") or {}
    for label, name in (("fix", "text"), ("run", "command")):
        if fix.get(name):
            yield label, fix[name]


def then_rows(body: Body, finding: Mapping[str, Any]) -> Iterator[Row]:
    """Where no command repairs it, the one that shows whether the repair was right."""
    if not (finding.get("fix") or {}).get("command"):
        yield "then", trace_command(body)


def further(body: Body, width: int) -> list[str]:
    """Findings of other layers."""
    also = body["verdict"].get("also") or ()
    first = broken_layer(body)
    elsewhere = [finding for finding in also if first is None or finding["layer"] != first["name"]]
    lines = ["also:"] if elsewhere else []
    layers = {layer["name"]: layer for layer in body["layers"]}
    for finding in elsewhere:
        head = f"{finding['layer']}, {finding['class']}: {finding['summary']}"
        sign = typer.style(BROKEN[0], fg=BROKEN[1])
        start, *rest = wrap(head, width - 4)
        lines += [f"  {sign} {start}", *(f"    {line}" for line in rest)]
        # The entries that differ are the layer's, and its first finding is about them.
        ids = list(id_rows(layers.pop(finding["layer"], {}), verbose=False))
        lines += indent([*ids, *remedy_rows(finding)], width, "    ")
    return lines


def verdict_lines(body: Body, width: int) -> list[str]:
    """The last line: how it stands, and where it breaks."""
    verdict = body["verdict"]
    sign, color = VERDICTS[verdict["status"]]
    words = verdict["status"].replace("_", " ")
    if verdict.get("layer"):
        words += f" at {verdict['layer']}: {verdict['class']}"
    elif verdict["status"] == "not_verified":
        names = ", ".join(failed_layers(body))
        words += f": {verdict.get('summary') or f'{names} could not be checked'}"
    else:
        words = f"ok: {agreement(body)}"
    return [typer.style(line, fg=color, bold=True) for line in wrap(f"{sign} {words}", width)]


def why(body: Body, layer: Layer, width: int) -> list[str]:
    """The judgement of one layer in words, with its evidence."""
    rows: list[Row] = [("", sentence) for sentence in judgement(body, layer)]
    return indent([*rows, *opened(body, layer, verbose=False)], width, "  ")


def indent(rows: Sequence[Row], width: int, guide: str) -> list[str]:
    """Labelled rows behind a guide; beside the label on a wide terminal, below it on a narrow one."""
    lines: list[str] = []
    room = max(16, width - cell_width(guide))
    beside = room >= LABEL + 30
    for label, text in rows:
        head = typer.style(label, bold=True)
        taken = max(LABEL, len(label) + 1)
        fill = " " * (taken - len(label))
        if label in COMMANDS:
            lines.append(f"{guide}{head}{fill if beside else ' '}{typer.style(clean(text), fg='cyan')}")
            continue
        if not label:
            lines += [guide + line for line in wrap(text, room)]
        elif beside:
            start, *rest = wrap(text, room - taken)
            lines += [f"{guide}{head}{fill}{start}", *(guide + " " * taken + line for line in rest)]
        else:
            lines.append(guide + head)
            lines += [f"{guide}  {line}" for line in wrap(text, room - 2)]
    return lines


def wrap(text: str, width: int) -> list[str]:
    """Stored text in lines of at most `width` cells, broken at spaces where that is possible; at least one line."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in clean(paragraph.expandtabs(4)).split(" "):
            joined = f"{line} {word}" if line else word
            if cell_width(joined) <= width:
                line = joined
                continue
            lines += [line] if line else []
            *full, line = chop(word, width)
            lines += full
        lines.append(line)
    return lines


def cut(text: str, width: int) -> str:
    """A text in at most `width` cells."""
    return text if cell_width(text) <= width else chop(text, width - 1)[0] + "…"


def chop(word: str, width: int) -> list[str]:
    """A word in pieces of at most `width` cells."""
    pieces = [""]
    for letter in word:
        if cell_width(pieces[-1] + letter) > width and pieces[-1]:
            pieces.append("")
        pieces[-1] += letter
    return pieces
