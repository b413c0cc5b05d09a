"""Safety: what of this stack others could reach or read."""

from __future__ import annotations

import ipaddress
import stat

from devenv.checks.check import Check, Outcome, failed, passed
from devenv.checks.facts import Facts
from devenv.model import Fix


def run_listeners(facts: Facts) -> Outcome:
    """Every listening socket of the project's own services is on loopback."""
    found = list(facts.context.listeners())
    open_ = [each for each in found if not is_loopback(each.ip)]
    if open_:
        return failed(
            (f"{each.service} listens on {each.ip}:{each.port}" for each in open_),
            cause="whoever reaches this machine reaches the data: DynamoDB Local asks for no password at all",
            fix=Fix("start it again through devenv, which binds 127.0.0.1", "devenv down && devenv up"),
            subjects=(each.service for each in open_),
        )
    return passed(f"{len(found)} listeners")


def is_loopback(ip: str) -> bool:
    """Whether an address can be reached from this machine only."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def run_modes(facts: Facts) -> Outcome:
    """Files with secrets can be read by their owner alone."""
    files = [path for path in facts.context.private_files if path.exists()]
    loose = [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if loose:
        return failed(
            (f"{path} has mode {stat.S_IMODE(path.stat().st_mode):04o}" for path in loose),
            cause="it was copied, or its mode was changed",
            fix=Fix("take the others' rights away", "chmod go= " + " ".join(map(str, loose))),
            subjects=map(str, loose),
        )
    return passed(f"{len(files)} files")


CHECKS = (
    Check(
        code="SAF001",
        name="loopback-only",
        group="safety",
        title="services listen on loopback only",
        run=run_listeners,
        explain="""\
A service that listens on all addresses can be reached from the network. DynamoDB Local has no
authentication at all, and does listen everywhere unless it is made not to, as devenv does.

How it happens: it was started by hand or by another tool; an application was started with --host 0.0.0.0.
Repair: devenv down && devenv up; for the application, its own host setting.""",
    ),
    Check(
        code="SAF002",
        name="private-files",
        group="safety",
        title="files with secrets are readable by you alone",
        run=run_modes,
        explain="""\
The state folder holds the generated password and the development key. Its files have mode 0600.

Repair: chmod go= FILE.""",
    ),
)
