"""One push: these bytes to that path of the inbox. Small files go in one request, large ones in parts that outlive a break.

A file that changes while it is sent is never mixed: the gateway checks the whole against the digest that was announced.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from app.agent.faults import AgentFault, Stopping
from app.agent.gateway import Connection, Reply
from app.agent.state import Pending

Result = TypeVar("Result")

BLOCK_BYTES = 64 << 10
_LEAST_PIECE = 64 << 10
_HASH_BYTES = 1 << 20
_TRIES = 5
_PART_TRIES = 7
"""Of an upload that has begun: about half a minute for a gateway that is started anew."""
_ANEW = 3
_LINK = re.compile(r'<([^>]+)>;\s*rel="?receipt"?')
_PARTIAL = "application/partial-upload"


class Changed(Exception):
    """The file is not the one whose digest was announced."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was when its digest was taken."""

    file: Path
    size: int
    sha256: str
    stamp: tuple[int, int, int]

    @property
    def digest(self) -> str:
        """As Content-Digest and Repr-Digest write it (RFC 9530)."""
        return f"sha-256=:{base64.b64encode(bytes.fromhex(self.sha256)).decode()}:"


@dataclass(frozen=True, slots=True)
class Stored:
    """What stands at the gateway now. `new`: whether it is a new version."""

    sha256: str
    size: int
    version: int
    new: bool
    exchange: str | None
    receipt: str | None


