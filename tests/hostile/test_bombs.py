"""What is small and becomes large: at every door the answer names the fault, and memory stays where it was."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

MEBI = 1024 * 1024
GROWS_AT_MOST = 300 * MEBI
LIST = "/v1/records/fasilitas-kesehatan"
FIELDS = {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "klinik"}}


@pytest.fixture(scope="module")
def services() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    environment = {
        "SIMPUL_SOURCE_BYTES": str(20 * MEBI),
        "SIMPUL_PARSE_MEMORY_BYTES": str(256 * MEBI),
        "SIMPUL_REQUEST_SECONDS": "30",
    }
    running = RunningGateway(tmp_path_factory.mktemp("bombs") / "instance", environment)
    running.init()
    running.start()
    running.agency("dinkes")
    yield running
    running.stop()


def tree(process: int) -> list[int]:
    """The process and all below it."""
    found = [process]
    for listed in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{listed}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text("ascii").split()]
    return found


def resident(process: int) -> int:
    """Bytes of memory of their own that the gateway and its children hold, each shared page once."""
    total = 0
    for one in tree(process):
        with contextlib.suppress(OSError, ValueError):
            rows = dict(line.split(":", 1) for line in Path(f"/proc/{one}/status").read_text("ascii").splitlines())
            total += int(rows.get("RssAnon", "0 kB").split()[0]) * 1024
    return total


@contextlib.contextmanager
def bounded(gateway: RunningGateway) -> Iterator[None]:
    """Within it the gateway and all its processes grow by so much at most."""
    before, most, done = resident(gateway.pid), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            most[0] = max(most[0], resident(gateway.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
    assert most[0] - before < GROWS_AT_MOST, f"{(most[0] - before) / MEBI:.0f} MiB"
    assert httpx.get(f"{gateway.url}/health/live", trust_env=False).status_code == 200


def zeros(packed: Callable[[bytes], bytes] = gzip.compress, mebibytes: int = 256) -> bytes:
    return packed(bytes(MEBI) * mebibytes)


def fault(gateway: RunningGateway, source: dict[str, Any]) -> tuple[str, str]:
    """The code and words with which the check of a source ends."""
    manifest = {**facility_manifest("dinkes-bom", "dinkes"), "source": source, "fields": FIELDS}
    answer = gateway.admin.put("/v1/connectors/dinkes-bom", json=manifest)
    assert answer.status_code in {200, 201}, answer.text
    checked = gateway.admin.post("/v1/connectors/dinkes-bom/check")
    assert checked.status_code == 200, checked.text
    problem = next(step["problem"] for step in checked.json()["steps"] if not step["ok"])
    return problem["code"], problem["detail"]


ANSWERS: dict[str, tuple[Callable[[], bytes], str, set[str]]] = {
    "gzip": (zeros, "gzip", {"source_too_large"}),
    "gzip_of_gzip": (lambda: gzip.compress(zeros(mebibytes=512)), "gzip, gzip", {"source_too_large"}),
    "br": (lambda: b"\x0b\x00\x80\x03", "br", {"source_format_error"}),
    "zstd": (lambda: b"\x28\xb5\x2f\xfd", "zstd", {"source_format_error"}),
    "many_packings": (lambda: b"x", ", ".join(["gzip"] * 2000), {"source_format_error"}),
    "depth": (lambda: b"[" * 100_000 + b"]" * 100_000, "", {"source_format_error"}),
    "objects": (lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "", {"source_format_error"}),
    "digits": (lambda: b'[{"kode": ' + b"9" * 1_000_000 + b"}]", "", {"source_format_error"}),
    "exponent": (lambda: b'[{"kode": 1e999999999}]', "", {"source_format_error"}),
    "nan": (lambda: b'[{"kode": NaN}]', "", {"source_format_error"}),
    "duplicate": (lambda: b'[{"kode": "a", "kode": "b"}]', "", {"source_format_error"}),
    "surrogate": (lambda: b'[{"kode": "\\ud800"}]', "", {"source_format_error"}),
    "large": (lambda: b'[{"kode": "' + b"a" * (25 * MEBI) + b'"}]', "", {"source_too_large"}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_hostile_48_answers_of_a_service(gateway: RunningGateway, services: SourceServer, name: str) -> None:
    made, packing, codes = ANSWERS[name]
    body = made()
    services.routes["/bom"] = lambda _query, _headers: (200, "application/json", body)
    services.more_headers["/bom"] = {"Content-Encoding": packing} if packing else {}
    with bounded(gateway):
        code, detail = fault(gateway, {"kind": "rest", "url": f"{services.url}/bom", "record_path": "$[*]"})
    assert code in codes, detail
    assert len(detail) < 1000


def zipped(**members: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return held.getvalue()


def sheet(xml: bytes) -> bytes:
    """A workbook of one sheet with this XML."""
    from openpyxl import Workbook

    plain = io.BytesIO()
    Workbook().save(plain)
    held = io.BytesIO()
    with zipfile.ZipFile(plain) as read, zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in read.namelist():
            archive.writestr(name, xml if name == "xl/worksheets/sheet1.xml" else read.read(name))
    return held.getvalue()


SPREADSHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
FAR = (
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>kode</t></is></c></row>'
    b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>'
)
LAUGHS = b"<!DOCTYPE a [<!ENTITY a0 'ha'>" + b"".join(
    b"<!ENTITY a%d '%b'>" % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 12)
)
FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "csv_gz": ("bom.csv.gz", zeros),
    "zip": ("bom.zip", lambda: zipped(isi__csv=b"kode,nama\n" + b"a,b\n" * (100 * MEBI // 4))),
    "sheet_of_zeros": ("bom.xlsx", lambda: sheet(SPREADSHEET + b"<row>" + bytes(MEBI) * 200)),
    "sheet_of_cells": ("bom.xlsx", lambda: sheet(SPREADSHEET + b'<row><c t="n"><v>1</v></c></row>' * (MEBI * 4))),
    "far_cell": ("bom.xlsx", lambda: sheet(SPREADSHEET + FAR)),
    "laughing_sheet": ("bom.xlsx", lambda: sheet(LAUGHS + b"]><worksheet>&a11;</worksheet>")),
    "laughing_xml": ("bom.xml", lambda: LAUGHS + b"]><a><b>&a11;</b></a>"),
    "one_cell": ("bom.csv", lambda: b'kode,nama\n"' + b"a" * (15 * MEBI) + b'",b\n'),
    "json_depth": ("bom.json", lambda: b"[" * 100_000 + b"]" * 100_000),
}


@pytest.mark.parametrize("name", FILES)
def test_hostile_48_files_of_an_agency(gateway: RunningGateway, name: str) -> None:
    file, made = FILES[name]
    put = gateway.admin.put(f"/v1/agencies/dinkes/files/{name}/{file}", content=made())
    assert put.status_code in {200, 201}, put.text
    with bounded(gateway):
        source = {"kind": "file", "location": f"inbox/{name}/{file}"}
        code, detail = fault(gateway, source | ({"record_path": "/a/b"} if file.endswith(".xml") else {}))
    assert code.startswith(("source_", "mapping_")), (code, detail)
    assert len(detail) < 2000


def test_hostile_48_an_archive_in_an_archive_is_refused_at_the_door(gateway: RunningGateway) -> None:
    nested = zipped(dalam__zip=zipped(dalam__zip=zipped(isi__csv=bytes(MEBI) * 100)))
    with bounded(gateway):
        put = gateway.admin.put("/v1/agencies/dinkes/files/bersarang.zip", content=nested)
    assert (put.status_code, "dalam.zip" in put.json()["detail"]) == (422, True)


BODIES: dict[str, tuple[bytes, set[int]]] = {
    "depth": (b"[" * 100_000 + b"]" * 100_000, {400, 413, 422}),
    "objects": (b'{"filter":' * 10_000 + b"1" + b"}" * 10_000, {400, 422}),
    "digits": (b'{"limit": ' + b"9" * 500_000 + b"}", {400, 413, 422}),
    "exponent": (b'{"limit": 1e99999}', {400, 422}),
    "nan": (b'{"limit": NaN}', {400}),
    "duplicate": (b'{"limit": 1, "limit": 2}', {400}),
    "duplicate_within": (b'{"filter": {"op": "=", "args": [], "op": "<"}}', {400}),
    "duplicate_escaped": (b'{"limit": 1, "l\\u0069mit": 2}', {400}),
    "surrogate": (b'{"filter": "nama = \'\\ud800\'"}', {400, 422}),
    "bom": (b'\xef\xbb\xbf{"limit": 1}', {400}),
    "large": (b'{"filter": "' + b"a" * (64 * MEBI) + b'"}', {413}),
}


@pytest.mark.parametrize("name", BODIES)
def test_hostile_48_bodies_of_a_caller(gateway: RunningGateway, name: str) -> None:
    body, statuses = BODIES[name]
    with bounded(gateway), httpx.Client(trust_env=False, timeout=30) as asking:
        headers = {"authorization": gateway.admin.headers["authorization"], "content-type": "application/json"}
        answer = asking.post(f"{gateway.url}{LIST}/search", content=body, headers=headers)
    assert answer.status_code in statuses, answer.text[:500]
    assert len(answer.content) < 5000


@pytest.mark.parametrize("packing", ["gzip", "br", "deflate", "zstd", "gzip, gzip"])
def test_hostile_48_packed_bodies_are_not_unpacked(gateway: RunningGateway, packing: str) -> None:
    packed = zeros(mebibytes=64)
    with bounded(gateway):
        for method, path in (("POST", f"{LIST}/search"), ("PUT", "/v1/agencies/dinkes/files/a.csv")):
            headers = {"content-encoding": packing, "content-type": "application/json"}
            answer = gateway.admin.request(method, path, content=packed, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), answer.text


def test_hostile_48_a_name_twice_in_a_long_list_is_refused(gateway: RunningGateway) -> None:
    items = [{"kode_faskes": f"K{number}"} for number in range(5000)]
    text = json.dumps({"keys": items})[:-2] + ', {"kode_faskes": "a", "kode_faskes": "b"}]}'
    headers = {"content-type": "application/json"}
    answer = gateway.client("client", "dinkes").post(f"{LIST}/match", content=text.encode(), headers=headers)
    assert answer.status_code == 400, answer.text[:300]
    assert "twice" in answer.json()["detail"]
