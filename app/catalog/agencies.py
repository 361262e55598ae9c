"""Agencies (OPD): create, change, read; what the operator allowed each of them to reach and to name.

Does not live here: who may call this (access), the folder of an agency (`inbox.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.connectors.environment import NetworkPolicy
from app.connectors.network import network_fault
from app.database import bump_stamp, storable
from app.errors import AgencyUnknown, Conflict, FieldError, ValidationFailed

STAMP = "catalog"
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
MEMBER_CLASSES = ("GOV", "COM", "NGO", "EDU")  # X-Road's member classes
ALLOW_ENTRIES = 100
PRACTICE = ("uji-dinas-satu", "uji-dinas-dua")
"""Ids of the agencies that are invented for practice."""
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_AT_PORT = re.compile(r"(?P<where>\[[0-9a-f:.]+(/[0-9]{1,3})?\]|[^:\[\]]+):(?P<port>[0-9]{1,6})", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


@dataclass(frozen=True, slots=True)
class Agency:
    """A member organisation. `network_allow`: CIDR ranges, addresses, host names; `env_allow`: names of variables."""

    id: str
    name: str
    name_en: str | None = None
    member_class: str = "GOV"
    contact: str | None = None
    network_allow: tuple[str, ...] = ()
    env_allow: tuple[str, ...] = ()
    disabled: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def network_policy(self) -> NetworkPolicy:
        """Addresses become networks (they lift the ban on private ranges); host names narrow what may be dialled."""
        allowed = [_allowed(entry) for entry in self.network_allow]
        return NetworkPolicy(
            tuple(where for where, port in allowed if port is None and not isinstance(where, str)),
            frozenset(where for where, port in allowed if port is None and isinstance(where, str)),
            tuple((where, port) for where, port in allowed if port is not None),
        )


def _allowed(entry: str) -> tuple[IPv4Network | IPv6Network | str, int | None]:
    """What an entry allows: a network or a host name, at one port or at every one (None)."""
    written = _AT_PORT.fullmatch(entry)
    if written is None:
        return _network(entry) or entry, None
    where = written["where"].removeprefix("[").removesuffix("]")
    return _network(where) or where, int(written["port"])


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry)
    except ValueError:
        return None


def validate_agency(agency: Agency) -> Agency:
    """The agency with host names in lower case; raises `ValidationFailed` naming every member that is wrong."""
    hosts = tuple(entry.strip().lower() for entry in agency.network_allow)
    errors = [*_text_errors(agency), *_id_errors(agency.id)]
    if agency.member_class not in MEMBER_CLASSES:
        errors.append(_wrong("/member_class", "enum", f"one of {', '.join(MEMBER_CLASSES)}"))
    for member, entries in (("network_allow", hosts), ("env_allow", agency.env_allow)):
        if len(entries) > ALLOW_ENTRIES:
            errors.append(_wrong(f"/{member}", "too_many", f"at most {ALLOW_ENTRIES} entries"))
    for index, entry in enumerate(hosts):
        where, port = _allowed(entry)
        network, name = (None, where) if isinstance(where, str) else (where, "")
        fault = network_fault(network) if network is not None else None
        if port is not None and not 1 <= port <= 65535:
            errors.append(_wrong(f"/network_allow/{index}", "network_port", f"port {port} is outside 1..65535"))
        if fault is not None:
            errors.append(_wrong(f"/network_allow/{index}", "network_refused", fault))
        elif network is None and ("/" in name or _looks_numeric(name) or not _HOST.fullmatch(name)):
            detail = (
                "an address, a range such as 10.1.2.0/24 (its host bits zero) or a host name; "
                "for one port alone 10.1.2.0/24:5432, [fd00::/64]:443 or db.example:5432"
            )
            errors.append(_wrong(f"/network_allow/{index}", "network", detail))
    for index, entry in enumerate(agency.env_allow):
        if not _VARIABLE.fullmatch(entry):
            errors.append(_wrong(f"/env_allow/{index}", "variable_name", "letters, digits and _, no digit first"))
    if errors:
        raise ValidationFailed("the agency is not valid", errors=errors)
    return replace(agency, network_allow=hosts)


def _id_errors(agency_id: str) -> Sequence[FieldError]:
    if not SLUG.fullmatch(agency_id):
        return [_wrong("/id", "slug", "2 to 63 of a-z, 0-9 and -, the first a letter or digit")]
    if agency_id in PRACTICE:
        return [_wrong("/id", "reserved", "the name of an agency that is invented for practice; choose another")]
    return []


def _text_errors(agency: Agency) -> Sequence[FieldError]:
    found = []
    for name, value in (("name", agency.name), ("name_en", agency.name_en), ("contact", agency.contact)):
        if value is not None and not 1 <= len(value.strip()) <= 200:
            found.append(_wrong(f"/{name}", "length", "1 to 200 characters, not blank"))
        elif value is not None and (storable(value) != value or not value.isprintable()):
            found.append(_wrong(f"/{name}", "control_character", "printable characters on one line"))
    return found


def _looks_numeric(entry: str) -> bool:
    """A last label of digits is a mistyped address, never a host name (RFC 1123, section 2.1)."""
    return entry.rsplit(".", 1)[-1].isdigit()


def _wrong(pointer: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer, code, detail)


async def create_agency(connection: AsyncConnection, agency: Agency) -> Agency:
    """Stores a new agency; `Conflict` when the id is taken."""
    moment = datetime.now(UTC)
    fresh = replace(validate_agency(agency), created_at=moment, updated_at=moment)
    try:
        await connection.execute(insert(tables.agency).values(**asdict(fresh)))
    except IntegrityError:
        message = f"an agency with the id {agency.id} exists already; change it instead, or choose another id"
        raise Conflict(message, agency=agency.id) from None
    await bump_stamp(connection, STAMP)
    return fresh


async def update_agency(
    connection: AsyncConnection,
    agency_id: str,
    changes: Mapping[str, Any],
    *,
    expected: Callable[[Agency], None] = lambda _: None,
) -> Agency:
    """Changes the named members (any but `id` and the times) of what `expected` does not refuse; `AgencyUnknown`, `ValidationFailed`."""
    fixed = {"id", "created_at", "updated_at"}
    unknown = [name for name in changes if name in fixed or name not in Agency.__slots__]
    if unknown:
        errors = [_wrong(f"/{name}", "unknown", "no member of an agency that can be changed") for name in unknown]
        raise ValidationFailed("the change is not valid", errors=errors)
    lists = {name: tuple(changes[name]) for name in ("network_allow", "env_allow") if name in changes}
    current = await get_agency(connection, agency_id, lock=True)
    expected(current)
    fresh = validate_agency(replace(current, **{**changes, **lists}))
    if fresh == current:
        return current
    fresh = replace(fresh, updated_at=datetime.now(UTC))
    await connection.execute(update(tables.agency).where(tables.agency.c.id == agency_id).values(**asdict(fresh)))
    await bump_stamp(connection, STAMP)
    return fresh


async def get_agency(connection: AsyncConnection, agency_id: str, *, lock: bool = False) -> Agency:
    """The agency; `AgencyUnknown` when there is none. `lock` keeps its row until the transaction ends."""
    statement = select(tables.agency).where(tables.agency.c.id == agency_id)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).mappings().one_or_none()
    if row is None:
        message = f"no agency has the id {agency_id[:63]}; GET /v1/agencies lists them"
        raise AgencyUnknown(message, agency=agency_id)
    return _agency(row)


async def list_agencies(connection: AsyncConnection) -> list[Agency]:
    """All agencies, disabled ones too, by id."""
    rows = await connection.execute(select(tables.agency))
    return sorted((_agency(row) for row in rows.mappings()), key=lambda agency: agency.id)


def _agency(row: RowMapping) -> Agency:
    lists = {name: tuple(row[name]) for name in ("network_allow", "env_allow")}
    return Agency(**{**row, **lists})
