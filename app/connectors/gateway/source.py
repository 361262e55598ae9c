"""The `source:` block of another gateway: its address, the shared schema, the credentials that it gave out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator

from app.connectors.credentials import is_reference
from app.connectors.network import Dialled, HttpAddress
from app.connectors.source import SourceBase
from app.errors import NetworkForbidden, SchemaUnknown
from app.schemas import registry


class GatewaySource(SourceBase):
    """The records of one shared schema as another gateway gives them to this client."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    of_schema: ClassVar[bool] = True

    kind: Literal["gateway"] = "gateway"
    url: str = Field(max_length=1000, description="Base address of the other gateway")
    schema_ref: str | None = Field(
        default=None, alias="schema", max_length=128, description="The shared schema there; else that of the manifest"
    )
    agencies: tuple[str, ...] = Field(default=(), max_length=50, description="Only these agencies of the other gateway")
    client_id: str = Field(min_length=1, max_length=200)
    client_secret: str = Field(description="${secret:NAME}")
    purpose: str = Field(default="", max_length=64, description="What the records are asked for there (Simpul-Purpose)")
    agreement: str = Field(default="", max_length=64, description="Under which agreement there (Simpul-Agreement)")

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
        if "?" in url or "#" in url:
            raise ValueError("the base address of a gateway has no parameters: https://host, or https://host/path")
        return url.rstrip("/")

    @field_validator("schema_ref")
    @classmethod
    def _listed(cls, ref: str | None) -> str | None:
        if ref is None:
            return None
        try:
            schema = registry.get(ref)
        except SchemaUnknown as unknown:
            raise ValueError(unknown.detail) from None
        if schema.meta.lookup_only:
            raise ValueError(f"{schema.name} is never listed: persons are verified at the gateway that has them")
        return schema.meta.ref

    @field_validator("client_secret")
    @classmethod
    def _referred(cls, text: str) -> str:
        if not is_reference(text):
            raise ValueError("a secret never stands in a manifest: store it and write ${secret:NAME}")
        return text
