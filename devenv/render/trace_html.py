"""A trace as one page: `templates/trace.html`, in the style of `trace_page.css`."""

from __future__ import annotations

import difflib
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from devenv.core.model import Report, cause_label
from devenv.core.plural import number_of
from devenv.render.cells import clean
from devenv.render.page import render_page
from devenv.render.trace_stress import stress_section
from devenv.render.trace_view import (
    Body,
    EntryPair,
    Layer,
    agreement,
    cost_words,
    counts,
    declared_query,
    duration,
    failed_layers,
    is_first,
    is_not_found,
    judgement,
    pair_entries,
    readable,
    sent_words,
    standing,
    told,
    trace_command,
)

# Rows of a list that stand open; further ones are folded away, and beyond the second number only counted.
OPEN: Final = 8
ROWS: Final = 20
MOST: Final = 500
TONES: Final[Mapping[str, tuple[str, str]]] = {"ok": ("ok", "✓"), "not_run": ("idle", "-")}
BAD: Final = ("bad", "✗")
UNANSWERED: Final = ("warn", "?")
FOLLOWS: Final = ("warn", "=")
VERDICTS: Final = {"ok": ("ok", "Healthy"), "diverged": ("bad", "Broken"), "not_verified": ("warn", "Not verified")}
STATES: Final = {"missing": "bad", "extra": "bad", "changed": "warn", "moved": "warn", "same": "ok"}
THIN: Final = 0.6
# Names of a report that are no words of people.
LABELS: Final[Mapping[str, str]] = {
    "near": "similar",
    "said": "printed",
    "paged": "in pages",
    "corrected": "after its own repair",
    "differs": "differs from the declared query in",
    "ms": "milliseconds",
}
OPTIONAL: Final = frozenset(["detail", "plan", "corrected", "differs", "problem", "shape", "location", "log", "reason"])


def write_html(report: Report) -> str:
    """The page of a trace report."""
    body = readable(report.body)
    subject = body["subject"]
    name = " ".join(filter(None, (subject["name"], subject.get("identifier"))))
    blocks = {
        "heading": heading(report, body),
        "verdict": verdict(body),
        "flow": flow(body),
        "stress": stress_section(body),
        "layers": (line for layer in body["layers"] for line in layer_block(body, layer)),
    }
    return render_page(
        "trace.html",
        "trace_page.css",
        f"{verdict_words(body)}: {name}",
        {name: Markup("\n".join(lines)) for name, lines in blocks.items()},  # noqa: S704 - `text` escaped its parts
    )


def text(value: object) -> str:
    """Stored text, safe inside an element or a quoted attribute; control and direction characters as escapes."""
    return html.escape(clean(str(value)))


def lines_of(value: str) -> str:
    """Stored text of several lines, for a `pre`."""
    return "\n".join(text(line.expandtabs(4)) for line in value.splitlines())


def tone(layer: Layer) -> tuple[str, str]:
    """Class and sign of a layer."""
    if layer.get("failure") and not layer["findings"]:
        return UNANSWERED
    if layer.get("uncovered") and not layer["findings"]:
        return UNANSWERED
    if layer.get("follows"):
        return FOLLOWS
    return TONES.get(layer["status"], BAD)


def words(status: str) -> str:
    return status.replace("_", " ")


def verdict_words(body: Body) -> str:
    verdict = body["verdict"]
    return f"breaks at {verdict['layer']}" if verdict.get("layer") else words(verdict["status"])


def heading(report: Report, body: Body) -> Iterator[str]:
    """The page's heading: subject, user, time."""
    subject = body["subject"]
    yield "<header>"
    yield f'<p class="brand">devenv trace{f" · {text(report.project)}" if report.project else ""}</p>'
    yield f"<h1>{text(sentence(subject.get('title') or subject['name']))}</h1>"
    yield '<div class="meta">'
    for name, value in subject["params"].items():
        yield f"<span>{text(name)} <code>{text(value)}</code></span>"
    if subject.get("user"):
        yield f"<span>as user <code>{text(subject['user'])}</code></span>"
    started = str(body["started"])
    yield f'<time datetime="{text(started)}">{text(started[:19].replace("T", " "))} UTC</time>'
    yield f"<span>{text(duration(body.get('ms')))}</span>"
    yield "</div>"
    for said in subject.get("said") or ():
        yield f'<p class="dim">{text(said)}</p>'
    yield "</header>"


