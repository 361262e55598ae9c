"""At least three facts of each real file, through federated queries."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway


def read(reader: httpx.Client, schema: str, **params: Any) -> dict[str, Any]:
    """One page."""
    answer = reader.get(f"/v1/records/{schema}", params={"limit": 1000, **params})
    assert answer.status_code == httpx.codes.OK, answer.text
    page: dict[str, Any] = answer.json()
    assert page["complete"], page["sources"]
    return page


def read_all(reader: httpx.Client, schema: str, **params: Any) -> list[dict[str, Any]]:
    """All pages."""
    items: list[dict[str, Any]] = []
    page = read(reader, schema, **params)
    items += page["items"]
    while page["next_cursor"]:
        page = read(reader, schema, cursor=page["next_cursor"], **params)
        items += page["items"]
    return items


def test_01_wilayah(reader: httpx.Client) -> None:
    items = read(reader, "wilayah")["items"]
    assert len(items) == 213
    villages = [item for item in items if item["tingkat"] in {"desa", "kelurahan"}]
    assert len(villages) == 195
    urban = read(reader, "wilayah", filter="tingkat = 'kelurahan'")["items"]
    assert len(urban) == 11
    assert {item["kode_induk"] for item in urban} == {"33.20.06"}
    island = read(reader, "wilayah", kode_induk="33.20.10")["items"]
    assert [item["nama"] for item in island] == ["Karimunjawa", "Kemujan", "Parang", "Nyamuk"]


def test_02_crosswalk_of_bps_codes(reader: httpx.Client) -> None:
    items = {item["kode_asal"]: item["kode_kemendagri"] for item in read(reader, "wilayah-padanan")["items"]}
    assert len(items) == 16
    assert None not in items.values()
    assert items["3320120"] == "33.20.10"
    assert items["3320060"] == "33.20.05"
    assert items["3320111"] == "33.20.16"


def test_03_boundaries_have_their_axes_in_order(reader: httpx.Client) -> None:
    items = {item["kode_wilayah"]: item["geometri"] for item in read(reader, "batas-wilayah")["items"]}
    assert len(items) == 16
    assert items["33.20.10"]["type"] == "MultiPolygon"
    assert len(items["33.20.10"]["coordinates"]) == 30
    assert [len(ring) for ring in items["33.20.01"]["coordinates"]] == [16, 5]

    def longitudes(value: Any) -> list[float]:
        return [value[0]] if isinstance(value[0], float) else [lng for part in value for lng in longitudes(part)]

    every = [lng for geometry in items.values() for lng in longitudes(geometry["coordinates"])]
    assert 110 <= min(every) <= max(every) <= 112


def test_04_facilities_of_jateng_by_year(reader: httpx.Client) -> None:
    page = read(reader, "statistik-indikator", filter="kode_wilayah = '33.20' AND tahun = 2023", agencies="dinkes")
    values = {item["kode_indikator"]: Decimal(item["nilai"]) for item in page["items"]}
    assert values == {
        "jumlah_rs_umum": 6,
        "jumlah_rs_khusus": 0,
        "jumlah_puskesmas_rawat_inap": 22,
        "jumlah_puskesmas_non_rawat_inap": 8,
        "jumlah_klinik_pratama": 27,
        "jumlah_posyandu": 1131,
    }
    posyandu = read_all(reader, "statistik-indikator", filter="kode_indikator = 'jumlah_posyandu' AND tahun = 2021")
    assert sum(Decimal(item["nilai"]) for item in posyandu) == 49716
    assert len(posyandu) == 35


def test_05_facilities_coded_jepara(reader: httpx.Client) -> None:
    coded = "kode_faskes LIKE 'P3320%' OR kode_faskes LIKE 'R3320%'"
    items = read(reader, "fasilitas-kesehatan", filter=coded)["items"]
    assert len(items) == 25
    hospitals = [item for item in items if item["jenis"] == "rumah_sakit"]
    assert len(hospitals) == 4
    assert {item["kode_wilayah"] for item in hospitals} == {"33.20"}
    health_centre = reader.get("/v1/records/fasilitas-kesehatan/P3320120101").json()["items"][0]
    assert (health_centre["lat"], health_centre["lng"]) == (-5.879173, 110.433174)
    assert health_centre["kode_wilayah"] == "33.20.10"


def test_05_regions_that_are_not_loaded_stay_unmatched(reader: httpx.Client) -> None:
    item = read(reader, "fasilitas-kesehatan", filter="kode_faskes LIKE 'R3374%'", limit=1)["items"][0]
    assert item["kode_wilayah"] is None
    assert any(warning["field"] == "kode_wilayah" for warning in item["_warnings"])


def test_05_whole_file_arrives_but_for_one_impossible_longitude(
    reader: httpx.Client, real_gateway: RunningGateway
) -> None:
    """10,284 rows; the longitude of one lies beyond 180 degrees: it is rejected with its place, never dropped silently."""
    every = read_all(reader, "fasilitas-kesehatan", agencies="dinkes", fields="kode_faskes,jenis")
    kinds = [item["jenis"] for item in every]
    page = read(reader, "fasilitas-kesehatan", agencies="dinkes", limit=1)
    quarantine = real_gateway.admin.get("/v1/connectors/dinkes-faskes/quarantine").json()
    (reject,) = quarantine["items"]
    assert page["sources"][0]["rejected_rows"] == 1
    assert (len(every), kinds.count("puskesmas"), kinds.count("rumah_sakit")) == (10283, 9060, 1221)
    assert (reject["field"], reject["rule"]) == ("lng", "out_of_range")
    assert reject["place"].endswith("line 9453")


def test_06_hospitals_of_a_rest_service(reader: httpx.Client) -> None:
    items = read(reader, "fasilitas-kesehatan", agencies="rsud-kartini")["items"]
    assert len(items) == 112
    assert sum(1 for item in items if len(item["telepon"] or []) > 1) == 34
    first = next(item for item in items if item["kode_faskes"] == "dki:2")
    assert first["nama"] == "Tarakan"
    assert (first["lat"], first["lng"]) == (-6.171333, 106.810013)


def test_07_poverty_of_jepara(reader: httpx.Client) -> None:
    page = read(
        reader,
        "statistik-indikator",
        filter="kode_wilayah = '33.20' AND kode_indikator = 'kemiskinan_pct'",
        sort="tahun",
    )
    assert [item["nilai"] for item in page["items"]] == ["7.17", "7.44", "6.88", "6.61", "6.09"]
    ipm = read(reader, "statistik-indikator", kode_indikator="ipm", kode_wilayah="33.20", tahun=2024)["items"]
    assert [Decimal(item["nilai"]) for item in ipm] == [Decimal("74.32")]
    every = read_all(reader, "statistik-indikator", kode_indikator="kemiskinan_pct", tahun=2023)
    assert sum(Decimal(item["nilai"]) for item in every) == Decimal("363.89")


def test_08_destinations(reader: httpx.Client) -> None:
    items = read(reader, "destinasi-wisata")["items"]
    assert len(items) == 20
    assert sum(1 for item in items if item["kode_wilayah"] == "33.20.06") == 4
    park = next(item for item in items if item["nama"].startswith("Taman Nasional Karimunjawa"))
    assert (park["lat"], park["lng"]) == (-5.876247, 110.435131)
    assert [price["rupiah"] for price in park["harga_tiket"]] == [5000, 7500, 150000, 225000]
    assert sum(1 for item in items if any(price["rupiah"] == 0 for price in item["harga_tiket"])) == 5


def test_09_schools(reader: httpx.Client) -> None:
    items = read(reader, "satuan-pendidikan")["items"]
    assert len({item["npsn"] for item in items}) == 218
    assert sum(1 for item in items if item["status"] == "NEGERI") == 143
    assert sum(1 for item in items if item["bentuk"] == "SD") == 141
    assert {item["kode_wilayah"] for item in items} == {None}


def test_10_budget(reader: httpx.Client) -> None:
    items = read(reader, "realisasi-apbd")["items"]
    assert len(items) == 36
    income = {
        month: sum(Decimal(item["pendapatan"]) for item in items if item["bulan"] == month) for month in (1, 2, 3)
    }
    assert income == {1: 1207470881917, 2: 2189892541040, 3: 2163446653792}
    assert sum(1 for item in items if Decimal(item["silpa"]) < 0) == 4


def test_11_food_prices(reader: httpx.Client) -> None:
    items = read(reader, "harga-komoditas")["items"]
    assert len(items) == 34
    assert sum(Decimal(item["harga"]) for item in items) == 897200
    assert {item["tanggal"] for item in items} == {"2020-07-20"}
    central_java = next(item for item in items if item["kode_wilayah"] == "pihps:14")
    assert Decimal(central_java["harga"]) == 24950


def test_12_earthquake(reader: httpx.Client) -> None:
    (event,) = read(reader, "kejadian-bencana")["items"]
    assert event["lat"] == -4.61
    assert event["lng"] == 102.75
    assert event["waktu"] == "2022-05-23T12:32:02Z"
    assert float(event["kedalaman_km"]) == 41
    assert len(event["dirasakan"]) == 5
    assert sum(1 for felt in event["dirasakan"] if (felt["mmi_min"], felt["mmi_max"]) == (3, 4)) == 2


def test_13_portal_says_that_its_csv_is_a_png(reader: httpx.Client) -> None:
    (dataset,) = read(reader, "metadata-dataset")["items"]
    (resource,) = dataset["sumberdaya"]
    assert dataset["lisensi"] == "cc-by"
    assert resource["format_tercantum"] == "CSV"
    assert resource["format_terdeteksi"] == "PNG"
    assert resource["ukuran"] == 37986


def test_13_file_labelled_csv_that_is_a_png_is_reported(real_gateway: RunningGateway, source_url: str) -> None:
    admin = real_gateway.admin
    manifest = {
        "connector": "diskominfo-akip",
        "agency": "diskominfo",
        "schema": "metadata_dataset@1",
        "title": "Berkas CSV yang sebenarnya PNG",
        "source": {"kind": "ckan", "url": f"{source_url}/ckan", "resource": "hasil-akip"},
        "fields": {"id": "id", "judul": "judul"},
    }
    assert admin.put("/v1/connectors/diskominfo-akip", json=manifest).status_code == httpx.codes.CREATED
    report = admin.post("/v1/connectors/diskominfo-akip/check").json()
    problem = next(step["problem"] for step in report["steps"] if not step["ok"])
    assert problem["code"] == "source_format_error"
    assert "PNG image" in problem["detail"]


def test_two_sources_that_disagree_are_both_shown(reader: httpx.Client) -> None:
    """30 puskesmas by the statistics of the province, 21 in the list of facilities: both stand with their provenance."""
    counted = read(
        reader,
        "statistik-indikator",
        filter="kode_wilayah = '33.20' AND tahun = 2023 AND kode_indikator LIKE 'jumlah_puskesmas%'",
    )["items"]
    listed = read(reader, "fasilitas-kesehatan", filter="jenis = 'puskesmas' AND kode_faskes LIKE 'P3320%'")["items"]
    assert sum(Decimal(item["nilai"]) for item in counted) == 30
    assert len(listed) == 21
    assert {item["_source"]["dataset"] for item in counted + listed} == {"dinkes-indikator", "dinkes-faskes"}


@pytest.mark.parametrize("schema", ["wilayah", "fasilitas-kesehatan", "kejadian-bencana"])
def test_every_answer_is_an_exchange(reader: httpx.Client, schema: str) -> None:
    answer = reader.get(f"/v1/records/{schema}", params={"limit": 1})
    assert len(answer.headers["exchange-id"]) == 36
    assert answer.headers["content-digest"].startswith("sha-256=:")
