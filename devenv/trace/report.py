"""The report of a trace: its JSON, with people's own words and secrets left out. See `devenv.trace.run`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, Final

from devenv.config.masking import LEAST, MASK, is_secret_name, is_secret_value
from devenv.core.errors import Exit
from devenv.core.late import late
from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.doctor.bundle import known_secrets
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.judge.verdict import Judgement, LayerVerdict
from devenv.trace.observation import Entry, Observation, Observations, Subject
from devenv.trace.question import TraceContext

ENTRIES: Final = 500
# Shorter texts would blot out words of ours.
TELLING_LENGTH: Final = 8
JWT: Final = late(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")


def report_of(
    inquiry: TraceContext, subject: Subject, seen: Observations, found: Judgement, code: Exit, *, payloads: bool
) -> Report:
    """All of it as one value. Without `payloads`, texts of the declared payload fields occur nowhere in it."""
    question = inquiry.question
    hidden = () if payloads else question.trace.payload
    names = [one.name for one in found.layers]
    body = {
        "subject": {
            "name": question.subject,
            "title": question.trace.title or question.subject,
            "identifier": subject.identifier,
            "params": dict(question.values),
            "user": subject.person,
            "said": list(question.said),
        },
        "started": inquiry.began.isoformat(timespec="milliseconds"),
        "ms": round(max(layer.began_ms + layer.ms for layer in map(seen.layer, names)), 1),
        "verdict": verdict(found),
        "layers": [
            layer(number, verdict_, seen.layer(verdict_.name), hidden)
            for number, verdict_ in enumerate(found.layers, 1)
        ],
    }
    words = {} if payloads else dict.fromkeys(payload_texts(map(seen.layer, names), hidden))
    secrets = [*known_secrets(inquiry.facts.context), *data_secrets(seen, map(seen.layer, names))]
    clean = Cleaner(secrets, list(words))
    return Report("trace", inquiry.settings.project.name, code, clean(body))


def verdict(found: Judgement) -> dict[str, Any]:
    """The first fault, and the further ones."""
    first = found.first
    return {
        "status": found.status,
        "layer": first.layer if first else None,
        "class": first.kind if first else None,
        "summary": first.summary if first else unverified(found),
        "cause": first.cause if first else None,
        "fix": asdict(first.fix) if first and first.fix else None,
        "also": [finding(broken) for broken in found.also],
    }


def unverified(found: Judgement) -> str | None:
    """Return what was not looked at."""
    return f"not looked at: {'; '.join(found.gaps)}" if found.gaps else None


def finding(broken: LayerFinding) -> dict[str, Any]:
    return {
        "layer": broken.layer,
        "class": broken.kind,
        "summary": broken.summary,
        "cause": broken.cause,
        "fix": asdict(broken.fix) if broken.fix else None,
        "subjects": list(broken.subjects),
    }


def layer(number: int, judged: LayerVerdict, seen: Observation, hidden: Sequence[str]) -> dict[str, Any]:
    difference = judged.difference
    entries = judged.entries
    return {
        "index": number,
        "name": judged.name,
        "question": judged.layer.question,
        "status": judged.status,
        "began_ms": round(seen.began_ms, 1),
        "ms": round(seen.ms, 1),
        "request": dict(seen.request),
        "output": dict(seen.output),
        "expected_count": judged.expected_count,
        "observed_count": judged.observed_count,
        "missing": list(difference.missing_ids) if difference else [],
        "extra": list(difference.extra_ids) if difference else [],
        "reordered": judged.status == "reordered",
        "changed": [
            {
                "id": change.id,
                "field": change.field,
                "expected": shown(change.field, change.expected, hidden),
                "observed": shown(change.field, change.observed, hidden),
                "absent": change.absent,
                "instead": change.instead,
            }
            for change in (difference.changed if difference else ())
        ],
        "entries": listed(entries, hidden),
        "expected": listed(judged.expected, hidden) if difference and judged.findings else None,
        "cost": asdict(seen.cost) if seen.cost else None,
        "findings": [finding(broken) for broken in judged.findings],
        "unasked": seen.unasked,
        "uncovered": [seen.unasked] if seen.unasked and seen.declared else list(seen.uncovered),
        "failure": asdict(seen.failure) if seen.failure else None,
        "notes": list(seen.notes),
        "follows": judged.follows,
        "right": judged.right,
        "summary": judged.layer.summarize(seen),
        "evidence": [{"label": label, "text": text} for label, text in judged.layer.evidence(seen)]
        if judged.findings
        else [],
        "attributes": dict(judged.layer.attributes(seen)),
    }


def listed(entries: Sequence[Entry] | None, hidden: Sequence[str]) -> list[dict[str, Any]] | None:
    """Entries, the first ENTRIES of them."""
    if entries is None:
        return None
    return [
        {"id": entry.id, "fields": {name: shown(name, text, hidden) for name, text in entry.fields.items()}}
        for entry in entries[:ENTRIES]
    ]


def data_secrets(seen: Observations, layers: Iterable[Observation]) -> Iterator[str]:
    """The secrets among the data, which an error or a log line may repeat: by the names of columns and attributes."""
    found: list[Mapping[str, Any]] = [row for row in (seen.postgres.person, seen.postgres.stranger) if row is not None]
    found += [entry.fields for layer in layers for entries in layer.lists() for entry in entries or ()]
    for row in found:
        for name, value in row.items():
            if value is None or not is_secret_name(name):
                continue
            if len(str(value)) >= LEAST and is_secret_value(name, str(value)):
                yield str(value)


def shown(name: str, text: str | None, hidden: Sequence[str]) -> str | None:
    """A field's text, or how long it is; a secret's mask."""
    if text is not None and is_secret_value(name, text):
        return MASK
    if text is None or name not in hidden:
        return text
    return f"[{number_of(len(text), 'character')}]"


def payload_texts(layers: Iterable[Observation], hidden: Sequence[str]) -> Iterable[str]:
    """The texts that people wrote: an error, a log line or an SQL text may repeat it."""
    for entries in (entries for layer in layers for entries in layer.lists()):
        for entry in entries or ():
            for name in hidden:
                text = entry.fields.get(name)
                if text is not None and len(text) >= TELLING_LENGTH:
                    yield text


class Cleaner:
    """Replaces secrets and people's words in all texts of a report."""

    def __init__(self, secrets: Sequence[str], words: Sequence[str]) -> None:
        ordered = sorted({*secrets, *words}, key=len, reverse=True)
        self._known = frozenset(secrets)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        # Most texts of a report come several times.
        self._cleaned = cache(self._clean)

    def __call__(self, value: Any) -> Any:
        """The value, cleaned, in plain lists and maps."""
        if isinstance(value, str):
            return self._cleaned(value)
        if isinstance(value, Mapping):
            return {name: self(part) for name, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self(part) for part in value]
        return value

    def _clean(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(self._replace, text)
        return JWT.sub(MASK, text)

    def _replace(self, found: re.Match[str]) -> str:
        return MASK if found[0] in self._known else f"[{number_of(len(found[0]), 'character')}]"
