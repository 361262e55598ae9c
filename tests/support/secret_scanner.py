"""Looks for secrets in what a gateway leaves behind: known ones in every usual writing, and whatever has the form of one.

`Scanner(known)` takes the real secrets of a run by name. `scan` looks through bytes, `scan_folder` through files (databases and archives
as they lie there, members of tar and zip files too), `scan_processes` through command lines and environments. A finding names the secret
and the place, never the value.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Known secrets of fewer characters would be found in anything."""
FORMS: Mapping[str, re.Pattern[bytes]] = {
    "private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    "token": re.compile(rb"eyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{40,}"),
    "address with a password": re.compile(
        rb"[a-z][a-z0-9+]{2,20}://[^\s/:@\"'<>{}$]{1,64}:(?![*$]|%2A)[^\s/@\"'<>{}$]{3,}@[\w.-]"
    ),
    "authorization": re.compile(rb"(?i)authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|dpop)\s+[\w.~+/-]{12,}"),
    "hash of a secret": re.compile(rb"\$argon2id\$v=\d+\$m="),
    "NIK": re.compile(
        rb"(?<![\d.])(?:1[1-9]|[2-9]\d)\d{4}(?:0[1-9]|[12]\d|3[01]|4[1-9]|[56]\d|7[01])(?:0[1-9]|1[0-2])\d{2}\d{4}(?![\d.])"
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was found at `where`."""

    what: str
    where: str


def writings(secret: bytes) -> Iterator[bytes]:
    """A secret as it is, and as base64, hex, JSON, percent-encoding and reversed text write it."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for lead in range(
        3
    ):  # base64 of a longer text that has it inside: without the characters that its neighbours share
        whole = base64.b64encode(bytes(lead) + secret)
        inner = whole[(0, 2, 3)[lead] : len(secret) * 4 // 3]
        if len(inner) >= SHORTEST:
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")
    with contextlib.suppress(UnicodeDecodeError):
        text = secret.decode()
        yield quote(text, safe="").encode()
        yield quote_plus(text).encode()
        yield json.dumps(text)[1:-1].encode()
        yield text[::-1].encode()


class Scanner:
    """`known`: secrets by name; `forms`: which of `FORMS` count as found wherever they stand."""

    def __init__(self, known: Mapping[str, str | bytes], forms: Collection[str] = tuple(FORMS)) -> None:
        self._known: dict[bytes, str] = {}
        for name, value in known.items():
            secret = value.encode() if isinstance(value, str) else value
            if len(secret) < SHORTEST:
                raise ValueError(f"{name} is too short to be looked for")
            for written in writings(secret):
                self._known.setdefault(written, name)
        self._forms = {name: FORMS[name] for name in forms}

    def scan(self, where: str, content: bytes | str) -> list[Finding]:
        """Every secret in these bytes, once."""
        given = content.encode() if isinstance(content, str) else content
        found = {name for written, name in self._known.items() if written in given}
        found |= {f"form of a {name}" for name, form in self._forms.items() if form.search(given)}
        return [Finding(name, where) for name in sorted(found)]

    def scan_file(self, path: Path, where: str) -> list[Finding]:
        """A file as it lies there; of an archive its members too."""
        return self._scan_packed(where, path.read_bytes())

    def _scan_packed(self, where: str, content: bytes) -> list[Finding]:
        if content[257:262] == b"ustar":
            return self._scan_members(where, content)
        found = self.scan(where, content)
        if content.startswith(b"\x1f\x8b"):
            with contextlib.suppress(OSError, EOFError):
                found += self._scan_packed(f"{where} (unpacked)", gzip.decompress(content))
        elif content.startswith(b"PK\x03\x04"):
            with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    found += self._scan_packed(f"{where}:{name}", archive.read(name))
        return found

    def _scan_members(self, where: str, content: bytes) -> list[Finding]:
        found: list[Finding] = []
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                inner = tar.extractfile(member)
                found += self.scan(f"names in {where}", member.name)
                found += [] if inner is None else self._scan_packed(f"{where}:{member.name}", inner.read())
        return found

    def scan_folder(self, folder: Path, *, leave_out: Collection[str] = ()) -> list[Finding]:
        """Every file below a folder. `leave_out`: names of its first level that are not looked at."""
        found: list[Finding] = []
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if path.is_file() and relative.parts[0] not in leave_out:
                found += self.scan_file(path, relative.as_posix())
        return found

    def scan_processes(self, parent: int) -> list[Finding]:
        """Command lines of a process and all below it, and the environments of those below it."""
        found: list[Finding] = []
        for pid in (parent, *descendants(parent)):
            for name in ("cmdline", *(["environ"] if pid != parent else [])):
                with contextlib.suppress(OSError):
                    found += self.scan(f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes())
        return found


def descendants(parent: int) -> list[int]:
    """All processes below one."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            below.setdefault(int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1]), []).append(
                int(entry.name)
            )
    found, waiting = [], [parent]
    while waiting:
        children = below.get(waiting.pop(), [])
        found += children
        waiting += children
    return found
