"""Models of what is answered about the health of a connector, with their examples. They document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.layer.answers import Answer, Digest, Id, Moment, Numbered, ProblemBrief, Whole
from app.catalog.states import State
from app.federation.reading.breaker import CircuitState

Step = Annotated[str, Field(max_length=32, description="dns, tcp, tls, auth, permission, read or columns")]
Milliseconds = Annotated[float, Field(ge=0, le=86_400_000, json_schema_extra={"format": "double"})]
Seconds = Annotated[float, Field(ge=0, le=1e9, json_schema_extra={"format": "double"})]
Told = Annotated[str, Field(max_length=4000)]


class LimitsAnswer(Answer):
    """What the source is asked at most: the smaller of the manifest and the gateway. For each process of the gateway."""

    deadline_seconds: Seconds
    concurrency: Whole = Field(description="Reads at once")
    rate: Annotated[str, Field(max_length=20)] | None = Field(
        description="Requests or reads in a time; null: any number"
    )


class ProbeAnswer(Answer):
    """Scheduled checks in a row that found the same."""

    passed: bool
    since: Moment
    at: Moment = Field(description="When the last of them was made")
    checks: Whole
    elapsed_ms: Milliseconds
    step: Step | None = Field(description="The stage that failed")
    code: Id | None
    detail: Told | None
    revision: Numbered


class SnapshotFault(Answer):
    """Why no newer snapshot could be taken, and since when none could."""

    code: Id
    detail: Told
    at: Moment
    since: Moment
    failures: Whole = Field(description="Tries in a row; 0: it was taken and cannot be read")


class SnapshotAnswer(Answer):
    """The snapshot that answers; null members where none was taken yet of the dataset as it is mapped now."""

    id: Id | None
    age: Literal["fresh", "stale", "over"] | None = Field(
        description="fresh: as promised; stale: stands in for a source that fails; over: reads ask the source"
    )
    as_of: Moment | None
    fresh_until: Moment | None
    next_at: Moment | None = Field(description="When the next one is begun")
    rows: Whole | None
    rejected_rows: Whole | None
    size_bytes: Whole | None
    digest: Digest | None = Field(description="SHA-256 of the sealed file")
    problem: SnapshotFault | None


class HealthAnswer(Answer):
    """Whether a connector is open, its circuit, its limits, what scheduled checks found, its snapshot, the last success and error."""

    connector: Id
    state: State
    circuit: CircuitState = Field(description="Of the process that answers; each has its own")
    circuit_cause: ProblemBrief | None = Field(description="The fault that opened the circuit")
    circuit_step: Step | None = Field(description="How far the question came that opened it")
    circuit_failures: Whole = Field(description="Failures in a row")
    circuit_since: Moment | None
    circuit_next_try: Moment | None = Field(description="When the source is tried again at the earliest")
    problem: ProblemBrief | None = Field(description="Why the connector could not be opened")
    limits: LimitsAnswer | None = Field(description="Null where it is not open")
    check_seconds: Seconds | None = Field(description="Time between two scheduled checks; null: there are none")
    checks: list[ProbeAnswer] = Field(max_length=100, description="The history, the newest first")
    snapshot: SnapshotAnswer | None = Field(description="Null where the manifest asks for none")
    last_success_at: Moment | None
    last_error: Id | None
    last_error_at: Moment | None


class ForgottenAnswer(Answer):
    """How many snapshots went."""

    connector: Id
    removed: Whole


_AT = "2026-11-20T03:15:00Z"
HEALTHY: dict[str, Any] = {
    "connector": "dinkes-faskes",
    "state": "published",
    "circuit": "closed",
    "circuit_cause": None,
    "circuit_step": None,
    "circuit_failures": 0,
    "circuit_since": None,
    "circuit_next_try": None,
    "problem": None,
    "limits": {"deadline_seconds": 10.0, "concurrency": 2, "rate": "5/s"},
    "check_seconds": 300.0,
    "checks": [
        {
            "passed": True,
            "since": _AT,
            "at": "2026-11-20T04:00:00Z",
            "checks": 10,
            "elapsed_ms": 41.5,
            "step": None,
            "code": None,
            "detail": None,
            "revision": 2,
        }
    ],
    "snapshot": {
        "id": "019f3c1e-5b7a-7c20-9d11-3a6a0b8f4e21",
        "age": "fresh",
        "as_of": _AT,
        "fresh_until": "2026-11-20T04:15:00Z",
        "next_at": "2026-11-20T04:09:58Z",
        "rows": 45,
        "rejected_rows": 1,
        "size_bytes": 18_211,
        "digest": "3c4d5e6f708192a3b4c5d6e7f8091a2b8d2c1a5e0f4b7c9360a1e2d3f4b5c6d7",
        "problem": None,
    },
    "last_success_at": "2026-11-20T04:00:00Z",
    "last_error": "source_timeout",
    "last_error_at": "2026-11-18T22:40:00Z",
}
FORGOTTEN: dict[str, Any] = {"connector": "dinkes-faskes", "removed": 2}
