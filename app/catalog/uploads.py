"""Uploads that arrive in parts: what is known of each stands beside its bytes, in the inbox's `.incoming`.

`<id>.part` holds the bytes that arrived, so its size is the offset; `<id>.json` says whose they are and what they will be. Both
outlive the process. Does not live here: who may send parts, and what is recorded of them (`gateway/uploads.py`).
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from app.catalog.inbox import Inbox
from app.errors import Conflict, DigestMismatch, NotFound, RequestError

_ID = re.compile(r"[0-9a-f]{32}")
_READ_BYTES = 1 << 20
_STALE_SECONDS = 7200.0
_INCOMING = ".incoming"


class UploadUnknown(NotFound):
    """No open upload of this client has this id."""

    code = "upload_unknown"


class UploadOffsetMismatch(Conflict):
    """The part does not begin where the upload ends. `expected_offset` and `provided_offset` in the facts."""

    code = "upload_offset_mismatch"


class UploadCompleted(Conflict):
    """The upload is complete: nothing can be added to it."""

    code = "upload_completed"


class UploadInUse(Conflict):
    """Another process of the gateway works on this upload."""

    code = "upload_in_use"
    retryable = True


class UploadLengthInconsistent(RequestError):
    """Parts and announced length do not fit."""

    code = "upload_length_inconsistent"


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload in parts. `digests`: of the whole, by hashlib name, in hex; `finished`: what became of a complete one."""

    id: str
    agency: str
    path: str
    client: str
    client_agency: str
    role: str
    credential: str
    began_at: datetime
    expires_at: datetime
    length: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    finished: Mapping[str, Any] | None = None

    def left_seconds(self, moment: datetime) -> int:
        """Seconds until it is given up."""
        return max(int((self.expires_at - moment).total_seconds()), 0)


class IncomingFiles:
    """The uploads in parts of one agency, on disk. Blocking: call it in a thread."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._folder = inbox.folder / _INCOMING

    def begin(self, upload: Upload) -> None:
        """Makes room for the bytes, then says that there is an upload."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.bytes_of(upload.id).open("xb").close()
        self.keep(upload)

    def keep(self, upload: Upload) -> None:
        """Writes the state of an upload, whole or not at all."""
        file = self._folder / f"{upload.id}.json"
        partial = file.with_suffix(".new")
        with partial.open("w", encoding="utf-8") as out:
            json.dump(asdict(upload), out, default=datetime.isoformat)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)

    def find(self, upload_id: str) -> Upload:
        """The upload with this id; `UploadUnknown` when there is none, or when its bytes are gone."""
        unknown = UploadUnknown("no open upload of this client has this id: begin a new one", upload=upload_id[:64])
        if not _ID.fullmatch(upload_id):
            raise unknown
        try:
            found = _read(self._folder / f"{upload_id}.json")
        except FileNotFoundError:
            raise unknown from None
        if found.finished is None and not self.bytes_of(upload_id).is_file():
            self.forget(upload_id)
            raise unknown
        return found

    def all(self) -> list[Upload]:
        """Every upload, complete ones too, by the time they began."""
        found = []
        for file in self._folder.glob("*.json"):
            with suppress(UploadUnknown, FileNotFoundError):
                found.append(self.find(file.stem))
        return sorted(found, key=lambda upload: (upload.began_at, upload.id))

    def bytes_of(self, upload_id: str) -> Path:
        """Where the bytes stand."""
        return self._folder / f"{upload_id}.part"

    def offset(self, upload: Upload) -> int:
        """How many bytes are there."""
        if upload.finished is not None:
            return int(upload.finished["size_bytes"])
        try:
            return self.bytes_of(upload.id).stat().st_size
        except FileNotFoundError:
            raise UploadUnknown("the upload has ended meanwhile: begin a new one", upload=upload.id) from None

    def forget(self, upload_id: str) -> None:
        """Removes an upload and its bytes; the state goes first, so that no state speaks of bytes that are gone."""
        (self._folder / f"{upload_id}.json").unlink(missing_ok=True)
        self.bytes_of(upload_id).unlink(missing_ok=True)

    def remove_stale(self, moment: float) -> int:
        """Removes what a killed process left of uploads that came in one request; tells how many."""
        count = 0
        if not self._folder.is_dir():
            return 0
        for file in self._folder.iterdir():
            left = not file.suffix or (file.suffix == ".part" and not file.with_suffix(".json").exists())
            with suppress(FileNotFoundError):
                if (left or file.suffix == ".new") and moment - file.stat().st_mtime > _STALE_SECONDS:
                    file.unlink()
                    count += 1
        return count

    @contextmanager
    def locked(self, upload: Upload, seconds: float) -> Iterator[IO[bytes]]:
        """The bytes, open for this process alone. The state must be read again by then: it may have ended.

        Raises `UploadInUse` when another process holds it for longer, `UploadUnknown` when the bytes are gone.
        """
        ends = time.monotonic() + seconds
        try:
            file = self.bytes_of(upload.id).open("r+b", buffering=0)
        except FileNotFoundError:
            raise UploadUnknown("the upload has ended meanwhile: begin a new one", upload=upload.id) from None
        with file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > ends:
                        raise UploadInUse(
                            "another process takes a part of this upload", retry_after_seconds=5
                        ) from None
                    time.sleep(0.05)
            yield file


def at_offset(upload: Upload, file: IO[bytes], offset: int) -> None:
    """Puts the file to its end; raises where the part does not begin there, or the upload is complete."""
    if upload.finished is not None:
        raise UploadCompleted("the upload is complete; begin a new one for other bytes")
    there = file.seek(0, os.SEEK_END)
    if there != offset:
        detail = f"the upload has {there} bytes and the part begins at {offset}: send it from byte {there}"
        raise UploadOffsetMismatch(detail, expected_offset=there, provided_offset=offset)


def digests_of(path: Path, wanted: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 and the wanted digests of a file in hex; raises `DigestMismatch` where one is another."""
    hashes = {name: hashlib.new(name) for name in {"sha256", *wanted}}
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            for one in hashes.values():
                one.update(piece)
    found = {name: one.hexdigest() for name, one in hashes.items()}
    if any(not hmac.compare_digest(found[name], digest) for name, digest in wanted.items()):
        detail = "the parts together do not have the Repr-Digest that was sent: nothing was stored; send the file anew"
        raise DigestMismatch(detail)
    return found


def finished(upload: Upload, told: Mapping[str, Any]) -> Upload:
    """The state of a complete upload, kept so that a client that missed the answer can ask for it."""
    return replace(upload, finished=dict(told))


def _read(file: Path) -> Upload:
    found = json.loads(file.read_text("utf-8"))
    for name in ("began_at", "expires_at"):
        found[name] = datetime.fromisoformat(found[name]).astimezone(UTC)
    return Upload(**found)
