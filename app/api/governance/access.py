"""Outside `/v1`: the token endpoint, the keys that verify tokens, and the metadata of the authorization server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from fastapi import Request, Response
from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from app.access import revocation
from app.access.client_keys import ASSERTION_TYPE
from app.access.dpop import DpopNonceNeeded, DpopProofInvalid, read_proof
from app.access.dpop import Request as DpopRequest
from app.access.oauth import Means, authenticate_client, oauth_error, once_each, token_request
from app.access.principals import Principal, Role
from app.access.tokens import resource_metadata, server_metadata
from app.api.layer.answers import Answer
from app.api.layer.bodies import answer, media_type, raw_body
from app.api.layer.dependencies import services
from app.api.layer.problems import problem_of
from app.api.layer.resource import PUBLIC, Resource, json_content
from app.api.layer.wire import Wire
from app.api.statuses import problem
from app.errors import AuthenticationError, RateLimited, RequestError, UnsupportedMediaType
from app.gateway.administration import act_by_proof
from app.gateway.exchange import Exchange

routes = Resource("", "access")


def _form_of(component: str, example: dict[str, str]) -> dict[str, Any]:
    schema = {"schema": {"$ref": f"#/components/schemas/{component}"}, "example": example}
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": schema}}}


_PROOF = {"client_id": "rsud-simrs", "client_secret": "…"}
_FORM = _form_of("TokenBody", {"grant_type": "client_credentials", **_PROOF})
_FIELDS = 20

Method = Literal["private_key_jwt", "client_secret_basic", "client_secret_post"]
Signature = Literal["ES256", "PS256", "EdDSA", "Ed25519"]
Address = Annotated[str, Field(max_length=500, json_schema_extra={"format": "uri"})]


class TokenBody(Wire):
    """A request for a token, as a form; the credential may stand in the header instead."""

    model_config = ConfigDict(extra="ignore")

    grant_type: Literal["client_credentials"]
    client_id: Annotated[str, Field(max_length=64)] | SkipJsonSchema[None] = None
    client_secret: Annotated[str, Field(max_length=256)] | SkipJsonSchema[None] = None
    client_assertion_type: Literal[ASSERTION_TYPE] | SkipJsonSchema[None] = None  # type: ignore[valid-type]
    client_assertion: Annotated[str, Field(max_length=4096)] | SkipJsonSchema[None] = Field(
        default=None,
        description="A JWT signed by a registered key: `iss` and `sub` the client, `aud` the issuer, `exp`, `jti`",
    )
    scope: Annotated[str, Field(max_length=200)] | SkipJsonSchema[None] = None


routes.bodies.add(TokenBody)


class RevokeBody(Wire):
    """A token to revoke, with the proof of its client."""

    model_config = ConfigDict(extra="ignore")

    token: Annotated[str, Field(max_length=4096)]
    token_type_hint: Annotated[str, Field(max_length=64)] | SkipJsonSchema[None] = None
    client_id: Annotated[str, Field(max_length=64)] | SkipJsonSchema[None] = None
    client_secret: Annotated[str, Field(max_length=256)] | SkipJsonSchema[None] = None
    client_assertion_type: Literal[ASSERTION_TYPE] | SkipJsonSchema[None] = None  # type: ignore[valid-type]
    client_assertion: Annotated[str, Field(max_length=4096)] | SkipJsonSchema[None] = None


routes.bodies.add(RevokeBody)


class TokenAnswer(Answer):
    """An access token."""

    access_token: Annotated[str, Field(max_length=4096)]
    token_type: Literal["Bearer", "DPoP"]
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
    token_endpoint_auth_methods_supported: list[Method] = Field(max_length=3)
    token_endpoint_auth_signing_alg_values_supported: list[Signature] = Field(max_length=4)
    revocation_endpoint: Address
    revocation_endpoint_auth_methods_supported: list[Method] = Field(max_length=3)
    revocation_endpoint_auth_signing_alg_values_supported: list[Signature] = Field(max_length=4)
    dpop_signing_alg_values_supported: list[Signature] = Field(max_length=4)
    service_documentation: Address
    ui_locales_supported: list[Literal["id", "en"]] = Field(max_length=2)


class ResourceMetadata(Answer):
    """Metadata of the protected resource (RFC 9728)."""

    resource: Address
    authorization_servers: list[Address] = Field(max_length=1)
    jwks_uri: Address
    bearer_methods_supported: list[Literal["header"]] = Field(max_length=1)
    dpop_signing_alg_values_supported: list[Signature] = Field(max_length=4)
    resource_name: Annotated[str, Field(max_length=100)]
    resource_documentation: Address


class RevokedAnswer(Answer):
    """Nothing is told: the token is dead, or never was one."""


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
        "invalid_dpop_proof",
        "use_dpop_nonce",
    ]
    error_description: Annotated[str, Field(max_length=2000)]


routes.answers.add(OAuthError)
_REFUSED = json_content(
    OAuthError, {"error": "invalid_client", "error_description": "The client is unknown or disabled."}
)
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@routes.direct_post(
    "/oauth/token",
    summary="Get an access token",
    openapi_extra=_FORM,
    responses={
        400: {
            "description": "The request is none of RFC 6749; headers that cannot be read are a problem.",
            "content": {**_REFUSED, **_PROBLEM},
        },
        401: {"description": "The client is unknown or disabled, or its proof is wrong.", "content": _REFUSED},
        415: problem(415),
        429: {"description": "Too many requests or failed proofs from this address.", "content": _PROBLEM},
    },
    answer=TokenAnswer,
    example={"access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.…", "token_type": "Bearer", "expires_in": 900},
)
async def issue_token(request: Request) -> Response:
    """OAuth 2.0 client credentials: a signed assertion (`private_key_jwt`), or a secret by HTTP Basic or in the form.

    The token lives 15 minutes at most.
    """
    state, text = services(request), request.headers.get("dpop")

    async def issue(form: list[tuple[str, str]], means: Means) -> dict[str, Any]:
        endpoint = DpopRequest("POST", f"{means.issuer.issuer}/oauth/token")
        proof = None if text is None else read_proof(text, endpoint, state.nonces)
        return await token_request(form, request.headers.get("authorization"), means, proof)

    return await _answered(request, issue)


@routes.direct_post(
    "/oauth/revoke",
    summary="Revoke an access token",
    openapi_extra=_form_of("RevokeBody", {"token": "eyJhbGciOiJFZERTQSJ9.…", **_PROOF}),
    responses={
        400: {"description": "The request is none of RFC 7009; headers that cannot be read are a problem.",
              "content": {**_REFUSED, **_PROBLEM}},
        401: {"description": "The client is unknown or disabled, or its proof is wrong.", "content": _REFUSED},
        415: problem(415),
        429: {"description": "Too many requests or failed proofs from this address.", "content": _PROBLEM},
    },
    answer=RevokedAnswer,
    example={},
)  # fmt: skip
async def revoke_token(request: Request) -> Response:
    """RFC 7009: a token of the client's own is dead within a second on every replica. What is no token of it is answered alike."""
    state = services(request)

    async def revoke(form: list[tuple[str, str]], means: Means) -> dict[str, Any]:
        fields = once_each(form)
        proved = await authenticate_client(fields, request.headers.get("authorization"), means)
        if "token" not in fields:
            raise RequestError("The form has no token; send the access token that is to be revoked.")
        found = state.access.issuer.revocable(fields["token"])
        if found is not None and found[0] == proved.client.id:
            client = proved.client
            holder = Principal(client.id, client.agency, client.role, proved.credential)
            under_way = Exchange(
                op="token.revoke", closing="admin", principal=holder, names=state.names, address=means.address
            )
            under_way.decide(allow=True, rule="own_token")
            under_way.tells(token={"jti": found[1]})
            await act_by_proof(
                state, under_way, lambda connection: revocation.revoke_token(connection, *found[1:]), status=200
            )
        return {}

    return await _answered(request, revoke)


