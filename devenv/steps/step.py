"""The parts of every step: its context, its inputs, its outcome, and the rules that hold for all three."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from devenv.config.schema import SeedSource, Settings, SetupSource, StepSource
from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.late import late
from devenv.core.model import DynamoTarget, PostgresTarget, ServiceName, StepState
from devenv.core.value import Value
from devenv.steps.command import find_addresses, nothing_made, run_command
from devenv.steps.lacking import explain_existing
from devenv.steps.ledger import Ledger, ParsedFiles
from devenv.steps.stamps import FileStamp, Reading
from devenv.stores.dynamodb.client import Dynamo

if TYPE_CHECKING:
    from devenv.stores.postgres import client as postgres

FORMAT: Final = b"1"  # A part of every hash: raise it when what a step writes for the same files changes.
UNPACKED_BYTES: Final = 512 << 20
# What stands before a number, and the number with its parts: `1.10`, Flyway's `1_10` (which ends with `__`).
NUMBERED: Final = late(r"(\D*)(\d+(?:(?:\.|_(?=[\d._]*__))\d+)*)?")
# In the place of a seed's hash: setup ran again.
SETUP_RAN: Final = "setup ran"
# The reason of a step that ran for new rows while the items that it wrote for the old ones stayed.
OLD_ITEMS: Final = "items of old rows"


class StepContext(Value, frozen=True):
    """The tools of a step.

    `ledger` is the SQLite file that remembers what was written (it may not exist yet); `environ` and `log` are for
    steps that are commands; `say` takes progress lines; `extend` fetches further modules for Postgres, if it can.
    `thorough`: a look compares everything that was loaded, however much it is. `trusted`: the files may do what a
    superuser of Postgres may. `definitions` reads, by table, a digest of how DynamoDB's file defines it; without such
    a file it is empty. `stored` reads a table's items, in lots, out of DynamoDB's file; None without one.
    """

    settings: Settings
    root: Path
    postgres: PostgresTarget
    dynamodb: DynamoTarget
    ledger: Path
    environ: Mapping[str, str]
    say: Callable[[str], None]
    log: Path
    extend: Callable[[], None] = lambda: None
    thorough: bool = False
    trusted: bool = False
    definitions: Callable[[], Mapping[str, str]] = dict
    stored: Callable[[str], Iterator[list[bytes]]] | None = None


class SourceFile(msgspec.Struct, frozen=True):
    """One input file: its name as the user knows it (relative to the project) and its text."""

    name: str
    text: str


class StepFiles(msgspec.Struct, frozen=True):
    """The files of a step, and what the step parsed out of them; None for a command."""

    files: tuple[SourceFile, ...] = ()
    content: Any = None


class Inputs(msgspec.Struct, frozen=True, dict=True):
    """The inputs of a step: the names of its files, and the hash of all that decides what it writes.

    `load` reads and parses the files, once, when their content is asked for: UsageError. `stamps` and `parsed` are for
    the ledger; `noted`: it has them already.
    """

    hash: str
    names: tuple[str, ...]
    command: tuple[str, ...]
    load: Callable[[], StepFiles] = StepFiles
    stamps: Mapping[str, FileStamp] = {}
    parsed: ParsedFiles | None = None
    noted: bool = True

    @cached_property
    def loaded(self) -> StepFiles:
        """The files and their content."""
        return self.load()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """The files as text."""
        return self.loaded.files

    @property
    def content(self) -> Any:
        """The content that the step parsed out of the files; None for a command."""
        return self.loaded.content


class StepOutcome(Value, frozen=True):
    """The outcome of a run: counts by verb phrase (`{"rows inserted": 6}`), and what the user should know."""

    counts: Mapping[str, int]
    warnings: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """`6 rows inserted, 1 row deleted`; zero counts are left out."""
        shown = [f"{count} {what if count > 1 else singular(what)}" for what, count in self.counts.items() if count]
        return ", ".join(shown) or "nothing to change"


# A look is asked of a store that runs: one that is silent for longer is paused or busy.
LOOK_TIMEOUT_S = 2
# What a description tells of a table's items changes with them, and is not kept.
COUNTED = frozenset(["ItemCount", "TableSizeBytes"])


def singular(what: str) -> str:
    """`rows inserted` -> `row inserted`."""
    return re.sub(r"\b(row|item|table|value|change|index|migration)(?:e?s)\b", r"\1", what)


class Handles:
    """The stores as a look needs them: opened at the first use, kept for the next look, closed at the end.

    Usable again after `close`, so that a caller can let go of the stores while a step runs.
    """

    def __init__(self, ctx: StepContext) -> None:
        self._ctx = ctx
        self._open = ExitStack()
        self._connection: postgres.Connection | None = None
        self._dynamo: Dynamo | None = None
        self._ledger: Ledger | None = None
        self._described: dict[str, Mapping[str, Any] | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def point_at(self, ctx: StepContext) -> None:
        """Look at the stores of `ctx` from now on: a store that had to change its port is another one."""
        if (ctx.postgres, ctx.dynamodb) != (self._ctx.postgres, self._ctx.dynamodb):
            self.close()
        self._ctx = ctx

    def close(self) -> None:
        """Let go of everything."""
        self._open.close()
        self._connection = self._dynamo = self._ledger = None
        self._described.clear()

    def postgres(self) -> postgres.Connection | None:
        """A connection to the project's database; None when the server has no such database."""
        # The driver takes half of a short command; only to read files nobody needs it.
        from devenv.stores.postgres import client as postgres
        from devenv.stores.postgres.reader import reading

        if self._connection is None:
            try:
                self._connection = self._open.enter_context(
                    reading(self._ctx.postgres, autocommit=True, timeout_s=LOOK_TIMEOUT_S)
                )
            except StoreError as error:
                if error.code != postgres.NO_DATABASE:
                    raise
        return self._connection

    def dynamo(self) -> Dynamo:
        """A client of the project's DynamoDB."""
        if self._dynamo is None:
            self._dynamo = self._open.enter_context(Dynamo(self._ctx.dynamodb, timeout=2 * LOOK_TIMEOUT_S))
        return self._dynamo

    def tables(self) -> set[str]:
        """The names of all tables."""
        return {name for page in self.dynamo().pages("ListTables") for name in page["TableNames"]}

    def ledger(self) -> Ledger:
        """Return what devenv wrote; empty when there is no file yet."""
        if self._ledger is None:
            self._ledger = self._open.enter_context(Ledger(self._ctx.ledger, create=False))
        return self._ledger

    def describe(self, table: str) -> Mapping[str, Any] | None:
        """DynamoDB's description of `table`, asked once; None when there is none of exactly that name."""
        if table not in self._described:
            self._described[table] = self._kept(table) or describe(self.dynamo(), table)
        return self._described[table]

    def _kept(self, table: str) -> Mapping[str, Any] | None:
        """Return what DynamoDB said of a table that is still defined as then: it counts all items to say it again."""
        definition = self._ctx.definitions().get(table)
        found = None if definition is None else self.ledger().description(table, definition)
        # The file tells how a table is defined; that the server answers and has it, only the server tells.
        return found if found and self.dynamo().has_table(table) else None


