"""`/sign-in`: a person proves itself and gets a session; before that it opens its account with the code of the walidata."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response

from app.access.people.accounts import PREFIX
from app.access.people.totp import uri_of
from app.api.layer.bodies import answer, read_model
from app.api.layer.cookies import SESSION, check_same_site, cookie, require_transport, session_value
from app.api.layer.dependencies import services
from app.api.layer.headers import by_name
from app.api.layer.resource import PUBLIC, Resource
from app.api.people.wire import (
    SESSION_EXAMPLE,
    AccountAnswer,
    AccountBody,
    AccountOpenBody,
    AccountOpened,
    SessionAnswer,
    SignInBody,
    session_document,
)
from app.api.statuses import problem
from app.errors import FieldError, ValidationFailed
from app.gateway import people
from app.gateway.services import Services

routes = Resource("", "people")

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "Refused; why is not told.", "content": _PROBLEM},
    403: {"description": "From a page of another site, or not over HTTPS.", "content": _PROBLEM},
    **{status: problem(status) for status in (413, 415, 422)},
    429: {"description": "Too many requests or failed proofs from this address.", "content": _PROBLEM},
}
_NO_STORE: Final = {"cache-control": "no-store"}


def admitted(request: Request) -> tuple[Services, str]:
    """The services and the caller's address; refuses plain HTTP, other sites, and an address that asks too often."""
    state, address = services(request), request.client.host if request.client else ""
    require_transport(state.settings)
    check_same_site(by_name(request.scope["headers"]), state.settings, request.method, needed=False)
    state.access.rates.check(f"token:{address}")
    return state, address


@routes.post(
    "/sign-in",
    PUBLIC,
    summary="Sign in",
    body=SignInBody,
    body_example={"login": "rini@dinkes.jepara.example", "password": "empat kata yang mudah", "totp": "492039"},
    answer=SessionAnswer,
    example=SESSION_EXAMPLE,
    responses={**_REFUSALS},
)
async def sign_in(request: Request) -> Response:
    """For people: a session, whose value is in the cookie alone (`__Host-simpul-session`; over HTTP on the own machine `simpul-session`).

    Whatever is wrong is told in the same words. Each code counts once. A session that the browser had is ended.
    """
    state, address = admitted(request)
    body = read_model(request, SignInBody)
    if (body.totp is None) == (body.recovery_code is None):
        fault = FieldError("/totp", "value", "send totp, or recovery_code in its place")
        raise ValidationFailed("One second factor is needed.", errors=[fault])
    before = session_value(request.scope["headers"], state.settings)
    proof = people.Proof(body.login, body.password, body.totp, body.recovery_code)
    person, opened = await people.sign_in(state, proof, address)
    await people.end_value(state, before)
    set_it = cookie(state.settings, SESSION, opened.value, state.settings.session_seconds)
    return answer(session_document(person, opened), headers={**_NO_STORE, "set-cookie": set_it})


@routes.post(
    "/sign-in/account",
    PUBLIC,
    summary="Set up an authenticator",
    body=AccountBody,
    body_example={"login": "rini@dinkes.jepara.example", "code": "kode-sekali-pakai"},
    answer=AccountAnswer,
    example={
        "otpauth_uri": "otpauth://totp/ID-JEPARA:rini%40dinkes.jepara.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=ID-JEPARA",
        "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    },
    responses={**_REFUSALS},
)
async def set_up_account(request: Request) -> Response:
    """For people, with the code of the walidata: the secret of a new second factor. It counts once the account is opened with it."""
    state, address = admitted(request)
    body = read_model(request, AccountBody)
    person, secret = await people.begin_opening(state, body.login, body.code, address)
    uri = uri_of(secret, person.login, state.settings.instance)
    return answer({"otpauth_uri": uri, "secret": secret}, headers=_NO_STORE)


@routes.post(
    "/sign-in/account/open",
    PUBLIC,
    summary="Open an account",
    status_code=201,
    body=AccountOpenBody,
    body_example={
        "login": "rini@dinkes.jepara.example",
        "code": "kode-sekali-pakai",
        "password": "empat kata yang mudah",
        "totp": "492039",
    },
    answer=AccountOpened,
    example={"person": "person:3f9a1c0be2d47788", "recovery_codes": ["abcd-efgh-ijkl-mnop"]},
    responses={**_REFUSALS},
)
async def open_account(request: Request) -> Response:
    """For people: password and second factor are set, and the code of the walidata is used up. The recovery codes are shown this once."""
    state, address = admitted(request)
    body = read_model(request, AccountOpenBody)
    person, codes = await people.finish_opening(state, body.login, body.code, body.password, body.totp, address)
    return answer({"person": PREFIX + person.id, "recovery_codes": codes}, 201, _NO_STORE)
