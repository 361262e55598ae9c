"""The part of a file's `source:` block that says where it stands, and how the gateway proves itself there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, ValidationInfo, field_validator

from app.connectors.credentials import credential_name, is_reference
from app.connectors.file.several import is_pattern, part_names
from app.connectors.http_auth import HttpAuth
from app.connectors.network import Dialled, HttpAddress, canonical_host
from app.connectors.source import SourceBase
from app.errors import NetworkForbidden

INBOX: Final = "inbox"
SFTP_PORT: Final = 22
_HTTP = frozenset({"http", "https"})
_OF: Mapping[str, frozenset[str]] = {
    "auth": _HTTP,
    **dict.fromkeys(("endpoint", "region", "access_key", "secret_key"), frozenset({"s3"})),
    **dict.fromkeys(("user", "password", "private_key", "host_key"), frozenset({"sftp"})),
}
"""Which locations take which key."""
_NEEDED: Mapping[str, frozenset[str]] = {"s3": frozenset({"region"}), "sftp": frozenset({"user", "host_key"})}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)
_PUBLIC_KEY = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}(?: .{0,200})?", re.ASCII)
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
        " or https://host/path, s3://bucket/key, sftp://host/path",
    )
    member: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="The file in a ZIP, by its path there; data-{bulan}.csv means several",
    )
    auth: HttpAuth = Field(default=HttpAuth(), description="http(s): how the gateway proves itself")
    endpoint: str | None = Field(
        default=None, max_length=300, description="s3: address of the service; else that of AWS"
    )
    region: str | None = Field(
        default=None, max_length=40, description="s3: the region that requests are signed for", validate_default=True
    )
    access_key: str | None = Field(
        default=None, max_length=300, description="s3: ${secret:NAME}; none: a public bucket"
    )
    secret_key: str | None = Field(
        default=None, max_length=300, description="s3: ${secret:NAME}", validate_default=True
    )
    user: str | None = Field(default=None, max_length=200, description="sftp: who logs in", validate_default=True)
    password: str | None = Field(default=None, max_length=300, description="sftp: ${secret:NAME}")
    private_key: str | None = Field(
        default=None,
        max_length=300,
        description="sftp: ${secret:NAME}, a key in OpenSSH or PEM form without a passphrase",
        validate_default=True,
    )
    host_key: str | None = Field(
        default=None,
        max_length=2000,
        description="sftp: the server's key as SHA256:… or as its public line; no other is talked to",
        validate_default=True,
    )

    @field_validator("location")
    @classmethod
    def _where(cls, location: str) -> str:
        if _FORBIDDEN.search(location):
            raise ValueError("a location holds no backslash and no control character")
        check = _CHECKS.get(scheme_of(location))
        if check is None:
            raise ValueError(
                f"a file stands in the agency's folder, or at http://, https://, s3:// or sftp://, not {scheme_of(location)[:20]}://"
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
        if given == cls.model_fields[name].default:
            if name in _NEEDED.get(scheme, ()):
                raise ValueError(f"a file at {scheme}:// needs {name}{_WHY.get(name, '')}")
        elif scheme not in _OF[name]:
            where = " or ".join(f"{one}://" for one in sorted(_OF[name]))
            raise ValueError(f"{name} does nothing for this location; it is for {where}: leave it out")
        return given

    @field_validator("access_key", "secret_key", "password", "private_key")
    @classmethod
    def _referred(cls, text: str | None) -> str | None:
        if text and not is_reference(text):
            raise ValueError("a secret never stands in a manifest: store it and write ${secret:NAME}")
        return text

    @field_validator("secret_key")
    @classmethod
    def _both(cls, secret: str | None, info: ValidationInfo) -> str | None:
        if "access_key" in info.data and (secret is None) is not (info.data["access_key"] is None):
            raise ValueError("access_key and secret_key stand together; neither means a public bucket")
        return secret

    @field_validator("private_key")
    @classmethod
    def _one_proof(cls, key: str | None, info: ValidationInfo) -> str | None:
        location = info.data.get("location")
        if location is None or "password" not in info.data or scheme_of(location) != "sftp":
            return key
        if (key is None) is (info.data["password"] is None):
            raise ValueError("a file at sftp:// needs password or private_key, one of the two")
        return key

    def dialled(self) -> Sequence[Dialled]:
        """See `SourceBase.dialled`."""
        scheme, pointer = scheme_of(self.location), "/source/location"
        if scheme in _HTTP:
            return (Dialled.http(pointer, self.location), *self.auth.dialled())
        if scheme == "s3":
            if self.endpoint is None:
                return (Dialled.http(pointer, object_endpoint(self)),)
            return (Dialled.http("/source/endpoint", self.endpoint),)
        return (Dialled(pointer, *sftp_host(self.location)),) if scheme == "sftp" else ()

    @field_validator("endpoint")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        _http(url)
        if urlsplit(url).path.strip("/") or urlsplit(url).query:
            raise ValueError("the endpoint is https://host[:port] without a path; the bucket stands in the location")
        return url.rstrip("/")

    @field_validator("region")
    @classmethod
    def _region(cls, region: str | None) -> str | None:
        if region is not None and _REGION.fullmatch(region) is None:
            raise ValueError("a region is written like ap-southeast-3; a service that has none takes us-east-1")
        return region

    @field_validator("host_key")
    @classmethod
    def _key(cls, key: str | None) -> str | None:
        if key is not None and not (_FINGERPRINT.fullmatch(key) or _PUBLIC_KEY.fullmatch(key)):
            raise ValueError(
                "a host key is SHA256:… (43 signs, as ssh-keygen -lf shows it) or the public line: ssh-ed25519 AAAA…"
            )
        return key


_WHY: Mapping[str, str] = {
    "host_key": ": SHA256:… of the server's key, which whoever runs it can tell; an unknown server is never trusted",
    "region": ", which requests are signed for; a service that has none takes us-east-1",
}


def object_endpoint(source: LocatedSource) -> str:
    """Where the object store is asked: the endpoint, or that of the region."""
    return source.endpoint or f"https://s3.{source.region}.amazonaws.com"


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
        raise ValueError(
            "a web server does not say which files it has: * and {name} are for the inbox, s3:// and sftp://"
        )
    named = next((name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if credential_name(name)), None)
    if named is not None:
        raise ValueError(
            f"the parameter {named[:60]} is a credential: use auth: {{kind: api_key, place: query}} with ${{secret:NAME}}"
        )


def _s3(location: str) -> None:
    bucket, _, key = location[len("s3://") :].partition("/")
    if _BUCKET.fullmatch(bucket) is None or not key or key.endswith("/"):
        raise ValueError("an object is written s3://bucket/key: the bucket in lower case, the key without / at its end")
    part_names(key)


def _sftp(location: str) -> None:
    host, _ = sftp_host(location)
    try:
        canonical_host(host)
    except NetworkForbidden as error:
        raise ValueError(error.detail) from None
    path = sftp_path(location)
    if path in {"", "/"} or path.endswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError("a file is written sftp://host[:port]/path, without .. and with the file's name at its end")
    part_names(path)


def sftp_host(location: str) -> tuple[str, int]:
    """Host and port of an `sftp://` address. Raises `ValueError`."""
    netloc = location[len("sftp://") :].partition("/")[0]
    if "@" in netloc or "$" in netloc:
        raise ValueError("the user stands in user, and secrets in password or private_key, not in the address")
    parts = urlsplit(f"sftp://{netloc}")
    port = SFTP_PORT if parts.port is None else parts.port
    if not parts.hostname or not 1 <= port <= 65535:
        raise ValueError("an address is sftp://host[:port]/path, its port 1 to 65535")
    return parts.hostname, port


def sftp_path(location: str) -> str:
    """The path of an `sftp://` address, from the server's root."""
    return "/" + location[len("sftp://") :].partition("/")[2]


_CHECKS = {INBOX: _inbox, "http": _http, "https": _http, "s3": _s3, "sftp": _sftp}
