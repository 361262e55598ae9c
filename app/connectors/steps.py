"""Which stage of a check a fault belongs to: how far a question to a source came."""

from __future__ import annotations

from app.errors import SimpulError

_STEPS = {
    "source_dns_failed": "dns",
    "network_forbidden": "dns",
    "source_unreachable": "tcp",
    "source_tls_failed": "tls",
    "source_auth_failed": "auth",
    "source_permission_denied": "permission",
    "source_schema_mismatch": "columns",
    "secret_unknown": "auth",
}


def step_of(error: SimpulError) -> str:
    """dns, tcp, tls, auth, permission, columns; `read` for all that comes behind them."""
    return _STEPS.get(error.code, "read")
