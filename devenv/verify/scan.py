"""DynamoDB read in segments: every page asked for, checked, and sifted while the next one is on its way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final

import msgspec

from devenv.core.errors import StoreError
from devenv.core.plural import number_of
from devenv.stores.dynamodb.client import Dynamo, read_only
from devenv.verify.candidate_filter import Sieve, Tally
from devenv.verify.run import Run, Task, segment_name
from devenv.verify.spill import KeyWriter, Spill

TIMEOUT_S: Final = 30.0
BUSY: Final = frozenset(
    ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "InternalServerError"]
)
TRIES: Final = 8
Ask = Callable[[dict[str, Any]], Any]


def scan_segment(run: Run, number: int, tell: Callable[[int], None]) -> dict[str, Any]:
    """Read a task's segments into a sealed spill; what was seen of them: the facts of `Sealed`.

    `finished` counts the segments with the proof that they ended: the last answer named no further page, and asking
    on from the last item gave nothing.
    `tell` is told how many items came with each page. StoreError when a page is missing, cut or not to be read.
    """
    task = run.tasks[number]
    plan = run.links()
    classes = {(*name.rsplit(".", 2),): kind for name, kind in run.classes.items()}
    sieve = Sieve(plan, task.table, classes)  # type: ignore[arg-type]
    spill = Spill(run.folder, segment_name(number), run.partitions)
    keys = KeyWriter(run.folder, segment_name(number), len(plan.keys[task.table]))
    tally = Tally()
    finished, capped = 0, False
    with Dynamo(read_only(run.dynamodb), timeout=TIMEOUT_S) as dynamodb, ThreadPoolExecutor(1) as pool:
        pages = read_segments(open_reader(run, sieve, dynamodb), sieve, task)
        pending = pool.submit(next, pages, None)
        while (read := pending.result()) is not None:
            before, page = read
            if run.cap is not None and tally.items + len(page.Items) >= run.cap:
                capped = True
            else:
                pending = pool.submit(next, pages, None)
            # When no further page comes, the segment of the last one has ended too.
            finished = before + (not capped)
            keys.add(sieve.keys(page.Items))
            sieve.sift(page.Items, tally.items, time.time(), spill, tally)
            tell(len(page.Items))
            if capped:
                break
    facts = {**asdict(tally), "finished": finished, "capped": capped}
    spill.seal(facts, *keys.finish())
    return facts


def read_segments(ask: Ask, sieve: Sieve, task: Task) -> Iterator[tuple[int, Any]]:
    """(number of segments that ended before it, page) for every page of a task."""
    for before, segment in enumerate(task.segments):
        for page in read_pages(ask, sieve, scan_request(sieve, task, segment)):
            yield before, page


def scan_request(sieve: Sieve, task: Task, segment: int) -> dict[str, Any]:
    """The first request for a segment: only the attributes that are compared."""
    names = {f"#{number}": name for number, name in enumerate(sieve.attributes)}
    return {
        "TableName": task.table,
        "Segment": segment,
        "TotalSegments": task.total,
        "ProjectionExpression": ",".join(names),
        "ExpressionAttributeNames": names,
    }


def open_reader(run: Run, sieve: Sieve, dynamodb: Dynamo) -> Ask:
    """Return what asks for one page and gives it in the sieve's form: the light client, or the SDK."""
    if run.reader == "sdk":
        from devenv.stores.dynamodb.sdk import open_scan

        scan = open_scan(run.dynamodb, timeout=TIMEOUT_S)
        return lambda request: checked(lambda: msgspec.convert(scan(request), sieve.page), request)
    return lambda request: checked(lambda: sieve.decoder.decode(dynamodb.answer("Scan", request)), request)


def checked(read: Callable[[], Any], request: Mapping[str, Any]) -> Any:
    """A page that holds what it says it holds. StoreError otherwise."""
    subject = f"a page of table {request['TableName']}, segment {request['Segment']},"
    try:
        page = read()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{subject} cannot be read", detail=str(error), reached=False) from None
    if not len(page.Items) == page.Count == page.ScannedCount:
        held = number_of(len(page.Items), "item")
        detail = f"it holds {held}, and gives Count {page.Count} and ScannedCount {page.ScannedCount}"
        raise StoreError(f"{subject} is incomplete", detail=detail, reached=False)
    return page


def read_pages(ask: Ask, sieve: Sieve, request: dict[str, Any]) -> Iterator[Any]:
    """Every page of a segment. What looks like the end is asked for once more, from the last item on."""
    keys = sieve.plan.keys[sieve.table]
    probing = False
    marks: set[bytes] = set()
    while True:
        page = patiently(ask, request)
        yield page
        if page.Items:
            last = page.Items[-1]
            start = {name: written(getattr(last, sieve.place[name])) for name in keys}
            probing = False
        if page.LastEvaluatedKey:
            mark = msgspec.json.encode(page.LastEvaluatedKey)
            if mark in marks:
                what = f"table {request['TableName']}, segment {request['Segment']}, does not end"
                detail = "a page names an earlier page as the next one"
                raise StoreError(what, detail=detail, reached=False)
            marks.add(mark)
            request = {**request, "ExclusiveStartKey": page.LastEvaluatedKey}
        elif probing:
            return
        else:
            probing = True
            if page.Items:
                request = {**request, "ExclusiveStartKey": start}


def written(value: Any) -> dict[str, Any]:
    """A key attribute's value as DynamoDB writes it."""
    return next({tag: content} for tag in ("S", "N", "B") if (content := getattr(value, tag)) is not None)


def patiently(ask: Ask, request: dict[str, Any]) -> Any:
    """Ask; again after a growing pause while the store says that it is too busy. StoreError."""
    for attempt in range(TRIES):
        try:
            return ask(request)
        except StoreError as error:
            if error.code not in BUSY or attempt == TRIES - 1:
                raise
            time.sleep(0.05 * 2**attempt)
    raise AssertionError("unreachable")