def sentence(value: str) -> str:
    """With a capital at the beginning, unless that is a name of code."""
    return value[:1].upper() + value[1:] if re.match(r"[a-z]+(\s|$)", value) else value


def verdict(body: Body) -> Iterator[str]:
    """The answer, first: where it breaks, why, what to do; then what else is wrong."""
    found = body["verdict"]
    kind, headline = VERDICTS[found["status"]]
    unknown = is_not_found(body)
    yield f'<section class="verdict {"not_verified" if unknown else found["status"]}" aria-label="Verdict">'
    if unknown:
        yield '<p class="headline"><span class="chip warn">? Not found</span>'
        yield f"<span>{link_to(body, found['layer'])} does not have it</span>"
        yield f'<span class="chip class">{text(found["class"])}</span></p>'
    elif found.get("layer"):
        yield f'<p class="headline"><span class="chip {kind}">✗ {headline}</span>'
        yield f"<span>It breaks at {link_to(body, found['layer'])}</span>"
        yield f'<span class="chip class">{text(found["class"])}</span></p>'
    elif found["status"] == "ok":
        yield f'<p class="headline"><span class="chip {kind}">✓ {headline}</span>'
        yield f"<span>{text(sentence(agreement(body)))}</span></p>"
    else:
        names = ", ".join(failed_layers(body))
        yield f'<p class="headline"><span class="chip {kind}">? {headline}</span>'
        yield f"<span>{text(names)} could not be checked</span></p>"
        failures = (layer["failure"] for layer in body["layers"] if layer.get("failure"))
        yield from failure(next(failures, None))
    if found.get("layer") and found.get("summary"):
        yield f'<p class="summary">{text(sentence(found["summary"]))}</p>'
    if found.get("layer"):
        yield from remedy(found, trace_command(body))
    if found.get("also"):
        yield '<ul class="also" aria-label="Further findings">'
        for other in found["also"]:
            head = f'{link_to(body, other["layer"])} <span class="chip class">{text(other["class"])}</span>'
            yield f"<li>Also {head} {text(other['summary'])}</li>"
        yield "</ul>"
    yield "</section>"


def link_to(body: Body, name: str) -> str:
    """A link to a layer's block."""
    index = next((layer["index"] for layer in body["layers"] if layer["name"] == name), None)
    return text(name) if index is None else f'<a href="#layer-{index:d}">{text(name)}</a>'


def remedy(finding: Mapping[str, Any], again: str | None = None) -> Iterator[str]:
    """Cause, remedy, command; where no command repairs it, `again` shows whether the repair was right."""
    fix = finding.get("fix") or {}
    rows = [
        (cause_label(finding.get("cause") or "").capitalize(), finding.get("cause"), False),
        ("Remedy", fix.get("text"), False),
        ("Run", fix.get("command"), True),
    ]
    if again and not fix.get("command"):
        rows.append(("Then", again, True))
    if not any(value for _, value, _ in rows):
        return
    yield '<dl class="remedy">'
    for name, value, is_command in rows:
        if value:
            shown = f'<code class="command">{text(value)}</code>' if is_command else text(value)
            yield f"<dt>{name}</dt><dd>{shown}</dd>"
    yield "</dl>"


# --- the waterfall ---


