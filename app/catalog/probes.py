"""What scheduled checks of sources found, as a history: one row a run of checks that found the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables

RUNS_KEPT = 100


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """Checks in a row with one finding. `step`, `code`, `detail`: where and why they failed; None where they passed."""

    connector: str
    revision: int
    passed: bool
    since: datetime
    at: datetime
    checks: int
    elapsed_ms: float
    step: str | None = None
    code: str | None = None
    detail: str | None = None

    @property
    def finding(self) -> tuple[int, bool, str | None, str | None]:
        """What makes two checks the same."""
        return self.revision, self.passed, self.step, self.code


async def record(connection: AsyncConnection, found: ProbeRun) -> bool:
    """Adds one check; whether it found something else than the one before."""
    table = tables.connector_probe
    wanted = select(table).where(table.c.connector == found.connector).order_by(table.c.seq.desc()).limit(1)
    row = (await connection.execute(wanted)).mappings().first()
    if row is not None:
        before = ProbeRun(**{name: value for name, value in row.items() if name != "seq"})
        if before.finding == found.finding:
            now = {"at": found.at, "checks": before.checks + 1, "elapsed_ms": found.elapsed_ms, "detail": found.detail}
            await connection.execute(update(table).where(table.c.seq == row["seq"]).values(now))
            return False
    await connection.execute(insert(table).values(asdict(found)))
    kept = select(table.c.seq).where(table.c.connector == found.connector).order_by(table.c.seq.desc()).limit(RUNS_KEPT)
    await connection.execute(
        delete(table).where(table.c.connector == found.connector, table.c.seq.not_in(kept.scalar_subquery()))
    )
    return True


async def history(connection: AsyncConnection, connector: str, limit: int = RUNS_KEPT) -> Sequence[ProbeRun]:
    """The runs of one connector, the newest first."""
    table = tables.connector_probe
    wanted = select(table).where(table.c.connector == connector).order_by(table.c.seq.desc()).limit(limit)
    rows = await connection.execute(wanted)
    return [ProbeRun(**{name: value for name, value in row.items() if name != "seq"}) for row in rows.mappings()]
