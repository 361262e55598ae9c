"""The part of a file's `source:` block that says where it stands, and how the gateway proves itself there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, ValidationInfo, field_validator

from app.connectors.credentials import credential_name
from app.connectors.file.several import is_pattern, part_names
from app.connectors.http_auth import HttpAuth
from app.connectors.network import HttpAddress
from app.connectors.source import SourceBase
from app.errors import NetworkForbidden

INBOX: Final = "inbox"
_HTTP = frozenset({"http", "https"})
_OF: Mapping[str, frozenset[str]] = {"auth": _HTTP}
"""Which locations take which key."""
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


def scheme_of(location: str) -> str:
    """`http`, `https`, `s3` or `sftp`; `inbox` for a path in the agency's folder."""
    return location.partition("://")[0].lower() if "://" in location else INBOX


def ending_of(location: str, member: str | None = None) -> str:
    """The ending that says what the file is, in lower case with its point: that of the member, and without `.gz`."""
    name = member or (urlsplit(location).path if scheme_of(location) in _HTTP else location)
    path = PurePosixPath(name)
    return PurePosixPath(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


class LocatedSource(SourceBase):
    """Where a file stands."""

    location: str = Field(
        min_length=1,
        max_length=1000,
        description="Path under the agency's folder, e.g. inbox/faskes.xlsx; inbox/harga-{bulan}.xlsx means several files;"
        " or https://host/path",
    )
    member: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="The file in a ZIP, by its path there; data-{bulan}.csv means several",
    )
    auth: HttpAuth = Field(default=HttpAuth(), description="http(s): how the gateway proves itself")

    @field_validator("location")
    @classmethod
    def _where(cls, location: str) -> str:
        if _FORBIDDEN.search(location):
            raise ValueError("a location holds no backslash and no control character")
        check = _CHECKS.get(scheme_of(location))
        if check is None:
            raise ValueError(
                f"a file stands in the agency's folder, or at http:// or https://, not {scheme_of(location)[:20]}://"
            )
        check(location)
        if scheme_of(location) != INBOX and ending_of(location) == ".shp":
            raise ValueError("a Shapefile is several files; what stands elsewhere is fetched alone: give it as one ZIP")
        return location

    @field_validator("member")
    @classmethod
    def _inside(cls, member: str | None, info: ValidationInfo) -> str | None:
        if member is None:
            return None
        if member.startswith("/") or ".." in PurePosixPath(member).parts or _FORBIDDEN.search(member):
            raise ValueError("a member is named by its path in the archive, without .. and not absolute")
        names = part_names(member)
        if (ending := PurePosixPath(member).suffix.lower()) in {".zip", ".gz", ".7z", ".rar", ".tar"}:
            raise ValueError(
                f"an archive in an archive ({ending}) is not opened: unpack the outer one and give the inner one"
            )
        if ending == ".shp":
            raise ValueError("a Shapefile in a ZIP is read whole: leave member out, and name its layer in sheet")
        location = str(info.data.get("location", ""))
        if location and not _archived(location):
            raise ValueError("member names a file in a ZIP: the location ends in .zip, or leave member out")
        twice = set(names) & set(part_names(location)) if location else set()
        if twice:
            raise ValueError(f"{min(twice)} is a part of the location's name already; name it otherwise")
        return member

    @field_validator(*_OF)
    @classmethod
    def _of_its_location(cls, given: object, info: ValidationInfo) -> object:
        """What the location needs must stand, and what another one needs would prove nothing."""
        name, location = str(info.field_name), info.data.get("location")
        if location is None:
            return given
        scheme = scheme_of(location)
        if given != cls.model_fields[name].default and scheme not in _OF[name]:
            where = " or ".join(f"{one}://" for one in sorted(_OF[name]))
            raise ValueError(f"{name} does nothing for this location; it is for {where}: leave it out")
        return given


def _archived(location: str) -> bool:
    """Whether what stands there may be an archive; an address without an ending may be anything."""
    return ending_of(location) in {".zip", ""} or scheme_of(location) in _HTTP


def _inbox(location: str) -> None:
    if location.startswith(("/", "~")) or ".." in PurePosixPath(location).parts:
        raise ValueError("the location is a path under the agency's folder, without .. and not absolute")
    part_names(location)


def _http(location: str) -> None:
    try:
        HttpAddress.of(location)
    except NetworkForbidden as error:
        raise ValueError(error.detail) from None
    parts = urlsplit(location)
    if parts.fragment:
        raise ValueError("what stands behind # is not sent to a server; leave it out")
    if is_pattern(location):
        raise ValueError("a web server does not say which files it has: * and {name} are for the agency's folder")
    named = next((name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if credential_name(name)), None)
    if named is not None:
        raise ValueError(
            f"the parameter {named[:60]} is a credential: use auth: {{kind: api_key, place: query}} with ${{secret:NAME}}"
        )


_CHECKS = {INBOX: _inbox, "http": _http, "https": _http}