def flow(body: Body) -> Iterator[str]:
    """One line per layer: sign, name, status, counts, when it ran."""
    layers = body["layers"]
    whole = max([body.get("ms") or 0.0, *(layer["began_ms"] + layer["ms"] for layer in layers), 0.001])
    yield '<ol class="flow">'
    for layer in layers:
        kind, sign = tone(layer)
        left = min(100 - THIN, 100 * max(0.0, layer["began_ms"]) / whole)
        width = min(100 - left, max(THIN, 100 * layer["ms"] / whole))
        first = ' class="first"' if is_first(body, layer) else ""
        yield f'<li><a href="#layer-{layer["index"]:d}"{first}>'
        yield f'<span class="sign {kind}" aria-hidden="true">{sign}</span>'
        yield f'<span class="name">{text(layer["name"])}</span>'
        yield f'<span class="status"><span class="chip {kind}">{text(standing(layer))}</span></span>'
        yield f'<span class="count">{text(counts(layer))}</span>'
        yield '<span class="chart"><svg aria-hidden="true" focusable="false">'
        yield '<rect class="track" x="0" y="6" width="100%" height="2" rx="1"/>'
        bar = "" if kind == "ok" else f" {kind}"
        yield f'<rect class="bar{bar}" x="{left:.2f}%" y="2" width="{width:.2f}%" height="10" rx="3"/></svg></span>'
        yield f'<span class="ms">{text(duration(layer["ms"]))}</span></a></li>'
    yield "</ol>"


# --- one layer ---


def layer_block(body: Body, layer: Layer) -> Iterator[str]:
    """One layer: opened when it is the broken one."""
    kind, sign = tone(layer)
    first = is_first(body, layer)
    yield f'<details class="layer{" broken" if layer["findings"] else ""}"{" open" if first else ""}>'
    yield f'<summary><span class="sign {kind}" aria-hidden="true">{sign}</span>'
    yield f'<span class="name">{layer["index"]:d}. {text(layer["name"])}</span>'
    yield f'<span class="chip {kind}">{text(standing(layer))}</span>'
    if count := counts(layer):
        yield f'<span class="dim">{text(count)}</span>'
    yield f'<span class="told">{text(told(layer))}</span></summary>'
    # The target of links lies inside, so that a browser opens the block when one follows them.
    question = text(layer.get("question") or "")
    yield f'<div class="inside"><p class="question" id="layer-{layer["index"]:d}">{question}</p>'
    yield f"<p>{text(' '.join(judgement(body, layer)))}</p>"
    for place, finding in enumerate(layer["findings"]):
        yield '<div class="finding">'
        yield f'<span class="chip class">{text(finding["class"])}</span><p>{text(sentence(finding["summary"]))}</p>'
        if not (first and place == 0):  # its cause and remedy stand at the top of the page
            yield from remedy(finding)
        yield "</div>"
    yield from failure(layer.get("failure"))
    if notes := layer.get("notes"):
        yield f'<ul class="notes">{"".join(f"<li>{text(note)}</li>" for note in notes)}</ul>'
    yield from queries(body, layer)
    yield from differences(layer)
    yield from entries(layer)
    output = {name: part for name, part in layer["output"].items() if name not in ("queries", "differs")}
    # Beside each other only where neither has a table.
    wide = " whole" if any(is_table(part) for part in (*layer["request"].values(), *output.values())) else ""
    yield '<div class="sides">'
    for title, part in (("Input", layer["request"]), ("Output", output)):
        yield f'<div class="side{wide}"><h3>{title}</h3>{facts(part)}</div>'
    yield "</div>"
    if cost := cost_words(layer.get("cost")):
        yield f'<p class="dim">Cost: {text(", ".join(cost))}.</p>'
    yield "</div></details>"


def failure(found: Mapping[str, Any] | None) -> Iterator[str]:
    """Why a layer could not be asked."""
    if not found:
        return
    yield f'<div class="failure"><p>{text(sentence(found["what"]))}</p>'
    if found.get("detail"):
        yield f"<pre>{lines_of(found['detail'])}</pre>"
    yield from remedy({"cause": found.get("cause"), "fix": {"command": found.get("hint")}})
    yield "</div>"


