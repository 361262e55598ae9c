"""Which addresses a source may be dialled at: resolves a host, refuses what the agency's policy does not allow.

Callers dial the literal addresses returned here, so a name that changes its answer afterwards (DNS rebinding) gains nothing.
Does not live here: TLS, redirects (each client calls this again for every hop).
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from app.connectors.environment import NetworkPolicy
from app.errors import NetworkForbidden, SourceDnsFailed, SourceTimeout, SourceUnreachable

DNS_DEADLINE_SECONDS = 5.0
CONNECT_SECONDS = 5.0
REGISTRATION_SECONDS = 2.0
"""How long a name server may take when a manifest is registered; check asks it again."""
_HTTP_PORTS = {"http": 80, "https": 443}
_PLAIN = "an address is http(s)://host[:port]/path: no user names or references in host and port, a port of 1 to 65535"
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*", re.ASCII
)
_NUMERIC_LABEL = re.compile(r"([0-9]+|0x[0-9a-f]*)", re.ASCII)
# Global by registry (or by an older one), yet they reach something else: translators, tunnels, and two clouds' metadata services.
_DISGUISES = tuple(
    ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "fec0::/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
    )
)
METADATA = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/64",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
    )
)
"""Link-local networks and where clouds give their machines credentials: dialled for nobody, whatever is allowed."""

_SHORTEST_PREFIX = {4: 8, 6: 7}


def network_fault(network: IPv4Network | IPv6Network) -> str | None:
    """Why a network cannot be allowed for an agency, None when it can."""
    if network.prefixlen < _SHORTEST_PREFIX[network.version]:
        shortest = _SHORTEST_PREFIX[network.version]
        return f"a range of /{network.prefixlen} is nearly every network; name those of the sources (/{shortest} or narrower)"
    if any(network.version == found.version and network.subnet_of(found) for found in METADATA):  # type: ignore[arg-type]
        return "link-local addresses and those at which machines are given credentials are never dialled"
    return None


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """The parts of an http(s) address that are dialled."""

    scheme: str
    host: str
    port: int

    @classmethod
    @lru_cache(maxsize=1024)
    def of(cls, url: str) -> HttpAddress:
        """Raises `NetworkForbidden` for what is no plain address: user names, references, a port outside 1..65535."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise NetworkForbidden(_PLAIN, field="/source/url") from None
        if parts.scheme not in _HTTP_PORTS or parts.username is not None or not parts.hostname or "$" in parts.netloc:
            raise NetworkForbidden(_PLAIN, field="/source/url")
        return cls(parts.scheme, parts.hostname, _HTTP_PORTS[parts.scheme] if port is None else port)


@dataclass(frozen=True, slots=True)
class Dialled:
    """An address that a manifest states: where it stands there (JSON pointer), its host and port."""

    pointer: str
    host: str
    port: int

    @classmethod
    def http(cls, pointer: str, url: str) -> Dialled:
        """The host and port of such a URL."""
        address = HttpAddress.of(url)
        return cls(pointer, address.host, address.port)


async def refusal(stated: Dialled, policy: NetworkPolicy, seconds: float = REGISTRATION_SECONDS) -> str | None:
    """Why this address may not be dialled, as far as can be told now; None where it may, or its name is not known yet."""
    try:
        async with asyncio.timeout(seconds):
            await resolve_allowed(stated.host, stated.port, policy)
    except NetworkForbidden as error:
        return error.detail
    except (SourceDnsFailed, TimeoutError):
        return None
    return None