def content_of(file: Path, stopping: Callable[[], bool]) -> Content:
    """A file and its digest; raises `AgentFault` where it cannot be read, `Changed` where it changed meanwhile."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            before = _stamp(opened)
            while piece := opened.read(_HASH_BYTES):
                if stopping():
                    raise Stopping
                digest.update(piece)
            if _stamp(opened) != before:
                raise Changed
    except FileNotFoundError:
        raise AgentFault(
            "file", "file_missing", f"{file} does not exist", "check the schedule's file, or who writes it"
        ) from None
    except OSError as error:
        raise AgentFault(
            "file", "file_unreadable", f"{file} cannot be read ({error.strerror})", "let the agent's user read it"
        ) from None
    return Content(file, before[0], digest.hexdigest(), before)


class Push:
    """Sends contents over one connection. `remember` is called whenever an upload under way has to be found again later."""

    def __init__(
        self,
        connection: Connection,
        piece_bytes: int,
        tell: Callable[..., None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._piece_bytes = piece_bytes
        self._tell = tell
        self._sleep = sleep

    def send(
        self, content: Content, to: str, pending: Pending | None, remember: Callable[[Pending | None], None]
    ) -> Stored:
        """Stores a content at a path of the inbox; goes on with `pending` where that is an upload of these bytes to this path.

        Breaks are waited out as long as bytes arrive between them. Raises `AgentFault`, `Changed`, `Stopping`.
        """
        if pending is not None and (pending.to, pending.sha256, pending.size) != (to, content.sha256, content.size):
            self._give_up(pending)
            pending = None
            remember(None)
        if content.size <= self._piece_bytes:
            return self._tried(lambda: self._whole(content, to))
        under_way = pending or Pending(to, content.sha256, content.size)
        for _ in range(_ANEW):
            try:
                return self._in_parts(content, under_way, remember)
            except _BeginAnewError as error:
                self._tell("upload_lost", to=to, reason=str(error))
                found = self._standing(content, to)
                if found is not None:
                    remember(None)
                    return found
                under_way = Pending(to, content.sha256, content.size)
                remember(under_way)
            except Changed:
                self._give_up(under_way)
                remember(None)
                raise
        raise AgentFault(
            "upload", "upload_lost", f"the gateway lost the upload of {to} {_ANEW} times",
            "ask the operator of the gateway; the agent tries again by itself",
        )  # fmt: skip

    def _whole(self, content: Content, to: str) -> Stored:
        headers = {
            "Content-Type": "application/octet-stream", "Content-Length": str(content.size), "Content-Digest": content.digest,
        }  # fmt: skip
        path = self._connection.path("files", to)
        with content.file.open("rb") as file:
            self._unchanged(content, file)
            reply = self._connection.ask("PUT", path, headers, self._body(file, 0, content.size))
            if reply.document().get("code") == "digest_mismatch":
                raise Changed
        return self._stored(reply, content)

    def _in_parts(self, content: Content, pending: Pending, remember: Callable[[Pending | None], None]) -> Stored:
        offset = 0
        if pending.upload is None:
            pending.upload = self._begin(content, pending.to)
            remember(pending)
        else:
            reply = self._tried(lambda: self._known(self._connection.ask("HEAD", str(pending.upload))))
            offset = self._offset(reply, content)
            self._tell("upload_resumed", to=pending.to, offset=offset, bytes=content.size)
            if reply.headers.get("upload-complete") == "?1":
                stored = self._finished(str(pending.upload), content)
                remember(None)
                return stored
        stored = self._parts(content, str(pending.upload), offset)
        remember(None)
        return stored

    def _begin(self, content: Content, to: str) -> str:
        headers = {
            "Upload-Complete": "?0", "Upload-Length": str(content.size), "Repr-Digest": content.digest, "Content-Length": "0",
        }  # fmt: skip
        reply = self._tried(
            lambda: self._known(self._connection.ask("POST", self._connection.path("files", to), headers))
        )
        location = reply.headers.get("location", "")
        if reply.status != 201 or not location.startswith("/"):
            raise self._connection.fault(reply, "upload")
        return self._connection.gateway.url.path.rstrip("/") + location

    def _parts(self, content: Content, upload: str, offset: int) -> Stored:
        """All that is missing, then the empty last part: only that one is an exchange in the log."""
        failures, piece, unsure = 0, self._piece_bytes, False
        with content.file.open("rb") as file:
            while True:
                try:
                    self._unchanged(content, file)
                    if unsure:
                        found = self._offset(self._known(self._connection.ask("HEAD", upload)), content)
                        failures, offset, unsure = (0 if found > offset else failures), found, False
                    if offset == content.size:
                        return self._end(content, upload, offset)
                    size = min(piece, content.size - offset)
                    reply = self._part(upload, offset, self._body(file, offset, size), size, "?0")
                    if reply.status == 413 and piece > _LEAST_PIECE and "upload-limit" not in reply.headers:
                        piece, unsure = max(piece // 2, _LEAST_PIECE), True  # something between takes less
                        continue
                    reached = self._offset(self._known(reply, conflicts=True), content)
                    if reached > offset + size:
                        raise _BeginAnewError(f"the gateway has {reached} bytes and {offset + size} were sent")
                    failures = 0 if reached > offset else failures + 1
                    if failures > _PART_TRIES:
                        raise _stuck(offset)
                    offset = reached
                except AgentFault as fault:
                    failures, unsure = failures + 1, True
                    if fault.retry != "soon" or failures > _PART_TRIES:
                        raise
                    self._wait(failures, fault)

    def _part(self, upload: str, offset: int, body: Any, size: int, complete: str) -> Reply:
        headers = {
            "Content-Type": _PARTIAL, "Upload-Offset": str(offset), "Upload-Complete": complete, "Content-Length": str(size),
        }  # fmt: skip
        return self._connection.ask("PATCH", upload, headers, body)

    def _end(self, content: Content, upload: str, offset: int) -> Stored:
        reply = self._part(upload, offset, None, 0, "?1")
        code = reply.document().get("code")
        if code == "upload_completed":
            return self._finished(upload, content)
        if code == "digest_mismatch":
            raise Changed
        return self._stored(self._known(reply), content)

    def _finished(self, upload: str, content: Content) -> Stored:
        """What an upload became whose last answer was lost."""
        reply = self._known(self._connection.ask("GET", upload))
        found = reply.document()
        document = found.get("file")
        if not isinstance(document, dict):
            raise _garbled()
        exchange = found.get("exchange")
        return _as_stored(document, content, exchange if isinstance(exchange, str) else None, None)

    def _standing(self, content: Content, to: str) -> Stored | None:
        """The version in place, where it has these bytes: an upload may have ended although its answer was lost."""
        reply = self._tried(lambda: self._known(self._connection.ask("GET", self._connection.path("files"))))
        items = reply.document().get("items")
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict) and (item.get("path"), item.get("sha256")) == (to, content.sha256):
                return _as_stored({**item, "new_version": True}, content, None, None)
        return None

    def _give_up(self, pending: Pending) -> None:
        """Tells the gateway that an upload will not go on; where that fails it gives it up by itself."""
        if pending.upload is None:
            return
        try:
            self._connection.ask("DELETE", pending.upload)
        except AgentFault as fault:
            self._tell("give_up_failed", to=pending.to, **fault.told())

    def _known(self, reply: Reply, *, conflicts: bool = False) -> Reply:
        """A success, or a conflict that tells the offset. An upload that is not there any more has to begin anew."""
        code = reply.document().get("code")
        if reply.status in {404, 410} and (code == "upload_unknown" or not reply.body):
            raise _BeginAnewError("the gateway does not know the upload any more")
        if conflicts and reply.status == 409 and "upload-offset" in reply.headers:
            return reply
        if not reply.ok:
            fault = self._connection.fault(reply, "upload")
            if reply.status == 409 and code == "upload_in_use":
                fault.retry = "soon"
            raise fault
        return reply

    def _offset(self, reply: Reply, content: Content) -> int:
        text = reply.headers.get("upload-offset", "")
        if not (text.isascii() and text.isdigit()):
            raise _garbled()
        if int(text) > content.size:
            raise _BeginAnewError(f"the gateway has {text} bytes of a file of {content.size}")
        return int(text)

    def _stored(self, reply: Reply, content: Content) -> Stored:
        if reply.status not in {200, 201}:
            raise self._connection.fault(reply, "upload")
        link = _LINK.search(reply.headers.get("link", ""))
        return _as_stored(
            reply.document(), content, reply.headers.get("exchange-id"), link[1] if link is not None else None
        )

    def _blocks(self, file: IO[bytes], offset: int, size: int) -> Iterator[bytes]:
        """So many bytes of the file, for as long as it has them and the agent is not asked to end."""
        file.seek(offset)
        while size:
            if self._connection.stopping:
                raise Stopping
            block = file.read(min(BLOCK_BYTES, size))
            if not block:
                raise Changed
            size -= len(block)
            yield block

    def _body(self, file: IO[bytes], offset: int, size: int) -> Callable[[], Iterator[bytes]]:
        return lambda: self._blocks(file, offset, size)

    def _unchanged(self, content: Content, file: IO[bytes]) -> None:
        """Raises `Changed` for a file that was written to, or replaced by another, since its digest was taken."""
        try:
            same = _stamp(file) == content.stamp == _stamp_of(content.file.stat())
        except OSError:
            same = False
        if not same:
            raise Changed

    def _tried(self, ask: Callable[[], Result]) -> Result:
        for failures in range(1, _TRIES + 1):
            try:
                return ask()
            except AgentFault as fault:
                if fault.retry != "soon" or failures == _TRIES:
                    raise
                self._wait(failures, fault)
        raise AssertionError

    def _wait(self, failures: int, fault: AgentFault) -> None:
        """A short pause between tries of one push; a long one belongs to the schedule."""
        seconds = max(0.5 * 2.0 ** (failures - 1), fault.after_seconds)
        if seconds > 30:
            raise fault
        self._tell("trying_again", seconds=seconds, **fault.told())
        self._sleep(seconds)
        if self._connection.stopping:
            raise Stopping


class _BeginAnewError(Exception):
    """The upload under way cannot go on."""


def _as_stored(document: dict[str, Any], content: Content, exchange: str | None, receipt: str | None) -> Stored:
    """What the gateway says that it stored; anything but these very bytes is a fault."""
    version, sha256 = document.get("version"), document.get("sha256")
    if type(version) is not int or not isinstance(sha256, str) or document.get("size_bytes") != content.size:
        raise _garbled()
    if sha256 != content.sha256:
        raise AgentFault(
            "upload", "other_bytes", "the gateway says that it stored other bytes than were sent",
            "ask the operator of the gateway; do not rely on what stands there",
            retry="rarely",
        )  # fmt: skip
    return Stored(sha256, content.size, version, document.get("new_version") is True, exchange, receipt)


def _stuck(offset: int) -> AgentFault:
    return AgentFault(
        "upload",
        "no_progress",
        f"the gateway stays at byte {offset}",
        "ask the operator of the gateway",
        retry="rarely",
    )


def _garbled() -> AgentFault:
    return AgentFault(
        "upload", "not_understood", "the answer is none of a gateway: nothing is known to be stored",
        "check gateway.url and what stands between (a proxy, a sign-in page)",
        retry="rarely",
    )  # fmt: skip


def _stamp(file: IO[bytes]) -> tuple[int, int, int]:
    return _stamp_of(os.fstat(file.fileno()))


def _stamp_of(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino
