"""Every change of what the gateway knows: recorded before, one transaction, answered by the new state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import AuthenticationError, SimpulError
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


async def act_by_proof(
    state: Services, exchange: Exchange, change: Callable[[AsyncConnection], Awaitable[Result]], *, status: int
) -> Result:
    """As `act`, for a client that proves itself in the request and not by a token: the whole exchange is recorded here.

    `status`: what a success is answered with. The entry has no commitment to the answer.
    """
    await exchange.intend(state.log)
    told = 500
    try:
        async with state.database.begin() as connection:
            result = await change(connection)
        told = status
    except SimpulError as error:
        exchange.failed(error=error.code, reason=error.detail)
        told = 401 if isinstance(error, AuthenticationError) else 503
        raise
    finally:
        try:
            await exchange.close(state.log, status=told, size=0, commitment=None)
        except SimpulError:
            state.unclosed.add(exchange)
            raise
    await state.current.refresh()
    return result
