"""The `auth:` block of what is asked over HTTP: basic, bearer, API key, OAuth 2.0 client credentials; values are references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from app.connectors.credentials import is_reference
from app.connectors.network import Dialled, HttpAddress
from app.errors import NetworkForbidden

_NEEDED: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "basic": frozenset({"user"}),
    "bearer": frozenset({"token"}),
    "api_key": frozenset({"name", "value"}),
    "oauth2": frozenset({"token_url", "client_id", "client_secret"}),
}
_ALLOWED: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "basic": frozenset({"password"}),
    "bearer": frozenset(),
    "api_key": frozenset({"place"}),
    "oauth2": frozenset({"scope"}),
}


def http_address(url: str) -> str:
    """The address itself. Raises `ValueError` for what is no plain address."""
    try:
        HttpAddress.of(url)
    except NetworkForbidden as error:
        raise ValueError(error.detail) from None
    return url


class HttpAuth(BaseModel):
    """How the gateway proves itself. Values are references: `${secret:NAME}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["none", "basic", "bearer", "api_key", "oauth2"] = "none"
    user: str = Field(default="", validate_default=True)
    password: str = ""
    token: str = Field(default="", validate_default=True)
    name: str = "X-API-Key"
    place: Literal["header", "query"] = "header"
    value: str = Field(default="", validate_default=True)
    token_url: str = Field(default="", validate_default=True)
    client_id: str = Field(default="", validate_default=True)
    client_secret: str = Field(default="", validate_default=True)
    scope: str = ""

    def dialled(self) -> Sequence[Dialled]:
        """Where a token is fetched."""
        return (Dialled.http("/source/auth/token_url", self.token_url),) if self.token_url else ()

    @field_validator("password", "token", "value", "client_secret")
    @classmethod
    def _referred(cls, text: str) -> str:
        if text and not is_reference(text):
            raise ValueError("a secret never stands in a manifest: store it and write ${secret:NAME}")
        return text

    @field_validator("token_url")
    @classmethod
    def _address(cls, url: str) -> str:
        return http_address(url) if url else url

    @field_validator(
        "user", "password", "token", "name", "place", "value", "token_url", "client_id", "client_secret", "scope"
    )
    @classmethod
    def _of_its_kind(cls, given: str, info: ValidationInfo) -> str:
        """What the kind needs must stand, and what another kind needs would prove nothing."""
        name, kind = str(info.field_name), info.data.get("kind")
        if kind is None:
            return given
        if not given and name in _NEEDED[kind]:
            raise ValueError(f"kind {kind} needs {name}")
        if given != cls.model_fields[name].default and name not in _NEEDED[kind] | _ALLOWED[kind]:
            raise ValueError(f"kind {kind} takes no {name}: state the kind that it belongs to, or leave it out")
        return given
