"""Rejected records of each connector, for its steward: where, which field, which rule. Bounded, values masked.

Does not live here: deciding what is rejected (`app/connectors`); nothing here ever holds a whole record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.database import storable, upsert
from app.datasets.records import Reject


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """One rejected record and when it was seen. `seq` is its position in the list; `field` to `masked` are its first fault."""

    seq: int
    revision: int
    location: str
    field: str
    rule: str
    detail: str
    masked: str
    faults: Sequence[Mapping[str, str]]
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many records break one rule on one field."""

    field: str
    rule: str
    records: int


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """A page of the kept records. `rejected_rows` and `rules` count what was rejected, kept or not; None: never read.

    `whole`: every record of the source was counted; else only those that partial reads met.
    """

    items: tuple[QuarantinedRecord, ...]
    next_after: int | None
    rejected_rows: int | None
    rules: tuple[RuleCount, ...]
    whole: bool
    revision: int | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """What one read of a connector rejected: a sample, the true counts, and whether it saw every record.

    `version`: the source's own mark of freshness, None where it has none.
    """

    connector: str
    revision: int
    version: str | None
    whole: bool
    records: int
    by_rule: Mapping[tuple[str, str], int]
    sample: Sequence[Reject]


async def record_rejects(connection: AsyncConnection, found: Rejected, *, limit_rows: int = 1000) -> None:
    """Takes over what a read rejected; the newest `limit_rows` records stay, those of other revisions and versions go.

    A read of the whole source replaces what stood there: a clean one clears it. A partial one adds what it met.
    """
    moment = datetime.now(UTC)
    table, totals = tables.quarantine_reject, tables.quarantine_total
    mine = table.c.connector == found.connector
    # first the row of the total: two reads of one connector then queue up here and cannot deadlock below
    await upsert(
        connection,
        totals,
        [{"connector": found.connector, "revision": 0, "rejected_rows": 0, "at": moment}],
        keep=_KEPT,
    )
    before = (
        await connection.execute(select(totals).where(totals.c.connector == found.connector).with_for_update())
    ).one()
    same = (before.revision, before.version) == (found.revision, found.version)
    if not same:
        await connection.execute(delete(table).where(mine))
    rules = {(str(field), str(rule)): int(records) for field, rule, records in before.rules} if same else {}
    records, whole = found.records, found.whole
    if found.whole or not same:
        rules = dict(found.by_rule)
    else:
        rules.update({key: max(count, rules.get(key, 0)) for key, count in found.by_rule.items()})
        records, whole = max(records, before.rejected_rows), before.whole
    counted = {
        "revision": found.revision,
        "version": found.version,
        "whole": whole,
        "rejected_rows": records,
        "rules": [[field, rule, count] for (field, rule), count in rules.items()],
        "at": moment,
    }
    await connection.execute(update(totals).where(totals.c.connector == found.connector).values(**counted))
    await upsert(
        connection, table, list(_rows(found, moment, limit_rows)), keys=("connector", "digest"), keep=("first_seen",)
    )
    if found.whole:
        await connection.execute(delete(table).where(mine, table.c.last_seen < moment))
    newest = select(table.c.seq).where(mine).order_by(table.c.last_seen.desc(), table.c.seq).limit(limit_rows)
    await connection.execute(delete(table).where(mine, table.c.seq.not_in(newest)))


_KEPT = ("revision", "rejected_rows", "at")


def _rows(found: Rejected, moment: datetime, limit_rows: int) -> Iterator[dict[str, Any]]:
    """One row a location, its faults in their order."""
    by_location: dict[str, list[Reject]] = {}
    for reject in found.sample:
        if reject.location in by_location or len(by_location) < limit_rows:
            by_location.setdefault(reject.location, []).append(reject)
    for location, rejects in by_location.items():
        faults = [
            {name: storable(getattr(reject, name)) for name in ("field", "rule", "detail", "masked")}
            for reject in rejects
        ]
        yield {
            "connector": found.connector,
            "digest": hashlib.sha256(location.encode("utf-8", "surrogatepass")).hexdigest()[:32],
            "revision": found.revision,
            "place": storable(location),
            **faults[0],
            "faults": faults,
            "first_seen": moment,
            "last_seen": moment,
        }


async def read_quarantine(
    connection: AsyncConnection, connector_id: str, *, limit: int = 100, after: int = 0
) -> QuarantinePage:
    """The kept records behind `after`, in the order in which they were first met."""
    table = tables.quarantine_reject
    location = table.c.place.label("location")
    columns = [location if name == "location" else table.c[name] for name in QuarantinedRecord.__slots__]
    chosen = select(*columns).where(table.c.connector == connector_id, table.c.seq > after)
    rows = (await connection.execute(chosen.order_by(table.c.seq).limit(limit + 1))).mappings().all()
    items = tuple(QuarantinedRecord(**row) for row in rows[:limit])
    totals = tables.quarantine_total
    counted = (await connection.execute(select(totals).where(totals.c.connector == connector_id))).one_or_none()
    rules = [RuleCount(*parts) for parts in counted.rules] if counted else []
    return QuarantinePage(
        items=items,
        next_after=items[-1].seq if len(rows) > limit else None,
        rejected_rows=counted.rejected_rows if counted else None,
        rules=tuple(sorted(rules, key=lambda count: (-count.records, count.field, count.rule))),
        whole=bool(counted.whole) if counted else False,
        revision=counted.revision if counted else None,
        at=counted.at if counted else None,
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
