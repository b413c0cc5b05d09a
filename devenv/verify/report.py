"""The report of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from devenv.core.errors import Exit
from devenv.core.model import Failure, Report
from devenv.verify.context import Context
from devenv.verify.verdict import Coverage, judge_coverage, list_not_compared


def report(
    context: Context, coverage: Coverage, body: Mapping[str, Any], *, began: float, error: Failure | None = None
) -> Report:
    """The report: the verdict follows from coverage and findings alone, and the exit code from the verdict."""
    findings = body.get("findings", {})
    reasons = judge_coverage(coverage)
    verdict = "inconsistent" if sum(findings.values()) else "not_verified" if reasons else "consistent"
    code = {"inconsistent": Exit.FOUND, "not_verified": Exit.UNCHECKED, "consistent": Exit.DONE}[verdict]
    return Report(
        "verify",
        context.settings.project.name,
        code,
        {
            "verdict": verdict,
            "reasons": list(reasons),
            "coverage": coverage.document(),
            "not_compared": list(list_not_compared(coverage, context.tables)),
            "findings": {},
            "examples": {},
            "rechecked": 0,
            "rates": None,
            "peak_memory_mb": None,
            "compared_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **body,
            **({"error": msgspec.to_builtins(error)} if error else {}),
        },
    )
