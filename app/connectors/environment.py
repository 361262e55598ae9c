"""What a connector is given from outside: its agency, folders, secrets, network policy and limits. Built in `gateway/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Protocol

from app.connectors.file_cache import FileCache
from app.connectors.pace import Pace


class SecretReader(Protocol):
    """Resolves `${secret:NAME}` and `${env:NAME}` of one agency."""

    def resolve(self, text: str) -> str:
        """The text with its references replaced; raises `SecretUnknown` naming the reference, never its value."""


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Addresses that the operator allowed for one agency beyond public ones.

    Loopback, private, link-local and metadata addresses are refused unless `networks` holds them; checked when dialling,
    for every resolved address and every redirect hop.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    """When not empty, or `pinned` names a host: only these host names (or literal addresses) may be dialled."""
    pinned: tuple[tuple[IPv4Network | IPv6Network | str, int], ...] = ()
    """Networks and hosts that are allowed at one port alone."""
    own_ports: frozenset[int] = frozenset()
    """Ports at which this gateway itself listens: never dialled on its own machine, whatever is allowed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one scan. Seconds, bytes, rows."""

    deadline_seconds: float = 10.0
    rows: int = 5_000_000
    bytes: int = 1_073_741_824
    parse_memory_bytes: int = 1_073_741_824
    concurrency: int = 8


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything a kind may use besides its manifest."""

    agency: str
    connector: str
    root: Path
    """The agency's own folder; relative locations stand under it, nothing outside is opened."""
    cache: Path
    """Folder for spill files of this connector; may be deleted at any time."""
    secrets: SecretReader
    network: NetworkPolicy = field(default_factory=NetworkPolicy)
    limits: Limits = field(default_factory=Limits)
    zone: str = "Asia/Jakarta"
    ca_file: Path | None = None
    """Authorities of TLS in PEM; None: the system's."""
    variables: Mapping[str, str] = field(default_factory=dict)
    file_cache: FileCache | None = None
    """Where copies of files from elsewhere are kept; None: beside `cache`."""
    pace: Pace | None = None
    """Turns that all which is opened of this connector shares; None: what is opened takes its own."""
    whole_checks: bool = True
    """Whether a check asks for records; else it goes as far as it can without."""
    instance: str = ""
    """This gateway's own name among gateways: that of its log."""
