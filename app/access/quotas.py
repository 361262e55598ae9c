"""How much one agreement allows in a day: requests, rows and distinct subjects, counted in the store for all replicas.

Replicas take shares ahead (`reserve`) and give back what they do not use: what is granted is never more than the quota. Of
subjects only keyed tags are kept, and those of past days are forgotten. Days are those of the instance's zone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.tables import agreement_subject, agreement_use
from app.database import upsert
from app.errors import AccessDenied

Kind = Literal["requests", "rows", "subjects"]
KINDS: Final[tuple[Kind, ...]] = ("requests", "rows", "subjects")
KEPT_DAYS: Final = 400
_COLUMNS: Final = {kind: agreement_use.c[kind] for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Quota:
    """Most in a day under one agreement, whoever asks; None: not limited by the agreement."""

    requests: int | None = None
    rows: int | None = None
    subjects: int | None = None

    def of(self, kind: Kind) -> int | None:
        """The limit of one kind."""
        return {"requests": self.requests, "rows": self.rows, "subjects": self.subjects}[kind]


class AgreementQuotaSpent(AccessDenied):
    """The quota of the agreement does not hold what is asked. `limit`, `left` and the agreement in the facts."""

    code = "agreement_quota_spent"


def stored(quota: Quota | None) -> dict[str, int] | None:
    """As the column has it."""
    return None if quota is None else {name: value for name, value in asdict(quota).items() if value is not None}


def read(column: Mapping[str, Any] | None) -> Quota | None:
    """From the column."""
    return None if column is None else Quota(**column)


async def reserve(
    connection: AsyncConnection, agreement: str, day: date, kind: Kind, limit: int, least: int, most: int
) -> tuple[int, int]:
    """Takes up to `most` of what is left of a day's quota, nothing when that is less than `least`.

    Returns what was taken, and what is left in the store.
    """
    used = await _locked(connection, agreement, day, kind)
    left = max(limit - used, 0)
    taken = min(most, left) if left >= least else 0
    await _add(connection, agreement, day, kind, taken)
    return taken, left - taken


async def give_back(connection: AsyncConnection, agreement: str, day: date, kind: Kind, count: int) -> None:
    """What was reserved and not used."""
    await _add(connection, agreement, day, kind, -count)


async def note_subjects(
    connection: AsyncConnection, agreement: str, day: date, tags: Collection[bytes], limit: int
) -> int | None:
    """Counts the subjects that were not asked about today, all or none. Returns what is left, None when the quota has no room."""
    used = await _locked(connection, agreement, day, "subjects")
    column = agreement_subject.c
    found = await connection.execute(
        sa.select(column.tag).where(column.agreement == agreement, column.day == day, column.tag.in_(list(tags)))
    )
    new = set(tags) - {bytes(tag) for (tag,) in found}
    if used + len(new) > limit:
        return None
    rows = [{"agreement": agreement, "day": day, "tag": tag} for tag in new]
    await upsert(connection, agreement_subject, rows)
    await _add(connection, agreement, day, "subjects", len(new))
    return limit - used - len(new)


async def used_today(connection: AsyncConnection, agreements: Iterable[str], day: date) -> dict[str, dict[Kind, int]]:
    """What each agreement has used, with what replicas hold for requests to come."""
    column = agreement_use.c
    found = await connection.execute(
        sa.select(agreement_use).where(column.agreement.in_(list(agreements)), column.day == day)
    )
    return {row["agreement"]: {kind: row[kind] for kind in KINDS} for row in found.mappings()}


async def forget(connection: AsyncConnection, today: date) -> None:
    """Tags of past days, and counts older than `KEPT_DAYS`."""
    await connection.execute(sa.delete(agreement_subject).where(agreement_subject.c.day < today))
    oldest = today - timedelta(days=KEPT_DAYS)
    await connection.execute(sa.delete(agreement_use).where(agreement_use.c.day < oldest))


async def _locked(connection: AsyncConnection, agreement: str, day: date, kind: Kind) -> int:
    """What is used, read so that nobody else changes it before this transaction ends."""
    row = {"agreement": agreement, "day": day, "requests": 0, "rows": 0, "subjects": 0}
    await upsert(connection, agreement_use, [row], keep=KINDS)
    column = agreement_use.c
    found = sa.select(_COLUMNS[kind]).where(column.agreement == agreement, column.day == day).with_for_update()
    return int((await connection.execute(found)).scalar_one())


async def _add(connection: AsyncConnection, agreement: str, day: date, kind: Kind, count: int) -> None:
    if count:
        column = agreement_use.c
        await connection.execute(
            sa.update(agreement_use)
            .where(column.agreement == agreement, column.day == day)
            .values({kind: _COLUMNS[kind] + count})
        )
