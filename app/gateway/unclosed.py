"""Exchanges that ended while the log could not be written: this gateway closes its own as soon as it can be again."""

from __future__ import annotations

import structlog

from app.audit.entry.members import CLOSERS
from app.audit.write.log import ExchangeLog
from app.errors import SimpulError
from app.gateway.exchange import Exchange

log = structlog.get_logger("simpul.unclosed")

_MOST = 100_000
_CLOSED = f"SELECT 1 FROM log_entry WHERE xid = $1 AND kind IN ({', '.join(repr(kind) for kind in sorted(CLOSERS))})"  # noqa: S608 - words of this program


class Unclosed:
    """Those of one process. What is too many to remember is closed by the next start."""

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self._waiting: list[Exchange] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, exchange: Exchange) -> None:
        """One whose intent stands and whose outcome could not be written."""
        if exchange.intended and not exchange.closed and len(self._waiting) < self._most:
            self._waiting.append(exchange)

    async def close(self, written: ExchangeLog) -> None:
        """Closes what waits, if the log takes it. A commit whose answer was lost may have closed it already: that is looked up."""
        if not self._waiting or not written.healthy():
            return
        count = 0
        while self._waiting:
            exchange = self._waiting[-1]
            try:
                if not await written.reader.fetch(_CLOSED, exchange.id):
                    await exchange.abort(written)
                    count += 1
            except SimpulError:
                return
            self._waiting.remove(exchange)  # others may have come behind it meanwhile
        if count:
            log.warning("exchanges_closed_late", count=count)
