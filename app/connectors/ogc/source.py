"""The `source:` block of a server of OGC API Features or WFS 2: its address, the collection, which part of it is read."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from app.connectors.credentials import credential_name, is_reference
from app.connectors.http_auth import HttpAuth, http_address
from app.connectors.network import Dialled
from app.connectors.pace import seconds_between
from app.connectors.source import SourceBase

_BOUNDS = ((-180.0, 180.0), (-90.0, 90.0)) * 2
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2}))?", re.ASCII)
_OPEN = frozenset({"", ".."})
_TIME = "a time is RFC 3339 with its zone (2025-01-01T00:00:00Z) or a day; an interval is start/end, .. for an open end"


class OgcSource(SourceBase):
    """One collection of features."""

    kind: Literal["ogc"] = "ogc"
    url: str = Field(max_length=1000, description="Landing page of OGC API Features, or the address of a WFS")
    service: Literal["features", "wfs"] = "features"
    collection: str | None = Field(
        default=None, min_length=1, max_length=300, description="Id of the collection; with service: wfs the type name"
    )
    bbox: tuple[float, float, float, float] | None = Field(
        default=None, description="Only features that meet this rectangle: west, south, east, north in degrees"
    )
    datetime: str | None = Field(
        default=None, max_length=100, description="Only features of this time or interval: 2025-01-01T00:00:00Z/.."
    )
    sort: str | None = Field(
        default=None, min_length=1, max_length=200, description="service wfs: the property that the pages are sorted by"
    )
    size: int = Field(default=1_000, ge=1, le=10_000, description="Features asked for with one request")
    auth: HttpAuth = HttpAuth()
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    rate: str | None = Field(default=None, description="Requests in a time at most: 5/s, 100/m, 1000/h")

    def dialled(self) -> Sequence[Dialled]:
        """See `SourceBase.dialled`."""
        return (Dialled.http("/source/url", self.url), *self.auth.dialled())

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        http_address(url)
        if "/collections/" in urlsplit(url).path:
            raise ValueError(
                "the address is that of the landing page; what stands behind /collections/ goes to collection"
            )
        return url.rstrip("/")

    @field_validator("bbox")
    @classmethod
    def _in_degrees(cls, box: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
        if box is None:
            return None
        if not all(least <= edge <= most for edge, (least, most) in zip(box, _BOUNDS, strict=True)):
            raise ValueError("west, south, east, north in degrees: longitudes of -180 to 180, latitudes of -90 to 90")
        if box[1] > box[3]:
            raise ValueError("south is behind north; the order is west, south, east, north")
        return box

    @field_validator("datetime")
    @classmethod
    def _time(cls, text: str | None) -> str | None:
        if text is None:
            return None
        parts = text.split("/")
        if len(parts) > 2 or (len(parts) == 1 and text in _OPEN) or all(part in _OPEN for part in parts):
            raise ValueError(_TIME)
        for part in parts:
            if part in _OPEN:
                continue
            if _INSTANT.fullmatch(part) is None:
                raise ValueError(_TIME)
            try:
                dt.datetime.fromisoformat(part)
            except ValueError:
                raise ValueError(f"{part} is no day of the calendar; {_TIME}") from None
        return text

    @field_validator("headers")
    @classmethod
    def _no_literal_secret(cls, given: dict[str, str]) -> dict[str, str]:
        for name, value in given.items():
            if credential_name(name) and not is_reference(value):
                raise ValueError(
                    f"{name[:60]} is a credential: store it as a secret and write ${{secret:NAME}}, or use auth"
                )
        return given

    @field_validator("rate")
    @classmethod
    def _rate(cls, rate: str | None) -> str | None:
        if rate is not None:
            seconds_between(rate)
        return rate

    @field_validator("datetime", "sort")
    @classmethod
    def _has_effect(cls, given: str | None, info: ValidationInfo) -> str | None:
        """An option that changes nothing is refused, since what it was meant to do is not done."""
        service = info.data.get("service")
        if given is not None and info.field_name == "sort" and service == "features":
            raise ValueError("sort does nothing with service: features, whose pages follow its links; leave it out")
        if given is not None and info.field_name == "datetime" and service == "wfs":
            raise ValueError("datetime does nothing with service: wfs; use where under read, or leave it out")
        return given

    @model_validator(mode="after")
    def _plain_address(self) -> Self:
        if self.service == "features" and ("?" in self.url or "#" in self.url):
            raise ValueError("url: the landing page has no parameters: https://host, or https://host/path")
        return self