def queries(body: Body, layer: Layer) -> Iterator[str]:
    """The declared query beside those that the application really sent, with what differs marked."""
    output = layer["output"]
    if "queries" not in output:
        return
    sent, declared = output["queries"], declared_query(body)
    yield '<div class="sides"><div class="side"><h3>Declared query</h3>'
    others = [query["text"] for query in sent or ()]
    yield (
        f'<code class="query">{marked(declared, others[:1])}</code>'
        if declared
        else '<p class="dim">None declared.</p>'
    )
    yield '</div><div class="side"><h3>Query that was sent</h3>'
    if sent is None:
        yield '<p class="dim">Not captured.</p>'
    elif not sent:
        yield '<p class="dim">No query at all.</p>'
    for query in (sent or ())[:OPEN]:
        result = sent_words(query).removeprefix(query["text"]).removeprefix(" → ")
        yield f'<code class="query">{marked(query["text"], [declared] if declared else [])}</code>'
        yield f'<p class="dim">{text(result)}</p>' if result else ""
    if sent and len(sent) > OPEN:
        yield f'<p class="dim">and {len(sent) - OPEN} more</p>'
    if differs := output.get("differs"):
        yield f"<p>They differ in the {text(differs)}.</p>"
    yield "</div></div>"


def marked(query: str, other: Sequence[str]) -> str:
    """A query with the words marked that the other one lacks."""
    if not other:
        return text(query)
    mine, theirs = re.split(r"(\s+)", query), re.split(r"(\s+)", other[0])
    found = []
    for kind, begin, end, _, _ in difflib.SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        part = "".join(mine[begin:end])
        found.append(f"<mark>{text(part)}</mark>" if kind != "equal" and part.strip() else text(part))
    return "".join(found)


def differences(layer: Layer) -> Iterator[str]:
    """Ids that are missing or new, where there are no entries to show them by."""
    if pair_entries(layer):
        return
    for name in ("missing", "extra"):
        if ids := layer.get(name):
            yield f"<div><h3>{sentence(name)}: {len(ids)}</h3>"
            yield from folded(
                [f"<li>{text(one)}</li>" for one in ids[:MOST]], '<ul class="ids">', "</ul>", "id", len(ids)
            )
            yield "</div>"
    if changed := layer.get("changed"):
        yield "<div><h3>Changed fields</h3>"
        yield from table([{key: change[key] for key in ("id", "field", "expected", "observed")} for change in changed])
        yield "</div>"


def folded(rows: Sequence[str], begin: str, end: str, noun: str, total: int, most: int = OPEN) -> Iterator[str]:
    """The first rows open, further ones behind a fold, the rest of `total` counted."""
    yield begin + "".join(rows[:most]) + end
    if hidden := rows[most:MOST]:
        yield f'<details class="fold more"><summary>{len(hidden)} more</summary>{begin}{"".join(hidden)}{end}</details>'
    if total > MOST:
        yield f'<p class="more">and {number_of(total - MOST, f"further {noun}")} not shown</p>'


def entries(layer: Layer) -> Iterator[str]:
    """The entries of a layer, beside those of the layer before where the two differ."""
    if pairs := pair_entries(layer):
        different = [entry_row(pair) for pair in pairs if pair.state != "same"]
        same = [entry_row(pair) for pair in pairs if pair.state == "same"]
        if different:
            yield '<div><h3>Side by side: expected and observed</h3><div class="entries">'
            yield '<div class="head"><div>Entry</div><div>Expected</div><div>Observed</div></div>'
            yield from folded(different, "", "", "entry", len(different))
            yield "</div></div>"
        if same:
            yield f'<details class="fold"><summary>{number_of(len(same), "entry is", "entries are")} the same</summary>'
            yield f'<div class="entries">{"".join(same)}</div></details>'
    elif found := layer.get("entries"):
        rows = [f'<div class="entry single">{entry_id(e["id"])}<div>{fields(e["fields"])}</div></div>' for e in found]
        total = layer.get("observed_count") or len(rows)
        extent = (
            f"{total} entries, the first {len(rows)}" if total > len(rows) else number_of(total, "entry", "entries")
        )
        yield f'<details class="fold"><summary>{extent}</summary><div class="entries">{"".join(rows)}</div></details>'


def entry_id(identity: str | None, more: str = "") -> str:
    """The cell of an entry's id."""
    return f'<div class="id">{text(identity or "without an id")}{more}</div>'