def keep_descriptions(ctx: StepContext, tables: Iterable[str]) -> None:
    """Keep what DynamoDB says of these tables, and of those of seeds, for later looks: as long as it holds."""
    definitions = ctx.definitions()
    if not definitions:
        return
    with Ledger(ctx.ledger) as ledger, Dynamo(ctx.dynamodb) as dynamo:
        for table in dict.fromkeys([*tables, *ledger.known_tables()]):
            definition = definitions.get(table)
            if definition is None or ledger.description(table, definition):
                continue
            described = describe(dynamo, table)
            if described is not None and is_active(described):
                kept = {name: value for name, value in described.items() if name not in COUNTED}
                ledger.keep_description(table, definition, kept)


def describe(dynamo: Dynamo, table: str) -> Mapping[str, Any] | None:
    """DescribeTable's `Table`, or None. DynamoDB Local ignores case in names, AWS does not; neither do we."""
    try:
        found: Mapping[str, Any] = dynamo.call("DescribeTable", {"TableName": table})["Table"]
    except StoreError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return None
    return found if found["TableName"] == table else None


def is_active(described: Mapping[str, Any]) -> bool:
    """Return True if the table and all its indexes can be used."""
    parts = [described["TableStatus"], *(i["IndexStatus"] for i in described.get("GlobalSecondaryIndexes") or ())]
    return all(part == "ACTIVE" for part in parts)


