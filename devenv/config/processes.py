"""The keys of `[services.<name>]`: processes of the project's own, beside the stores."""

from __future__ import annotations

from typing import Annotated

import msgspec

from devenv.config.types import Section, ServiceKind, Text, Variable

# 0 asks for any free port.
AnyPort = Annotated[int, msgspec.Meta(ge=0, le=65535)]
ServiceKey = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]*$(?!\n)", max_length=40)]


class Ready(Section, frozen=True):
    """`ready = { http = "/" }`: when a service counts as started. All that is given must hold; none: at once.

    `http`: GET on this path has a status below 400. `tcp`: its port accepts connections. `log`: a line of its log
    matches this regular expression. `command` exits 0, in the service's folder and environment.
    """

    http: Text | None = None
    tcp: bool = False
    log: Text | None = None
    command: list[Text] = []


class OwnService(Section, frozen=True):
    """`[services.<name>]`: a process that `up` starts, in `folder`, once the services in `depends_on` are ready.

    A store in `depends_on` is ready when its data is loaded. `port`: the next free one is used when it is taken; 0: any
    free one. `{port}`, `{python}`, the placeholders of `[env]` and `{NAME_url}`, `{NAME_port}` of every service are
    filled in inside command, env and ready's command. `python` is this service's interpreter.
    """

    kind: ServiceKind = "process"
    command: list[Text] = []
    folder: Text = "."
    port: AnyPort | None = None
    url: Text = "http://127.0.0.1:{port}"
    depends_on: list[Text] = []
    ready: Ready = Ready()
    env: dict[Variable, Text] = {}
    python: Text | None = None