def entry_row(pair: EntryPair) -> str:
    """One entry before and after."""
    moved = f" {pair.was} → {pair.now}" if pair.state == "moved" else ""
    chip = "" if pair.state == "same" else f'<br><span class="chip {STATES[pair.state]}">{pair.state}{moved}</span>'
    cells = "".join(
        f'<div class="absent"><span class="label">{label}</span>not there</div>'
        if side is None
        else f'<div><span class="label">{label}</span>{fields(side, pair.fields, tag)}</div>'
        for label, side, tag in (("Expected", pair.expected, "del"), ("Observed", pair.observed, "ins"))
    )
    return f'<div class="entry">{entry_id(pair.id, chip)}{cells}</div>'


def fields(values: Mapping[str, Any], changed: frozenset[str] = frozenset(), tag: str = "") -> str:
    """The fields of an entry; changed ones marked."""
    rows = []
    for name, value in values.items():
        shown = scalar(value)
        rows.append(f"<dt>{text(name)}</dt><dd>{f'<{tag}>{shown}</{tag}>' if name in changed else shown}</dd>")
    return f'<dl class="fields">{"".join(rows)}</dl>' if rows else '<span class="dim">no fields</span>'


# --- any value ---


def facts(value: Any) -> str:
    """Any plain value, as people read it."""
    if isinstance(value, Mapping):
        if not value:
            return '<span class="null">nothing</span>'
        # What was not captured is left out, as in a table; of a stored value it is a word.
        known = [(name, part) for name, part in value.items() if part is not None or name not in OPTIONAL]
        return f'<dl class="facts">{"".join(fact(name, part) for name, part in known)}</dl>'
    if isinstance(value, list):
        return "".join(listed(value))
    return scalar(value)


def fact(name: str, value: Any) -> str:
    """One row of a map; a table stands below its name."""
    wide = ' class="wide"' if is_table(value) else ""
    return f"<dt>{text(label(name))}</dt><dd{wide}>{facts(value)}</dd>"


def label(name: str) -> str:
    """A name of the report in words."""
    return LABELS.get(name, name.replace("_", " "))


def is_table(value: Any) -> bool:
    """Return True if a value is a list of maps."""
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def listed(values: Sequence[Any]) -> Iterable[str]:
    """A list: of maps a table, of texts lines or words."""
    if not values:
        return ['<span class="null">none</span>']
    if is_table(values):
        return table(values)
    plain = [value for value in values if not isinstance(value, Mapping | list)]
    if len(plain) == len(values):
        if all(len(str(value)) < 40 for value in values):
            return [", ".join(scalar(value) for value in values[:MOST])]
        return [f"<pre>{lines_of(chr(10).join(map(str, values[:MOST])))}</pre>"]
    return [f"<pre>{lines_of(json.dumps(values[:MOST], indent=1, ensure_ascii=False))}</pre>"]


def table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Maps as rows. Columns that are empty in every row are left out. It scrolls by itself where it is too wide."""
    names = dict.fromkeys(name for row in rows for name in row)
    kept = [name for name in names if any(row.get(name) not in (None, [], {}) for row in rows)]
    heads = "".join(f'<th scope="col">{text(label(name))}</th>' for name in kept)
    cells = [f"<tr>{''.join(f'<td>{facts(row.get(name))}</td>' for name in kept)}</tr>" for row in rows[:MOST]]
    begin = '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>'
    begin += f"<thead><tr>{heads}</tr></thead><tbody>"
    yield from folded(cells, begin, "</tbody></table></div>", "row", len(rows), ROWS)


def scalar(value: Any) -> str:
    """One value. Null is a word, as it is not an empty text; neither is nothing."""
    if value is None:
        return '<span class="null">null</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        if not value.strip():
            return '<span class="null">empty text</span>' if not value else f"“{text(value)}”"
        return f"<pre>{lines_of(value)}</pre>" if "\n" in value else text(value)
    return text(f"{value:.12g}" if isinstance(value, float) else value)
