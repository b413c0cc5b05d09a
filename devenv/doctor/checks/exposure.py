"""Checks of access to the stores: web pages under a foreign host name, and the role that devenv itself uses."""

from __future__ import annotations

import contextlib
import http.client
from typing import Final
from urllib.parse import urlsplit

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget, Fix, Outcome
from devenv.doctor.checks.check import Check, failed, passed, unneeded
from devenv.doctor.context import DoctorFacts
from devenv.stores.dynamodb.client import sign

# A name that belongs to nobody (RFC 2606). Who answers to it answers to any.
FOREIGN: Final = "devenv.invalid"
ASK_S: Final = 3.0
NOW: Final = "20260101T000000Z"
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def run_foreign_host(facts: DoctorFacts) -> Outcome:
    """Ask DynamoDB for its tables under a foreign name."""
    target = facts.context.targets.dynamodb
    if target.closed or urlsplit(target.endpoint).hostname not in LOOPBACK:
        return unneeded("DynamoDB is not on this machine")
    try:
        status = ask_as(target, FOREIGN)
    except (OSError, http.client.HTTPException) as error:
        raise StoreError(f"{target.endpoint} gave no answer", detail=str(error), reached=False) from None
    if status != http.client.OK:
        return passed(f"a request to {FOREIGN} was answered with {status}")
    return failed(
        f"{target.endpoint} answered a request to {FOREIGN}",
        cause="this server was not started by engine `embedded`, which refuses foreign names",
        fix=Fix("while it runs, close web pages that you do not trust; or use engine embedded: devenv help protection"),
        status="warn",
    )


def ask_as(target: DynamoTarget, host: str) -> int:
    """The status of a ListTables whose Host is `host`."""
    url = urlsplit(target.endpoint)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=ASK_S)
    with contextlib.closing(connection):
        headers = {**sign(target, "ListTables", b"{}", NOW), "host": host}
        connection.request("POST", "/", b"{}", headers)
        answer = connection.getresponse()
        answer.read(65_536)
        return answer.status


def run_superuser(facts: DoctorFacts) -> Outcome:
    """Return True if devenv signs in as a superuser to a server that it did not start."""
    from devenv.stores.postgres.reader import reading

    target = facts.context.targets.postgres
    if target.own:
        return unneeded("devenv started Postgres and reads with its own role")
    if target.closed:
        return unneeded(target.closed)
    with reading(target) as connection:
        superuser = connection.info.parameter_status("is_superuser") == "on"
    if not superuser:
        return passed(f"{target.user} is not a superuser")
    return failed(
        f"{target.user} is a superuser of {target.address}",
        cause="devenv creates no role on a server that it did not start; it reads as pg_read_all_data, and refuses SQL"
        " that calls functions which may have side effects",
        fix=Fix("name a role that may only read: [external] postgres in devenv.toml"),
        status="warn",
    )


CHECKS = (
    Check(
        code="SVC007",
        name="dynamodb-foreign-host",
        group="services",
        title="DynamoDB answers only to names of this machine",
        run=run_foreign_host,
        needs=("SVC002",),
        limit_s=8,
        explain="""\
A web page can point its own host name at 127.0.0.1 (DNS rebinding). A server that does not check the Host header
then accepts the page's requests: the page can read and write every table. devenv sent a ListTables with the Host
devenv.invalid.

Common causes: DynamoDB Local itself does not check the Host header. Engine `embedded` adds this check; a container,
or a server started by hand, does not have it.
Fix: engine embedded; or, while the server runs, close web pages that you do not trust.""",
    ),
    Check(
        code="SVC008",
        name="postgres-superuser",
        group="services",
        title="devenv is not a superuser on a server that it did not start",
        run=run_superuser,
        needs=("SVC001",),
        limit_s=8,
        explain="""\
On a server that devenv starts, it reads as a role that can change nothing and run nothing. On a server that it only
connects to (engine `external`) it creates no role and reads as the role you name. A read-only transaction does not
restrict a superuser, so devenv switches to pg_read_all_data for the session and refuses statements that call
functions which may have side effects.

Common causes: [external] postgres names the server's first user. Fix: create a role that may only read, and name it
in [external] postgres.""",
    ),
)
