"""Files on an SFTP server, by asyncssh: over a connection that is dialled under the network policy, to a server of a known key alone."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from app.connectors.contract import CheckStep
from app.connectors.environment import Environment
from app.connectors.file.located import sftp_host, sftp_path
from app.connectors.file.locations.fetching import Fetching
from app.connectors.file.locations.origin import FETCH_SECONDS, Found, Local, Origin, check_server, extra
from app.connectors.file.several import MOST_FILES, is_pattern, matching
from app.connectors.file.source import FileSource
from app.connectors.file_cache import Brought, CachedFile, Sink
from app.connectors.network import dial, resolve_allowed
from app.errors import (
    SimpulError,
    SourceAuthFailed,
    SourceFailed,
    SourceMissing,
    SourcePermissionDenied,
    SourceTimeout,
    SourceTlsFailed,
    SourceTooLarge,
    SourceUnreachable,
)

MOST_LISTED: Final = 100_000
"""Entries of a folder that are gone through."""
LOGIN_SECONDS: Final = 10.0
RECENT_SECONDS: Final = 2.0
"""A file that was written so shortly before it was fetched may be written again without another time: it is fetched anew."""
_BLOCK_BYTES: Final = 4 << 20
_RSA: Final = ("rsa-sha2-512", "rsa-sha2-256")


class SftpFiles(Origin):
    """One file on a server, or those that a pattern in the last part of the path means."""

    def __init__(self, source: FileSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._host, self._port = sftp_host(source.location)
        self._path = sftp_path(source.location)
        self._fetching = Fetching(source, environment)

    async def files(self, deadline: float | None) -> Sequence[Found]:
        """The file, or those that fit, in the order of their names, each marked by time and size; looked for as `refresh` says."""

        async def look() -> Sequence[Found]:
            async with self._client() as client:
                return await self._looked(client)

        return await self._fetching.listed(look, deadline)

    @asynccontextmanager
    async def local(self, found: Found, deadline: float | None) -> AsyncIterator[Local]:
        """The copy, fetched or known by its mark."""

        async def bring(_: CachedFile | None, sink: Sink) -> Brought:
            try:
                async with asyncio.timeout(FETCH_SECONDS), self._client() as client:
                    return Brought({"mark": await self._fetched(client, self._path_of(found), sink)})
            except TimeoutError:
                raise SourceTimeout(
                    f"the file did not come within {FETCH_SECONDS:g} s", field="/source/location"
                ) from None

        key = ("sftp", found.name, self._proof(), self._environment.network)
        async with self._fetching.local(key, found.name, bring, deadline, mark=found.mark) as local:
            yield replace(local, as_of=max(found.seen, local.as_of)) if found.seen and local.as_of else local

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, tcp, then tls (the server's key), auth, or permission (each file is there and may be read)."""

        async def first() -> None:
            self._fetching.anew = True
            for found in await self.files(None):
                async with self._client() as client, await client.open(self._path_of(found), "rb") as file:
                    await file.read(1)

        try:
            return await check_server(self._host, self._port, self._environment, first, "/source/location")
        finally:
            self._fetching.anew = False

    async def close(self) -> None:
        """Lets go of the copies."""
        self._fetching.close()

    def _path_of(self, found: Found) -> str:
        return sftp_path(found.name)

    def _proof(self) -> str:
        source, resolve = self._source, self._environment.secrets.resolve
        said = (source.user, source.password, source.private_key, source.host_key)
        return hashlib.sha256("\0".join(resolve(text or "") for text in said).encode()).hexdigest()

    async def _looked(self, client: Any) -> list[Found]:
        seen = datetime.now(UTC)
        server = f"sftp://{self._source.location[len('sftp://') :].partition('/')[0]}"
        if not is_pattern(self._path):
            return [Found(self._source.location, {}, _mark(await client.stat(self._path)), seen)]
        folder, _, name = self._path.rpartition("/")
        fits, found, count = matching(name), list[Found](), 0
        async for entry in client.scandir(folder or "/"):
            count += 1
            match = fits.fullmatch(str(entry.filename))
            if match is not None and not str(entry.filename).startswith("."):
                path = f"{folder}/{entry.filename}"
                found.append(Found(f"{server}{path}", match.groupdict(), _mark(await client.stat(path)), seen))
            if count > MOST_LISTED or len(found) > MOST_FILES:
                detail = f"the folder has more than {MOST_LISTED} entries, or more than {MOST_FILES} files fit {self._source.location}"
                raise SourceTooLarge(detail, field="/source/location", limit_files=MOST_FILES)
        if not found:
            raise SourceMissing(f"no file fits {self._source.location}", field="/source/location")
        return sorted(found, key=lambda one: one.name)

    async def _fetched(self, client: Any, path: str, sink: Sink) -> str:
        """Writes the file; its mark, or none where it may have been written again unseen. Raises `SourceFailed` where it was."""
        async with await client.open(path, "rb") as file:
            before, size = await file.stat(), 0
            while chunk := await file.read(_BLOCK_BYTES):
                size += len(chunk)
                await sink.write(chunk)
            after = await file.stat()
        if _mark(before) != _mark(after) or size != (after.size or 0):
            detail = "the file was written to while it was read; write beside it, then rename"
            raise SourceFailed(detail, field="/source/location")
        recent = after.mtime is None or after.mtime > time.time() - RECENT_SECONDS  # also where its clock is ahead
        return "" if recent else _mark(after)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        """A session on the server. Raises `SourceError` leaves for whatever is wrong with it."""
        (ssh,) = extra("sftp", "asyncssh")
        ssh.set_log_level("CRITICAL")  # what is wrong is told by the error
        addresses = await resolve_allowed(self._host, self._port, self._environment.network)
        connection = await dial(addresses, self._port)
        with connection, _told(ssh, self._source):
            async with await self._logged_in(ssh, connection) as client, client.start_sftp_client() as session:
                yield session

    async def _logged_in(self, ssh: Any, connection: Any) -> Any:
        source, resolve = self._source, self._environment.secrets.resolve
        stated, told = source.host_key or "", list[str]()

        class Client(ssh.SSHClient):  # type: ignore[misc]
            """Knows one key of one server."""

            def validate_host_public_key(self, host: str, addr: str, port: int, key: Any) -> bool:
                told.append(f"{key.get_fingerprint()} ({key.get_algorithm()})")
                if stated.startswith("SHA256:"):
                    return bool(key.get_fingerprint() == stated)
                return bool(key == ssh.import_public_key(stated))

        proof: dict[str, Any] = {"client_keys": None, "preferred_auth": ("password", "keyboard-interactive")}
        if source.private_key:
            proof = {"client_keys": [_private(ssh, resolve(source.private_key))], "preferred_auth": ("publickey",)}
        else:
            proof["password"] = resolve(source.password or "")
        try:
            return await ssh.connect(
                self._host,
                self._port,
                sock=connection,
                config=None,
                agent_path=None,
                gss_auth=False,
                gss_kex=False,
                x509_trusted_certs=None,
                known_hosts=([], [], []),  # one that is empty altogether would be the file of whoever runs the gateway
                server_host_key_algs=_algorithms(stated),
                client_factory=Client,
                username=resolve(source.user or ""),
                login_timeout=LOGIN_SECONDS,
                connect_timeout=LOGIN_SECONDS,
                **proof,
            )
        except ssh.HostKeyNotVerifiable:
            shown = told[-1] if told else "none"
            detail = (
                f"the server shows another key than host_key says: {shown}; ask whoever runs it whether that is its key"
            )
            raise SourceTlsFailed(detail, field="/source/host_key") from None
        except ssh.KeyExchangeFailed:
            detail = "the server has no key of the stated form, or no way to encrypt that is taken; look at host_key"
            raise SourceTlsFailed(detail, field="/source/host_key") from None


