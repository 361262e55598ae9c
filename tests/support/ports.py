"""Ports of the loopback that one test process alone gives out, so that no test ever speaks to another's server."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_FIRST = 10_000
_claims: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody listens on and that no other test process is given as long as this one runs.

    Ports below those that the kernel gives to outgoing connections: between this call and the server's start no connection takes it.
    """
    behind = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    candidates = list(range(_FIRST, behind))
    random.SystemRandom().shuffle(candidates)
    for port in candidates:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0simpul-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise AssertionError(f"no port between {_FIRST} and {behind} is free")
