"""`/oauth/enrol`: an agency registers the key of its application with the code that the walidata gave it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Request, Response
from pydantic import Field

from app.access import assertions, enrolment
from app.access.client_keys import ClientKey, read_key
from app.access.clients import Client
from app.access.enrolment import EnrolmentInvalid
from app.access.principals import Principal
from app.api.layer.answers import Answer, Id
from app.api.layer.bodies import answer, read_model
from app.api.layer.dependencies import services
from app.api.layer.resource import PUBLIC, Resource
from app.api.layer.wire import PublicKeyBody, Wire
from app.api.registry.clients import ClientKeyAnswer, key_document
from app.api.statuses import problem
from app.errors import AuthenticationError, FieldError, ValidationFailed
from app.gateway.administration import act_by_proof
from app.gateway.exchange import Exchange
from app.gateway.services import Services

routes = Resource("", "access")

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


class EnrolBody(Wire):
    """A key, the code that lets it in, and the proof that the sender holds it."""

    client_id: Annotated[str, Field(min_length=1, max_length=64)]
    code: Annotated[str, Field(min_length=1, max_length=enrolment.CODE_CHARACTERS)]
    key: PublicKeyBody
    client_assertion: Annotated[str, Field(min_length=1, max_length=assertions.CHARACTERS)] = Field(
        description="As it is sent for a token, signed by this key"
    )


class EnrolAnswer(Answer):
    """The key that the application proves itself by from now on."""

    client_id: Id
    key: ClientKeyAnswer
    issuer: Annotated[str, Field(max_length=500)] = Field(description="`aud` of every assertion")
    token_endpoint: Annotated[str, Field(max_length=500)]


@routes.post(
    "/oauth/enrol",
    PUBLIC,
    summary="Register a key with a code",
    status_code=201,
    body=EnrolBody,
    body_example={
        "client_id": "rsud-simrs",
        "code": "kode-sekali-pakai",
        "key": _KEY,
        "client_assertion": "eyJhbGciOiJFZERTQSJ9.…",
    },
    answer=EnrolAnswer,
    example={
        "client_id": "rsud-simrs",
        "key": {
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "thumbprint": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "kty": "OKP",
            "algorithms": ["EdDSA", "Ed25519"],
        },
        "issuer": "https://simpul.jepara.example",
        "token_endpoint": "https://simpul.jepara.example/oauth/token",
    },
    responses={
        401: {"description": "No open enrolment fits, or the assertion is none.", "content": _PROBLEM},
        **{status: problem(status) for status in (413, 415, 422)},
        429: {"description": "Too many requests or failed proofs from this address.", "content": _PROBLEM},
    },
)
async def enrol_key(request: Request) -> Response:
    """For agencies: once, with the code from the walidata.

    The key takes the place of what the application proved itself by before.
    """
    state, address = services(request), request.client.host if request.client else ""
    state.access.rates.check(f"token:{address}")
    body = read_model(request, EnrolBody)
    key = read_key(body.key.model_dump(exclude_none=True), "/key")
    state.attempts.check(address, body.client_id)
    try:
        claims = assertions.read_claims(body.client_assertion, state.access.issuer.issuer)
        if claims.client_id != body.client_id or assertions.signed_by(body.client_assertion, claims, (key,)) is None:
            fault = FieldError(
                "/client_assertion", "value", "iss and sub are the client_id, and the key of this request signed it"
            )
            raise ValidationFailed("The assertion does not prove that you hold this key.", errors=[fault])
        made = await _enrolled(state, body, key, address)
    except AuthenticationError as refusal:
        state.metrics.refusals.labels(refusal.code).inc()
        state.attempts.failed(address, body.client_id if isinstance(refusal, EnrolmentInvalid) else None)
        raise
    issuer = state.access.issuer.issuer
    shown = {
        "client_id": made.id,
        "key": key_document(key),
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth/token",
    }
    return answer(shown, 201, {"cache-control": "no-store"})


async def _enrolled(state: Services, body: EnrolBody, key: ClientKey, address: str) -> Client:
    """Recorded under the client: before it is done, and how it ended. Whoever has no code leaves no entry."""
    now = datetime.now(UTC)
    async with state.database.read() as connection:
        client = await enrolment.find_enrolment(connection, body.client_id, body.code, now)
    holder = Principal(client.id, client.agency, client.role, key.thumbprint)
    under_way = Exchange(op="client.enrol", closing="admin", principal=holder, names=state.names, address=address)
    under_way.decide(allow=True, rule="enrolment_code")
    under_way.tells(client={"id": client.id, "agency": client.agency, "keys": [key.thumbprint]})
    return await act_by_proof(
        state,
        under_way,
        lambda found: enrolment.enrol(found, body.client_id, body.code, key, now),
        status=201,
    )
