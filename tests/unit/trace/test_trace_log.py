"""The lines that an application logs during a request."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from devenv.trace.judge.fault import is_error_line, log_text
from devenv.trace.layers.http import evidence
from devenv.trace.layers.log import read_log_of
from devenv.trace.observation import Observation
from tests.unit.trace.judged import HEALTHY

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


def test_an_error_is_named_with_the_line_of_the_application_that_raised_it() -> None:
    log = (
        "Traceback (most recent call last):",
        '  |   File "/srv/letters/routes.py", line 12, in get_letters',
        '  File "/srv/letters/stores.py", line 61, in read',
        "    return connection.execute(query)",
        '  File "/srv/env/lib/python3.12/site-packages/psycopg/connection.py", line 300, in execute',
        "psycopg.errors.InFailedSqlTransaction: current transaction is aborted",
    )
    error = "the application logged: psycopg.errors.InFailedSqlTransaction: current transaction is aborted"
    seen = replace(HEALTHY, http=replace(HEALTHY.http, log=log))
    assert log_text(seen) == f"{error} (raised in letters/stores.py:61)"
    seen = replace(HEALTHY, http=replace(HEALTHY.http, log=(*log[1:3], log[0], *log[4:])))
    assert log_text(seen) == error, "frames of an earlier traceback are another error's"


NODE = """ValidationException: The table does not have the specified index: bikeId-index
    at throwDefaultError (/srv/shop/node_modules/@smithy/smithy-client/dist-cjs/index.js:388:20)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async file:///srv/shop/src/server.js:25:23 {
  '$fault': 'client',
  '$metadata': {
    httpStatusCode: 400,
    attempts: 1,
    totalRetryDelay: 0
  },
  __type: 'com.amazon.coral.validate#ValidationException'
}"""


def test_an_error_that_node_printed_is_named_by_its_first_line_and_the_first_frame_of_the_project() -> None:
    message = "ValidationException: The table does not have the specified index: bikeId-index"
    lines = ("started", *NODE.splitlines())
    seen = replace(HEALTHY, http=replace(HEALTHY.http, log=lines))
    assert log_text(seen) == f"the application logged: {message} (raised in src/server.js:25)"
    assert [*evidence(Observation(output={"log": [*lines]}))] == [("log", message)]
    without = [line for line in lines if "__type" not in line]
    seen = replace(HEALTHY, http=replace(HEALTHY.http, log=(*without, "ready")))
    assert log_text(seen) == f"the application logged: {message} (raised in src/server.js:25)"
