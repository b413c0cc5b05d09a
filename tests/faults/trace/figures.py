"""Figures over many traces: accuracy with its uncertainty, and what simple rules would have said. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LAYERS = ("environment", "services", "postgres", "dynamodb", "cross-store", "pattern", "library", "http")
Z = 1.96  # 95 %


@dataclass(frozen=True)
class Case:
    """One injected fault (or pair): what should be named, what was, and what the simple rules say.

    `said` is the whole verdict on it: summary, cause and fix; `names`, the words that must be in it.
    """

    name: str
    layer: str
    kind: str
    said_layer: str | None
    said_kind: str | None
    counted: bool
    rules: Mapping[str, str | None]
    said: str = ""
    names: tuple[str, ...] = ()

    @property
    def lacking(self) -> list[str]:
        """The words of the object that the verdict does not contain."""
        return [word for word in self.names if word not in self.said]


def wilson(right: int, number: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson score)."""
    if number == 0:
        return 0.0, 1.0
    share = right / number
    middle = share + Z * Z / (2 * number)
    spread = Z * math.sqrt(share * (1 - share) / number + Z * Z / (4 * number * number))
    scale = 1 + Z * Z / number
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def share_text(right: int, number: int) -> str:
    """`91 of 93 (97.8 %, 92.5 to 99.4)`."""
    low, high = wilson(right, number)
    share = 100 * right / number if number else 0.0
    return f"{right} of {number} ({share:.1f} %, {100 * low:.1f} to {100 * high:.1f})"


def first_error(document: Mapping[str, Any]) -> str | None:
    """The first layer with an error or a status other than 2xx."""
    for layer in document["layers"]:
        output = layer["output"]
        failed = layer["failure"] is not None
        failed |= any(not service["answers"] for service in output.get("services", ()))
        failed |= output.get("outcome") not in (None, "returned")
        member = next((answer for answer in output.get("answers", ()) if answer["who"] == "member"), None)
        failed |= member is not None and not 200 <= (member["status"] or 0) < 300
        if failed:
            return str(layer["name"])
    return None


def first_empty(document: Mapping[str, Any]) -> str | None:
    """The first layer that gives nothing."""
    for layer in document["layers"]:
        if layer["observed_count"] == 0 or layer["output"].get("rows") == 0:
            return str(layer["name"])
    return None


RULES = {"first error or non-2xx": first_error, "first empty layer": first_empty}


def rules_of(document: Mapping[str, Any]) -> dict[str, str | None]:
    """What each simple rule says of a trace."""
    return {name: rule(document) for name, rule in RULES.items()}


def figures(cases: Sequence[Case]) -> list[str]:
    """Accuracy by layer and by class, beside the simple rules."""
    counted = [case for case in cases if case.counted]
    number = len(counted)
    lines = [
        f"cases: {len(cases)}, of which the answer really changed in {number}",
        f"layer right:  {share_text(sum(case.layer == case.said_layer for case in counted), number)}",
        f"class right:  {share_text(sum((c.layer, c.kind) == (c.said_layer, c.said_kind) for c in counted), number)}",
    ]
    objects = [case for case in counted if case.names]
    if objects:
        named = sum(not case.lacking for case in objects)
        lines.append(f"object named: {share_text(named, len(objects))}")
    for name in RULES:
        lines.append(f"rule `{name}`: {share_text(sum(case.rules[name] == case.layer for case in counted), number)}")
    if counted:
        ((usual, times),) = Counter(case.layer for case in counted).most_common(1)
        lines.append(f"rule `always {usual}`: {share_text(times, number)}")
    for case in counted:
        if (case.layer, case.kind) != (case.said_layer, case.said_kind):
            lines.append(f"  {case.name}: {case.layer}/{case.kind}, said {case.said_layer}/{case.said_kind}")
    return lines


def table(cases: Sequence[Case]) -> list[str]:
    """A line for each fault: layer, class and object, and what of them is named; the whole verdict where any is not."""
    lines = []
    for case in cases:
        right = "right" if (case.layer, case.kind) == (case.said_layer, case.said_kind) else "layer"
        if case.layer != case.said_layer:
            right = "WRONG"
        thing = "none" if not case.names else f"lacks {case.lacking}" if case.lacking else "named"
        lines.append(
            f"{case.name:<45} {right:<6} {case.said_layer}/{case.said_kind}; object {list(case.names)}: {thing}"
        )
        if case.lacking or case.layer != case.said_layer:
            lines.append(f"    {case.said}")
    return lines


def confusion(cases: Sequence[Case]) -> list[str]:
    """A table: the layer of the fault by the layer that was named."""
    counted = [case for case in cases if case.counted]
    columns = [*LAYERS, "ok"]
    counts = Counter((case.layer, case.said_layer or "ok") for case in counted)
    lines = [" " * 12 + " ".join(f"{name[:7]:>7}" for name in columns)]
    for layer in LAYERS:
        row = " ".join(f"{counts[layer, name] or '.':>7}" for name in columns)
        lines.append(f"{layer:<12}{row}")
    return lines
