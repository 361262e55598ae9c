"""The question behind `/health/ready` goes through mapping, decision and merge without any agency."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.errors import SimpulError
from app.federation.reading.breaker import Guards
from app.federation.reading.executor import Runtime
from app.gateway.readiness import internal_query

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Running:
    """Services that can run a question."""

    runtime: Runtime = field(default_factory=lambda: Runtime(Guards(1, 60.0, 2)))


async def test_a_sound_process_answers_itself_again_and_again():
    running = Running()
    for _ in range(3):
        await internal_query(running)  # type: ignore[arg-type]

    assert running.runtime.circuit("internal-ready") == "closed"


async def test_a_process_that_cannot_read_is_not_ready():
    running = Running()
    running.runtime.guards.breaker("internal-ready").fail()
    with pytest.raises(SimpulError):
        await internal_query(running)  # type: ignore[arg-type]
