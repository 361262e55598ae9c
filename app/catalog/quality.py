"""What checks measured of a connector, with a bounded history: the newest, and one a day of those before.

Does not live here: measuring (`app/datasets/quality.py`). What is kept holds counts, columns and codes of regions, no records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables

NEWEST_KEPT = 30
"""Measurements that are kept however close they lie."""
DAYS_KEPT = 400
"""Days (UTC) of which the last measurement is kept beyond those: a year can be compared with the one before."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One check: when, of which revision, the columns (name, type) that stood at the source, and what mapping it gave.

    `measured` is None where the mapping was not tried, because an earlier stage failed.
    """

    at: datetime
    revision: int
    passed: bool
    columns: Sequence[tuple[str, str]]
    measured: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Drift:
    """How the columns of a source differ from those of the check before (at `since`). `changed`: name, type before, type now."""

    since: datetime
    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[tuple[str, str, str]]


async def record_quality(
    connection: AsyncConnection,
    connector_id: str,
    found: Measurement,
    *,
    newest: int = NEWEST_KEPT,
    days: int = DAYS_KEPT,
) -> None:
    """Keeps a measurement and forgets those that are neither among the `newest` nor the last of one of the last `days` days."""
    table = tables.connector_quality
    values = {name: getattr(found, name) for name in Measurement.__slots__}
    await connection.execute(insert(table).values(connector=connector_id, **values))
    mine = select(table.c.seq, table.c.at).where(table.c.connector == connector_id).order_by(table.c.seq.desc())
    rows = (await connection.execute(mine)).all()
    kept_days: set[str] = set()
    gone: list[int] = []
    for position, (seq, at) in enumerate(rows):
        day = at.astimezone(UTC).date().isoformat()
        if position >= newest and (day in kept_days or len(kept_days) >= days):
            gone.append(seq)
        kept_days.add(day)
    if gone:
        await connection.execute(delete(table).where(table.c.seq.in_(gone)))


async def read_quality(
    connection: AsyncConnection, connector_id: str, *, limit: int = NEWEST_KEPT
) -> list[Measurement]:
    """The kept measurements, the newest first."""
    table = tables.connector_quality
    columns = [table.c[name] for name in Measurement.__slots__]
    chosen = select(*columns).where(table.c.connector == connector_id).order_by(table.c.seq.desc()).limit(limit)
    rows = (await connection.execute(chosen)).mappings()
    return [Measurement(**{**row, "columns": [(name, kind) for name, kind in row["columns"]]}) for row in rows]


def drift_of(now: Measurement, before: Measurement) -> Drift:
    """What changed at the source between two checks."""
    new, old = dict(now.columns), dict(before.columns)
    return Drift(
        since=before.at,
        added=[name for name in new if name not in old],
        removed=[name for name in old if name not in new],
        changed=[(name, old[name], new[name]) for name in new if name in old and old[name] != new[name]],
    )


async def newest_records(connection: AsyncConnection, connectors: Sequence[str]) -> dict[str, datetime]:
    """When the newest record was changed, by what the last check measured; connectors of which that is not known are left out."""
    table = tables.connector_quality
    last = select(func.max(table.c.seq)).where(table.c.connector.in_(connectors)).group_by(table.c.connector)
    rows = await connection.execute(select(table.c.connector, table.c.measured).where(table.c.seq.in_(last)))
    told = {row.connector: (row.measured or {}).get("newest") for row in rows}
    return {name: datetime.fromisoformat(newest) for name, newest in told.items() if newest is not None}
