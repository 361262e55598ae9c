"""The `source:` block of a REST service: address, credentials by reference, paging, parameters that can be pushed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from app.connectors.credentials import credential_name, is_reference
from app.connectors.json_paths import JsonPath
from app.connectors.network import HttpAddress
from app.connectors.source import SourceBase
from app.errors import NetworkForbidden


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
_SIZES = frozenset({"size_param", "size", "total"})
_PAGES: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "page": _SIZES | {"param", "first"},
    "offset": _SIZES | {"param"},
    "cursor": _SIZES | {"param", "path", "more"},
    "next_link": _SIZES | {"path", "more"},
}


def _http_address(url: str) -> str:
    try:
        HttpAddress.of(url)
    except NetworkForbidden as error:
        raise ValueError(error.detail) from None
    return url


class RestAuth(_Part):
    """How the gateway proves itself. Values are references: `${secret:NAME}`."""

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

    @field_validator("password", "token", "value", "client_secret")
    @classmethod
    def _referred(cls, text: str) -> str:
        if text and not is_reference(text):
            raise ValueError("a secret never stands in a manifest: store it and write ${secret:NAME}")
        return text

    @field_validator("token_url")
    @classmethod
    def _address(cls, url: str) -> str:
        return _http_address(url) if url else url

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


class RestPaging(_Part):
    """How the next page is asked for."""

    kind: Literal["none", "page", "offset", "cursor", "next_link"] = "none"
    param: str = "page"
    size_param: str | None = None
    size: int = Field(default=100, ge=1, le=10_000)
    first: int = Field(default=1, ge=0)
    path: str | None = None
    total: str | None = Field(
        default=None, description="Where the service says how many records there are, e.g. $.total"
    )
    more: str | None = Field(default=None, description="Where it says whether there are more pages, e.g. $.has_more")

    @field_validator("param", "size_param", "size", "first", "path", "total", "more")
    @classmethod
    def _of_its_kind(cls, given: Any, info: ValidationInfo) -> Any:
        name, kind = str(info.field_name), info.data.get("kind")
        if kind is not None and given != cls.model_fields[name].default and name not in _PAGES[kind]:
            raise ValueError(
                f"{name} does nothing for paging of kind {kind}; state the kind that it belongs to, or leave it out"
            )
        return given

    @field_validator("path", "total", "more")
    @classmethod
    def _path(cls, path: str | None) -> str | None:
        return None if path is None else JsonPath.parse(path).text


class RestSource(SourceBase):
    """A REST service that answers JSON."""

    kind: Literal["rest"] = "rest"
    url: str = Field(max_length=1000, description="https://host/path")
    record_path: str = Field(default="$", description="Where the records are: $, $[*], $.data[*]")
    auth: RestAuth = RestAuth()
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    params: dict[str, str] = Field(default_factory=dict, max_length=50)
    paging: RestPaging = RestPaging()
    pushdown: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="Raw column -> query parameter (equality)"
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        _http_address(url)
        named = next(
            (name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True) if credential_name(name)), None
        )
        if named is not None:
            raise ValueError(
                f"the parameter {named[:60]} is a credential: use auth: {{kind: api_key, place: query}} with ${{secret:NAME}}"
            )
        return url

    @field_validator("headers", "params")
    @classmethod
    def _no_literal_secret(cls, given: dict[str, str]) -> dict[str, str]:
        for name, value in given.items():
            if credential_name(name) and not is_reference(value):
                raise ValueError(
                    f"{name[:60]} is a credential: store it as a secret and write ${{secret:NAME}}, or use auth"
                )
        return given

    @field_validator("record_path")
    @classmethod
    def _record_path(cls, path: str) -> str:
        return JsonPath.parse(path).text
