"""Files on an SFTP server: of a known key alone, by password or key, as several files, fetched again when time or size change."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import ValidationError

from app.connectors.contract import RawBatch
from app.connectors.file import KIND
from app.connectors.file.source import FileSource
from app.connectors.requests import ScanRequest
from app.errors import SimpulError, SourceFailed, SourceTlsFailed
from tests.support.reading import environment
from tests.support.sftp_server import USER, SftpServer

PASSWORD = "sandi-4f9c1e"
OLD = time.time() - 3600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    folder = tmp_path_factory.mktemp("sftp")
    (folder / "data").mkdir()
    keys = [asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-rsa", key_size=2048)]
    found = SftpServer(folder, PASSWORD, host_keys=keys)
    put(found, "data/harga-01.csv", b"komoditas,harga\nBeras,13500\n")
    put(found, "data/harga-02.csv", b"komoditas,harga\nGula,17000\n")
    yield found
    found.close()


def put(server: SftpServer, name: str, content: bytes, written: float = OLD) -> Path:
    file = server.folder / name
    file.write_bytes(content)
    os.utime(file, (written, written))
    return file


class Known:
    """The password, and the private key in OpenSSH's form."""

    def __init__(self, server: SftpServer, password: str = PASSWORD, key: Any = None) -> None:
        text = (key or server.client_key).export_private_key().decode()
        self._known = {"${secret:PW}": password, "${secret:KEY}": text, "${secret:NOT}": "bukan kunci"}

    def resolve(self, text: str) -> str:
        return self._known.get(text, text)


def opened(root: Path, server: SftpServer, path: str, secrets: Any = None, **more: Any) -> Any:
    stated: dict[str, Any] = {"user": USER, "host_key": server.fingerprint, **more}
    if "private_key" not in stated:
        stated["password"] = "${secret:PW}"
    source = FileSource.model_validate({"location": f"sftp://127.0.0.1:{server.port}/{path}", **stated})
    return KIND.open(source, replace(environment(root), secrets=secrets or Known(server)))


async def read(connector: Any) -> list[RawBatch]:
    return [batch async for batch in connector.scan(ScanRequest())]


async def rows(connector: Any) -> list[Any]:
    try:
        return [row for batch in await read(connector) for row in batch.rows or ()]
    finally:
        await connector.close()


async def test_files_that_fit_are_one_dataset_with_the_parts_of_their_names(server: SftpServer, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    one = opened(tmp_path, server, "data/harga-{bulan}.csv")
    try:
        found = await read(one)
    finally:
        await one.close()

    assert [batch.rows for batch in found] == [[("Beras", "13500", "01")], [("Gula", "17000", "02")]]
    assert found[0].location == f"sftp://127.0.0.1:{server.port}/data/harga-01.csv"
    assert all(before <= batch.as_of <= datetime.now(UTC) for batch in found)


@pytest.mark.parametrize("form", ["fingerprint", "line"])
async def test_the_server_is_known_by_a_fingerprint_or_a_line(server: SftpServer, tmp_path: Path, form: str) -> None:
    assert len(await rows(opened(tmp_path, server, "data/harga-01.csv", host_key=getattr(server, form)))) == 1


async def test_a_line_chooses_which_of_its_keys_the_server_shows(server: SftpServer, tmp_path: Path) -> None:
    line = server.host_keys[1].export_public_key().decode().strip()

    assert line.startswith("ssh-rsa")
    assert len(await rows(opened(tmp_path, server, "data/harga-01.csv", host_key=line))) == 1


async def test_a_server_of_another_key_is_not_talked_to(server: SftpServer, tmp_path: Path, monkeypatch: Any) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.line}\n127.0.0.1 {server.line}\n")
    monkeypatch.setenv("HOME", str(home))  # what its user knows counts for nothing
    other = asyncssh.generate_private_key("ssh-ed25519")
    logins = server.logins
    for stated in (other.get_fingerprint(), other.export_public_key().decode().strip()):
        one = opened(tmp_path, server, "data/harga-01.csv", host_key=stated)
        try:
            with pytest.raises(SourceTlsFailed, match="another key than host_key says: SHA256:") as told:
                await read(one)
            step = (await one.check())[-1]
        finally:
            await one.close()
        assert told.value.facts["field"] == "/source/host_key"
        assert (step.name, step.field) == ("tls", "/source/host_key")
    assert server.logins == logins


async def test_a_private_key_lets_in(server: SftpServer, tmp_path: Path) -> None:
    assert len(await rows(opened(tmp_path, server, "data/harga-01.csv", private_key="${secret:KEY}"))) == 1


@pytest.mark.parametrize(
    ("given", "path", "last", "code", "pointer"),
    [
        ({}, "data/pergi.csv", "permission", "source_missing", "/source/location"),
        ({}, "data/pergi-{x}.csv", "permission", "source_missing", "/source/location"),
        ({}, "pergi/a-{x}.csv", "permission", "source_missing", "/source/location"),
        ({"user": "orang"}, "data/harga-01.csv", "auth", "source_auth_failed", "/source/password"),
        ({"private_key": "${secret:NOT}"}, "data/harga-01.csv", "auth", "source_auth_failed", "/source/private_key"),
        ({"private_key": "other"}, "data/harga-01.csv", "auth", "source_auth_failed", "/source/private_key"),
    ],
)
async def test_a_check_tells_the_stage_and_the_member(
    server: SftpServer, tmp_path: Path, given: dict[str, str], path: str, last: str, code: str, pointer: str
) -> None:
    secrets = Known(server)
    if given.get("private_key") == "other":
        secrets, given = (
            Known(server, key=asyncssh.generate_private_key("ssh-ed25519")),
            {"private_key": "${secret:KEY}"},
        )
    one = opened(tmp_path, server, path, secrets, **given)
    try:
        step = (await one.check())[-1]
    finally:
        await one.close()

    assert step.error is not None
    assert (step.name, step.error.code, step.field) == (last, code, pointer)
    assert PASSWORD not in step.error.detail


