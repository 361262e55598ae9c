"""The scanner finds what is planted, in every writing and packing, and names the place without the value."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.secret_scanner import Finding, Scanner

SECRET = 'k%7"/rahasia-Jepara_42+x'
NIK = "3320010101900001"


def scanner() -> Scanner:
    return Scanner({"sandi sumber": SECRET, "kunci": bytes(range(32))})


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        json.dumps({"detail": SECRET}),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"dinkes:" + SECRET.encode()).decode(),
        base64.urlsafe_b64encode(b"ab" + SECRET.encode() + b"!").decode(),
        SECRET.encode().hex(),
        SECRET[::-1],
    ],
    ids=["plain", "percent", "json", "base64", "basic", "base64url", "hex", "reversed"],
)
def test_a_known_secret_is_found_in_each_writing(written: str) -> None:
    assert scanner().scan("log", f"line before {written} line after") == [Finding("sandi sumber", "log")]


def test_a_key_of_bytes_is_found(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(b"\0" * 100 + bytes(range(32)) + b"\0" * 9)
    assert scanner().scan_folder(tmp_path) == [Finding("kunci", "core")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("private key", "-----BEGIN PRIVATE KEY-----\nMC4CAQ"),
        (
            "token",
            "eyJhbGciOiJFZERTQSIsInR5c.eyJzdWIiOiJkaW5rZXMifQabc.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZy1lbm91Z2gtZm9yLWl0",
        ),
        ("address with a password", "postgresql://simpul:hemlig@db.example/x"),
        ("authorization", '{"authorization": "Bearer abcdefghijklmnop"}'),
        ("hash of a secret", "$argon2id$v=19$m=65536,t=3"),
        ("NIK", f"nik={NIK}"),
    ],
)
def test_what_has_the_form_of_a_secret_is_found(name: str, text: str) -> None:
    assert scanner().scan("x", text) == [Finding(f"form of a {name}", "x")]


@pytest.mark.parametrize(
    "text",
    [
        "01a228ff-6e20-7eed-937b-769b1e453643",
        "postgresql://${secret:DB}@host/x",
        "33.20.01.2001",
        "1764446499000000",
        "nothing here",
    ],
)
def test_what_is_no_secret_is_not(text: str) -> None:
    assert scanner().scan("x", text) == []


def test_members_of_archives_are_looked_at(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("isi.txt", SECRET)
    with tarfile.open(tmp_path / "cadangan.tar", "w") as tar:
        for name, content in (("a.gz", gzip.compress(SECRET.encode())), ("b.zip", packed.getvalue())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    where = {found.where for found in scanner().scan_folder(tmp_path)}
    assert where == {"cadangan.tar:a.gz (unpacked)", "cadangan.tar:b.zip:isi.txt"}


def test_command_lines_and_environments_of_children_are_looked_at() -> None:
    waiting = "import sys; print(1, flush=True); sys.stdin.read()"
    environment = {"PATH": os.environ["PATH"], "SANDI": SECRET}
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", waiting, "--kata", SECRET], env=environment, **streams) as child:  # type: ignore[call-overload]
        assert child.stdout is not None
        child.stdout.readline()
        found = scanner().scan_processes(os.getpid())
        child.communicate()
    assert {Finding("sandi sumber", f"/proc/{child.pid}/{name}") for name in ("cmdline", "environ")} <= set(found)


def test_a_secret_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="short"):
        Scanner({"x": "abc"})
