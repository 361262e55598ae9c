"""Under which agreements an exchange reads: their formats and quotas hold before any source is asked, and before anything leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final, Protocol

from app.access.quotas import Quota
from app.access.snapshot import AccessSnapshot
from app.errors import AccessDenied, AgreementNotActive
from app.federation.question.query import DatasetRef, SourceStatus
from app.gateway.access import Gate
from app.gateway.exchange import Exchange, Log
from app.gateway.quotas import Quotas

SUNSET_DAYS: Final = 60


class FormatForbidden(AccessDenied):
    """The agreement does not let answers leave in this format. `allowed` in the facts."""

    code = "format_not_granted"


class Means(Protocol):
    """What is needed of the services."""

    @property
    def access(self) -> Gate:
        """The present agreements."""

    @property
    def log(self) -> Log:
        """Where the intent is recorded."""

    @property
    def quotas(self) -> Quotas:
        """What is left today."""


async def begin(means: Means, exchange: Exchange, refs: Iterable[DatasetRef]) -> None:
    """Checks formats and quotas of the agreements that the datasets are read under, counts the request, makes the intent durable.

    Must return before any source is asked. Raises `FormatForbidden`, `AgreementQuotaSpent`, `LogUnavailable`.
    """
    used: dict[str, tuple[str, ...]] = {}
    for ref in refs:
        if ref.grant is not None and ref.grant.agreement is not None:
            used[ref.grant.agreement] = (*used.get(ref.grant.agreement, ()), ref.dataset)
    if used:
        exchange.reads_under(used)
        agreements = means.access.snapshot.agreements
        for name in used:
            terms = agreements[name].terms if name in agreements else None
            if terms is None:
                continue  # gone meanwhile: nothing leaves under it (`settle`)
            if terms.formats and exchange.form not in terms.formats:
                allowed = ", ".join(terms.formats)
                detail = (
                    f"Agreement {name} lets answers leave as {allowed}, not as {exchange.form}: ask for one of these."
                )
                raise FormatForbidden(detail, rule="format_not_granted", agreement=name, allowed=list(terms.formats))
            if terms.quota is not None:
                await _count_request(means.quotas, name, terms.quota)
    await exchange.intend(means.log)


async def _count_request(quotas: Quotas, agreement: str, quota: Quota) -> None:
    if quota.rows is not None:
        await quotas.take(agreement, "rows", quota.rows, 0)
    if quota.requests is not None and not quotas.take_at_once(agreement, "requests", quotas.today(), 1):
        await quotas.take(agreement, "requests", quota.requests, 1)


async def settle(quotas: Quotas, snapshot: AccessSnapshot, exchange: Exchange) -> None:
    """Counts the rows of a finished answer, before anything of it leaves.

    Raises `AgreementQuotaSpent`, or `AgreementNotActive` when an agreement ended meanwhile: then nothing leaves.
    """
    if not exchange.under:
        return
    _check_in_force(snapshot, exchange, quotas.today())
    if not exchange.rows:
        return
    for name, limit in _row_limits(snapshot, exchange):
        count = min(exchange.rows, _rows_of(exchange.sources, exchange.under[name]))
        if count:
            await quotas.take(name, "rows", limit, count, ahead=0)


def check_rows(
    quotas: Quotas, snapshot: AccessSnapshot, exchange: Exchange, sources: Sequence[SourceStatus], rows: int
) -> None:
    """While an answer is read: the same, as soon as it cannot leave any more. Counts nothing."""
    if exchange.under:
        _check_in_force(snapshot, exchange, quotas.today())
        for name, limit in _row_limits(snapshot, exchange):
            left = quotas.left_at_most(name, "rows", limit)
            if min(rows, _rows_of(sources, exchange.under[name])) > left:
                raise quotas.spent(name, "rows", limit, quotas.left_here(name, "rows", limit))


def sunset(snapshot: AccessSnapshot, exchange: Exchange, today: date) -> date | None:
    """The last day of the agreement that ends first, of those that the exchange rests on, where it is near."""
    if exchange.closing != "outcome" or exchange.allowed is False:
        return None
    names = {*exchange.under, *([exchange.agreement] if exchange.agreement else ())}
    ends = [snapshot.agreements[name].terms.valid_until for name in names if name in snapshot.agreements]
    last = min(ends, default=None)
    return last if last is not None and last - today <= timedelta(days=SUNSET_DAYS) else None


def _check_in_force(snapshot: AccessSnapshot, exchange: Exchange, today: date) -> None:
    """An answer that was begun under an agreement leaves only while it is in force."""
    for name in exchange.under:
        found = snapshot.agreements.get(name)
        state = found.state_on(today) if found is not None else "ended"
        if state != "active":
            detail = f"Agreement {name} is {state} since this answer was begun: nothing of it leaves."
            raise AgreementNotActive(detail, rule=f"agreement_{state}", agreement=name, state=state)


def _row_limits(snapshot: AccessSnapshot, exchange: Exchange) -> list[tuple[str, int]]:
    found = []
    for name in exchange.under:
        quota = snapshot.agreements[name].terms.quota if name in snapshot.agreements else None
        if quota is not None and quota.rows is not None:
            found.append((name, quota.rows))
    return found


def _rows_of(sources: Sequence[SourceStatus], datasets: Sequence[str]) -> int:
    return sum(source.rows for source in sources if source.dataset in datasets)
