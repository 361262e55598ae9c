"""Jobs of a process that has ended: the next one has another name, and they fail all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.catalog import jobs
from app.catalog.jobs import SILENT_SECONDS, Job
from app.database import Database, upgrade
from app.settings import Settings

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def job(number: int, replica: str, seen_seconds_ago: float) -> Job:
    return Job(
        id=f"job-{number}", client="c", replica=replica, op="export", schemas=["wilayah"], form="csv", state="running",
        created_at=NOW, seen_at=NOW - timedelta(seconds=seen_seconds_ago), expires_at=NOW + timedelta(hours=24),
    )  # fmt: skip


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
async def test_jobs_fail_when_their_process_is_silent_and_at_once_when_its_name_starts_again(
    request: pytest.FixtureRequest, tmp_path: Path, store: str
) -> None:
    url = SecretStr(request.getfixturevalue("postgres_url")) if store == "postgresql" else None
    settings = Settings(dir=tmp_path, database_url=url)
    upgrade(settings)
    database = Database.open(settings)
    try:
        async with database.begin() as connection:
            for number, (replica, silent) in enumerate(
                [("host-1-aa", SILENT_SECONDS + 1), ("host-1-bb", 1), ("SIMPUL", 1)]
            ):
                await jobs.add(connection, job(number, replica, silent))
            await jobs.close_orphans(connection, NOW, "host-1-cc")
            states = [(await jobs.find(connection, f"job-{number}")).state for number in range(3)]  # type: ignore[union-attr]
            await jobs.close_orphans(connection, NOW, "SIMPUL")
            embedded = await jobs.find(connection, "job-2")
    finally:
        await database.close()
    assert states == ["failed", "running", "running"]
    assert embedded is not None
    assert (embedded.state, embedded.error_code) == ("failed", "job_interrupted")
