"""Outside `/v1`: the token endpoint, the keys that verify tokens, and the metadata of the authorization server."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request, Response

from app.access.oauth import oauth_error, token_request
from app.api.layer.bodies import answer, media_type, raw_body
from app.api.layer.dependencies import services
from app.api.layer.problems import problem_of
from app.api.layer.resource import PUBLIC, Resource
from app.errors import AuthenticationError, RequestError, UnsupportedMediaType

routes = Resource("", "access")

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        "client_id": {"type": "string", "maxLength": 64},
                        "client_secret": {"type": "string", "maxLength": 256},
                        "scope": {"type": "string", "maxLength": 200},
                    },
                },
                "example": {"grant_type": "client_credentials", "client_id": "rsud-simrs", "client_secret": "…"},
            }
        },
    }
}
_FIELDS = 20


@routes.post("/oauth/token", PUBLIC, summary="Get an access token", openapi_extra=_FORM)
async def issue_token(request: Request) -> Response:
    """OAuth 2.0 client credentials: secret by HTTP Basic or in the form. The token lives 15 minutes at most."""
    state = services(request)
    if media_type(request) != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("send application/x-www-form-urlencoded")
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    try:
        form = parse_qsl(raw_body(request).decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return answer({"error": "invalid_request", "error_description": "the form cannot be read"}, 400, headers)
    client = request.client.host if request.client else "unknown"
    state.access.rates.check(f"token:{client}")
    try:
        issued = await token_request(
            form,
            request.headers.get("authorization"),
            snapshot=state.access.snapshot,
            verifier=state.verifier,
            issuer=state.access.issuer,
        )
    except (AuthenticationError, RequestError) as error:
        status = problem_of(error).status
        if status == 401:
            headers["www-authenticate"] = 'Basic realm="simpul"'
        return answer(oauth_error(error), status, headers)
    return answer(issued, headers=headers)


@routes.get("/.well-known/jwks.json", PUBLIC, summary="Keys that verify tokens")
async def get_jwks(request: Request) -> Response:
    """The public keys of access tokens (RFC 7517)."""
    return answer(services(request).access.issuer.jwks(), headers={"cache-control": "public, max-age=300"})


@routes.get("/.well-known/oauth-authorization-server", PUBLIC, summary="Authorization server metadata")
async def get_metadata(request: Request) -> Response:
    """RFC 8414 metadata: where to get tokens, and how."""
    return answer(services(request).access.issuer.metadata(), headers={"cache-control": "public, max-age=300"})
