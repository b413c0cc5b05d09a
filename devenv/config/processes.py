"""The keys of `[services.<name>]`: processes of the project, in addition to the stores."""

from typing import Annotated

import msgspec

from devenv.config.types import Section, Text, Variable
from devenv.config.workers import MOST_RETRIES, MOST_TIMEOUT_S, Batch, FilterPattern, OnFailure

# 0 asks for any free port.
AnyPort = Annotated[int, msgspec.Meta(ge=0, le=65535)]
ServiceKey = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]*$(?!\n)", max_length=40)]


class Ready(Section, frozen=True):
    """`ready = { http = "/" }`: a service counts as started when all given conditions hold; without one, at once.

    `http`: GET on this path has a status below 400. `tcp`: its port accepts connections. `log`: a line of its log
    matches this regular expression. `command` exits 0, in the service's folder and environment.
    """

    http: Text | None = None
    tcp: bool = False
    log: Text | None = None
    command: list[Text] = []


class OwnService(Section, frozen=True):
    """`[services.<name>]`: a process that `up` starts, in `folder`, once the services in `depends_on` are ready.

    A store in `depends_on` is ready when its data is loaded. `port`: if taken, another free port is used; 0: any
    free one. `{port}`, `{python}`, the placeholders of `[env]` and `{NAME_url}`, `{NAME_port}` of every service are
    filled in inside command, env and ready's command. `python` is this service's interpreter.

    With `stream` (a DynamoDB table) the service is a stream worker: what changes in that table is given to `handler`,
    a function with AWS Lambda's signature (`functions/rows.py:handler`, or `index.handler` of Node), or to `command`,
    one event a line. `filter`: event filter patterns as in Lambda; one must fit. A failed batch is tried `retries` more
    times; what is refused then is kept in a file (`on_failure = "file"`) or dropped. A call may take `timeout_s`
    seconds. What the seed step writes is left out unless `on_seed`.

    `kind = "redis"` starts Redis or Valkey, with `port` and `depends_on` only; `image` is that of engine `docker`.
    """

    kind: Text = "process"
    command: list[Text] = []
    folder: Text = "."
    port: AnyPort | None = None
    url: Text = "http://127.0.0.1:{port}"
    depends_on: list[Text] = []
    ready: Ready = Ready()
    env: dict[Variable, Text] = {}
    python: Text | None = None
    stream: Text | None = None
    handler: Text | None = None
    filter: list[FilterPattern] = []
    batch: Batch = Batch()
    retries: Annotated[int, msgspec.Meta(ge=0, le=MOST_RETRIES)] = 2
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=MOST_TIMEOUT_S)] = 3.0
    on_failure: OnFailure = "file"
    on_seed: bool = False
    image: Text | None = None
