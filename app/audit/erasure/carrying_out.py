"""Erasing details and tags of the log: which entries, what holds them back, in small batches, each recorded before it goes.

The entry stays, its proof stays, and an `erasure` entry says which details went. Does not live here: who may ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.audit.entry.record import Caller, Entry, Gateway, Record, uuid7
from app.audit.entry.spans import spans_of, spans_text
from app.audit.read.candidates import placeholders
from app.audit.store.contract import LogReader
from app.audit.write.log import ExchangeLog

BATCH_ENTRIES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Entries by subject (any of these tags), or by time and terms, as `ExchangeFilter` means them; all must hold."""

    tags: tuple[bytes, ...] = ()
    from_us: int | None = None
    to_us: int | None = None
    terms: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    """Only entries of these operations; none named: of all."""

    def condition(self, start: int) -> tuple[str, list[Any]]:
        """SQL over `log_entry e` with placeholders from `$start` on, and their values."""
        parts, values = ["1 = 1"], list[Any]()
        if self.tags:
            marks = placeholders(len(self.tags), start)
            parts.append(f"e.idx IN (SELECT idx FROM exchange_subject WHERE tag IN ({marks}))")
            values += self.tags
        for sign, moment in ((">=", self.from_us), ("<", self.to_us)):
            if moment is not None:
                parts.append(f"e.t_us {sign} ${start + len(values)}")
                values.append(moment)
        if self.ops:
            parts.append(f"e.op IN ({placeholders(len(self.ops), start + len(values))})")
            values += self.ops
        for term in self.terms:
            parts.append(f"e.facet IN (SELECT facet FROM log_facet WHERE term = ${start + len(values)})")
            values.append(term)
        return f"({' AND '.join(parts)})", values


@dataclass(slots=True)
class ErasureOutcome:
    """What an erasure took away, which entries record it, and who had received data (`INSTANCE/CLASS/agency`)."""

    details: int = 0
    tags: int = 0
    entries: list[int] = field(default_factory=list)
    receivers: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An erasure to carry out: what, by whom, why. `trail`: the subject tags go too. `before_idx`: nothing newer."""

    op: str
    selection: Selection
    holds: tuple[Selection, ...]
    by: Caller
    gateway: Gateway
    basis: str
    request: str
    before_idx: int
    trail: bool = False


async def selected(reader: LogReader, order: Order, after: int, *, held: bool, limit: int) -> list[int]:
    """Indexes from `after` on, rising, of entries that have something to erase and are not held (`held`: are held)."""
    condition, values = order.selection.condition(4)
    holding: list[str] = []
    for hold in order.holds:
        text, more = hold.condition(4 + len(values))
        holding.append(text)
        values += more
    kept = f"({' OR '.join(holding)})" if holding else "(1 = 0)"
    left = "EXISTS (SELECT 1 FROM exchange_detail d WHERE d.idx = e.idx)"
    if order.trail:
        left = f"({left} OR EXISTS (SELECT 1 FROM exchange_subject s WHERE s.idx = e.idx))"
    rows = await reader.fetch(
        f"SELECT e.idx FROM log_entry e WHERE e.idx >= $1 AND e.idx < $2 AND e.kind <> 'erasure' AND {condition}"
        f" AND {kept if held else f'NOT {kept}'} AND {left} ORDER BY e.idx LIMIT $3",
        after,
        order.before_idx,
        limit,
        *values,
    )
    return [int(row[0]) for row in rows]


async def providers(reader: LogReader, selection: Selection, before_idx: int) -> set[str]:
    """The providers (`INSTANCE/CLASS/agency`) of the selected entries."""
    condition, values = selection.condition(2)
    rows = await reader.fetch(
        "SELECT DISTINCT f.term FROM log_facet f WHERE f.term LIKE 'provider:%' AND f.facet IN"
        f" (SELECT e.facet FROM log_entry e WHERE e.idx < $1 AND e.kind <> 'erasure' AND {condition})",
        before_idx,
        *values,
    )
    return {str(row[0]).removeprefix("provider:") for row in rows}


async def carry_out(log: ExchangeLog, order: Order, *, batch_entries: int = BATCH_ENTRIES) -> ErasureOutcome:
    """Erase what is selected and not held. Each batch is an entry first, then it goes; a crash between leaves the entry.

    Done again after a crash it goes on where it stopped.
    """
    went, after = ErasureOutcome(), 0
    while indexes := await selected(log.reader, order, after, held=False, limit=batch_entries):
        went.receivers |= await receivers(log.reader, indexes)
        spans = spans_of(indexes)
        entry = Entry(
            xid=uuid7(),
            kind="erasure",
            gw=order.gateway,
            op=order.op,
            client=order.by,
            basis=order.basis,
            q=spans_text(spans),
            rows=len(indexes),
        )
        kept = await log.append(Record(entry, {"request": order.request, "trail": order.trail}))
        went.entries.append(kept.idx)
        tags = order.selection.tags if order.trail else ()
        details, gone = await log.eraser.erase(spans, tags)
        went.details += details
        went.tags += gone
        after = indexes[-1] + 1
    return went


async def receivers(reader: LogReader, indexes: Sequence[int]) -> set[str]:
    """Agencies to which these exchanges released records."""
    found: set[str] = set()
    for start in range(0, len(indexes), 500):
        part = indexes[start : start + 500]
        rows = await reader.fetch(
            f"SELECT DISTINCT agency FROM log_entry WHERE idx IN ({placeholders(len(part))}) AND kind = 'outcome'"
            " AND effect = 'allow' AND row_count > 0 AND agency IS NOT NULL",
            *part,
        )
        found |= {str(row[0]) for row in rows}
    return found
