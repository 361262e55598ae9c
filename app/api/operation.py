"""Health, readiness, status and metrics. Readiness never depends on an agency."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field

from app.api.layer.admittance import authenticate
from app.api.layer.answers import Answer, Moment, Name, Told, Whole
from app.api.layer.bodies import answer
from app.api.layer.dependencies import services
from app.api.layer.resource import PUBLIC, Resource
from app.audit.write.witnessing import WitnessState
from app.errors import LogUnavailable, RoleForbidden, StoreUnavailable
from app.extensions import CONNECTORS, Extension
from app.gateway import extensions
from app.gateway.readiness import internal_query

routes = Resource("", "operation")
_READY_SECONDS = 5.0

Degree = Annotated[float, Field(ge=-180, le=180)]


class LiveAnswer(Answer):
    """The process answers."""

    status: Literal["ok"]


class ReadyChecks(Answer):
    """What was tried, in this order."""

    store: Literal["ok"]
    log: Literal["ok"]
    query: Literal["ok"]


class ReadyAnswer(Answer):
    """Real queries can be answered."""

    status: Literal["ok"]
    checks: ReadyChecks
    log_size: Whole = Field(description="Entries of the log")


class WitnessAnswer(Answer):
    """What a witness holds of the log; null where it was not asked yet."""

    name: Annotated[str, Field(max_length=255)]
    size: Whole | None
    cosigned_at: Moment | None
    fault: Told | None = Field(description="Why it gave no cosignature when it was asked last")


class LogStatus(Answer):
    """The signed log."""

    origin: Annotated[str, Field(max_length=255)]
    signed_size: Whole
    witnesses: list[WitnessAnswer] = Field(max_length=100)


class ExtensionAnswer(Answer):
    """A kind of connector or a schema that an installed package brings."""

    kind: Literal["connector", "schema"]
    name: Annotated[str, Field(max_length=200)]
    package: Annotated[str, Field(max_length=200)]
    version: Annotated[str, Field(max_length=64)]
    refused: Literal["not_loaded", "wrong_object", "contract_version", "name_taken"] | None = Field(
        description="Why it is not there; null: it is taken. `simpul extensions` tells the details"
    )


class StatusAnswer(Answer):
    """What this gateway is."""

    instance: Name
    region: Annotated[str, Field(max_length=13, description="Kemendagri code of the region served")]
    bbox: Annotated[list[Degree], Field(min_length=4, max_length=4, description="West, south, east, north (CRS84)")]
    version: Annotated[str, Field(max_length=64)]
    log: LogStatus
    datasets: Whole = Field(description="Datasets that are published")
    extensions: list[ExtensionAnswer] = Field(
        max_length=1000, description="What installed packages bring; empty for most gateways"
    )


_STATUS = {
    "instance": "ID-JEPARA",
    "region": "33.20",
    "bbox": [110.15, -6.95, 111.05, -5.7],
    "version": "1.0.0",
    "log": {
        "origin": "simpul.jepara.example/log",
        "signed_size": 184211,
        "witnesses": [
            {
                "name": "saksi.inspektorat.jepara.example",
                "size": 184211,
                "cosigned_at": "2026-11-20T04:00:00Z",
                "fault": None,
            }
        ],
    },
    "datasets": 12,
    "extensions": [
        {"kind": "connector", "name": "fixed", "package": "simpul-fixed", "version": "1.0", "refused": None}
    ],
}
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Metrics in the text format of Prometheus.",
        "content": {"text/plain": {"schema": {"type": "string", "maxLength": 16_777_216}}},
    },
}


@routes.get("/health/live", PUBLIC, summary="Is the process alive", answer=LiveAnswer, example={"status": "ok"})
async def get_live() -> Response:
    """200 as long as the process answers at all."""
    return answer({"status": "ok"})


@routes.get(
    "/health/ready",
    PUBLIC,
    summary="Can real queries be answered",
    answer=ReadyAnswer,
    example={"status": "ok", "checks": {"store": "ok", "log": "ok", "query": "ok"}, "log_size": 184211},
)
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


@routes.get("/status", PUBLIC, summary="What this gateway is", answer=StatusAnswer, example=_STATUS)
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
        "extensions": [_extension(found) for found in extensions.met()],
    }
    return answer(document)


def _extension(found: Extension) -> dict[str, Any]:
    kind = "connector" if found.group == CONNECTORS else "schema"
    shown = {"name": found.name, "package": found.package, "version": found.version, "refused": found.code}
    return {"kind": kind, **shown}


def _witness(found: WitnessState) -> dict[str, Any]:
    seen = None if found.cosigned is None else datetime.fromtimestamp(found.cosigned.time, UTC)
    return {"name": found.witness.name, "size": found.size, "cosigned_at": seen, "fault": found.fault}


@routes.get("/metrics", PUBLIC, summary="Metrics", response_class=Response, responses=_METRICS)
async def get_metrics(request: Request) -> Response:
    """Prometheus metrics, for the walidata and the supervisor. Labels hold route templates, never values."""
    state = services(request)
    caller = await authenticate(state, request.scope, request.headers.get("authorization"), request.headers.get("dpop"))
    if caller.role not in {"admin", "supervisor"}:
        raise RoleForbidden("metrics need the role admin or supervisor", rule="role")
    return Response(state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
