"""The `source:` block of a CKAN portal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from app.connectors.network import Dialled, HttpAddress
from app.connectors.source import Encoding, SourceBase
from app.errors import NetworkForbidden


class CkanSource(SourceBase):
    """A resource by id, a resource of a package by name, or (`mode: packages`) the packages themselves."""

    kind: Literal["ckan"] = "ckan"
    url: str = Field(max_length=1000, description="Base address of the portal")
    mode: Literal["resource", "packages"] = "resource"
    resource: str | None = Field(default=None, max_length=100, description="Id of the resource")
    package: str | None = Field(default=None, max_length=200, description="Name or id of the package")
    resource_name: str | None = Field(default=None, max_length=300, description="Name of the resource in the package")
    query: str | None = Field(
        default=None, max_length=300, description="mode packages: the search, e.g. organization:dinkes"
    )
    api_key: str = Field(default="", description="${secret:NAME}, where the portal asks for one")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Of a CSV behind the resource")
    encoding: Encoding = Field(default="utf-8", max_length=40)

    def dialled(self) -> Sequence[Dialled]:
        """See `SourceBase.dialled`."""
        return (Dialled.http("/source/url", self.url),)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            HttpAddress.of(url)
        except NetworkForbidden as error:
            raise ValueError(error.detail) from None
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _referred(cls, text: str) -> str:
        if text and not (text.startswith("${") and text.endswith("}")):
            raise ValueError("a secret never stands in a manifest: store it and write ${secret:NAME}")
        return text

    @field_validator("resource", "package", "resource_name", "query", "delimiter", "encoding")
    @classmethod
    def _has_effect(cls, given: str | None, info: ValidationInfo) -> str | None:
        """An option that changes nothing is refused, since what it was meant to do is not done."""
        name, data = str(info.field_name), info.data
        if given == cls.model_fields[name].default or "mode" not in data:
            return given
        if (name == "query") is not (data["mode"] == "packages"):
            raise ValueError(f"{name} does nothing in mode {data['mode']}; leave it out")
        if name in ("package", "resource_name") and data.get("resource") is not None:
            raise ValueError(f"{name} does nothing beside resource, which names the resource by its id; leave one out")
        if name == "resource_name" and data.get("package") is None:
            raise ValueError("resource_name is looked for in a package; name it in package")
        return given

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.mode == "resource" and self.resource is None and self.package is None:
            raise ValueError("name a resource by its id, or a package and resource_name")
        return self
