"""Outside `/v1`: the token endpoint, the keys that verify tokens, and the metadata of the authorization server."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import parse_qsl

from fastapi import Request, Response
from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from app.access.assertions import TYPE
from app.access.oauth import oauth_error, token_request
from app.access.principals import Role
from app.access.tokens import server_metadata
from app.api.layer.answers import Answer
from app.api.layer.bodies import answer, media_type, raw_body
from app.api.layer.dependencies import services
from app.api.layer.problems import problem_of
from app.api.layer.resource import PUBLIC, Resource, json_content
from app.api.layer.wire import Wire
from app.errors import AuthenticationError, RateLimited, RequestError, UnsupportedMediaType

routes = Resource("", "access")

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"$ref": "#/components/schemas/TokenBody"},
                "example": {"grant_type": "client_credentials", "client_id": "rsud-simrs", "client_secret": "…"},
            }
        },
    }
}
_FIELDS = 20

Address = Annotated[str, Field(max_length=500, json_schema_extra={"format": "uri"})]


class TokenBody(Wire):
    """A request for a token, as a form; the credential may stand in the header instead."""

    model_config = ConfigDict(extra="ignore")

    grant_type: Literal["client_credentials"]
    client_id: Annotated[str, Field(max_length=64)] | SkipJsonSchema[None] = None
    client_secret: Annotated[str, Field(max_length=256)] | SkipJsonSchema[None] = None
    client_assertion_type: Literal[TYPE] | SkipJsonSchema[None] = None  # type: ignore[valid-type]
    client_assertion: Annotated[str, Field(max_length=4096)] | SkipJsonSchema[None] = Field(
        default=None,
        description="A JWT signed by a registered key: `iss` and `sub` the client, `aud` the issuer, `exp`, `jti`",
    )
    scope: Annotated[str, Field(max_length=200)] | SkipJsonSchema[None] = None


routes.bodies.add(TokenBody)


class TokenAnswer(Answer):
    """An access token."""

    access_token: Annotated[str, Field(max_length=4096)]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(ge=1, le=900, description="Seconds")]
    scope: Role | SkipJsonSchema[None] = Field(
        default=None, description="The client's role; only where a scope was sent"
    )


class PublicKey(Answer):
    """A public key (RFC 7517, RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Annotated[str, Field(max_length=43)]
    kid: Annotated[str, Field(max_length=64)]
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class KeysAnswer(Answer):
    """The keys that verify tokens now."""

    keys: list[PublicKey] = Field(max_length=100)


class ServerMetadata(Answer):
    """Metadata of the authorization server (RFC 8414)."""

    issuer: Address
    token_endpoint: Address
    jwks_uri: Address
    grant_types_supported: list[Literal["client_credentials"]] = Field(max_length=1)
    response_types_supported: list[Annotated[str, Field(max_length=32)]] = Field(max_length=0)
    token_endpoint_auth_methods_supported: list[Literal["client_secret_basic", "client_secret_post"]] = Field(
        max_length=2
    )
    service_documentation: Address
    ui_locales_supported: list[Literal["id", "en"]] = Field(max_length=2)


_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "kid": "2026-01-05-a1b2c3d4",
    "use": "sig",
    "alg": "EdDSA",
}


class OAuthError(Answer):
    """Why no token was given (RFC 6749, section 5.2)."""

    error: Literal[
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ]
    error_description: Annotated[str, Field(max_length=2000)]


routes.answers.add(OAuthError)
_REFUSED = json_content(
    OAuthError, {"error": "invalid_client", "error_description": "The client is unknown or disabled."}
)
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@routes.post(
    "/oauth/token",
    PUBLIC,
    summary="Get an access token",
    openapi_extra=_FORM,
    responses={
        400: {
            "description": "The request is none of RFC 6749; headers that cannot be read are a problem.",
            "content": {**_REFUSED, **_PROBLEM},
        },
        401: {"description": "The client is unknown or disabled, or its proof is wrong.", "content": _REFUSED},
        429: {"description": "Too many requests or failed proofs from this address.", "content": _PROBLEM},
    },
    answer=TokenAnswer,
    example={"access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.…", "token_type": "Bearer", "expires_in": 900},
)
async def issue_token(request: Request) -> Response:
    """OAuth 2.0 client credentials: a signed assertion (`private_key_jwt`), or a secret by HTTP Basic or in the form.

    The token lives 15 minutes at most.
    """
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
        issued = await token_request(form, request.headers.get("authorization"), state.client_means(client))
    except RateLimited:
        raise
    except (AuthenticationError, RequestError) as error:
        status = problem_of(error).status
        if status == 401:
            state.metrics.refusals.labels(error.code).inc()
            headers["www-authenticate"] = 'Basic realm="simpul"'
        return answer(oauth_error(error), status, headers)
    return answer(issued, headers=headers)


@routes.get(
    "/.well-known/jwks.json", PUBLIC, summary="Keys that verify tokens", answer=KeysAnswer, example={"keys": [_KEY]}
)
async def get_jwks(request: Request) -> Response:
    """The public keys of access tokens (RFC 7517)."""
    return answer(services(request).access.issuer.jwks(), headers={"cache-control": "public, max-age=300"})


@routes.get(
    "/.well-known/oauth-authorization-server",
    PUBLIC,
    summary="Authorization server metadata",
    answer=ServerMetadata,
    example=server_metadata("https://simpul.jepara.example"),
)
async def get_metadata(request: Request) -> Response:
    """RFC 8414 metadata: where to get tokens, and how."""
    return answer(services(request).access.issuer.metadata(), headers={"cache-control": "public, max-age=300"})