def _algorithms(stated: str) -> Sequence[str]:
    """What the server is asked to prove itself with: the form of the stated key, any plain key for a fingerprint."""
    form = stated.partition(" ")[0]
    if form == "ssh-rsa":
        return _RSA
    if not stated.startswith("SHA256:"):
        return [form]
    return ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *_RSA]


def _private(ssh: Any, text: str) -> Any:
    try:
        return ssh.import_private_key(text)
    except (ssh.KeyImportError, ssh.KeyEncryptionError, ValueError):
        detail = "the secret is no private key that can be used: OpenSSH or PEM form, without a passphrase"
        raise SourceAuthFailed(detail, field="/source/private_key") from None


def _mark(attributes: Any) -> str:
    return f"{attributes.mtime}.{attributes.mtime_ns or 0}-{attributes.size}"


@contextmanager
def _told(ssh: Any, source: FileSource) -> Iterator[None]:
    """Faults of asyncssh as ours."""
    try:
        yield
    except SimpulError:
        raise
    except ssh.PermissionDenied:
        pointer = "/source/private_key" if source.private_key else "/source/password"
        raise SourceAuthFailed("the server does not let this user in with this proof", field=pointer) from None
    except (ssh.SFTPNoSuchFile, ssh.SFTPNoSuchPath, FileNotFoundError):
        raise SourceMissing(f"the server has no {source.location}", field="/source/location") from None
    except (ssh.SFTPPermissionDenied, PermissionError):
        raise SourcePermissionDenied(f"{source.location} may not be read", field="/source/location") from None
    except (ssh.SFTPNoConnection, ssh.SFTPConnectionLost, ssh.DisconnectError, ConnectionError, EOFError):
        raise SourceUnreachable("the connection to the server broke off", field="/source/location") from None
    except (ssh.SFTPError, ssh.ChannelOpenError):
        raise SourceFailed("the server could not give the file", field="/source/location") from None
    except OSError:
        raise SourceUnreachable("the connection to the server broke off", field="/source/location") from None
