"""A layer as a record: what it asks, what it needs for that, how its answer is judged and told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from devenv.config.schema import Settings
from devenv.core.value import Value
from devenv.trace.judge.fault import Judge
from devenv.trace.observation import Observation, PostgresObservation
from devenv.trace.question import TraceContext

Row = Mapping[str, Any]


class Given(Value, frozen=True):
    """The inputs of a layer besides the context: the observations of the layers it needs, and its own `prepare`."""

    observations: Mapping[str, Observation] = {}
    begun: Any = None

    @property
    def person(self) -> Row | None:
        """The row of the user who asks, as the layer `postgres` found it."""
        return self._postgres().person

    @property
    def stranger(self) -> Row | None:
        """The row of somebody who does not belong to the subject."""
        return self._postgres().stranger

    @property
    def estranged(self) -> bool:
        """False where nothing tells who may read the subject, so that nobody is known for a stranger."""
        return self._postgres().estranged

    @property
    def belongs(self) -> bool | None:
        """None where nothing tells that the user who asks may read the subject."""
        return self._postgres().belongs

    def _postgres(self) -> PostgresObservation:
        found = self.observations.get("postgres")
        return found if isinstance(found, PostgresObservation) else PostgresObservation()


class Layer(Value, frozen=True):
    """One layer of a trace.

    `observe` may raise a DevenvError, and Unknown where a placeholder has no value; it is called when the layers that
    it `needs` (earlier ones) were asked. `judge` is pure; without one, the observation's own findings are the faults.
    `summarize` says in a few words what was seen; `evidence` gives labelled lines for a layer with findings;
    `attributes` are its OpenTelemetry attributes. `empty` makes the observation when asking failed. `prepare` starts
    what takes long before anything is asked. `declared` says whether a project has this layer at all.
    """

    name: str
    question: str
    observe: Callable[[TraceContext, Given], Observation]
    needs: tuple[str, ...] = ()
    judge: Judge | None = None
    summarize: Callable[[Observation], str] = lambda _: ""
    evidence: Callable[[Observation], Iterable[tuple[str, str]]] = lambda _: ()
    attributes: Callable[[Observation], Mapping[str, Any]] = lambda _: {}
    empty: type[Observation] = Observation
    prepare: Callable[[TraceContext], Any] | None = None
    declared: Callable[[Settings], bool] = lambda _: True