Answering = Callable[[list[tuple[str, str]], Means], Awaitable[dict[str, Any]]]


async def _answered(request: Request, make: Answering) -> Response:
    """A form in, a document or the error of RFC 6749 out."""
    state = services(request)
    if media_type(request) != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("send application/x-www-form-urlencoded")
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    try:
        form = parse_qsl(raw_body(request).decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return answer({"error": "invalid_request", "error_description": "the form cannot be read"}, 400, headers)
    address = request.client.host if request.client else "unknown"
    state.access.rates.check(f"token:{address}")
    try:
        return answer(await make(form, state.client_means(address)), headers=headers)
    except RateLimited:
        raise
    except (DpopProofInvalid, DpopNonceNeeded) as error:  # RFC 9449, section 5: not the client's own proof, so no 401
        if "dpop_nonce" in error.facts:
            headers["dpop-nonce"] = str(error.facts["dpop_nonce"])
        return answer(oauth_error(error), 400, headers)
    except (AuthenticationError, RequestError) as error:
        status = problem_of(error).status
        if status == 401:
            state.metrics.refusals.labels(error.code).inc()
            headers["www-authenticate"] = 'Basic realm="simpul"'
        return answer(oauth_error(error), status, headers)


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


@routes.get(
    "/.well-known/oauth-protected-resource",
    PUBLIC,
    summary="Protected resource metadata",
    answer=ResourceMetadata,
    example=resource_metadata("https://simpul.jepara.example"),
)
async def get_resource_metadata(request: Request) -> Response:
    """RFC 9728 metadata: whose tokens the API takes. Each 401 names this address."""
    found = resource_metadata(services(request).access.issuer.issuer)
    return answer(found, headers={"cache-control": "public, max-age=300"})
