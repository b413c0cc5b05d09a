"""The facts that checks share: the stores, and what doctor alone looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devenv.aws.surroundings import TOPICS, Surroundings, Topic, merge
from devenv.core.lazy import Lazy
from devenv.core.model import Listener, StepState
from devenv.links.facts import Facts, FactsContext
from devenv.links.judge import Item

if TYPE_CHECKING:
    from devenv.aws.account import AwsAccount
    from devenv.aws.drift import TableState
    from devenv.doctor.checks.safety_files import Searched
    from devenv.engines.docker.inspect import View
    from devenv.verify.repair import Write


class DoctorContext(FactsContext, frozen=True):
    """Everything doctor is told; it reads nothing of the machine by itself except the stores and these paths.

    `look_steps` tells how the steps stand, and gives lines of progress to what it is called with; `run_steps` runs
    those that are not done.
    `listeners` are looked up when asked. `private_files` must be readable by their owner alone. `settings_newer` is
    True if devenv.toml was written after the application was started, and None if that is not known. `settle` is told
    which items `--fix` rewrote, so that the steps know their items again, and `keep_writes` what it is about to write.
    `is_seeded` tells of (table, item, key attributes) whether a seed file made it.
    `read_backups` gives the requests for continuous backups by table, `search_keys` what keys of users lie in files.
    `read_templates` gives what CloudFormation, SAM and Terraform files say of the tables' surroundings. `account` is
    the AWS account, when it may be asked; `asks_drift`: the user asks for drift by name.
    `ask_ready` asks each of the project's own processes for its `ready`, without running a program of the folder: the
    keys that were asked, or StoreError.
    `look_at_docker` tells of Docker. `origins` and `logs` are for the bundle.
    """

    look_steps: Callable[[Callable[[str], None]], Sequence[StepState]] = lambda _: ()
    run_steps: Callable[[], None] | None = None
    settle: Callable[[Sequence[Write]], None] = lambda _: None
    keep_writes: Callable[[Sequence[Write]], None] = lambda _: None
    is_seeded: Callable[[str, Item, tuple[str, ...]], bool] = lambda *_: False
    listeners: Callable[[], Sequence[Listener]] = tuple
    ask_ready: Mapping[str, Callable[[], list[str]]] = {}
    read_backups: Callable[[], Mapping[str, Mapping[str, Any]]] = dict
    search_keys: Callable[[], Searched | None] = lambda: None
    read_templates: Callable[[], Surroundings] = Surroundings
    account: AwsAccount | None = None
    asks_drift: bool = False
    look_at_docker: Callable[[], View | None] = lambda: None
    private_files: tuple[Path, ...] = ()
    dynamodb_folder: Path | None = None
    settings_newer: bool | None = None
    origins: Mapping[str, str] = {}
    logs: Mapping[str, Path] = {}


class DoctorFacts(Facts):
    """The facts of one diagnosis: the stores, the steps, the templates and the AWS account."""

    context: DoctorContext

    def __init__(self, context: DoctorContext) -> None:
        super().__init__(context)
        look = Lazy(lambda: tuple(context.look_steps(lambda _: self.reading.step())))
        self.steps = self.reading.needed(look)
        self.templates = Lazy(context.read_templates)
        self.account_tables = Lazy(self._ask_tables)
        self._topics: dict[Topic, Lazy[Surroundings]] = {
            topic: Lazy(partial(self._ask_account, topic)) for topic in TOPICS
        }

    def _ask_tables(self) -> dict[str, list[TableState]]:
        """Unasked without an account, or when it does not answer."""
        from devenv.aws.account import Unasked

        if self.context.account is None:
            raise Unasked("not asked")
        return self.context.account.tables(self.table_names)

    def _ask_account(self, topic: Topic) -> Surroundings:
        return Surroundings() if self.context.account is None else self.context.account.look(topic)

    def account(self, *topics: Topic) -> Surroundings:
        """Return what the account says about these topics; nothing when it may not be asked."""
        parts = [self._topics[topic]() for topic in topics]
        return merge(parts[0].source, parts, complete=all(part.complete for part in parts))
