"""Database addresses of a manifest: what may stand in `source.url`, and where a database server is dialled.

The URL is taken apart before secrets are put in, so that no secret can change the host. Everything a driver would accept
beyond user, host, port, database and `sslmode` is refused (service files, sockets, `options=`, host lists).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from app.connectors.environment import Environment
from app.connectors.network import resolve_allowed

SSL_MODES = ("disable", "prefer", "require", "verify-full")
Dialect = Literal["postgres", "mysql", "oracle"]
_SCHEMES: dict[str, tuple[Dialect, int]] = {
    "postgresql": ("postgres", 5432),
    "postgres": ("postgres", 5432),
    "mysql": ("mysql", 3306),
    "mariadb": ("mysql", 3306),
    "oracle": ("oracle", 1521),
}
_MSSQL = frozenset({"mssql", "sqlserver"})
_REFERENCE = re.compile(r"\$\{(?:secret|env):[^{}]*\}")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a database server stands. Texts may hold `${secret:…}` and `${env:…}`; nothing here is resolved yet."""

    dialect: Dialect
    host: str
    port: str
    database: str
    user: str
    password: str
    sslmode: str


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    """A SQLite file under the agency's own folder."""

    path: str


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """A resolved address. The password never appears in a repr."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    sslmode: str


def parse_url(url: str) -> ServerAddress | SqliteAddress:
    """The parts of `source.url`. Raises `ValueError` saying what is refused and what to write; never repeats the URL."""
    if _CONTROL.search(url) or "\\" in url:
        raise ValueError("the address holds a blank, a backslash or a control character")
    scheme = url.partition(":")[0].lower()
    if scheme == "sqlite":
        return _sqlite(url[len("sqlite:") :])
    if scheme in _MSSQL:
        raise ValueError(
            "SQL Server is not read directly; connect a PostgreSQL that shows its tables by tds_fdw, or upload them as CSV"
        )
    if scheme in _SCHEMES:
        return _server(url, *_SCHEMES[scheme])
    raise ValueError(
        "the address must start with postgresql://, mysql://, mariadb://, oracle:// or sqlite: "
        "(for example postgresql://user:${secret:NAME}@host:5432/db)"
    )


def resolve_target(address: ServerAddress, environment: Environment) -> ServerTarget:
    """The address with the references of its credential replaced. Raises `SecretUnknown`."""
    resolve = environment.secrets.resolve
    return ServerTarget(
        host=address.host,
        port=int(address.port),
        database=address.database,
        user=resolve(address.user),
        password=resolve(address.password),
        sslmode=address.sslmode,
    )


async def dial_addresses(target: ServerTarget, environment: Environment) -> list[str]:
    """The literal addresses to dial: the one place where a database host meets the network policy."""
    return await resolve_allowed(target.host, target.port, environment.network)


def _sqlite(rest: str) -> SqliteAddress:
    if "?" in rest or "#" in rest or "%" in rest or "$" in rest:
        raise ValueError("a SQLite address is a plain path: sqlite:register.db, without options or references")
    path = rest.removeprefix("///")
    if path.startswith("/") or not path or ":" in path or ".." in path.split("/"):
        raise ValueError("a SQLite file stands in the agency's own folder: write sqlite:register.db")
    return SqliteAddress(path)


def _server(url: str, dialect: Dialect, default_port: int) -> ServerAddress:
    references: list[str] = []

    def hide(found: re.Match[str]) -> str:
        references.append(found.group())
        return f"zzref{len(references) - 1}zz"

    def show(text: str) -> str:
        shown = unquote(text)
        for number, reference in enumerate(references):
            shown = shown.replace(f"zzref{number}zz", reference)
        return shown

    try:
        parts = urlsplit(_REFERENCE.sub(hide, url))
    except ValueError:
        raise ValueError("the address is not a URL: scheme://user:${secret:NAME}@host:port/database") from None
    host, port = _host_and_port(parts, default_port)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    database = show(parts.path.removeprefix("/"))
    if not user:
        raise ValueError("the address names no user: scheme://user:${secret:NAME}@host:port/database")
    if not database or "/" in database:
        raise ValueError("the address names no database: scheme://user:${secret:NAME}@host:port/database")
    for part, text in (("host", show(host)), ("port", show(port)), ("database", database)):
        if "${" in text:
            raise ValueError(f"the {part} is written out: references stand for user and password alone")
    password = show(password)
    if password and not _REFERENCE.fullmatch(password):
        raise ValueError("a password never stands in a manifest: store it as a secret and write ${secret:NAME}")
    return ServerAddress(dialect, show(host), show(port), database, show(user), password, _sslmode(parts))


def _host_and_port(parts: SplitResult, default_port: int) -> tuple[str, str]:
    host_port = parts.netloc.rpartition("@")[2]
    if parts.netloc.count("@") > 1 or "," in host_port or "%" in host_port or not host_port:
        raise ValueError("the address must name exactly one host (no list, no socket folder, no percent signs)")
    if host_port.startswith("["):
        host, _, tail = host_port[1:].partition("]")
        port = tail.removeprefix(":")
    else:
        host, _, port = host_port.partition(":")
    port = port or str(default_port)
    if not host or host.startswith("/") or not (port.isascii() and (port.isdigit() or port.startswith("zzref"))):
        raise ValueError(f"the address needs a host and, where it is not {default_port}, a port number")
    return host, port


def _sslmode(parts: SplitResult) -> str:
    if parts.fragment:
        raise ValueError("the address has a part after '#', which means nothing here")
    mode = "prefer"
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name != "sslmode":
            raise ValueError(f"the option {name[:40]!r} is not allowed in the address; only sslmode is")
        if value not in SSL_MODES:
            raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}")
        mode = value
    return mode