async def resolve_allowed(host: str, port: int, policy: NetworkPolicy) -> list[str]:
    """Literal addresses of `host` that may be dialled, in the resolver's order; never empty.

    Raises `NetworkForbidden` for a spelling or an address the policy does not allow, `SourceDnsFailed` when the name
    does not resolve. Port is 1..65535.
    """
    if not 1 <= port <= 65535:
        raise NetworkForbidden(f"Port {port} is outside 1..65535", rule="port")
    name = canonical_host(host)
    if not _named(name, port, policy):
        raise NetworkForbidden(
            f"The host {name!r} at port {port} is not on the list of hosts that the operator allowed for this agency",
            rule="host",
        )
    addresses = [_literal(name)] if _literal(name) else await _resolve(name, port)
    found = [address for address in addresses if address is not None and is_allowed(address, policy, port)]
    allowed = [str(address) for address in found if port not in policy.own_ports or not is_ours(address)]
    if found and not allowed:
        raise NetworkForbidden(f"Port {port} of this machine is the gateway's own: it is no source", rule="own_port")
    if not allowed:
        raise NetworkForbidden(
            f"The host {name!r} stands at an address that is not public; the operator can allow its network for this agency",
            rule="address",
        )
    return allowed


def canonical_host(host: str) -> str:
    """The host in lower case; raises `NetworkForbidden` for spellings that different programs read differently.

    Refused: user parts, other number bases, short or padded dotted quads, a trailing dot, non-ASCII dots and letters
    (write the `xn--` form), scope ids.
    """
    name = host.lower()
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if _literal(name) is not None:
        return name
    if ":" in name or not _NAME.fullmatch(name) or _NUMERIC_LABEL.fullmatch(name.rsplit(".", 1)[-1]):
        raise NetworkForbidden(
            "The host is not spelled as a plain name or address: write a DNS name in ASCII without a trailing dot, "
            "or an address such as 10.1.2.3",
            rule="spelling",
        )
    return name


def _named(name: str, port: int, policy: NetworkPolicy) -> bool:
    """Whether the operator's list of hosts, where there is one, holds this host at this port."""
    pinned = {(host, at) for host, at in policy.pinned if isinstance(host, str)}
    return not (policy.hosts or pinned) or name in policy.hosts or (name, port) in pinned


def is_ours(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is one of this machine."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def is_allowed(address: IPv4Address | IPv6Address, policy: NetworkPolicy, port: int | None = None) -> bool:
    """True for a public address, or one inside the networks the operator allowed (at any port, or at this one)."""
    if address.is_unspecified or address.is_multicast or address == IPv4Address("255.255.255.255"):
        return False
    if any(address.version == network.version and address in network for network in METADATA):
        return False
    pinned = (network for network, at in policy.pinned if at == port and not isinstance(network, str))
    if any(address.version == network.version and address in network for network in (*policy.networks, *pinned)):
        return True
    if any(address.version == network.version and address in network for network in _DISGUISES):
        return False
    return address.is_global and not address.is_reserved


def _literal(name: str) -> IPv4Address | IPv6Address | None:
    if "%" in name:
        return None
    try:
        return ip_address(name)
    except ValueError:
        return None


async def _resolve(name: str, port: int) -> list[IPv4Address | IPv6Address]:
    try:
        async with asyncio.timeout(DNS_DEADLINE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise SourceDnsFailed(f"The name server did not answer for the host {name!r}", step="dns") from None
    except (OSError, UnicodeError):
        raise SourceDnsFailed(f"The host {name!r} is not known to the name server", step="dns") from None
    unique = dict.fromkeys(str(entry[4][0]) for entry in found)
    return [address for address in map(_literal, unique) if address is not None]


async def dial(addresses: Sequence[str], port: int) -> socket.socket:
    """A connection to the first of these literal addresses that takes one. Raises `SourceUnreachable`, `SourceTimeout`."""
    loop, late = asyncio.get_running_loop(), False
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)  # noqa: FBT003 - the name of the option
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.sock_connect(connection, (address, port))
        except TimeoutError:
            late = True
            connection.close()
        except OSError:
            connection.close()
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    if late:
        raise SourceTimeout(f"the source did not take a connection within {CONNECT_SECONDS:g} s", step="tcp")
    raise SourceUnreachable("the source refuses connections", step="tcp")
