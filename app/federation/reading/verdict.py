"""What an answer comes to, from the statuses of its legs: complete, partial, or refused. Every door is judged here and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from app.datasets.copies.faults import SnapshotGone
from app.errors import (
    AllSourcesFailed,
    AllSourcesTimedOut,
    FieldForbidden,
    PartialAnswerRefused,
    RecordNotFound,
    ServerOverloaded,
    SimpulError,
    SourceBusy,
    SourceRejected,
    SourceSchemaMismatch,
    SourceTimeout,
)
from app.federation.question.query import Query, SourceStatus, Status

ANSWERED: frozenset[Status] = frozenset({"ok", "stale"})
FAILED: frozenset[Status] = frozenset({"timeout", "unavailable", "rejected", "open_circuit", "schema_mismatch"})
ASKED = ANSWERED | FAILED


def is_complete(statuses: Sequence[SourceStatus], named: Collection[str] | None) -> bool:
    """Whether every source that this caller may ask answered to its end. A denied one counts where its agency was named."""
    return all(
        status.status in ANSWERED or (status.status == "denied" and (named is None or status.agency not in named))
        for status in statuses
    )


def judge(query: Query, statuses: Sequence[SourceStatus], rows: int, *, counted: bool = False) -> bool:
    """Whether the answer with these rows is complete; raises where it may not stand, with its legs.

    `AllSourcesFailed`, `AllSourcesTimedOut`, `ServerOverloaded`: nobody answered. `FieldForbidden`: nobody may be asked so,
    or somebody may not and the caller wants all or nothing.
    `SnapshotGone`: this page cannot come from the copy that the pages before came from.
    `PartialAnswerRefused`: somebody is missing, and the caller wants all or nothing. `RecordNotFound`: everybody looked.
    `counted`: the records are added up, so that one who could not be asked is missing as much as one who did not answer.
    """
    for status in statuses:
        if isinstance(status.problem, SnapshotGone):
            raise with_legs(SnapshotGone(f"{status.agency}: {status.problem.detail}"), statuses)
    failed = [status for status in statuses if status.status in FAILED]
    answered = any(status.status in ANSWERED for status in statuses) or rows > 0
    if failed and not answered:
        raise _nobody(failed, statuses)
    refused = [status.problem for status in statuses if isinstance(status.problem, FieldForbidden)]
    left_out = any(status.status == "skipped" and isinstance(status.problem, FieldForbidden) for status in statuses)
    if refused and (not answered or (left_out and query.partial == "never")):
        raise with_legs(FieldForbidden(refused[0].detail, rule=refused[0].facts.get("rule")), statuses)
    complete = is_complete(statuses, query.agencies)
    if counted and query.partial == "never" and not complete:
        names = missing([status for status in statuses if status.problem is not None], statuses)
        detail = f"{names} cannot be counted in; send Prefer: partial=allow to go on without"
        raise with_legs(PartialAnswerRefused(detail, sources=statuses), statuses)
    alone = query.key is not None and not rows
    if failed and (query.partial == "never" or alone):
        raise with_legs(PartialAnswerRefused(f"no answer from {missing(failed, statuses)}", sources=statuses), statuses)
    if alone:
        raise with_legs(RecordNotFound(sources=statuses), statuses)
    return complete


def status_of(error: SimpulError) -> Status:
    """The status of a leg that ended in this fault."""
    if isinstance(error, SourceTimeout):
        return "timeout"
    if isinstance(error, SourceSchemaMismatch):
        return "schema_mismatch"
    return "rejected" if isinstance(error, SourceRejected) else "unavailable"


def missing(failed: Sequence[SourceStatus], statuses: Sequence[SourceStatus]) -> str:
    """Who did not answer: agencies; with the dataset where another one of the agency is no part of it."""
    others = {status.agency for status in statuses if status not in failed}
    return ", ".join(
        sorted({f"{one.agency} ({one.dataset})" if one.agency in others else one.agency for one in failed})
    )


def with_legs(error: SimpulError, statuses: Sequence[SourceStatus]) -> SimpulError:
    """The error with what each source did, for the log."""
    error.legs = statuses
    return error


def _nobody(failed: Sequence[SourceStatus], statuses: Sequence[SourceStatus]) -> SimpulError:
    names = missing(failed, statuses)
    if all(isinstance(status.problem, SourceBusy) for status in failed):
        return with_legs(ServerOverloaded(f"too much is asked of {names} at once", retry_after_seconds=1), statuses)
    kind = AllSourcesTimedOut if all(status.status == "timeout" for status in failed) else AllSourcesFailed
    return with_legs(kind(f"no answer from {names}", sources=statuses), statuses)