async def test_a_check_that_passes_names_its_stages_and_others_their_own(server: SftpServer, tmp_path: Path) -> None:
    one = opened(tmp_path, server, "data/harga-{bulan}.csv")
    private = opened(tmp_path, server, "a.csv", location="sftp://10.1.2.3/a.csv")
    nobody = opened(tmp_path, server, "a.csv", location="sftp://127.0.0.1:1/a.csv")
    try:
        assert [(step.name, step.error) for step in await one.check()] == [
            ("dns", None),
            ("tcp", None),
            ("permission", None),
            ("read", None),
        ]
        assert [(step.name, step.error.code) for step in await private.check() if step.error] == [
            ("dns", "network_forbidden")
        ]
        assert [(step.name, step.error.code) for step in await nobody.check() if step.error] == [
            ("tcp", "source_unreachable")
        ]
    finally:
        for each in (one, private, nobody):
            await each.close()


async def test_what_changes_is_fetched_again_and_the_rest_is_not(server: SftpServer, tmp_path: Path) -> None:
    put(server, "ubah.csv", b"a\n1\n")
    one = opened(tmp_path, server, "ubah.csv")
    try:
        first, logins = await one.version(), server.logins
        await asyncio.sleep(1.1)
        assert await one.version() == first
        assert server.logins == logins + 1  # it looked, and fetched nothing
        put(server, "ubah.csv", b"a\n2\n", OLD + 10)
        await asyncio.sleep(1.1)
        assert await one.version() != first
        assert (await read(one))[0].rows == [("2",)]
    finally:
        await one.close()


@pytest.mark.parametrize("ahead", [0, 3600])  # of a server whose clock is ahead, too
async def test_a_file_of_the_same_second_and_size_is_not_taken_for_the_same(
    server: SftpServer, tmp_path: Path, ahead: int
) -> None:
    now = float(int(time.time()) + ahead)
    put(server, "detik.csv", b"a\n1\n", now)
    one = opened(tmp_path, server, "detik.csv")
    try:
        assert (await read(one))[0].rows == [("1",)]
        put(server, "detik.csv", b"a\n2\n", now)
        await asyncio.sleep(1.1)
        assert (await read(one))[0].rows == [("2",)]
    finally:
        await one.close()


async def test_a_file_that_is_written_while_it_is_read_is_no_file(server: SftpServer, tmp_path: Path) -> None:
    file = put(server, "tulis.csv", b"a\n" + b"1\n" * 8_000_000)
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.001):
            with file.open("ab") as more:
                more.write(b"1\n")

    writer = threading.Thread(target=write)
    one = opened(tmp_path, server, "tulis.csv")
    writer.start()
    try:
        with pytest.raises(SourceFailed, match="was written to while it was read"):
            await read(one)
    finally:
        ended.set()
        writer.join()
        await one.close()
    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_server_that_goes_away_is_told_as_unreachable(tmp_path: Path) -> None:
    (tmp_path / "isi").mkdir()
    gone = SftpServer(tmp_path / "isi", PASSWORD)
    put(gone, "a.csv", b"a\n1\n")
    one = opened(tmp_path, gone, "a.csv")
    try:
        assert len(await read(one)) == 1
        gone.close()
        await asyncio.sleep(1.1)
        with pytest.raises(SimpulError) as told:
            await read(one)
    finally:
        await one.close()
    assert told.value.code == "source_unreachable"
    assert await one.version() is None


def test_a_gateway_without_the_extra_says_what_is_installed(server: SftpServer, tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
sys.modules["asyncssh"] = None
from pathlib import Path
from app.connectors.file import KIND
from app.connectors.file.source import FileSource
from tests.support.reading import environment
source = FileSource(location="sftp://127.0.0.1:{server.port}/a.csv", user="a", password="${{secret:A}}", host_key="{server.fingerprint}")
step = asyncio.run(KIND.open(source, environment(Path({str(tmp_path)!r}))).check())[-1]
print(step.error.code, step.error.detail)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("source_rejected")
    assert "the operator installs simpul[sftp]" in done.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"host_key": None}, "a file at sftp:// needs host_key: SHA256"),
        ({"user": None}, "needs user"),
        ({"password": None}, "needs password or private_key"),
        ({"private_key": "${secret:KEY}"}, "needs password or private_key, one of the two"),
        ({"password": "rahasia"}, "a secret never stands"),
        ({"host_key": "MD5:aa:bb"}, "a host key is SHA256"),
        ({"location": "sftp://u@host/a.csv"}, "the user stands in user"),
        ({"location": "sftp://host/../a.csv"}, "without .."),
        ({"location": "sftp://host/a/b-{x}/c.csv"}, "stand in the name of the file"),
        ({"region": "x"}, "region does nothing"),
    ],
)
def test_what_is_no_sftp_location_is_refused(more: dict[str, Any], said: str) -> None:
    given = {
        "kind": "file",
        "location": "sftp://host/a.csv",
        "user": "simpul",
        "password": "${secret:PW}",
        "host_key": "SHA256:" + "a" * 43,
        **more,
    }
    with pytest.raises(ValidationError, match=said):
        FileSource.model_validate({name: value for name, value in given.items() if value is not None})
