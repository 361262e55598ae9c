"""Sources are read as they are: inputs that came out wrong or silently short, each with what is right."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import MappingInvalid, SourceFailed, SourceFormatError, SourceRejected
from tests.support.reading import dataset, file, read
from tests.support.sources import SourceServer

ROWS = [{"id": f"K{number:03d}", "nama": f"Faskes {number}"} for number in range(1, 126)]
PRICES = {
    "tanggal": {"from": "tanggal", "date": "%d/%m/%Y"},
    "pasar": "pasar",
    "komoditas": "komoditas",
    "harga": {"from": "harga", "number": {}},
}
FACILITIES = {"kode_faskes": "id", "nama": "nama", "jenis": {"const": "klinik"}}


@pytest.fixture
def services() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


async def test_01_a_quote_that_is_never_closed_is_no_data(tmp_path: Path) -> None:
    text = (
        "tanggal,pasar,komoditas,harga,keterangan\n01/02/2024,Pasar A,Beras,12000,baik\n"
        '02/02/2024,Pasar A,Beras,12100,ukuran 12" x\n03/02/2024,Pasar A,Beras,12200,"stok tipis\n'
        "04/02/2024,Pasar A,Beras,12300,baik\n05/02/2024,Pasar A,Beras,12400,baik\n"
    )
    source = file(tmp_path, "harga.csv", text)
    with pytest.raises(SourceFormatError, match="line 4 and is never closed"):
        await read(dataset(tmp_path, "harga_komoditas", source, PRICES))
    plain = await read(dataset(tmp_path, "harga_komoditas", {**source, "quote": "none"}, PRICES))
    assert len(plain.records) == 5
    assert plain.rejected_rows == 0


async def test_01_text_behind_a_closing_quote_rejects_the_lines_that_it_spans(tmp_path: Path) -> None:
    text = (
        "tanggal,pasar,komoditas,harga,keterangan\n01/02/2024,Pasar A,Beras,12000,baik\n"
        '02/02/2024,Pasar A,Beras,12100,"kurang\n03/02/2024,Pasar A,Beras,12200,baik\n'
        '04/02/2024,Pasar A,Beras,12300,"kurang\n05/02/2024,Pasar A,Beras,12400,baik\n'
    )
    found = await read(dataset(tmp_path, "harga_komoditas", file(tmp_path, "harga.csv", text), PRICES))

    assert [str(record.values["tanggal"]) for record in found.records] == ["2024-02-01", "2024-02-05"]
    assert [(reject.location, reject.rule) for reject in found.rejects] == [
        ("inbox/harga.csv, lines 3 to 5", "csv_quote")
    ]


async def test_01_a_quoted_file_is_read_as_ever(tmp_path: Path) -> None:
    text = 'tanggal,pasar,komoditas,harga\n01/02/2024,"Pasar ""A"", atas\nbawah",Beras,1\n02/02/2024,"B","Beras","2"\n'
    found = await read(dataset(tmp_path, "harga_komoditas", file(tmp_path, "harga.csv", text), PRICES))

    assert [record.values["pasar"] for record in found.records] == ['Pasar "A", atas\nbawah', "B"]
    assert found.rejected_rows == 0


async def test_09_digits_that_touch_all_have_to_stand(tmp_path: Path) -> None:
    text = (
        "tanggal,pasar,komoditas,harga\n1012024,A,Beras,1\n1122024,A,Beras,2\n11012024,A,Beras,3\n"
        "2024111,B,Beras,4\n2024-03-05,C,Beras,5\n05/03/2024,D,Beras,6\n20240305,E,Beras,7\n"
    )
    fields = {**PRICES, "tanggal": {"from": "tanggal", "date": ["%d%m%Y", "%Y%m%d", "iso", "%d/%m/%Y"]}}
    found = await read(dataset(tmp_path, "harga_komoditas", file(tmp_path, "harga.csv", text), fields))

    assert {str(record.values["harga"]): str(record.values["tanggal"]) for record in found.records} == {
        "3": "2024-01-11", "5": "2024-03-05", "6": "2024-03-05", "7": "2024-03-05",
    }  # fmt: skip
    assert [reject.rule for reject in found.rejects] == ["not_a_date"] * 3


@pytest.mark.parametrize("blank", ["", "\n", "\n\n\n"])
async def test_10_skip_counts_lines_as_an_editor_shows_them(tmp_path: Path, blank: str) -> None:
    text = f"DAFTAR HARGA\n{blank}01/01/2024,A,Beras,1\n02/01/2024,A,Beras,2\n"
    source = file(tmp_path, "harga.csv", text)
    stated = {"skip": 1 + blank.count("\n"), "header": False, "columns": ["tanggal", "pasar", "komoditas", "harga"]}
    found = await read(dataset(tmp_path, "harga_komoditas", {**source, **stated}, PRICES))

    assert sorted(str(record.values["harga"]) for record in found.records) == ["1", "2"]


async def test_18_a_zone_in_a_format_is_honoured(tmp_path: Path) -> None:
    lines = {
        "A": ("20240105T100000Z", "2024-01-05T10:00:00+00:00"),
        "B": ("2024-01-05 10:00:00 UTC", "2024-01-05T10:00:00+00:00"),
        "C": ("2024-01-05T10:00:00Z", "2024-01-05T10:00:00+00:00"),
        "D": ("2024-01-05 17:00:00 WIB", "2024-01-05T10:00:00+00:00"),
        "E": ("2024-01-05 10:00:00 GMT", "2024-01-05T10:00:00+00:00"),
        "F": ("2024-01-05 17:00:00", "2024-01-05T10:00:00+00:00"),
        "G": ("05.01.2024 19.00 +09:00", "2024-01-05T10:00:00+00:00"),
    }
    text = "kode,jenis,waktu\n" + "".join(f"{key},gempa_bumi,{value}\n" for key, (value, _) in lines.items())
    formats = [
        "%Y%m%dT%H%M%SZ",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S UTC",
        "%Y-%m-%d %H:%M:%S",
        "%d.%m.%Y %H.%M +09:00",
    ]
    fields = {"id": "kode", "jenis": "jenis", "waktu": {"from": "waktu", "datetime": {"formats": formats}}}
    found = await read(dataset(tmp_path, "kejadian_bencana", file(tmp_path, "b.csv", text), fields))

    assert {record.values["id"]: record.values["waktu"].isoformat() for record in found.records} == {
        key: right for key, (_, right) in lines.items()
    }


@pytest.mark.parametrize(
    ("step", "said"), [({"datetime": "UTC %Y-%m-%d %H:%M"}, "at the end"), ({"date": "%Y-%m-%d WIB"}, "no zone")]
)
def test_18_a_zone_where_it_cannot_count_is_refused(tmp_path: Path, step: dict[str, str], said: str) -> None:
    schema, name = ("kejadian_bencana", "waktu") if "datetime" in step else ("harga_komoditas", "tanggal")
    base = {"id": "kode", "jenis": "jenis"} if schema == "kejadian_bencana" else PRICES
    with pytest.raises(MappingInvalid, match=said):
        dataset(tmp_path, schema, file(tmp_path, "b.csv", "a\n"), {**base, name: {"from": "waktu", **step}})


async def test_08_a_property_keeps_its_name_and_the_feature_its_id(tmp_path: Path) -> None:
    features = [
        {"type": "Feature", "id": 1, "properties": {"id": "WST-001", "nama": "Satu"}, "geometry": None},
        {"type": "Feature", "id": None, "properties": {"id": "WST-003", "nama": "Tiga"}, "geometry": None},
        {
            "type": "Feature",
            "properties": {"id": "WST-004", "nama": "Empat", "geometry": "hasil GPS"},
            "geometry": None,
        },
        {"type": "Feature", "properties": ["no", "object"], "geometry": None},
    ]
    source = file(tmp_path, "w.geojson", json.dumps({"type": "FeatureCollection", "features": features}))
    made = dataset(tmp_path, "destinasi_wisata", source, {"id": "id", "nama": "nama"})
    discovered = await made.connector.discover()
    found = await read(made)

    assert [record.values["id"] for record in found.records] == ["WST-001", "WST-003", "WST-004"]
    assert [reject.rule for reject in found.rejects] == ["not_an_object"]
    assert {"id", "feature_id", "geometry", "feature_geometry"} <= {column.name for column in discovered.columns}
    assert any("feature_id" in note for note in discovered.notes)


async def test_records_that_are_null_or_none_are_rejected_by_their_number(tmp_path: Path) -> None:
    rows = [{"id": "A", "nama": "Satu"}, None, {"id": "B", "nama": "Dua"}, 7]
    source = {**file(tmp_path, "f.json", json.dumps({"data": rows})), "record_path": "$.data[*]"}
    found = await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))

    assert [record.values["kode_faskes"] for record in found.records] == ["A", "B"]
    assert [reject.location for reject in found.rejects] == ["inbox/f.json, record 2", "inbox/f.json, record 4"]
    for path in ("$.data[*]", "$.data"):
        nothing = {**file(tmp_path, "n.json", '{"data": null}'), "record_path": path}
        with pytest.raises(SourceFormatError, match="null where"):
            await read(dataset(tmp_path, "fasilitas_kesehatan", nothing, FACILITIES))


def paged(services: SourceServer, path: str, answer: Any) -> None:
    def respond(query: dict[str, str], headers: dict[str, str]) -> tuple[int, str, bytes]:
        status, document = answer(query)
        return status, "application/json", json.dumps(document).encode()

    services.routes[path] = respond


def _rest(services: SourceServer, path: str, paging: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "rest", "url": f"{services.url}{path}", "record_path": "$.data[*]", "paging": paging, **more}


OFFSET = {"kind": "offset", "param": "offset", "size_param": "limit", "size": 100}
CURSOR = {"kind": "cursor", "param": "c", "path": "$.next"}


def _capped(query: dict[str, str]) -> tuple[int, Any]:
    start = int(query.get("offset", 0))
    return 200, {"total": len(ROWS), "data": ROWS[start : start + min(int(query.get("limit", 50)), 50)]}


def _pages_of_twenty(query: dict[str, str]) -> tuple[int, Any]:
    page = int(query.get("page", 1))
    return (200, {"data": ROWS[(page - 1) * 20 : page * 20]}) if page < 8 else (404, {"detail": "Invalid page."})


def _short_first(query: dict[str, str]) -> tuple[int, Any]:
    start = int(query.get("offset", 0))
    rows = ROWS[start : start + 50]
    return 200, {"data": rows[:-1] if start == 0 else rows}


def _empty_middle(query: dict[str, str]) -> tuple[int, Any]:
    start = int(query.get("c", 0))
    rows = [] if start == 50 else ROWS[start : start + 50]
    if start == 50:
        return 200, {"data": rows, "next": "51"}
    start = 50 if start == 51 else start
    return 200, {"data": ROWS[start : start + 50], "next": str(start + 50) if start + 50 < len(ROWS) else None}


def _says_has_more(query: dict[str, str]) -> tuple[int, Any]:
    start = int(query.get("c", 0))
    return 200, {"data": ROWS[start : start + 50], "next": start + 50, "has_more": start + 50 < len(ROWS)}


@pytest.mark.parametrize(
    ("answer", "paging"),
    [
        (_capped, OFFSET),
        (_capped, {**OFFSET, "total": "$.total"}),
        (_pages_of_twenty, {"kind": "page", "param": "page"}),
        (_short_first, {**OFFSET, "size": 50}),
        (_empty_middle, CURSOR),
        (_says_has_more, CURSOR),
        (_says_has_more, {**CURSOR, "more": "$.has_more"}),
    ],
    ids=["cap", "cap-total", "page20", "short", "emptymid", "hasmore", "hasmore-stated"],
)
async def test_05_a_paged_service_is_read_to_its_end(
    tmp_path: Path, services: SourceServer, answer: Any, paging: dict[str, Any]
) -> None:
    paged(services, "/s", answer)
    found = await read(dataset(tmp_path, "fasilitas_kesehatan", _rest(services, "/s", paging), FACILITIES))

    assert [record.values["kode_faskes"] for record in found.records] == [row["id"] for row in ROWS]


async def test_05_links_are_chosen_by_what_they_are(tmp_path: Path, services: SourceServer) -> None:
    def ogc(query: dict[str, str]) -> tuple[int, Any]:
        start = int(query.get("offset", 0))
        links = [{"rel": "self", "href": f"?offset={start}"}, {"rel": "alternate", "href": "?f=html"}]
        links += [{"rel": "next", "href": f"?offset={start + 50}"}] if start + 50 < len(ROWS) else []
        return 200, {"features": [{"properties": row} for row in ROWS[start : start + 50]], "links": links}

    paged(services, "/ogc", ogc)
    source = _rest(
        services, "/ogc", {"kind": "next_link", "path": "$.links[*].href"}, record_path="$.features[*].properties"
    )
    found = await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))
    assert len(found.records) == len(ROWS)


async def test_05_names_with_signs_can_be_written(tmp_path: Path, services: SourceServer) -> None:
    def odata(query: dict[str, str]) -> tuple[int, Any]:
        start = int(query.get("skip", 0))
        following = {"@odata.nextLink": f"{services.url}/o?skip={start + 50}"} if start + 50 < len(ROWS) else {}
        return 200, {"value": ROWS[start : start + 50], **following}

    paged(services, "/o", odata)
    source = _rest(services, "/o", {"kind": "next_link", "path": "$['@odata.nextLink']"}, record_path="$.value[*]")
    assert len((await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))).records) == len(ROWS)


async def test_05_a_stated_total_that_is_not_reached_is_a_fault(tmp_path: Path, services: SourceServer) -> None:
    paged(services, "/s", lambda query: (200, {"total": 500, "data": ROWS if query["offset"] == "0" else []}))
    with pytest.raises(SourceFormatError, match="500 records and gave 125"):
        await read(
            dataset(tmp_path, "fasilitas_kesehatan", _rest(services, "/s", {**OFFSET, "total": "$.total"}), FACILITIES)
        )


async def test_05_a_service_that_gives_one_page_for_ever_is_told(tmp_path: Path, services: SourceServer) -> None:
    paged(services, "/s", lambda _query: (200, {"data": ROWS[:10], "next": "x"}))
    for paging in (OFFSET, CURSOR):
        with pytest.raises(SourceFormatError, match="same page again"):
            await read(dataset(tmp_path, "fasilitas_kesehatan", _rest(services, "/s", paging), FACILITIES))


async def test_05_a_first_page_that_is_not_there_is_no_empty_answer(tmp_path: Path, services: SourceServer) -> None:
    from app.errors import SourceMissing

    paged(services, "/s", lambda _query: (404, {}))
    with pytest.raises(SourceMissing):
        await read(dataset(tmp_path, "fasilitas_kesehatan", _rest(services, "/s", OFFSET), FACILITIES))


async def test_05_retry_after_is_waited_for_within_the_deadline(tmp_path: Path, services: SourceServer) -> None:
    asked = 0

    def limited(query: dict[str, str]) -> tuple[int, Any]:
        nonlocal asked
        asked += 1
        start = int(query.get("offset", 0))
        return (429, {}) if asked == 2 else (200, {"data": ROWS[start : start + 50]})

    paged(services, "/s", limited)
    services.more_headers["/s"] = {"Retry-After": "1"}
    source = _rest(services, "/s", {**OFFSET, "size": 50})
    before = time.monotonic()
    found = await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))
    assert len(found.records) == len(ROWS)
    assert time.monotonic() - before >= 1
    paged(services, "/s", lambda _query: (503, {}))
    services.more_headers["/s"] = {"Retry-After": "3600"}
    before = time.monotonic()
    with pytest.raises(SourceFailed):
        await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))
    assert time.monotonic() - before < 5


async def test_parameters_are_merged_and_never_replaced(tmp_path: Path, services: SourceServer) -> None:
    seen: list[dict[str, str]] = []

    def strict(query: dict[str, str]) -> tuple[int, Any]:
        seen.append(query)
        return 200, {"data": ROWS[:3] if query["offset"] == "0" else []}

    paged(services, "/s", strict)
    source = _rest(services, "/s?where=1%3D1&f=json", OFFSET, params={"outFields": "*"})
    source["auth"] = {"kind": "api_key", "place": "query", "name": "kunci", "value": "${secret:KEY}"}
    await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))

    wanted = {"where": "1=1", "f": "json", "outFields": "*", "kunci": "${secret:KEY}", "limit": "100"}
    assert seen == [{**wanted, "offset": "0"}, {**wanted, "offset": "3"}]


async def test_errors_beside_the_data_are_told(tmp_path: Path, services: SourceServer) -> None:
    paged(services, "/s", lambda _query: (200, {"data": ROWS[:3], "errors": [{"message": "no access to the rest"}]}))
    with pytest.raises(SourceFailed, match="1 errors"):
        await read(dataset(tmp_path, "fasilitas_kesehatan", _rest(services, "/s", OFFSET), FACILITIES))


async def test_a_link_to_another_port_or_scheme_is_not_followed(tmp_path: Path, services: SourceServer) -> None:
    other = SourceServer()
    try:
        paged(services, "/s", lambda _query: (200, {"data": ROWS[:3], "next": f"{other.url}/s"}))
        with pytest.raises(SourceFormatError, match="another host"):
            await read(
                dataset(
                    tmp_path,
                    "fasilitas_kesehatan",
                    _rest(services, "/s", {"kind": "next_link", "path": "$.next"}),
                    FACILITIES,
                )
            )
        assert other.asked == []
    finally:
        other.close()


async def test_a_ckan_refusal_never_switches_to_the_file_behind(tmp_path: Path, services: SourceServer) -> None:
    services.routes["/api/3/action/datastore_search"] = lambda *_: (409, "application/json", b'{"success": false}')
    services.json(
        "/api/3/action/resource_show",
        json.dumps({"success": True, "result": {"url": f"{services.url}/f.csv", "format": "CSV"}}).encode(),
    )
    services.routes["/f.csv"] = lambda *_: (200, "text/csv", b"id,nama\nOLD,Lama\n")
    source = {"kind": "ckan", "url": services.url, "resource": "r1"}
    with pytest.raises(SourceRejected):
        await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))
    services.routes["/api/3/action/datastore_search"] = lambda *_: (404, "application/json", b'{"success": false}')
    found = await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))
    assert [record.values["kode_faskes"] for record in found.records] == ["OLD"]
