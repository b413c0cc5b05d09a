"""Addresses, judged by their text alone: no name is resolved."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Return True for `localhost` and for an address that can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def reaches_here(host: str | None) -> bool:
    """Return True for a host that a client of this machine finds on this machine: also `0.0.0.0` and `app.localhost`.

    Source: RFC 6761, section 6.3, on names below `localhost`.
    """
    return bool(host) and (host in ("0.0.0.0", "::") or str(host).endswith(".localhost") or is_loopback(str(host)))  # noqa: S104
