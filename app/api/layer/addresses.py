"""Whose address a request comes from: the connection's, or what proxies that the operator names say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def from_behind(scope: Scope, trusted: Sequence[Network]) -> Scope:
    """The scope with the caller's address as its client. Without trusted proxies, or from elsewhere, the header is nothing."""
    client = scope.get("client")
    if not trusted or not client:
        return scope
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    found = caller_address(client[0], [part for line in lines for part in line.split(",")], trusted)
    return scope if found == client[0] else {**scope, "client": (found, 0)}


def caller_address(peer: str, forwarded: Sequence[str], trusted: Iterable[Network]) -> str:
    """The last address that no trusted proxy has. What stands left of it anybody could have written."""
    networks = tuple(trusted)
    here = peer
    for part in reversed(forwarded):
        if not _within(here, networks):
            return here
        address = _read(part)
        if address is None:
            return here
        here = str(address)
    return here


def _within(text: str, networks: tuple[Network, ...]) -> bool:
    address = _read(text)
    return address is not None and any(address in network for network in networks)


def _read(text: str) -> Address | None:
    """An address, also with a port and brackets as proxies write them; a mapped one as what it is."""
    plain = text.strip().strip('"')
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