class Step(msgspec.Struct, frozen=True):
    """One step as a record; STEPS holds the three, in order.

    `parse` checks the files and yields `Inputs.content` (UsageError); `examine` tells whether the files' work is in
    the stores; `apply` does the work (its last argument: from scratch); `strangers` names data that devenv did not
    write and that `apply` from scratch would destroy. `present` tells whether the work of the project's own command
    can be there at all; `lacks` says what a command that ended well should have made and did not. `restore` brings back
    what was deleted since (rows or items: `makes`), and gives the number. `clear` makes room for a command that runs
    from scratch, and `unknown` names what goes with that; `provide` makes what a command that ended says is lacking,
    after which it is run again. `gather` reads files that come before those that the source names. `stream` reads files
    that may be too large to be held at once, in the place of `gather` and `parse`.
    """

    name: str
    needs: tuple[ServiceName, ...]
    source: Callable[[Settings], StepSource | SetupSource | SeedSource]
    examine: Callable[[StepContext, Inputs, Handles], StepState]
    apply: Callable[[StepContext, Inputs, bool], StepOutcome]
    strangers: Callable[[StepContext, Inputs], str | None]
    present: Callable[[Handles], bool] = lambda handles: True
    gather: Callable[[Settings, Path], tuple[str, ...]] = lambda settings, root: ()
    lacks: Callable[[StepContext, Handles], str | None] = lambda ctx, handles: None
    restore: Callable[[StepContext, Inputs], int] = lambda ctx, inputs: 0
    makes: str = ""
    clear: Callable[[StepContext], None] = lambda ctx: None
    unknown: Callable[[StepContext], str | None] = lambda ctx: None
    provide: Callable[[StepContext, DevenvError], bool] = lambda ctx, error: False
    parse: Callable[[Settings, Path, tuple[SourceFile, ...]], Any] = lambda settings, root, files: None
    stream: Callable[[Settings, Path, Reading], Inputs] | None = None

    def read(self, settings: Settings, root: Path, how: Reading | None = None) -> Inputs:
        """The step's files, checked as far as that is possible without the stores. UsageError (exit 2)."""
        source = self.source(settings)
        if self.stream and not source.command:
            return self.stream(settings, root, how or Reading())
        files = self.read_files(settings, root)
        content = None if source.command else self.parse(settings, root, files)
        found = StepFiles(files, content)
        names = tuple(file.name for file in files)
        return Inputs(hash_inputs(files, source.command, content), names, tuple(source.command), lambda: found)

    def read_files(self, settings: Settings, root: Path) -> tuple[SourceFile, ...]:
        """The step's files as text: those that come first, then those that the settings name. UsageError."""
        names = with_named(self.gather(settings, root), root, self.source(settings).files, f"steps.{self.name}")
        return read_named(root, names)

    def look(self, ctx: StepContext, inputs: Inputs, handles: Handles | None = None) -> StepState:
        """Return how the step stands, from a few cheap questions. StoreError when a store does not answer."""
        if handles is None:
            with Handles(ctx) as opened:
                return self.look(ctx, inputs, opened)
        mark = handles.ledger().mark(self.name)
        if mark is not None and mark.state == "running":
            # A server may still be at work on what a killed run asked of it: what it has now says nothing.
            return StepState(self.name, "failed", "the last run was interrupted")
        state = self.look_command(inputs, handles) if inputs.command else self.examine(ctx, inputs, handles)
        if state.state == "done" or mark is None or mark.state == "done":
            return state
        return StepState(self.name, "failed", f"the last run failed: {mark.reason}")

    def look_command(self, inputs: Inputs, handles: Handles) -> StepState:
        """Return how a step that is a command stands: what it does is its own, so only its inputs can be compared."""
        mark = handles.ledger().mark(self.name)
        if mark is None or mark.state != "done":
            return StepState(self.name, "pending", "its command has not run yet")
        if not self.present(handles):
            return StepState(self.name, "pending", "what its command created was deleted")
        if mark.hash == SETUP_RAN:
            again = f"devenv {self.name}"
            text = f"so the ids that {self.name} wrote are stale; `{again}` replaces the items"
            return StepState(self.name, "stale", f"setup has run again, {text}", command=again)
        if mark.hash != inputs.hash:
            return StepState(self.name, "stale", "its command or its files changed")
        if mark.reason == OLD_ITEMS:
            again = f"devenv {self.name}"
            text = "items that refer to rows from before the last `devenv setup` may still be there"
            text = f"{text}: `{again}` replaces them"
            return StepState(
                self.name, "done", f"its command already ran with the current files; {text}", command=again
            )
        # Of what a command loaded devenv has no record.
        unknown = f"; {self.makes} deleted since then cannot be detected or restored" if self.makes else ""
        return StepState(self.name, "done", f"its command already ran with the current files{unknown}")

    def run(self, ctx: StepContext, inputs: Inputs, fresh: bool) -> StepOutcome:
        """Do the work; with `fresh`, from scratch. DevenvError (exit 8), which is remembered for the next look."""
        with Ledger(ctx.ledger) as ledger:
            before = ledger.mark(self.name)
            ledger.set_mark(self.name, inputs.hash, "running", "")
        try:
            stale = before is not None and before.hash == SETUP_RAN and not fresh
            outcome = self.command(ctx, inputs, fresh, stale) if inputs.command else self.apply(ctx, inputs, fresh)
        except UsageError as error:
            # Refused before anything was written: the step stands as it stood.
            with Ledger(ctx.ledger) as ledger:
                if before is None:
                    ledger.set_mark(self.name, inputs.hash, "failed", error.what)
                else:
                    ledger.set_mark(self.name, before.hash, before.state, before.reason)
            raise
        except DevenvError as error:
            with Ledger(ctx.ledger) as ledger:
                ledger.set_mark(self.name, inputs.hash, "failed", error.what)
            own = self.name == "setup" and not fresh and error.hint is None
            cause, hint = (explain_existing(error.detail or "") if own else None) or (error.cause, error.hint)
            raise DevenvError(error.what, exit_code=Exit.STEP, detail=error.detail, cause=cause, hint=hint) from None
        left = not fresh and ((stale and outcome.warnings) or (before is not None and before.reason == OLD_ITEMS))
        with Ledger(ctx.ledger) as ledger:
            ledger.set_mark(self.name, inputs.hash, "done", OLD_ITEMS if left else outcome.summary)
            self.note(ledger, inputs)
            if self.name == "setup" and (fresh or inputs.command):
                self.outdate_seed(ctx, ledger)
        return outcome

    def keep(self, ctx: StepContext, inputs: Inputs) -> None:
        """Remember files that were touched, or copied with their data: else each look would read them."""
        if not inputs.noted:
            with Ledger(ctx.ledger) as ledger:
                self.note(ledger, inputs)

    def note(self, ledger: Ledger, inputs: Inputs) -> None:
        """Remember the files, so that the next look need not read them."""
        ledger.set_stamps(inputs.stamps)
        if inputs.parsed is not None:
            ledger.set_parsed(self.name, inputs.parsed)

    def outdate_seed(self, ctx: StepContext, ledger: Ledger) -> None:
        """Let a seed that is a command run again: it took its ids from the rows that setup has just replaced."""
        mark = ledger.mark("seed")
        if ctx.settings.steps.seed.command and mark is not None and mark.state == "done":
            ledger.set_mark("seed", SETUP_RAN, "done", mark.reason)

    def command(self, ctx: StepContext, inputs: Inputs, fresh: bool, stale: bool) -> StepOutcome:
        """Run the project's own command, and look up whether it did anything. DevenvError, UsageError.

        `stale`: it ran before for rows that setup has replaced. Only the user may have that deleted.
        """
        warnings: tuple[str, ...] = ()
        with Handles(ctx) as handles:
            if stale and handles.tables() and self.lacks(ctx, handles) is None:
                warnings = (
                    f"items that it wrote for the old rows are still there: `devenv {self.name}` replaces them",
                )
        if fresh:
            self.clear(ctx)
        try:
            run_command(ctx, inputs, self.name)
        except DevenvError as error:
            if not self.provide(ctx, error):
                raise
            try:
                run_command(ctx, inputs, self.name)
            except BaseException:
                # The next run finds what the first one found.
                self.clear(ctx)
                raise
        with Handles(ctx) as handles:
            if lacks := self.lacks(ctx, handles):
                raise nothing_made(lacks, find_addresses(ctx.root, inputs))
        return StepOutcome({"command run": 1}, warnings)

    def foreign(self, ctx: StepContext, inputs: Inputs) -> str | None:
        """A sentence about data that devenv did not write and that a fresh run would destroy, or None."""
        return self.unknown(ctx) if inputs.command else self.strangers(ctx, inputs)


