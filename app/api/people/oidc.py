"""`/sign-in/oidc`: to the OIDC provider and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from fastapi import Request, Response

from app.access.people.oidc import CODE_CHARACTERS, FLOW_CHARACTERS, FLOW_SECONDS
from app.api.layer.callers import session_of
from app.api.layer.cookies import SESSION, cookie, session_value, value_of
from app.api.layer.cookies import SessionInvalid as NoSession
from app.api.layer.dependencies import only_parameters, services
from app.api.layer.resource import PUBLIC, Resource
from app.api.statuses import problem
from app.errors import FieldError, ValidationFailed
from app.gateway import oidc, people
from app.gateway.services import Services

routes = Resource("", "people")

FLOW: Final = "simpul-oidc"
_LOCAL: Final = re.compile(r"/(?![/\\])[!-~]{0,499}")
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "Refused; why is not told.", "content": _PROBLEM},
    404: {"description": "The gateway has no provider.", "content": _PROBLEM},
    429: {"description": "Too many requests or failed proofs from this address.", "content": _PROBLEM},
}
_PAGE: Final = (
    '<!doctype html><html lang="id"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={0}"><title>Simpul</title>'
    '</head><body><p><a href="{0}">Anda sudah masuk. / You are signed in.</a></p></body></html>'
)
_HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


def _query(name: str, text: str, most: int, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": text,
        "schema": {"type": "string", "maxLength": most},
        "example": example,
    }


def _admitted(request: Request) -> tuple[Services, str]:
    state, address = services(request), request.client.host if request.client else ""
    oidc.provider_of(state)
    state.access.rates.check(f"token:{address}")
    return state, address


@routes.get(
    "/sign-in/oidc",
    PUBLIC,
    summary="Sign in at the provider",
    status_code=303,
    response_class=Response,
    responses={
        303: {"description": "To the provider."},
        422: problem(422),
        **_REFUSALS,
    },
    openapi_extra={
        "parameters": [
            _query("return_to", "Path of this gateway to go to afterwards", 500, "/docs"),
            _query("step_up", "`true`: sign in anew, so that the session's second factor is fresh", 5, "true"),
        ]
    },
)
async def begin_oidc(request: Request) -> Response:
    """For people, in the browser: to the OIDC provider of the gateway, with PKCE, state and nonce.

    `step_up=true` asks for signing in anew (`prompt=login`, `max_age=0`).
    """
    state, _ = _admitted(request)
    given = only_parameters(request, "return_to", "step_up")
    return_to, step_up = given.get("return_to", "/"), given.get("step_up", "false")
    if _LOCAL.fullmatch(return_to) is None:
        fault = FieldError("return_to", "pattern", "a path of this gateway, as /docs")
        raise ValidationFailed("return_to does not fit", errors=[fault])
    if step_up not in {"true", "false"}:
        raise ValidationFailed("step_up does not fit", errors=[FieldError("step_up", "choice", "true or false")])
    session = await _own_session(request, state) if step_up == "true" else None
    address, kept = await oidc.begin(state, return_to, session)
    set_it = cookie(state.settings, FLOW, kept, FLOW_SECONDS, same_site="Lax")
    return Response(status_code=303, headers={**_HEADERS, "location": address, "set-cookie": set_it})


@routes.get(
    "/sign-in/oidc/callback",
    PUBLIC,
    summary="Back from the provider",
    response_class=Response,
    responses={
        200: {
            "description": "Signed in; the page goes on to `return_to`.",
            "content": {"text/html": {"schema": {"type": "string", "maxLength": 4000}}},
        },
        **_REFUSALS,
    },
    openapi_extra={
        "parameters": [
            _query("code", "Of the provider", CODE_CHARACTERS, "SplxlOBeZQQYbYS6WxSbIA"),
            _query("state", "As it was sent", 100, "af0ifjsldkj"),
            _query("iss", "The provider (RFC 9207)", 500, "https://masuk.jepara.example"),
            _query("error", "Why there is no code", 100, "access_denied"),
        ]
    },
)
async def finish_oidc(request: Request) -> Response:
    """For people, in the browser: who is tied to an account is signed in. Nobody gets an account here."""
    state, address = _admitted(request)
    given = dict(request.query_params)  # providers add parameters of their own
    kept = value_of(request.scope["headers"], state.settings, FLOW, FLOW_CHARACTERS)
    opened, flow = await oidc.come_back(state, kept, given, address)
    before = session_value(request.scope["headers"], state.settings)
    if flow.session is None:
        await people.end_value(state, before)
    left = max(int((opened.session.expires_at - datetime.now(UTC)).total_seconds()), 1)
    page = Response(_PAGE.format(escape(flow.return_to)), headers=_HEADERS, media_type="text/html; charset=utf-8")
    page.headers["content-security-policy"] = "default-src 'none'; frame-ancestors 'none'"
    page.headers.append("set-cookie", cookie(state.settings, SESSION, opened.value, left))
    page.headers.append("set-cookie", cookie(state.settings, FLOW, "", 0, same_site="Lax"))
    return page


async def _own_session(request: Request, state: Services) -> str:
    value = session_value(request.scope["headers"], state.settings)
    found = None if value is None else await session_of(state, value)
    if found is None:
        raise NoSession("there is no session that could be made fresh; sign in first")
    return found[0].id
