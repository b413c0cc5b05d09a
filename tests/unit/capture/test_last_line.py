"""The one line of a program's output that a report shows."""

from __future__ import annotations

import pytest

from devenv.capture.process import last_line

NODE = """node:internal/process/promises:394
      triggerUncaughtException(err, true /* fromPromise */);

ResourceNotFoundException: Cannot do operations on a non-existent table
    at throwDefaultError (index.js:388:20) {
  '$fault': 'client',
}

Node.js v20.20.2
"""
CODED = "TypeError [ERR_INVALID_ARG_TYPE]: The argument must be a text\n    at x\n\nNode.js v20\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (NODE, "ResourceNotFoundException: Cannot do operations on a non-existent table"),
        (CODED, "TypeError [ERR_INVALID_ARG_TYPE]: The argument must be a text"),
        (
            "Traceback (most recent call last):\n  File x\nbotocore.errors.SomeError: no\n",
            "botocore.errors.SomeError: no",
        ),
        ("starting\ncould not connect\n\n", "could not connect"),
        ("", None),
    ],
)
def test_the_line_that_says_what_went_wrong(text: str, line: str | None) -> None:
    assert last_line(text) == line
