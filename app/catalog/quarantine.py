"""Rejected records of each connector, for its steward: where, which field, which rule. Bounded, values masked.

Does not live here: deciding what is rejected (`app/connectors`); nothing here ever holds a whole record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.connectors.dataset import Reject
from app.database import storable, upsert


@dataclass(frozen=True, slots=True)
class QuarantinedReject:
    """One reject and when it was seen. `seq` is its place in the list."""

    seq: int
    revision: int
    place: str
    field: str
    rule: str
    detail: str
    masked: str
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """A page of the kept rejects. `rejected_rows` is what the last read counted, kept or not; None: never read."""

    items: tuple[QuarantinedReject, ...]
    next_after: int | None
    rejected_rows: int | None
    revision: int | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many of the kept rejects break one rule on one field."""

    field: str
    rule: str
    rejects: int


async def record_rejects(
    connection: AsyncConnection,
    connector_id: str,
    revision: int,
    rejects: Sequence[Reject],
    total: int,
    *,
    limit_rows: int = 1000,
    complete: bool = False,
) -> None:
    """Merges what one read rejected; rejects of other revisions go, the newest `limit_rows` stay.

    `total` is the number of rejected rows of that read. `complete`: the read saw every row, so rejects that it did not
    meet are healed and go too.
    """
    moment = datetime.now(UTC)
    table = tables.quarantine_reject
    # first the row of the total: two reads of one connector then queue up here and cannot deadlock below
    counted = {"connector": connector_id, "revision": revision, "rejected_rows": total, "at": moment}
    await upsert(connection, tables.quarantine_total, [counted])
    mine = table.c.connector == connector_id
    await connection.execute(delete(table).where(mine, table.c.revision != revision))
    rows = {_digest(reject): reject for reject in rejects[:limit_rows]}
    values = [
        {
            "connector": connector_id,
            "digest": digest,
            "revision": revision,
            "place": storable(reject.place),
            "field": storable(reject.field),
            "rule": storable(reject.rule),
            "detail": storable(reject.detail),
            "masked": storable(reject.masked),
            "first_seen": moment,
            "last_seen": moment,
        }
        for digest, reject in rows.items()
    ]
    await upsert(connection, table, values, keys=("connector", "digest"), keep=("first_seen",))
    if complete:
        await connection.execute(delete(table).where(mine, table.c.last_seen < moment))
    newest = select(table.c.seq).where(mine).order_by(table.c.last_seen.desc(), table.c.seq).limit(limit_rows)
    await connection.execute(delete(table).where(mine, table.c.seq.not_in(newest)))


async def read_quarantine(
    connection: AsyncConnection, connector_id: str, *, limit: int = 100, after: int = 0
) -> QuarantinePage:
    """The kept rejects behind `after`, in the order in which they were first met."""
    table = tables.quarantine_reject
    names = [table.c[name] for name in QuarantinedReject.__slots__]
    chosen = select(*names).where(table.c.connector == connector_id, table.c.seq > after)
    rows = (await connection.execute(chosen.order_by(table.c.seq).limit(limit + 1))).mappings().all()
    items = tuple(QuarantinedReject(**row) for row in rows[:limit])
    totals = tables.quarantine_total
    counted = (await connection.execute(select(totals).where(totals.c.connector == connector_id))).one_or_none()
    return QuarantinePage(
        items,
        items[-1].seq if len(rows) > limit else None,
        counted.rejected_rows if counted else None,
        counted.revision if counted else None,
        counted.at if counted else None,
    )


async def forget_copies(connection: AsyncConnection, connectors: Sequence[str]) -> dict[str, int]:
    """Removes what is kept of these connectors' records: rejects, and the samples of discovery. Returns how many rows."""
    found = {}
    for name, table, more in (
        ("rejects", tables.quarantine_reject, ()),
        ("samples", tables.connector_report, (tables.connector_report.c.kind == "discovery",)),
    ):
        gone = await connection.execute(delete(table).where(table.c.connector.in_(connectors), *more))
        found[name] = gone.rowcount
    return found


async def count_rules(connection: AsyncConnection, connector_id: str) -> list[RuleCount]:
    """Kept rejects by field and rule, the most frequent first."""
    table = tables.quarantine_reject
    statement = (
        select(table.c.field, table.c.rule, func.count().label("rejects"))
        .where(table.c.connector == connector_id)
        .group_by(table.c.field, table.c.rule)
    )
    counts = [RuleCount(**row) for row in (await connection.execute(statement)).mappings()]
    return sorted(counts, key=lambda count: (-count.rejects, count.field, count.rule))


def _digest(reject: Reject) -> str:
    parts = f"{reject.place}\0{reject.field}\0{reject.rule}"
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:32]
