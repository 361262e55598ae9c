"""`/v1/clients` and `/v1/secrets`: credentials of applications, and sealed secrets of sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import clients, enrolment, source_secrets
from app.access.client_keys import ClientKey, read_keys
from app.access.clients import Client, ClientDraft
from app.access.principals import Role, require_agency
from app.access.step_up import CREDENTIALS, require_fresh
from app.api.layer.answers import Answer, Id, Moment, Name
from app.api.layer.bodies import answer, as_seen, read_model, tagged
from app.api.layer.dependencies import condition, exchange, only_parameters, principal, services
from app.api.layer.resource import ADMINS, STEWARDS, Resource, Rule, json_content
from app.api.layer.wire import ClientBody, ClientChange, ClientKeysBody, PublicKeyBody, SecretBody
from app.errors import FieldError, ValidationFailed
from app.gateway.administration import act

routes = Resource("/v1", "governance")

_CLIENT = {"agency": "rsud-kartini", "role": "client", "name": "SIMRS pendaftaran", "id": "rsud-simrs"}


class ClientKeyAnswer(Answer):
    """A public key by which a client proves itself."""

    kid: Annotated[str, Field(max_length=128)]
    thumbprint: Annotated[str, Field(max_length=43, description="RFC 7638; it names the credential in entries")]
    kty: Literal["EC", "OKP", "RSA"]
    algorithms: list[Literal["ES256", "PS256", "EdDSA", "Ed25519"]] = Field(max_length=4)


class ClientAnswer(Answer):
    """A registered application, without its secret."""

    client_id: Name
    agency: Id
    role: Role
    name: Annotated[str, Field(max_length=200)]
    disabled: bool
    created_at: Moment
    rotated_at: Moment = Field(description="When its present secret was made, or its keys were changed")
    dpop: bool = Field(description="Whether its tokens are bound to a key of its own (RFC 9449), always")
    proves_by: Literal["keys", "secret", "nothing"] = Field(description="By `nothing` it gets no token")
    keys: list[ClientKeyAnswer] = Field(max_length=10)


class ClientsAnswer(Answer):
    """All registered applications, without secrets."""

    items: list[ClientAnswer] = Field(max_length=100_000)


class ClientSecretAnswer(ClientAnswer):
    """An application with its new secret, which is shown this once."""

    client_secret: Annotated[str, Field(max_length=256)]


class ClientMade(ClientAnswer):
    """A new application. Without keys of its own it has a secret, which is shown this once."""

    client_secret: Annotated[str, Field(max_length=256)] | SkipJsonSchema[None] = None
    enrolment_code: Annotated[str, Field(max_length=64)] | SkipJsonSchema[None] = Field(
        default=None, description="Where `enrol` was asked for; shown this once"
    )
    enrolment_expires_at: Moment | SkipJsonSchema[None] = None


class EnrolmentAnswer(Answer):
    """A code by which an agency registers a key of its own, which is shown this once."""

    client_id: Name
    enrolment_code: Annotated[str, Field(max_length=64)]
    enrolment_expires_at: Moment


class SecretName(Answer):
    """A secret of a source: its name, never its value."""

    agency: Id
    name: Name
    rotated_at: Moment = Field(description="When its value was last stored")


class SecretsAnswer(Answer):
    """Names of the secrets of one agency."""

    items: list[SecretName] = Field(max_length=10_000)


class SecretAnswer(Answer):
    """A secret that was stored."""

    agency: Id
    name: Name
    created: bool = Field(description="Whether it is new; else its value was replaced")


_REGISTERED = {
    "client_id": "rsud-simrs",
    "agency": "rsud-kartini",
    "role": "client",
    "name": "SIMRS pendaftaran",
    "disabled": False,
    "created_at": "2026-01-05T02:00:00Z",
    "rotated_at": "2026-01-05T02:00:00Z",
    "dpop": False,
    "proves_by": "secret",
    "keys": [],
}
_JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "simrs-2026"}
_KEYED = {
    **_REGISTERED,
    "proves_by": "keys",
    "keys": [
        {
            "kid": "simrs-2026",
            "thumbprint": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "kty": "OKP",
            "algorithms": ["EdDSA", "Ed25519"],
        }
    ],
}
_ONCE = {"client_secret": "contoh-rahasia-yang-ditampilkan-sekali-saja"}
_SECRET = {"agency": "dinkes", "name": "faskes-db", "created": False}
_KEPT = json_content(SecretAnswer, {**_SECRET, "created": True})


@routes.get(
    "/clients",
    Rule("catalogue", ADMINS),
    summary="All clients",
    answer=ClientsAnswer,
    example={"items": [_REGISTERED]},
)
async def list_clients(request: Request) -> Response:
    """For the walidata: every registered application, without secrets."""
    only_parameters(request)
    return answer({"items": [_document(client) for client in services(request).access.snapshot.clients.values()]})


@routes.post(
    "/clients",
    Rule("client.create", ADMINS, "admin", fresh=CREDENTIALS),
    summary="Register a client",
    status_code=201,
    body=ClientBody,
    body_example=_CLIENT,
    answer=ClientMade,
    example={**_REGISTERED, **_ONCE},
)
async def create_client(request: Request) -> Response:
    """For the walidata: a credential of one agency with one role: its public keys, or a secret that this answer shows and none later.

    A person steps up first (`step_up_required`).
    """
    body = read_model(request, ClientBody)
    state, under_way = services(request), exchange(request)
    state.agency(body.agency)
    draft = ClientDraft(agency=body.agency, role=body.role, name=body.name, id=body.id, dpop=body.dpop)
    keys = _keys(body.keys)
    shown: dict[str, Any] = {}
    if body.enrol:
        if keys:
            both = FieldError("/enrol", "value", "a client with keys needs no code; leave one of the two out")
            raise ValidationFailed("keys and enrol stand there together", errors=[both])
        made, code = await act(state, under_way, lambda found: _to_be_enrolled(found, draft))
        shown = {"enrolment_code": code.text, "enrolment_expires_at": code.expires_at}
    elif keys:
        made = await act(
            state, under_way, lambda found: clients.create_keyed_client(found, draft, keys, datetime.now(UTC))
        )
    else:
        made, shown["client_secret"] = await act(
            state, under_way, lambda found: clients.create_client(found, draft, datetime.now(UTC))
        )
    under_way.tells(client={"id": made.id, "agency": made.agency, "role": made.role, "keys": _thumbprints(made)})
    return answer({**_document(made), **shown}, 201, {"location": f"/v1/clients/{made.id}"})


@routes.get(
    "/clients/{client}",
    Rule("catalogue", ADMINS),
    summary="One client",
    answer=ClientAnswer,
    example=_REGISTERED,
)
async def get_client(client: str, request: Request) -> Response:
    """For the walidata: agency, role and state of an application."""
    only_parameters(request)
    async with services(request).database.read() as connection:
        return answer(_document(await clients.get_client(connection, client)))


@routes.patch(
    "/clients/{client}",
    Rule("client.change", ADMINS, "admin"),
    summary="Disable or enable a client",
    body=ClientChange,
    body_example={"disabled": True},
    answer=ClientAnswer,
    example={**_REGISTERED, "disabled": True},
)
async def change_client(client: str, request: Request) -> Response:
    """For the walidata: a disabled client gets no token, and its tokens are dead within a second.

    A person steps up before it enables a client or lets it do without DPoP (`step_up_required`); stopping one takes nothing.
    """
    body = read_model(request, ClientChange)
    if body.disabled is False or body.dpop is False:
        require_fresh(principal(request), CREDENTIALS)
    expected = as_seen(request, f"client {client}", _document, required=True)
    under_way = exchange(request)
    under_way.tells(client={"id": client, **body.model_dump(exclude_none=True)})
    made = await act(
        services(request),
        under_way,
        lambda found: clients.set_disabled(found, client, disabled=body.disabled, dpop=body.dpop, expected=expected),
    )
    return tagged(_document(made))


@routes.put(
    "/clients/{client}/keys",
    Rule("client.keys", ADMINS, "admin", fresh=CREDENTIALS),
    summary="Keys of a client",
    body=ClientKeysBody,
    body_example={"keys": [_JWK]},
    answer=ClientAnswer,
    example=_KEYED,
)
async def put_client_keys(client: str, request: Request) -> Response:
    """For the walidata: the public keys by which an application proves itself from now on, all of them.

    A key that is not among them, and a secret, stop at once with their tokens. A person steps up first (`step_up_required`).
    """
    body = read_model(request, ClientKeysBody)
    expected = as_seen(request, f"client {client}", _document, required=True)
    keys, under_way = _keys(body.keys), exchange(request)
    under_way.tells(client={"id": client, "keys": [key.thumbprint for key in keys]})
    made = await act(
        services(request),
        under_way,
        lambda found: clients.put_keys(found, client, keys, datetime.now(UTC), expected=expected),
    )
    return tagged(_document(made))


@routes.post(
    "/clients/{client}/rotate",
    Rule("client.rotate", ADMINS, "admin", fresh=CREDENTIALS),
    summary="New client secret",
    answer=ClientSecretAnswer,
    example={**_REGISTERED, **_ONCE, "rotated_at": "2026-11-20T03:15:00Z"},
)
async def rotate_client(client: str, request: Request) -> Response:
    """For the walidata: a new secret, shown once; the old one and its tokens stop at once. A person steps up first (`step_up_required`)."""
    only_parameters(request)
    expected = as_seen(request, f"client {client}", _document)
    under_way = exchange(request)
    under_way.tells(client={"id": client})
    made, secret = await act(
        services(request),
        under_way,
        lambda found: clients.rotate_secret(found, client, datetime.now(UTC), expected=expected),
    )
    return answer({**_document(made), "client_secret": secret})


@routes.post(
    "/clients/{client}/enrolment",
    Rule("client.enrolment", ADMINS, "admin", fresh=CREDENTIALS),
    summary="Code to register a key",
    status_code=201,
    answer=EnrolmentAnswer,
    example={
        "client_id": "rsud-simrs",
        "enrolment_code": "kode-sekali-pakai",
        "enrolment_expires_at": "2026-01-08T02:00:00Z",
    },
)
async def open_enrolment(client: str, request: Request) -> Response:
    """For the walidata: a code for one use within three days, by which the agency registers a key at `/oauth/enrol`.

    An earlier code is void. A person steps up first (`step_up_required`).
    """
    only_parameters(request)
    expected = as_seen(request, f"client {client}", _document)
    under_way = exchange(request)
    under_way.tells(client={"id": client})
    code = await act(
        services(request),
        under_way,
        lambda found: enrolment.open_enrolment(found, client, datetime.now(UTC), expected=expected),
    )
    shown = {"client_id": client, "enrolment_code": code.text, "enrolment_expires_at": code.expires_at}
    return answer(shown, 201, {"location": f"/v1/clients/{client}"})


async def _to_be_enrolled(connection: AsyncConnection, draft: ClientDraft) -> tuple[Client, enrolment.Code]:
    now = datetime.now(UTC)
    made = await clients.create_keyed_client(connection, draft, (), now)
    return made, await enrolment.open_enrolment(connection, made.id, now)


@routes.get(
    "/secrets",
    Rule("catalogue", STEWARDS),
    summary="Names of secrets",
    answer=SecretsAnswer,
    example={"items": [{"agency": "dinkes", "name": "faskes-db", "rotated_at": "2026-11-20T03:15:00Z"}]},
)
async def list_secrets(request: Request) -> Response:
    """For stewards: which secrets the agency has and when each was last changed. Values are never shown."""
    agency = only_parameters(request, "agency").get("agency", principal(request).agency)
    require_agency(principal(request), agency)
    services(request).agency(agency)
    async with services(request).database.read() as connection:
        found = await source_secrets.list_names(connection, agency)
    return answer({"items": [{"agency": agency, "name": name, "rotated_at": at} for name, at in found]})


@routes.put(
    "/secrets/{name}",
    Rule("secret.put", STEWARDS, "admin"),
    summary="Store a secret",
    body=SecretBody,
    body_example={"value": "the password of the source"},
    answer=SecretAnswer,
    example=_SECRET,
    responses={201: {"description": "A new secret.", "content": _KEPT}},
)
async def put_secret(name: str, request: Request) -> Response:
    """For stewards: a password or key that a manifest refers to as `${secret:NAME}`. Sealed, write-only."""
    body = read_model(request, SecretBody)
    state, under_way = services(request), exchange(request)
    agency = body.agency or principal(request).agency
    require_agency(principal(request), agency)
    services(request).agency(agency)
    state.agency(agency)
    under_way.tells(secret={"agency": agency, "name": name})
    new = await act(
        state,
        under_way,
        lambda found: source_secrets.put_secret(
            found, state.seal, agency, name, body.value, datetime.now(UTC), condition=condition(request)
        ),
    )
    return answer({"agency": agency, "name": name, "created": new}, 201 if new else 200)


@routes.delete("/secrets/{name}", Rule("secret.delete", STEWARDS, "admin"), summary="Remove a secret", status_code=204)
async def delete_secret(name: str, request: Request) -> Response:
    """For stewards: connectors that refer to it stop answering, with the reason in their health."""
    agency = only_parameters(request, "agency").get("agency", principal(request).agency)
    require_agency(principal(request), agency)
    services(request).agency(agency)
    under_way = exchange(request)
    under_way.tells(secret={"agency": agency, "name": name})
    await act(services(request), under_way, lambda found: source_secrets.delete_secret(found, agency, name))
    return Response(status_code=204)


def _document(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.id,
        "agency": client.agency,
        "role": client.role,
        "name": client.name,
        "disabled": client.disabled,
        "created_at": client.created_at,
        "rotated_at": client.rotated_at,
        "dpop": client.dpop,
        "proves_by": "keys" if client.keys else "secret" if client.secret_hash else "nothing",
        "keys": [key_document(key) for key in client.keys],
    }


def key_document(key: ClientKey) -> dict[str, Any]:
    """A key as it is shown."""
    return {"kid": key.kid, "thumbprint": key.thumbprint, "kty": key.jwk["kty"], "algorithms": key.algorithms}


def _keys(given: Sequence[PublicKeyBody] | None) -> tuple[ClientKey, ...]:
    return read_keys([key.model_dump(exclude_none=True) for key in given or ()])


def _thumbprints(client: Client) -> list[str]:
    return [key.thumbprint for key in client.keys]
