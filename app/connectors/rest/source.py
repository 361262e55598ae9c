"""The `source:` block of a REST service: address, question, credentials by reference, paging, what can be pushed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from app.connectors.credentials import credential_name, is_reference
from app.connectors.http_auth import HttpAuth, http_address
from app.connectors.json_paths import JsonPath
from app.connectors.network import Dialled
from app.connectors.rest.presets import DEFAULT_SIZE, PRESETS, Paging, PagingKind, Preset
from app.connectors.rest.xml_answers import BESIDE_PATH, beside_member
from app.connectors.source import SourceBase
from app.connectors.xml_records import XML_PATH


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_SIZES = frozenset({"size_param", "size", "total"})
_PAGES: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "page": _SIZES | {"param", "first", "more", "last"},
    "offset": _SIZES | {"param", "more"},
    "cursor": _SIZES | {"param", "path", "header", "more"},
    "next_link": _SIZES | {"path", "header", "more"},
}
_BESIDE_PRESET = frozenset({"size_param", "size"})


class RestPaging(_Part):
    """How the next page is asked for: by the name of a make of services (`presets.py`), or member by member."""

    preset: Literal["laravel", "drf", "odata", "arcgis"] | None = None
    kind: PagingKind = "none"
    param: str = "page"
    size_param: str | None = None
    size: int | None = Field(default=None, ge=1, le=10_000)
    first: int = Field(default=1, ge=0)
    path: str | None = None
    header: str | None = Field(default=None, min_length=1, max_length=100, description="The header with the mark")
    total: str | None = Field(
        default=None, description="Where the service says how many records there are, e.g. $.total"
    )
    more: str | None = Field(default=None, description="Where it says whether there are more pages, e.g. $.has_more")
    last: str | None = Field(default=None, description="Where it says which page is the last, e.g. $.meta.last_page")

    @field_validator("kind", "param", "size_param", "size", "first", "path", "header", "total", "more", "last")
    @classmethod
    def _of_its_kind(cls, given: Any, info: ValidationInfo) -> Any:
        name, kind, preset = str(info.field_name), info.data.get("kind"), info.data.get("preset")
        if given == cls.model_fields[name].default or (kind is None and preset is None):
            return given
        if preset is not None and name not in _BESIDE_PRESET:
            raise ValueError(f"the preset {preset} says what {name} is; leave it out, or leave out the preset")
        if preset is None and name != "kind" and name not in _PAGES[str(kind)]:
            raise ValueError(
                f"{name} does nothing for paging of kind {kind}; state the kind that it belongs to, or leave it out"
            )
        if name == "header" and info.data.get("path") is not None:
            raise ValueError("the mark stands at path or in header; leave one out")
        if name == "size" and preset is not None and not (info.data.get("size_param") or _known(preset).size_param):
            raise ValueError(f"the preset {preset} has no parameter for the size; state size_param, or leave size out")
        return given

    @field_validator("path", "total", "more", "last")
    @classmethod
    def _path(cls, path: str | None) -> str | None:
        if path is None or BESIDE_PATH.fullmatch(path) is not None:
            return path
        return JsonPath.parse(path).text

    def resolved(self) -> Paging:
        """Every member, those of the preset among them."""
        if self.preset is not None:
            known = _known(self.preset)
            return replace(known, size=self.size or known.size, size_param=self.size_param or known.size_param)
        return Paging(
            kind=self.kind,
            param=self.param,
            size_param=self.size_param,
            size=self.size or DEFAULT_SIZE,
            first=self.first,
            marks=_one(self.path),
            header=self.header,
            totals=_one(self.total),
            more=_one(self.more),
            last=_one(self.last),
        )


def _one(path: str | None) -> tuple[str, ...]:
    return () if path is None else (path,)


def _known(preset: str) -> Paging:
    return PRESETS[preset].paging


class RestSource(SourceBase):
    """A REST service that answers JSON or XML."""

    kind: Literal["rest"] = "rest"
    url: str = Field(max_length=1000, description="https://host/path")
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, Any] | None = Field(default=None, description="method POST: the question as JSON")
    format: Literal["json", "xml"] = "json"
    record_path: str | None = Field(
        default=None, description="Where the records are: $, $[*], $.data[*]; of XML /data/item"
    )
    auth: HttpAuth = HttpAuth()
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    params: dict[str, str] = Field(default_factory=dict, max_length=50)
    paging: RestPaging = RestPaging()
    pushdown: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="Raw column -> parameter (equality)"
    )

    def dialled(self) -> Sequence[Dialled]:
        """See `SourceBase.dialled`."""
        return (Dialled.http("/source/url", self.url), *self.auth.dialled())

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        http_address(url)
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
    def _record_path(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is not None and info.data.get("format") == "xml":
            if XML_PATH.fullmatch(path) is None:
                raise ValueError("the path to the element of each record is written /data/item")
            return path
        return None if path is None else JsonPath.parse(path).text

    @field_validator("body")
    @classmethod
    def _no_literal_secret_inside(cls, body: dict[str, Any] | None) -> dict[str, Any] | None:
        for name, value in _leaves(body):
            if credential_name(name) and not (isinstance(value, str) and is_reference(value)):
                raise ValueError(
                    f"{name[:60]} is a credential: store it as a secret and write ${{secret:NAME}}, or use auth"
                )
        return body

    @model_validator(mode="after")
    def _posted(self) -> Self:
        paging = self.paging.resolved()
        if self.method == "GET" and self.body is not None:
            raise ValueError("a body is sent with method: POST; state it, or leave body out")
        if self.method == "POST" and paging.kind == "next_link":
            raise ValueError("a link is followed by GET; with method: POST page by page, offset or cursor")
        if self.method == "POST":
            for name in (*self.pushdown.values(), paging.param, paging.size_param or ""):
                if name.startswith("$"):
                    JsonPath.in_record(name)
        return self

    @model_validator(mode="after")
    def _paths_of_its_format(self) -> Self:
        xml = self.format == "xml"
        if xml and self.paging.preset is not None:
            raise ValueError(
                f"paging.preset {self.paging.preset} is of services that answer JSON; page member by member"
            )
        for name in ("path", "total", "more", "last"):
            path = getattr(self.paging, name)
            if path is not None and path.startswith("/") is not xml:
                form = "/data/total or /data/@total" if xml else "$.meta.total"
                raise ValueError(f"paging.{name}: in an answer of format {self.format} a path is written {form}")
        return self

    @property
    def page_rules(self) -> Paging:
        """How the service pages, every path as one into what is read of an answer."""
        paging = self.paging.resolved()
        if self.format == "json":
            return paging
        marks, totals, more, last = (
            tuple(map(beside_member, paths)) for paths in (paging.marks, paging.totals, paging.more, paging.last)
        )
        return replace(paging, marks=marks, totals=totals, more=more, last=last)

    @property
    def preset(self) -> Preset | None:
        """What is known of this make of services, where it is named."""
        return None if self.paging.preset is None else PRESETS[self.paging.preset]

    @property
    def records(self) -> str:
        """The path to the records."""
        return self.record_path or (self.preset.record_path if self.preset is not None else "$")

    @property
    def question(self) -> dict[str, str]:
        """The parameters that every request carries."""
        return {**(self.preset.params if self.preset is not None else {}), **self.params}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a body that holds no others, with the name of the member it stands at."""
    if isinstance(value, Mapping):
        for member, inside in value.items():
            yield from _leaves(inside, str(member))
    elif isinstance(value, list):
        for inside in value:
            yield from _leaves(inside, name)
    else:
        yield name, value
