"""`/v1/connectors/{connector}/health` and `…/snapshot`: does the source answer, what protects it, what is kept of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import Request, Response

from app.api.layer.bodies import answer
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.resource import STEWARDS, Resource, Rule
from app.api.registry import health_wire as wire
from app.connectors.steps import step_of
from app.errors import SimpulError
from app.gateway import connectors as work
from app.gateway import health
from app.gateway.health import SnapshotHealth

routes = Resource("/v1/connectors", "connectors")


@routes.get(
    "/{connector}/health",
    Rule("catalogue", STEWARDS),
    summary="Health of a connector",
    answer=wire.HealthAnswer,
    example=wire.HEALTHY,
)
async def get_health(connector: str, request: Request) -> Response:
    """Whether it is open, its circuit and the fault that opened it, what scheduled checks found, its snapshot, the last success and error.

    A new revision or upload closes the circuit. Checks are made by one process for all; each process has a circuit of its own.
    """
    only_parameters(request)
    state = services(request)
    record = await work.owned(state, principal(request), connector)
    found = await health.report(state, connector)
    circuit, noted, probes = found.circuit, found.noted, [asdict(run) for run in found.probes]
    cause = circuit.cause if circuit.state != "closed" else None
    document = {
        "connector": connector,
        "state": record.state,
        "circuit": circuit.state,
        "circuit_cause": _brief(cause),
        "circuit_step": step_of(cause) if cause else None,
        "circuit_failures": circuit.failures,
        "circuit_since": circuit.since,
        "circuit_next_try": circuit.next_try,
        "problem": _brief(found.problem),
        "limits": asdict(found.limits) if found.limits else None,
        "check_seconds": found.check_seconds,
        "checks": [{name: value for name, value in run.items() if name != "connector"} for run in probes],
        "snapshot": snapshot_document(found.snapshot),
        "last_success_at": noted.last_success_at if noted else None,
        "last_error": noted.last_error if noted else None,
        "last_error_at": noted.last_error_at if noted else None,
    }
    return answer(document)


@routes.delete(
    "/{connector}/snapshot",
    Rule("connector.forget_snapshot", STEWARDS, "admin"),
    summary="Remove the snapshots of a connector",
    answer=wire.ForgottenAnswer,
    example=wire.FORGOTTEN,
)
async def delete_snapshot(connector: str, request: Request) -> Response:
    """Their keys and files go at once, and no read is answered from them any more: for what was erased or corrected at the source.

    The next one is taken at once; until it stands reads ask the source. Another process of the gateway follows within a second.
    """
    only_parameters(request)
    removed = await health.forget(services(request), exchange(request), connector)
    return answer({"connector": connector, "removed": removed})


def _brief(error: SimpulError | None) -> dict[str, Any] | None:
    return {"code": error.code, "detail": error.detail} if error is not None else None


def snapshot_document(found: SnapshotHealth | None) -> dict[str, Any] | None:
    """A snapshot as it is answered."""
    if found is None:
        return None
    stored, failed = found.stored, found.failed
    return {
        "id": stored.id if stored else None,
        "age": found.age,
        "as_of": stored.as_of if stored else None,
        "fresh_until": found.fresh_until,
        "next_at": found.next_at,
        "rows": stored.rows if stored else None,
        "rejected_rows": stored.rejected_rows if stored else None,
        "size_bytes": stored.size_bytes if stored else None,
        "digest": stored.digest if stored else None,
        "problem": {
            "code": failed.error.code,
            "detail": failed.error.detail,
            "at": failed.at,
            "since": failed.since,
            "failures": failed.failures,
        }
        if failed
        else None,
    }
