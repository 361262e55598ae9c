"""Who is asking: `Principal`, the five roles, whose agency an administrative route speaks for. Reading is `decisions.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from app.errors import AgencyForbidden

Role = Literal["client", "steward", "auditor", "supervisor", "admin"]
Kind = Literal["client", "person", "public"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Principal:
    """One credential: one agency, one role. `credential` is its public thumbprint, as entries of the log carry it."""

    client_id: str
    agency: str
    role: Role
    credential: str
    kind: Kind = "client"
    fresh_until: float | None = field(default=None, compare=False)
    """Of a person: until when (seconds since 1970) the last second factor counts as fresh; it changes no decision on data."""


PUBLIC: Final = Principal("PUBLIC", "PUBLIC", "client", "none", "public")
"""Whoever sends no token, where open data are read without one. No client and no agency can have this name."""


def require_agency(principal: Principal, agency: str) -> None:
    """Pass for `agency`'s own credentials and for admins; else `AgencyForbidden`."""
    if principal.role != "admin" and principal.agency != agency:
        raise AgencyForbidden(
            f"A credential of agency {principal.agency} may not act for agency {agency}.", rule="other_agency"
        )
