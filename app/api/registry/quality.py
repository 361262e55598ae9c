"""`/v1/connectors/{connector}/quality` and `…/quarantine/template`: how good the data are, and what the office mends."""

from __future__ import annotations

from dataclasses import asdict
from statistics import fmean
from typing import Any, Final

from fastapi import Request, Response

from app.api.layer.bodies import answer
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.resource import STEWARDS, Resource, Rule
from app.api.registry import quality_wire as wire
from app.api.registry.health import snapshot_document
from app.audit.entry.record import DatasetUse
from app.catalog.quality import DAYS_KEPT, NEWEST_KEPT, Drift, Measurement
from app.errors import LimitOutOfRange
from app.gateway import connectors as work
from app.gateway import corrections, health, quality
from app.gateway.exchange import ReadOutcome
from app.gateway.quality import Freshness

routes = Resource("/v1/connectors", "connectors")

_MOST_POINTS: Final = NEWEST_KEPT + DAYS_KEPT
_LIMIT: dict[str, Any] = {
    "name": "limit",
    "in": "query",
    "description": "Checks of the history",
    "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": _MOST_POINTS, "default": NEWEST_KEPT},
}
_CSV: Final = "text/csv; charset=utf-8; header=present"


@routes.get(
    "/{connector}/quality",
    Rule("catalogue", STEWARDS),
    summary="Quality of a connector",
    answer=wire.ConnectorQualityAnswer,
    example=wire.QUALITY,
    openapi_extra={"parameters": [_LIMIT]},
)
async def get_quality(connector: str, request: Request) -> Response:
    """Completeness by field, rejects by rule, freshness against its promise, drift of the columns, declared beside read counts,
    regions without a record, positions outside the region, and what looks personal in fields that are classed as not personal.

    A check measures (`POST …/check`, an exchange of its own); this reads no source. Of the history the newest 30 checks stay,
    and one a day of those before.
    """
    limit = _limit(only_parameters(request, "limit").get("limit", str(NEWEST_KEPT)))
    state = services(request)
    await work.owned(state, principal(request), connector)
    found = await quality.report(state, connector, limit)
    last = found.history[0] if found.history else None
    document = {
        "connector": connector,
        "at": last.at if last else None,
        "revision": last.revision if last else None,
        "passed": last.passed if last else None,
        "measured": _measured(last) if last else None,
        "drift": _drift(found.drift) if found.drift else None,
        "freshness": _freshness(found.freshness) if found.freshness else None,
        "snapshot": snapshot_document(await health.snapshot_of(state, connector)),
        "reads": {
            "rejected_rows": found.rejects.rejected_rows,
            "whole": found.rejects.whole,
            "revision": found.rejects.revision,
            "at": found.rejects.at,
            "rules": [asdict(rule) for rule in found.rejects.rules],
        },
        "history": [_point(one) for one in found.history],
    }
    return answer(document)


@routes.get(
    "/{connector}/quarantine/template",
    Rule("quarantine", STEWARDS, "outcome"),
    summary="Rejected records as a table to mend",
    responses={
        200: {
            "description": "One line a fault: where the record stands, the columns at the source, the rule, what to do.",
            "content": {
                "text/csv": {
                    "schema": {"type": "string", "maxLength": 1_073_741_824},
                    "example": ",".join(corrections.HEAD) + "\r\n",
                }
            },
        }
    },
)
async def get_correction_template(connector: str, request: Request) -> Response:
    """CSV for the office that keeps the source: each kept reject with its place, the columns as the source names them, the rule and
    what to do. Values are masked as in the quarantine; `nilai_perbaikan` is empty, for the office to fill in. Mend the source itself:
    nothing is read back from this table.
    """
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    record = await work.owned(state, principal(request), connector)
    under_way.decide(allow=True, rule="role")
    under_way.touches((record.agency,), (DatasetUse(connector, record.active_revision or record.latest_revision),))
    table, page = await corrections.template(state, connector)
    under_way.answered(ReadOutcome(len(page.items)))
    name = f'attachment; filename="{connector}-perbaikan.csv"'
    return Response(table, headers={"content-disposition": name, "content-type": _CSV})


def _measured(found: Measurement) -> dict[str, Any] | None:
    return None if found.measured is None else {**found.measured, "reject_share": _share(found.measured)}


def _share(measured: Any) -> float:
    return round(measured["rejected"] / measured["rows"], 4) if measured["rows"] else 0.0


def _drift(found: Drift) -> dict[str, Any]:
    changed = [{"name": name, "before": before, "now": now} for name, before, now in found.changed]
    return {"since": found.since, "added": found.added, "removed": found.removed, "changed": changed}


def _freshness(found: Freshness) -> dict[str, Any]:
    return {**asdict(found), "kept": found.kept}


def _point(found: Measurement) -> dict[str, Any]:
    told = found.measured
    filled = list(told["completeness"].values()) if told is not None else []
    return {
        "at": found.at,
        "revision": found.revision,
        "passed": found.passed,
        "columns": len(found.columns),
        "mapped": told["mapped"] if told is not None else None,
        "rejected": told["rejected"] if told is not None else None,
        "reject_share": _share(told) if told is not None else None,
        "completeness": round(fmean(filled), 4) if filled else None,
        "newest": told["newest"] if told is not None else None,
    }


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST_POINTS):
        raise LimitOutOfRange(f"limit is between 1 and {_MOST_POINTS}", limit_rows=_MOST_POINTS)
    return int(text)