def hash_inputs(files: tuple[SourceFile, ...], command: list[str], content: Any) -> str:
    """One hash over all that decides what the step writes. `content` may add to it with a `seal` (bytes)."""
    digest = hashlib.sha256(FORMAT)
    for part in (*command, "", *(file.text for file in files)):
        encoded = part.encode()
        digest.update(b"%d:" % len(encoded) + encoded)
    digest.update(getattr(content, "seal", b""))
    return digest.hexdigest()


def with_named(first: tuple[str, ...], root: Path, patterns: list[str], key: str) -> tuple[str, ...]:
    """The names that come first, then those of `list_named` that are not among them. UsageError."""
    return tuple(dict.fromkeys((*first, *list_named(root, patterns, key))))


def read_files(root: Path, patterns: list[str], key: str) -> tuple[SourceFile, ...]:
    """The files that the glob patterns name, in the order of the patterns, in natural order within each, each once.

    UsageError for a pattern that leaves the folder or matches nothing; for a file that cannot be read or is not UTF-8.
    """
    return read_named(root, list_named(root, patterns, key))


def read_named(root: Path, names: Iterable[str]) -> tuple[SourceFile, ...]:
    """The files of these names. UsageError for one that cannot be read or is not UTF-8."""
    return tuple(SourceFile(name, read_text(root / name, name)) for name in names)


