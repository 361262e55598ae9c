"""The inbox of an agency on disk: `DIR/agencies/<agency>/inbox/…`, written only here, atomically, the newest versions kept.

A path can never leave the inbox. Bytes of each kept version stand under `inbox/.versions/<path>/<sha256>` as well (a hard
link where the file system has them). Does not live here: the list of versions (`files.py`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import re
import shutil
import unicodedata
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from app.catalog.agencies import SLUG
from app.connectors.contents import content_of, why_unread
from app.errors import AgencyUnknown, BodyTooLarge, DigestMismatch, FieldError, StoreUnavailable, ValidationFailed

PATH_CHARACTERS = 400
SEGMENTS = 8
SEGMENT_BYTES = 200
WRITE_BYTES = 1 << 20
_SEGMENT = re.compile(r"[\w(][\w .()+,&-]*", re.UNICODE)
_DIGEST = re.compile(r"\s*([a-z0-9*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*")
_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
_NAME_RULE = (
    f"at most {SEGMENTS} parts and {PATH_CHARACTERS} characters; each part begins with a letter, digit, _ or ( and goes"
    " on with these, blanks and . ) + , & -, and does not end with a dot or a blank"
)


@dataclass(frozen=True, slots=True)
class Received:
    """A finished upload that is not yet in place: its bytes are on disk, their digest is known."""

    path: str
    temporary: Path
    size_bytes: int
    sha256: str


def safe_path(path: str) -> str:
    """The path below the inbox in its one spelling (NFC, a leading `inbox/` dropped); `ValidationFailed` if it is odd.

    Manifests write `inbox/faskes.xlsx`, so both spellings of an upload mean the same file.
    """
    text = unicodedata.normalize("NFC", path).removeprefix("inbox/")
    parts = text.split("/")
    sound = len(text) <= PATH_CHARACTERS and len(parts) <= SEGMENTS and all(_sound(part) for part in parts)
    if not sound:
        errors = [FieldError("/path", "path", _NAME_RULE)]
        raise ValidationFailed("the path of the upload is not allowed", errors=errors)
    return text


def _sound(part: str) -> bool:
    return bool(_SEGMENT.fullmatch(part)) and part[-1] not in ". " and len(part.encode()) <= SEGMENT_BYTES


def expected_digests(text: str | None, header: str = "Content-Digest") -> dict[str, bytes]:
    """Digests of a `Content-Digest` or `Repr-Digest` field (RFC 9530) by hashlib name; unknown algorithms beside known ones are ignored.

    Raises `ValidationFailed` when the field is malformed or names no algorithm that can be checked.
    """
    if text is None:
        return {}
    found: dict[str, bytes] = {}
    for part in text.split(","):
        match = _DIGEST.fullmatch(part)
        if match is None:
            raise _bad_digest(header, "write it as sha-256=:BASE64:")
        name = _ALGORITHMS.get(match[1])
        if name is None:
            continue
        try:
            found[name] = base64.b64decode(match[2], validate=True)
        except binascii.Error:
            raise _bad_digest(header, "the value between the colons is not base64") from None
    if not found:
        raise _bad_digest(header, "it names no algorithm that is checked here: use sha-256 or sha-512")
    return found


def _bad_digest(header: str, detail: str) -> ValidationFailed:
    errors = [FieldError(header, header.lower().replace("-", "_"), detail)]
    return ValidationFailed(f"the header {header} is not valid: {detail}", errors=errors)


class Inbox:
    """The inbox of one agency. `receive` takes the bytes, `install` puts them in place, `discard` forgets them.

    Call `install` inside the transaction that records the version (`files.record_file` takes the agency's lock), so
    that the order on disk is the order of versions; also when the bytes are no new version: it heals a lost file.
    """

    def __init__(self, instance: Path, agency: str) -> None:
        if not SLUG.fullmatch(agency):
            raise AgencyUnknown("no agency has this id; GET /v1/agencies lists them")
        self.root = instance / "agencies" / agency
        self.folder = self.root / "inbox"

    async def receive(
        self,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        limit_bytes: int,
        content_digest: str | None = None,
        check_free: Callable[[int], None] = lambda _: None,
    ) -> Received:
        """Streams into a temporary file and forces it to disk. `check_free` is asked before each piece is written.

        Raises `ValidationFailed` (path, header, content that no kind reads), `BodyTooLarge`, `DigestMismatch`; nothing stays behind then.
        """
        name, expected = safe_path(path), expected_digests(content_digest)
        temporary = self.folder / ".incoming" / uuid.uuid4().hex
        hashes = {algorithm: hashlib.new(algorithm) for algorithm in {"sha256", *expected}}
        try:
            file = await asyncio.to_thread(self._open, name, temporary)
            try:
                size_bytes = await _fill(file, chunks, hashes, limit_bytes, check_free)
                await asyncio.to_thread(_sync, file)
            finally:
                await asyncio.to_thread(file.close)
            _compare(hashes, expected)
            await asyncio.to_thread(refuse_unread, temporary)
        except BaseException as error:
            temporary.unlink(missing_ok=True)  # one system call: also right when the request was cancelled
            if isinstance(error, OSError):
                raise _disk_fault(error) from error
            raise
        return Received(name, temporary, size_bytes, hashes["sha256"].hexdigest())

    async def install(self, received: Received) -> None:
        """Puts the file in place: readers see the old or the new bytes, never a mixture, never none."""
        try:
            await asyncio.to_thread(self._install, received)
        except OSError as error:
            raise _disk_fault(error) from error

    async def discard(self, received: Received) -> None:
        """Forgets an upload that was not installed; may be called after `install`."""
        await asyncio.to_thread(received.temporary.unlink, missing_ok=True)

    async def forget(self, path: str, sha256: str) -> None:
        """Removes the bytes of one old version."""
        await asyncio.to_thread(self.version_file(path, sha256).unlink, missing_ok=True)

    def version_file(self, path: str, sha256: str) -> Path:
        """Where the bytes of one version stand."""
        return self.folder / ".versions" / PurePosixPath(safe_path(path)) / sha256

    def _open(self, name: str, temporary: Path) -> IO[bytes]:
        self._target(name)
        temporary.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        return temporary.open("xb", buffering=0)

    def _target(self, name: str) -> Path:
        """The path of the file; refuses what a link or a folder of that name would turn into another path."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        target = self.folder / PurePosixPath(name)
        inside = target.parent.resolve().is_relative_to(self.folder.resolve())
        blocked = target.is_dir() or any(part.is_file() for part in target.parents if part.is_relative_to(self.folder))
        if not inside or target.is_symlink() or blocked:
            errors = [FieldError("/path", "path", "a folder or link stands where the file (or its folder) would stand")]
            raise ValidationFailed("the path of the upload cannot be used", errors=errors)
        return target

    def _install(self, received: Received) -> None:
        target, version = self._target(received.path), self.version_file(received.path, received.sha256)
        version.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        if not version.exists():
            _link(received.temporary, version)
        received.temporary.replace(target)
        for folder in (target.parent, version.parent):
            _sync_folder(folder)


async def _fill(
    file: IO[bytes],
    chunks: AsyncIterator[bytes],
    hashes: dict[str, Any],
    limit_bytes: int,
    check_free: Callable[[int], None],
) -> int:
    size_bytes, waiting = 0, bytearray()
    async for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise BodyTooLarge(f"the upload is larger than {limit_bytes} bytes: split it", limit_bytes=limit_bytes)
        waiting += chunk
        if len(waiting) >= WRITE_BYTES:
            check_free(len(waiting))
            await asyncio.to_thread(_write, file, bytes(waiting), hashes)
            waiting.clear()
    check_free(len(waiting))
    await asyncio.to_thread(_write, file, bytes(waiting), hashes)
    return size_bytes


def refuse_unread(path: Path) -> None:
    """Refuses what no kind reads, by its bytes: whoever sent it hears of it now, and not whoever connects it."""
    found = content_of(path)
    advice = None if found is None else why_unread(found)
    if found is None or advice is None:
        return
    detail = f"the file is a {found.name}, which is not read; {advice}"
    raise ValidationFailed(detail, errors=[FieldError("/body", "content", detail)])


def _compare(hashes: dict[str, Any], expected: dict[str, bytes]) -> None:
    if any(not hmac.compare_digest(hashes[name].digest(), digest) for name, digest in expected.items()):
        raise DigestMismatch("the bytes that arrived do not have the Content-Digest that was sent: upload again")


def _write(file: IO[bytes], content: bytes, hashes: dict[str, Any]) -> None:
    for digest in hashes.values():
        digest.update(content)
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _sync(file: IO[bytes]) -> None:
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links: a copy costs space, nothing else
        partial = target.with_name(f"{target.name}.part")
        shutil.copyfile(source, partial)
        partial.replace(target)


def _disk_fault(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"the upload could not be written ({error.strerror}); is the disk full?")
