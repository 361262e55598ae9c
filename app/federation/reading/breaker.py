"""Circuit breakers and bulkheads, one of each per connector, in memory of one process.

A circuit opens after failures in a row, rests, then lets one probe through. A refusal (the caller's fault) is no failure.
It keeps the fault that opened it, and closes when the source is another one: a new revision, a new upload.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from app.errors import (
    NetworkForbidden,
    SimpulError,
    SourceBusy,
    SourceCircuitOpen,
    SourceRejected,
    SourceSchemaMismatch,
    SourceSuspended,
)
from app.federation.reading.bulkhead import Bulkhead

CircuitState = Literal["closed", "open", "half_open"]
NO_FAULT_OF_SOURCE = (SourceRejected, SourceSchemaMismatch, SourceSuspended, NetworkForbidden, SourceBusy)
"""Errors that say nothing about the health of a source: its circuit stays as it is."""
Mark = tuple[int, str | None]
"""What a source is: the revision of its manifest and the version of its content (None where that cannot be told)."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit for people: failures in a row, the fault behind them, since when it is open, when it is tried again at the earliest."""

    state: CircuitState
    failures: int
    cause: SimpulError | None = None
    since: datetime | None = None
    next_try: datetime | None = None


@dataclass(slots=True)
class Breaker:
    """One circuit. `allow` asks for permission; each permitted call must end in `succeed`, `fail` or `release`."""

    failures_to_open: int
    rest_seconds: float
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    opened_at: float | None = None
    """When it was opened last, by a probe that failed too."""
    opened_first: float | None = None
    """When it was opened."""
    probing: bool = False
    cause: SimpulError | None = None
    """The last fault of the source."""
    failed_at: Mark | None = None
    """What failed: revision and version."""

    @property
    def state(self) -> CircuitState:
        """closed: calls pass; open: none does; half_open: one probe may."""
        if self.opened_at is None:
            return "closed"
        return "half_open" if self.clock() - self.opened_at >= self.rest_seconds else "open"

    def allow(self) -> bool:
        """Whether a call may be made now."""
        state = self.state
        if state == "closed":
            return True
        if state == "half_open" and not self.probing:
            self.probing = True
            return True
        return False

    def succeed(self) -> None:
        """The source answered."""
        self.failures, self.opened_at, self.probing, self.cause, self.failed_at = 0, None, False, None, None
        self.opened_first = None

    def renew(self, mark: Mark) -> bool:
        """Closes the circuit when the source is not the one that failed; says whether it did."""
        if self.opened_at is None or mark == self.failed_at:
            return False
        self.succeed()
        return True

    def fail(self, cause: SimpulError | None = None, mark: Mark | None = None) -> None:
        """The source of this mark failed or was too slow."""
        self.failures += 1
        self.cause, self.failed_at = cause or self.cause, mark
        self.probing = False
        if self.opened_at is not None or self.failures >= self.failures_to_open:
            self.opened_at = self.clock()
            self.opened_first = self.opened_at if self.opened_first is None else self.opened_first

    def report(self, now: datetime) -> Circuit:
        """How it stands at this moment."""
        if self.opened_at is None or self.opened_first is None:
            return Circuit("closed", self.failures, self.cause)
        passed = self.clock()
        since = now - timedelta(seconds=passed - self.opened_first)
        next_try = now + timedelta(seconds=max(self.rest_seconds - (passed - self.opened_at), 0.0))
        return Circuit(self.state, self.failures, self.cause, since, next_try)

    def refusal(self) -> SourceCircuitOpen:
        """What a caller is told while the circuit is open, with the fault that opened it."""
        why = f": {self.cause.code}, {self.cause.detail}" if self.cause is not None else ""
        code = self.cause.code if self.cause is not None else None
        left = 0.0 if self.opened_at is None else self.rest_seconds - (self.clock() - self.opened_at)
        seconds = max(math.ceil(left), 1)
        detail = f"the source failed {self.failures} times in a row and is being rested; it is tried again by itself in {seconds} s{why}"
        return SourceCircuitOpen(detail, cause=code, retry_after_seconds=seconds)

    def release(self) -> None:
        """The call ended without saying anything about the source (cancelled, refused)."""
        self.probing = False


@dataclass(slots=True)
class Guards:
    """Breakers and bulkheads by connector, made when first asked for."""

    failures_to_open: int
    rest_seconds: float
    concurrency: int
    breakers: dict[str, Breaker] = field(default_factory=dict)
    bulkheads: dict[str, Bulkhead] = field(default_factory=dict)

    def breaker(self, connector: str) -> Breaker:
        """The connector's circuit."""
        found = self.breakers.get(connector)
        if found is None:
            found = self.breakers[connector] = Breaker(self.failures_to_open, self.rest_seconds)
        return found

    def bulkhead(self, connector: str, slots: int | None = None) -> Bulkhead:
        """The connector's slots for scans at once, shared by clients; `slots`: as its manifest has it, not above the gateway's own."""
        wanted = self.concurrency if slots is None else min(slots, self.concurrency)
        found = self.bulkheads.get(connector)
        if found is None or found.slots != wanted:
            found = self.bulkheads[connector] = Bulkhead(wanted, quick_shares=False)
        return found
