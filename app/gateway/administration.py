"""Every change of what the gateway knows: recorded before, one transaction, answered by the new state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from app.gateway.exchange import Exchange
from app.gateway.services import Services

Result = TypeVar("Result")


async def act(state: Services, exchange: Exchange, change: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """An admin action: intent, one transaction, then every snapshot of this process is fresh. The layer writes the outcome."""
    exchange.decide(allow=True, rule="role")
    await exchange.intend(state.log)
    async with state.database.begin() as connection:
        result = await change(connection)
    await state.current.refresh()
    return result
