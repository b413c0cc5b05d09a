"""Call a Lambda handler in the project's own interpreter. Run by its path, so only the standard library is at hand.

argv: file, function, descriptor of the answers. Requests are JSON on stdin, one a line: `{"event": {…},
"context": {…}}`. Each gets one line of JSON on the descriptor, the first one before any request, when the module is
loaded: `{"result": …}` or `{"error": "Type: text", "place": "file:line"}`, with `files` (the project's modules that are
loaded) and `wrote` (tables and bodies of the DynamoDB writes that botocore sent).
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems")
MOST_WRITES = 200


class LambdaContext:
    """The part of Lambda's context that does not need AWS."""

    memory_limit_in_mb = "128"
    function_version = "$LATEST"
    client_context = None
    identity = None

    def __init__(self, values: dict[str, Any]) -> None:
        self.function_name = values["function_name"]
        self.aws_request_id = values["request_id"]
        self.invoked_function_arn = values["arn"]
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = "local"
        self._ends = time.time() + values["timeout_s"]

    def get_remaining_time_in_millis(self) -> int:
        """As in Lambda: 0 when the time is over."""
        return max(0, int((self._ends - time.time()) * 1000))


def watch(wrote: list[list[str]]) -> None:
    """Note each write that botocore sends, once it is imported."""
    endpoint = sys.modules.get("botocore.endpoint")
    if endpoint is None or getattr(endpoint, "devenv_watches", False):
        return
    original = endpoint.Endpoint.make_request

    def make_request(self: Any, operation_model: Any, request_dict: dict[str, Any]) -> Any:
        if operation_model.name in WRITES and len(wrote) < MOST_WRITES:
            body = request_dict.get("body") or b""
            wrote.append([operation_model.name, body.decode("utf-8", "replace") if isinstance(body, bytes) else body])
        return original(self, operation_model, request_dict)

    endpoint.Endpoint.make_request = make_request
    endpoint.devenv_watches = True  # type: ignore[attr-defined]


def place(error: BaseException, folder: str) -> str | None:
    """The innermost line of the project's own files: `functions/rows.py:12`."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if own(frame.filename, folder)]
    if isinstance(error, SyntaxError) and error.filename and own(error.filename, folder):
        return f"{os.path.relpath(error.filename, folder)}:{error.lineno}"
    return f"{os.path.relpath(lines[-1].filename, folder)}:{lines[-1].lineno}" if lines else None


def own(file: str, folder: str) -> bool:
    """Return True for a file of the project that is no installed package."""
    file = os.path.abspath(file)
    return file.startswith(folder + os.sep) and "site-packages" not in file and file != os.path.abspath(__file__)


def loaded(folder: str) -> list[str]:
    """The project's modules."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return sorted({file for file in files if file and own(file, folder)})


def load(file: str, name: str) -> Callable[..., Any]:
    """The function. Whatever the module raises goes through."""
    folder = os.path.dirname(os.path.abspath(file))
    sys.path[0] = folder
    root = os.getcwd()
    if root not in sys.path:
        sys.path.insert(1, root)
    title = os.path.splitext(os.path.basename(file))[0]
    spec = importlib.util.spec_from_file_location(title, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[title] = module
    spec.loader.exec_module(module)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} in {file} is not a function")
    function: Callable[..., Any] = found
    return function


def main() -> None:
    """Load the module, then answer a line for each line."""
    file, name, descriptor = sys.argv[1], sys.argv[2], int(sys.argv[3])
    folder = os.getcwd()
    answers = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
    wrote: list[list[str]] = []

    def answer(**values: Any) -> None:
        answers.write(json.dumps({**values, "files": loaded(folder), "wrote": wrote}, default=str) + "\n")
        answers.flush()
        wrote.clear()

    def failed(error: BaseException) -> None:
        sys.stdout.flush()
        if not isinstance(error, Exception):
            print(f"the handler ended: {type(error).__name__}", file=sys.stderr)  # noqa: T201 - the function's own log
        traceback.print_exception(type(error), error, error.__traceback__)
        sys.stderr.flush()
        answer(error=f"{type(error).__name__}: {error}", place=place(error, folder))

    function = None
    try:
        function = load(file, name)
    except BaseException as error:  # noqa: BLE001 - an application's module may raise anything, SystemExit too
        failed(error)
    else:
        answer(result=None)
    for line in sys.stdin:
        request = json.loads(line)
        if function is None:
            answer(error="the module could not be loaded", place=None)
            continue
        watch(wrote)
        try:
            result = function(request["event"], LambdaContext(request["context"]))
        except BaseException as error:  # noqa: BLE001
            failed(error)
        else:
            sys.stdout.flush()
            answer(result=result)


if __name__ == "__main__":
    main()
