"""The table of jobs: what was asked (never its values), how far it is, what came of it. Running them: `gateway/jobs.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.database import Json, UtcTime, metadata

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
SILENT_SECONDS = 30

job = Table(
    "job",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("client", String(128), nullable=False),
    Column("replica", String(255), nullable=False),
    Column("op", String(32), nullable=False),
    Column("schemas", Json, nullable=False),
    Column("form", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("facts", Json, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("sources", Json, nullable=False),
    Column("error_code", String(64)),
    Column("error_detail", Text),
    Column("size_bytes", BigInteger),
    Column("digest", String(128)),
    Column("sealed_key", LargeBinary),
    Column("nonce", LargeBinary),
    Column("key_id", String(64)),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "client"),
    Index(None, "expires_at"),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One row. `facts` hold what is needed to decide about the result again: policy, purpose, agreement, fields."""

    id: str
    client: str
    replica: str
    op: str
    schemas: Sequence[str]
    form: str
    state: JobState
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 0
    sources: Sequence[Mapping[str, Any]] = ()
    error_code: str | None = None
    error_detail: str | None = None
    size_bytes: int | None = None
    digest: str | None = None
    sealed_key: bytes | None = field(default=None, repr=False)
    nonce: bytes | None = field(default=None, repr=False)
    key_id: str | None = None
    finished_at: datetime | None = None


async def add(connection: AsyncConnection, new: Job) -> None:
    """A new job."""
    await connection.execute(insert(job).values({name: getattr(new, name) for name in job.c.keys()}))  # noqa: SIM118


async def find(connection: AsyncConnection, job_id: str) -> Job | None:
    """The job with this id."""
    row = (await connection.execute(select(job).where(job.c.id == job_id))).mappings().first()
    return Job(**row) if row is not None else None


async def waiting(connection: AsyncConnection, client: str) -> int:
    """How many jobs of a client are not finished."""
    wanted = select(job.c.id).where(job.c.client == client, job.c.state.in_(("queued", "running")))
    return len((await connection.execute(wanted)).all())


async def kept(connection: AsyncConnection, client: str) -> list[int]:
    """The sizes of a client's results that stand there, in bytes."""
    wanted = select(job.c.size_bytes).where(job.c.client == client, job.c.state == "done")
    return [size or 0 for size in (await connection.execute(wanted)).scalars()]


async def change(connection: AsyncConnection, job_id: str, **values: Any) -> bool:
    """Changes a job that is not finished; False when it is finished (cancelled elsewhere) or gone."""
    wanted = update(job).where(job.c.id == job_id, job.c.state.in_(("queued", "running"))).values(**values)
    return (await connection.execute(wanted)).rowcount == 1


async def close_orphans(connection: AsyncConnection, moment: datetime, replica: str | None) -> None:
    """Fails what nobody runs any more: those that were silent too long, and at once the jobs of `replica`, which has just
    started. Only an embedded gateway has the name that its former process had; of others silence is the only sign.
    """
    silent = job.c.seen_at < moment - timedelta(seconds=SILENT_SECONDS)
    lost = silent if replica is None else silent | (job.c.replica == replica)
    await connection.execute(
        update(job)
        .where(job.c.state.in_(("queued", "running")), lost)
        .values(
            state="failed",
            error_code="job_interrupted",
            error_detail="the gateway stopped while this job was under way; nothing was released; ask again",
            finished_at=moment,
        )
    )


async def expired(connection: AsyncConnection, moment: datetime) -> list[str]:
    """Finished jobs whose time is over."""
    ended = job.c.state.not_in(("queued", "running"))
    return list((await connection.execute(select(job.c.id).where(job.c.expires_at < moment, ended))).scalars())


async def forget(connection: AsyncConnection, job_id: str) -> None:
    """Removes a job."""
    await connection.execute(delete(job).where(job.c.id == job_id))
