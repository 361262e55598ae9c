"""The question behind `/health/ready` goes through mapping, decision and merge without any agency."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.errors import StoreUnavailable
from app.federation.reading.breaker import Guards
from app.federation.reading.runtime import Runtime
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


@pytest.mark.parametrize("row", [("33.21", "Demak"), ("no code", "Jepara"), ("33.20", None)])
async def test_a_process_in_which_the_one_record_does_not_come_out_is_not_ready(
    row: tuple[str | None, ...],
):
    with pytest.raises(StoreUnavailable):
        await internal_query(Running(), row)  # type: ignore[arg-type]
