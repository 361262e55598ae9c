"""A file at an address: fetched whole or not at all, asked for again by its ETag, shared, held to the network policy, honest about its age."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import ssl
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
import xlsxwriter
from pydantic import ValidationError

from app.connectors.contract import RawBatch
from app.connectors.environment import Environment, NetworkPolicy
from app.connectors.file import KIND
from app.connectors.file.source import FileSource
from app.connectors.file_cache import FileCache
from app.connectors.requests import ScanRequest
from app.datasets.records import ReadRequest
from app.errors import (
    NetworkForbidden,
    SimpulError,
    SourceAuthFailed,
    SourceFailed,
    SourceFormatError,
    SourceTimeout,
    SourceTooLarge,
    SourceUnreachable,
)
from app.gateway.storage import AgencyShare, Storage
from tests.integration.connectors.test_database_tls import certificate
from tests.support.file_server import FAULTS, FileServer
from tests.support.mariadb import PASSWORD
from tests.support.reading import dataset, environment

PRICES = b"komoditas,harga\nBeras,13500\nGula,17000\n"


@pytest.fixture
def server() -> Iterator[FileServer]:
    found = FileServer({"/harga.csv": PRICES})
    yield found
    found.close()


def opened(around: Environment, location: str, **more: Any) -> Any:
    return KIND.open(FileSource(location=location, **more), around)


async def read(connector: Any, **request: Any) -> list[RawBatch]:
    return [batch async for batch in connector.scan(ScanRequest(**request))]


@pytest.fixture
async def connector(server: FileServer, tmp_path: Path) -> AsyncIterator[Any]:
    one = opened(environment(tmp_path), f"{server.url}/harga.csv")
    yield one
    await one.close()


async def test_a_file_is_read_with_where_it_stands_and_when_it_was_seen(connector: Any, server: FileServer) -> None:
    before = datetime.now(UTC)
    (batch,) = await read(connector)

    assert batch.rows == [("Beras", "13500"), ("Gula", "17000")]
    assert batch.location == f"{server.url}/harga.csv"
    assert before <= batch.as_of <= datetime.now(UTC)


async def test_what_has_not_changed_is_not_sent_again(connector: Any, server: FileServer) -> None:
    first = await connector.version()
    await asyncio.sleep(1.1)  # what was confirmed a second ago counts as live
    (batch,) = await read(connector)

    assert (server.whole, len(server.asked)) == (1, 2)
    assert server.asked[1].headers["if-none-match"].startswith('"')
    assert server.asked[1].headers["if-modified-since"].endswith("GMT")
    assert datetime.now(UTC) - batch.as_of < timedelta(seconds=1)
    assert await connector.version() == first

    server.files["/harga.csv"] = PRICES + b"Teh,9000\n"
    await asyncio.sleep(1.1)
    assert len((await read(connector))[0].rows or ()) == 3
    assert await connector.version() != first


async def test_a_server_without_etag_and_date_is_asked_for_all_of_it_and_the_mark_is_that_of_the_bytes(
    connector: Any, server: FileServer
) -> None:
    server.states = False
    first = await connector.version()
    await asyncio.sleep(1.1)

    assert await connector.version() == first
    assert server.whole == 2
    assert "if-none-match" not in server.asked[1].headers


async def test_refresh_says_how_old_the_copy_may_be(server: FileServer, tmp_path: Path) -> None:
    one = opened(environment(tmp_path), f"{server.url}/harga.csv", refresh="1h")
    try:
        (first,) = await read(one)
        await asyncio.sleep(1.1)
        server.files["/harga.csv"] = b"komoditas,harga\n"
        (again,) = await read(one)
    finally:
        await one.close()

    assert len(server.asked) == 1
    assert (again.rows, again.as_of) == (first.rows, first.as_of)


async def test_connectors_that_ask_the_same_share_a_fetch_and_others_do_not(server: FileServer, tmp_path: Path) -> None:
    around = replace(environment(tmp_path), file_cache=FileCache(tmp_path / "copies"))
    server.pause_seconds = 0.2
    several = [opened(around, f"{server.url}/harga.csv") for _ in range(4)]
    other = opened(around, f"{server.url}/harga.csv", auth={"kind": "bearer", "token": "${secret:PW}"})
    try:
        found = await asyncio.gather(*(read(one) for one in several))
        assert [batches[0].rows for batches in found] == [[("Beras", "13500"), ("Gula", "17000")]] * 4
        assert server.whole == 1
        await read(other)
        assert server.whole == 2
        await several[0].close()
        assert len(list((tmp_path / "copies").iterdir())) == 2
    finally:
        for one in (*several, other):
            await one.close()
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("cut", SourceUnreachable, "broke off"),
        ("reset", SourceUnreachable, "broke off"),
        ("chunks_without_end", SourceUnreachable, "broke off"),
        ("until_closed", SourceFormatError, "neither Content-Length nor chunks"),
        ("packed_and_cut", SourceFormatError, "cut short"),
        ("part", SourceFormatError, "HTTP 206"),
        ("login", SourceFormatError, "labelled csv, but the content is a HTML page"),
        ("fails", SourceFailed, "HTTP 503"),
        ("hangs", SourceTimeout, "had not come before the deadline"),
    ],
)
async def test_what_is_not_whole_or_not_the_file_is_no_file(
    server: FileServer, tmp_path: Path, fault: str, error: type[SimpulError], said: str
) -> None:
    around = environment(tmp_path, deadline_seconds=1.0 if fault == "hangs" else 5.0)
    server.fault = fault
    one = opened(around, f"{server.url}/harga.csv")
    try:
        with pytest.raises(error, match=said) as told:
            await read(one)
        assert told.value.facts.get("field", "").startswith("/source/")
        assert told.value.facts.get("field") != "/source/url"
    finally:
        await one.close()
    assert not [file for file in (tmp_path / "copies").iterdir() if fault != "login"]


@pytest.mark.parametrize("form", ["chunks", "packed"])
async def test_chunks_and_packed_bodies_are_whole_when_their_end_came(
    connector: Any, server: FileServer, form: str
) -> None:
    assert form in FAULTS
    server.fault = form

    assert len((await read(connector))[0].rows or ()) == 2


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"kind": "bearer", "token": "${secret:PW}"}, ("authorization", f"Bearer {PASSWORD}")),
        ({"kind": "api_key", "name": "x-kunci", "value": "${secret:PW}"}, ("x-kunci", PASSWORD)),
        (
            {"kind": "basic", "user": "simpul", "password": "${secret:PW}"},
            ("authorization", "Basic " + base64.b64encode(f"simpul:{PASSWORD}".encode()).decode()),
        ),
    ],
)
async def test_credentials_are_sent_and_a_refusal_is_a_step_of_the_check(
    server: FileServer, tmp_path: Path, auth: dict[str, str], header: tuple[str, str]
) -> None:
    server.needs = header
    proven, plain = (opened(environment(tmp_path), f"{server.url}/harga.csv", **more) for more in ({"auth": auth}, {}))
    try:
        assert [(step.name, step.error) for step in await proven.check()] == [
            ("dns", None),
            ("tcp", None),
            ("permission", None),
            ("read", None),
        ]
        steps = await plain.check()
        assert [step.name for step in steps] == ["dns", "tcp", "auth"]
        assert isinstance(steps[-1].error, SourceAuthFailed)
        assert steps[-1].field == "/source/location"
    finally:
        await proven.close()
        await plain.close()


async def test_the_stages_of_a_check_that_fail(server: FileServer, tmp_path: Path) -> None:
    gone = opened(environment(tmp_path), f"{server.url}/pergi.csv")
    nobody = opened(environment(tmp_path), "http://127.0.0.1:1/harga.csv")
    private = opened(environment(tmp_path), "http://10.1.2.3/harga.csv")
    unknown = opened(environment(tmp_path), "http://tidak-ada.invalid/harga.csv")
    try:
        for one, last, code in (
            (gone, "permission", "source_missing"),
            (nobody, "tcp", "source_unreachable"),
            (private, "dns", "network_forbidden"),
            (unknown, "dns", "source_dns_failed"),
        ):
            step = (await one.check())[-1]
            assert step.error is not None
            assert (step.name, step.error.code, step.field) == (last, code, "/source/location")
    finally:
        for one in (gone, nobody, private, unknown):
            await one.close()


async def test_a_server_of_a_known_authority_is_read_and_of_none_fails_at_tls(tmp_path: Path) -> None:
    trusted, key = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, key)
    server = FileServer({"/harga.csv": PRICES}, tls=context)
    around = environment(tmp_path)
    known, unknown = (
        opened(replace(around, ca_file=ca_file), f"{server.url}/harga.csv") for ca_file in (trusted, None)
    )
    try:
        assert len((await read(known))[0].rows or ()) == 2
        assert all(step.error is None for step in await known.check())
        step = (await unknown.check())[-1]
    finally:
        await known.close()
        await unknown.close()
        server.close()
    assert step.error is not None
    assert (step.name, step.error.code, step.field) == ("tls", "source_tls_failed", "/source/location")


async def test_a_redirect_is_held_to_the_policy_and_takes_no_credentials(server: FileServer, tmp_path: Path) -> None:
    other = FileServer({"/harga.csv": PRICES})
    server.moved = {
        "/pindah.csv": f"{other.url}/harga.csv",
        "/dalam.csv": "http://10.1.2.3/harga.csv",
        "/awan.csv": "http://169.254.169.254/latest",
    }
    auth = {"kind": "bearer", "token": "${secret:PW}"}
    around = environment(tmp_path)
    moved, inside, cloud = (
        opened(around, f"{server.url}/{name}.csv", auth=auth) for name in ("pindah", "dalam", "awan")
    )
    narrow = opened(
        replace(around, network=NetworkPolicy(around.network.networks, frozenset({"data.example.go.id"}))),
        f"{server.url}/pindah.csv",
    )
    try:
        assert len((await read(moved))[0].rows or ()) == 2
        assert "authorization" in server.asked[0].headers
        assert "authorization" not in other.asked[0].headers
        for one in (inside, cloud, narrow):
            with pytest.raises(NetworkForbidden):
                await read(one)
    finally:
        for one in (moved, inside, cloud, narrow):
            await one.close()
        other.close()


async def test_a_file_above_the_limit_is_not_fetched_and_the_share_of_the_agency_holds(
    server: FileServer, tmp_path: Path
) -> None:
    around = environment(tmp_path)
    server.files |= {"/besar.csv": b"a\n" + b"1\n" * 3_000_000, "/lain.csv": b"a\n" + b"2\n" * 700_000}
    small = opened(replace(around, limits=replace(around.limits, bytes=1_000_000)), f"{server.url}/besar.csv")
    try:
        with pytest.raises(SourceTooLarge, match=r"6000002 bytes, 1000000 are read \(SIMPUL_SOURCE_BYTES\)"):
            await read(small)
    finally:
        await small.close()

    share = AgencyShare(Storage(tmp_path, reserve_bytes=0, spool_bytes=1), 2_000_000)
    held = replace(around, file_cache=FileCache(tmp_path / "copies", share))
    large, fits, other = (opened(held, f"{server.url}/{name}.csv") for name in ("besar", "lain", "harga"))
    try:
        await read(other)
        with pytest.raises(SourceTooLarge, match="SIMPUL_AGENCY_FILE_BYTES"):
            await read(large)
        await read(fits)
        assert share.used in {1_400_002, 1_400_002 + len(PRICES)}  # a copy that nobody reads may have made way
        assert sum(file.stat().st_size for file in (tmp_path / "copies").iterdir()) == share.used
    finally:
        for one in (large, fits, other):
            await one.close()
    assert share.used == 0


async def test_a_fetch_goes_on_when_a_question_leaves_and_the_next_one_finds_it(
    server: FileServer, tmp_path: Path
) -> None:
    server.pause_seconds = 0.6
    one = opened(environment(tmp_path, deadline_seconds=5.0), f"{server.url}/harga.csv", refresh="1h")
    try:
        with pytest.raises(SourceTimeout, match="it goes on coming"):
            await read(one, deadline=time.monotonic() + 0.2)
        assert len((await read(one))[0].rows or ()) == 2
    finally:
        await one.close()
    assert server.whole == 1


async def test_a_fetch_that_ends_because_its_connector_closed_is_begun_again_by_who_waits(
    server: FileServer, tmp_path: Path
) -> None:
    around = replace(environment(tmp_path), file_cache=FileCache(tmp_path / "copies"))
    server.pause_seconds = 0.5
    first, other = (opened(around, f"{server.url}/harga.csv") for _ in range(2))
    try:
        begun = asyncio.create_task(first.version())
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(read(other))
        await asyncio.sleep(0.1)
        await first.close()
        assert len((await waiting)[0].rows or ()) == 2
        await begun
    finally:
        await first.close()
        await other.close()
    assert len(server.asked) == 2


async def test_a_member_of_an_archive_at_an_address(server: FileServer, tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("data/harga.csv", PRICES)
    server.files["/unduh"] = sink.getvalue()
    one = opened(environment(tmp_path), f"{server.url}/unduh", member="data/harga.csv")
    try:
        (batch,) = await read(one)
        assert batch.location == f"{server.url}/unduh/data/harga.csv"
        assert batch.as_of is not None
    finally:
        await one.close()


async def test_a_zipped_shapefile_and_a_workbook_at_an_address(server: FileServer, tmp_path: Path) -> None:
    square = np.array([shapely.box(110.5, -6.7, 110.6, -6.6).wkb], dtype=object)
    names = [np.array(["33.20.01"], dtype=object)]
    pyogrio.raw.write(tmp_path / "batas.shp", square, names, ["kode"], geometry_type="Polygon", crs="EPSG:4326")
    sink, book = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for ending in ("shp", "shx", "dbf", "prj"):
            archive.write(tmp_path / f"batas.{ending}", f"batas.{ending}")
    with xlsxwriter.Workbook(book) as workbook:
        workbook.add_worksheet("Data").write_row(0, 0, ["kode", "nama"])
    server.files |= {"/batas.zip": sink.getvalue(), "/buku.xlsx": book.getvalue()}
    area = opened(environment(tmp_path), f"{server.url}/batas.zip")
    sheet = opened(environment(tmp_path), f"{server.url}/buku.xlsx", sheet="Data")
    try:
        batches = await read(area)
        assert [(row[0], row[1]["type"]) for batch in batches for row in batch.rows or ()] == [("33.20.01", "Polygon")]
        assert batches[0].location == f"{server.url}/batas.zip, layer batas"
        assert (await read(sheet))[0].schema.names == ["kode", "nama"]
    finally:
        await area.close()
        await sheet.close()


@pytest.mark.parametrize("coding", [True, False])
async def test_a_packed_file_is_read_whether_the_server_calls_its_packing_a_coding_or_not(
    server: FileServer, tmp_path: Path, coding: bool
) -> None:
    server.files["/harga.csv.gz"] = PRICES if coding else gzip.compress(PRICES)
    server.fault = "packed" if coding else None
    one = opened(environment(tmp_path), f"{server.url}/harga.csv.gz")
    try:
        assert len((await read(one))[0].rows or ()) == 2
    finally:
        await one.close()


async def test_an_answer_says_when_the_source_was_seen_not_when_it_was_read(server: FileServer, tmp_path: Path) -> None:
    source = {"kind": "file", "location": f"{server.url}/faskes.csv", "refresh": "1h"}
    server.files["/faskes.csv"] = b"kode,nama,jenis\nP1,Puskesmas Satu,klinik\n"
    fields = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"}
    one = dataset(tmp_path, "fasilitas_kesehatan", source, fields)
    try:
        found = [part async for part in one.stream(ReadRequest())]
        seen = found[0].as_of
        await asyncio.sleep(0.3)
        later = await one.read(ReadRequest(limit=5))
    finally:
        await one.close()

    assert found[-1].as_of == seen == later.as_of
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"location": "ftp://host/a.csv"}, "or at http://, https://, s3:// or sftp://"),
        ({"location": "https://u:p@host/a.csv"}, "no user names"),
        ({"location": "https://host/a-{bulan}.csv"}, "does not say which files it has"),
        ({"location": "https://host/a.csv#x"}, "behind # is not sent"),
        ({"location": "https://host/a.csv?token=abc"}, "the parameter token is a credential"),
        ({"location": "https://host/unduh?id=5"}, "says no format"),
        ({"location": "https://host/peta.shp"}, "give it as one ZIP"),
        (
            {"location": "inbox/a.csv", "auth": {"kind": "bearer", "token": "${secret:A}"}},
            "does nothing for this location",
        ),
        ({"location": "https://host/a.csv", "auth": {"kind": "bearer", "token": "abc"}}, "a secret never stands"),
    ],
)
def test_addresses_that_are_none_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FileSource.model_validate({"kind": "file", **given})
