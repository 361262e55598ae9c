"""`/v1/jobs`: how far a long answer is, its result, its end."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response

from app.api.layer.bodies import answer
from app.api.layer.capture import SpooledResponse
from app.api.layer.dependencies import exchange, only_parameters, practising, principal, services
from app.api.layer.formats import applied
from app.api.layer.resource import EVERYONE, Resource, Rule, json_content
from app.api.records.examples import MODE_PARAMETERS, bulk
from app.api.records.wire import FeatureCollection, JobAnswer, WholeAnswer
from app.catalog.jobs import Job
from app.federation.exports import FORMS
from app.gateway.exchange import Exchange
from app.gateway.jobs import JobRunner, Run, grants_of, policy_of

routes = Resource("/v1/jobs", "jobs")
routes.answers |= {FeatureCollection, WholeAnswer}

_EXAMPLE = {
    "id": "019aa1b2-0000-7000-8000-000000000001",
    "op": "export",
    "state": "running",
    "rows": 250000,
    "sources": [],
    "created_at": "2026-11-20T03:15:00Z",
    "finished_at": None,
    "expires_at": "2026-11-21T03:15:00Z",
    "result": None,
    "problem": None,
}
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "`Prefer: respond-async` made a job of it; `Location` leads to it.",
        "content": json_content(JobAnswer, {**_EXAMPLE, "state": "queued", "rows": None}),
    }
}
"""What routes document that make jobs."""
_JSON = {
    "application/json": {"$ref": "#/components/schemas/WholeAnswer"},
    "application/geo+json": {"$ref": "#/components/schemas/FeatureCollection"},
}
JobId = Annotated[str, Path(description="Id of the job", max_length=36, examples=[_EXAMPLE["id"]])]


def _runner(request: Request) -> JobRunner:
    runner: JobRunner = services(request).jobs
    return runner


async def accepted(request: Request, form: str, run: Run) -> Response:
    """202 with the address of a new job for an authorised question."""
    state, under_way = services(request), exchange(request)
    grants = grants_of(state, under_way, under_way.op)
    facts = {
        "purpose": under_way.assertions.purpose,
        "agreement": under_way.assertions.agreement,
        "grants": grants,
        "policy": policy_of(grants),
        "providers": list(under_way.providers),
        "datasets": [[used.dataset, used.revision] for used in under_way.datasets],
        "held": under_way.agreement,
        "stated": under_way.purpose,
    }
    new = await _runner(request).submit(under_way, form, facts, run)
    applied(request, "respond-async")
    headers = {
        "location": f"{state.settings.base_url}/v1/jobs/{new.id}",
        "retry-after": "1",
    }
    return answer(_shown(new), 202, headers)


@routes.get(
    "/{job}",
    Rule("job.read", EVERYONE, practice=True),
    name="get_job",
    openapi_extra={"parameters": MODE_PARAMETERS},
    summary="How far is a job",
    answer=JobAnswer,
    example=_EXAMPLE,
)
async def get_job(request: Request, job: JobId) -> Response:
    """State (`queued`, `running`, `done`, `failed`, `cancelled`), rows so far, what each agency did, where the result is."""
    only_parameters(request)
    found = await _runner(request).find(principal(request), job)
    shown = {"mode": "uji", **_shown(found)} if practising(request) else _shown(found)
    return answer(shown, headers={"cache-control": "no-store"})


@routes.delete(
    "/{job}",
    Rule("job.cancel", EVERYONE, "outcome", practice=True),
    name="cancel_job",
    summary="Cancel a job",
    status_code=204,
    openapi_extra={"parameters": MODE_PARAMETERS},
)
async def cancel_job(request: Request, job: JobId) -> Response:
    """Stops the work at every source; a finished result is thrown away."""
    only_parameters(request)
    await _runner(request).cancel(principal(request), job)
    return Response(status_code=204)


@routes.get(
    "/{job}/result",
    Rule("job.result", EVERYONE, "outcome", practice=True),
    name="get_job_result",
    summary="Fetch the result of a job",
    openapi_extra={"parameters": MODE_PARAMETERS},
    responses={
        200: {
            "description": "The finished answer; every download is an exchange.",
            "content": {
                media: {"schema": _JSON.get(media) or bulk("The whole answer")}
                for media in ("application/octet-stream", *(form.media_type for form in FORMS.values()))
            },
        }
    },
)
async def get_job_result(request: Request, job: JobId) -> Response:
    """The bytes, with length and digest, for 24 hours and as long as the grants are those it was made under."""
    only_parameters(request)
    under_way: Exchange = exchange(request)
    found, spool = await _runner(request).result(under_way, job)
    form = FORMS[found.form]
    name = "-".join(found.schemas) or "jawaban"
    headers = {
        "simpul-complete": "?1" if found.facts.get("complete") else "?0",
        "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{name}.{form.suffix}"',
    }
    return SpooledResponse(spool, headers, form.media_type)


def _shown(job: Job) -> dict[str, Any]:
    done = job.state == "done"
    return {
        "id": job.id,
        "op": job.op,
        "state": job.state,
        "rows": job.rows,
        "sources": job.sources,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
        "result": {
            "href": f"/v1/jobs/{job.id}/result",
            "media_type": FORMS[job.form].media_type,
            "bytes": job.size_bytes,
            "digest": job.digest,
            "complete": job.facts.get("complete"),
            "exchange_id": job.facts.get("exchange"),
        }
        if done
        else None,
        "problem": {"code": job.error_code, "detail": job.error_detail} if job.error_code else None,
    }
