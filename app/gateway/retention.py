"""Retention: details of exchanges go when the time is over that their agreement keeps them. Entries, proofs and tags stay.

Once an hour, by one replica. Each batch is an `erasure` entry before it goes; what a legal hold names stays until it is released.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from app.access.agreements import Agreement
from app.audit.entry.members import EXCHANGE_OPS
from app.audit.entry.record import Caller, Gateway
from app.audit.erasure import requests as governance
from app.audit.erasure.carrying_out import Order, Selection, carry_out
from app.catalog import turns
from app.errors import SimpulError
from app.gateway.services import Services

log = structlog.get_logger("simpul.retention")

EVERY_SECONDS: Final = 3600.0
_LOOK_SECONDS: Final = 60.0
_TURN: Final = "retention"
_CALLER: Final = "retention"
_OPS: Final = (*sorted(EXCHANGE_OPS), "job.result", "records.conflicts")
"""What is asked under an agreement; how it was proposed and signed is no detail of an exchange."""


class Retention:
    """The retention of one process."""

    def __init__(self, state: Services, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks from now on whether it is time."""
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Ends; what a batch began is recorded, and goes on at the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def sweep(self, now: datetime) -> int:
        """Erases every detail whose time is over at this moment; how many went. Raises `LogUnavailable`, `StoreUnavailable`."""
        went = 0
        for agreement in self._state.current.snapshot.granted.agreements.values():
            if agreement.terms.detail_days is not None:
                went += await self._erased(agreement, agreement.terms.detail_days, now)
                async with self._state.database.begin() as connection:
                    await turns.keep(connection, _TURN, self._gateway.replica, datetime.now(UTC))
        return went

    async def _erased(self, agreement: Agreement, days: int, now: datetime) -> int:
        state, ends = self._state, now - timedelta(days=days)
        selection = Selection(to_us=round(ends.timestamp() * 1e6), terms=(f"agreement:{agreement.id}",), ops=_OPS)
        order = Order(
            op="erasure.retention",
            selection=selection,
            holds=await self._holds(),
            by=Caller(state.names.member(agreement.terms.provider), _CALLER, "gateway"),
            gateway=self._gateway,
            basis=f"Agreement {agreement.id} keeps details {days} days",
            request=f"agreement {agreement.id}",
            before_idx=state.log.size(),
        )
        done = await carry_out(state.log, order)
        if done.details:
            log.info("details_expired", agreement=agreement.id, details=done.details, entries=done.entries)
        return done.details

    async def _holds(self) -> tuple[Selection, ...]:
        async with self._state.database.read() as connection:
            found = await governance.list_holds(connection, active=True)
        return tuple(governance.read_selection(hold.selection) for hold in found)

    async def _follow(self) -> None:
        while True:
            try:
                await self._when_it_is_time()
            except SimpulError as error:
                log.warning("retention_not_done", code=error.code)
            except Exception as error:
                log.exception("retention_not_done", kind=type(error).__name__, exc_info=error)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _when_it_is_time(self) -> None:
        database, now = self._state.database, datetime.now(UTC)
        async with database.begin() as connection:
            mine = await turns.take(connection, _TURN, self._gateway.replica, now)
        if not mine:
            return
        next_at = now + timedelta(seconds=_LOOK_SECONDS)
        try:
            await self.sweep(now)
            next_at = now + timedelta(seconds=EVERY_SECONDS)
        finally:
            async with database.begin() as connection:
                await turns.end(connection, _TURN, self._gateway.replica, next_at)