def list_named(root: Path, patterns: list[str], key: str) -> list[str]:
    """The names of these files. UsageError for a pattern that leaves the folder or matches nothing."""
    names: dict[str, None] = {}
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise UsageError(
                f"[{key}] files: {pattern!r} leaves the project's folder",
                hint=f"name files of the project in [{key}] of devenv.toml",
            )
        found = sorted(glob.glob(pattern, root_dir=root, recursive=True), key=natural_key)
        found = [name for name in found if (root / name).is_file()]
        if not found:
            raise UsageError(
                f"[{key}] files: no file matches {pattern!r} in {root}",
                hint=f"correct files in [{key}] of devenv.toml",
            )
        names.update(dict.fromkeys(found))
    return list(names)


def natural_key(name: str) -> tuple[tuple[str, tuple[int, ...], str], ...]:
    """A sort key in which the numbers of a name count as numbers: V2 before V10, and V1 before V1.2 before V1.10."""
    parts = NUMBERED.findall(name)
    return tuple((text, tuple(map(int, re.findall(r"\d+", number))), number) for text, number in parts)


def read_text(path: Path, name: str) -> str:
    """The file as text. UsageError when it cannot be read, is not UTF-8, or holds NUL (which no store can keep)."""
    try:
        if path.stat().st_size > UNPACKED_BYTES:
            raise OSError(f"it has more than {UNPACKED_BYTES >> 20} MB")
        content = path.read_bytes()
        text = (unpack(content) if name.endswith(".gz") else content).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{name} cannot be read", detail=getattr(error, "strerror", None) or str(error)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{name}:{line} is not UTF-8", detail=str(error), hint="save the file as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UsageError(f"{name}:{line} holds a NUL character", hint="save the file as UTF-8 text")
    return text.replace("\r\n", "\n")


def unpack(content: bytes) -> bytes:
    """The content of a .gz file. OSError when it is none, or when it unpacks to more than a seed file may have."""
    with gzip.open(io.BytesIO(content)) as file:
        found = file.read(UNPACKED_BYTES + 1)
    if len(found) > UNPACKED_BYTES:
        raise OSError(f"it unpacks to more than {UNPACKED_BYTES >> 20} MB")
    return found
