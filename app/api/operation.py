"""Health, readiness, status and metrics. Readiness never depends on an agency."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from fastapi import Request, Response

from app.api.layer.bodies import answer
from app.api.layer.dependencies import services
from app.api.layer.exchange_layer import authenticate
from app.api.layer.resource import PUBLIC, Resource
from app.audit.write.witnessing import WitnessState
from app.errors import LogUnavailable, RoleForbidden, StoreUnavailable
from app.gateway.readiness import internal_query

routes = Resource("", "operation")
_READY_SECONDS = 5.0


@routes.get("/health/live", PUBLIC, summary="Is the process alive")
async def get_live() -> Response:
    """200 as long as the process answers at all."""
    return answer({"status": "ok"})


@routes.get("/health/ready", PUBLIC, summary="Can real queries be answered")
async def get_ready(request: Request) -> Response:
    """Stores open, log writable, and one query through all floors on an internal one-row dataset; else 503 with the reason."""
    state = services(request)
    checks: dict[str, str] = {}
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await state.database.ping()
            checks["store"] = "ok"
            if not state.log.healthy():
                raise LogUnavailable(state.log.last_error() or "the log cannot be written")
            checks["log"] = "ok"
            await internal_query(state)
            checks["query"] = "ok"
    except TimeoutError:
        raise StoreUnavailable("not ready within 5 s", checks=checks) from None
    return answer({"status": "ok", "checks": checks, "log_size": state.log.size()})


@routes.get("/status", PUBLIC, summary="What this gateway is")
async def get_status(request: Request) -> Response:
    """Instance, version, region, and the size of the signed log."""
    state = services(request)
    checkpoint = state.log.latest_checkpoint()
    document = {
        "instance": state.settings.instance,
        "region": state.settings.region,
        "bbox": state.settings.bbox,
        "version": version("simpul"),
        "log": {
            "origin": state.settings.origin,
            "signed_size": checkpoint.size if checkpoint else 0,
            "witnesses": [_witness(found) for found in state.log.witnesses],
        },
        "datasets": sum(1 for _ in state.sources.all()),
    }
    return answer(document)


def _witness(found: WitnessState) -> dict[str, Any]:
    seen = None if found.cosigned is None else datetime.fromtimestamp(found.cosigned.time, UTC)
    return {"name": found.witness.name, "size": found.size, "cosigned_at": seen, "fault": found.fault}


@routes.get("/metrics", PUBLIC, summary="Metrics", response_class=Response)
async def get_metrics(request: Request) -> Response:
    """Prometheus metrics, for the walidata and the supervisor. Labels hold route templates, never values."""
    state = services(request)
    caller = authenticate(state, request.headers.get("authorization"))
    if caller.role not in {"admin", "supervisor"}:
        raise RoleForbidden("metrics need the role admin or supervisor", rule="role")
    return Response(state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
