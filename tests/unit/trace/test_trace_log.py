"""The lines that an application logs during a request."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from devenv.trace.judge.fault import is_error_line
from devenv.trace.layers.log import read_log_of

ANSWER = 'INFO:     127.0.0.1:50000 - "GET /hives HTTP/1.1" 500 Internal Server Error'


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ValueError: invalid literal for int()", True),
        ("2026-11-30 ERROR pool: no connection", True),
        (ANSWER, False),
        ('127.0.0.1 - - [30/Nov/2026] "GET /errors HTTP/1.1" 200 -', False),
        ("INFO: started", False),
    ],
)
def test_the_line_of_an_answer_is_no_error(line: str, wanted: bool) -> None:
    assert is_error_line(line) is wanted


def test_an_error_that_is_logged_after_the_answer_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text(f"before\n{ANSWER}\n")

    def later() -> None:
        time.sleep(0.1)
        with log.open("a") as file:
            file.write("ValueError: nervous\n")

    writer = threading.Thread(target=later)
    writer.start()
    try:
        assert read_log_of(log, len("before\n"), failed=True) == (ANSWER, "ValueError: nervous")
    finally:
        writer.join()


def test_after_an_answer_that_succeeds_nothing_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text(ANSWER)
    assert read_log_of(log, 0, failed=False) == (ANSWER,)
    assert read_log_of(None, 0, failed=True) is None
