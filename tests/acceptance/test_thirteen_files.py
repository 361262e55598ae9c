"""At least three facts of each of the thirteen files, through federated queries; the same tests on the real files and on look-alikes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway

Facts = dict[str, Any]


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


def test_01_wilayah(reader: httpx.Client, facts: Facts) -> None:
    items = read(reader, "wilayah")["items"]
    assert len(items) == facts["regions"]
    villages = [item for item in items if item["tingkat"] in {"desa", "kelurahan"}]
    assert len(villages) == facts["villages"]
    urban = read(reader, "wilayah", filter="tingkat = 'kelurahan'")["items"]
    assert len(urban) == facts["urban_villages"]
    assert {item["kode_induk"] for item in urban} == {"33.20.06"}
    island = read(reader, "wilayah", kode_induk="33.20.10")["items"]
    assert [item["nama"] for item in island] == facts["island_villages"]


def test_02_crosswalk_of_bps_codes(reader: httpx.Client, facts: Facts) -> None:
    items = {item["kode_asal"]: item["kode_kemendagri"] for item in read(reader, "wilayah-padanan")["items"]}
    assert len(items) == facts["districts"]
    assert None not in items.values()
    assert items["3320120"] == "33.20.10"
    assert items["3320060"] == "33.20.05"
    assert items["3320111"] == "33.20.16"


def test_03_boundaries_have_their_axes_in_order(reader: httpx.Client, facts: Facts) -> None:
    items = {item["kode_wilayah"]: item["geometri"] for item in read(reader, "batas-wilayah")["items"]}
    assert len(items) == facts["districts"]
    kinds = [geometry["type"] for geometry in items.values()]
    assert kinds.count("MultiPolygon") == facts["multipolygons"]
    assert kinds.count("Polygon") == facts["districts"] - facts["multipolygons"]
    assert len(items["33.20.10"]["coordinates"]) == facts["island_parts"]
    assert [len(ring) for ring in items["33.20.01"]["coordinates"]] == facts["rings_of_kedung"]

    def longitudes(value: Any) -> list[float]:
        return [value[0]] if isinstance(value[0], float) else [lng for part in value for lng in longitudes(part)]

    every = [lng for geometry in items.values() for lng in longitudes(geometry["coordinates"])]
    assert 110 <= min(every) <= max(every) <= 112


def test_04_facilities_of_jateng_by_year(reader: httpx.Client, facts: Facts) -> None:
    page = read(reader, "statistik-indikator", filter="kode_wilayah = '33.20' AND tahun = 2023", agencies="dinkes")
    values = {item["kode_indikator"]: Decimal(item["nilai"]) for item in page["items"]}
    assert values == facts["jepara_2023"]
    posyandu = read_all(reader, "statistik-indikator", filter="kode_indikator = 'jumlah_posyandu' AND tahun = 2021")
    assert sum(Decimal(item["nilai"]) for item in posyandu) == facts["posyandu_2021"]
    assert len(posyandu) == facts["regencies"]


def test_05_facilities_coded_jepara(reader: httpx.Client, facts: Facts) -> None:
    coded = "kode_faskes LIKE 'P3320%' OR kode_faskes LIKE 'R3320%'"
    items = read(reader, "fasilitas-kesehatan", filter=coded)["items"]
    assert len(items) == facts["coded_jepara"]
    hospitals = [item for item in items if item["jenis"] == "rumah_sakit"]
    assert len(hospitals) == facts["hospitals_of_jepara"]
    assert {item["kode_wilayah"] for item in hospitals} == {"33.20"}
    code, lat, lng = facts["island_centre"]
    health_centre = reader.get(f"/v1/records/fasilitas-kesehatan/{code}").json()["items"][0]
    assert (health_centre["lat"], health_centre["lng"]) == (lat, lng)
    assert health_centre["kode_wilayah"] == "33.20.10"


def test_05_the_word_jepara_finds_facilities_of_elsewhere(reader: httpx.Client, facts: Facts) -> None:
    """Codes tell where a facility is; its name and address do not."""
    worded = "CASEI(nama) LIKE CASEI('%jepara%') OR CASEI(alamat) LIKE CASEI('%jepara%')"
    items = read(reader, "fasilitas-kesehatan", filter=worded, agencies="dinkes")["items"]
    elsewhere = {item["nama"] for item in items if "3320" not in item["kode_faskes"][1:5]}
    assert len(items) == facts["word_jepara"]
    assert elsewhere == facts["word_jepara_elsewhere"]


def test_05_regions_that_are_not_loaded_stay_unmatched(reader: httpx.Client) -> None:
    item = read(reader, "fasilitas-kesehatan", filter="kode_faskes LIKE 'R3374%'", limit=1)["items"][0]
    assert item["kode_wilayah"] is None
    assert any(warning["field"] == "kode_wilayah" for warning in item["_warnings"])


def test_05_whole_file_arrives_but_for_one_impossible_longitude(
    reader: httpx.Client, file_gateway: RunningGateway, facts: Facts
) -> None:
    """The longitude of one row lies beyond 180 degrees: it is rejected with its place, never dropped silently."""
    pages = {"agencies": "dinkes", "limit": facts["page_rows"]}
    every = read_all(reader, "fasilitas-kesehatan", fields="kode_faskes,jenis", **pages)
    kinds = [item["jenis"] for item in every]
    page = read(reader, "fasilitas-kesehatan", agencies="dinkes", limit=1)
    quarantine = file_gateway.admin.get("/v1/connectors/dinkes-faskes/quarantine").json()
    (reject,) = quarantine["items"]
    assert page["sources"][0]["rejected_rows"] == 1
    assert len({item["kode_faskes"] for item in every}) == len(every) == facts["facilities"] > facts["page_rows"]
    assert (kinds.count("puskesmas"), kinds.count("rumah_sakit")) == (facts["health_centres"], facts["hospitals"])
    assert (reject["field"], reject["rule"]) == ("lng", "out_of_range")
    assert reject["place"].endswith(facts["impossible_longitude"])


def test_06_hospitals_of_a_rest_service(reader: httpx.Client, facts: Facts) -> None:
    items = read(reader, "fasilitas-kesehatan", agencies="rsud-kartini")["items"]
    assert len(items) == facts["service_hospitals"]
    assert sum(1 for item in items if len(item["telepon"] or []) > 1) == facts["several_telephones"]
    code, name, lat, lng = facts["first_hospital"]
    first = next(item for item in items if item["kode_faskes"] == code)
    assert (first["nama"], first["lat"], first["lng"]) == (name, lat, lng)


def test_07_indicators_of_jepara(reader: httpx.Client, facts: Facts) -> None:
    page = read(
        reader,
        "statistik-indikator",
        filter="kode_wilayah = '33.20' AND kode_indikator = 'kemiskinan_pct'",
        sort="tahun",
    )
    assert [item["nilai"] for item in page["items"]] == facts["poverty_of_jepara"]
    one = {"kode_wilayah": "33.20", "agencies": "bappeda"}
    ipm = read(reader, "statistik-indikator", kode_indikator="ipm", tahun=2024, **one)["items"]
    assert [Decimal(item["nilai"]) for item in ipm] == [facts["ipm_2024"]]
    growth = read(reader, "statistik-indikator", kode_indikator="pdrb_pertumbuhan", tahun=2020, **one)["items"]
    assert [Decimal(item["nilai"]) for item in growth] == [facts["growth_2020"]]
    every = read_all(reader, "statistik-indikator", kode_indikator="kemiskinan_pct", tahun=2023)
    assert sum(Decimal(item["nilai"]) for item in every) == facts["poverty_2023"]


def test_08_destinations(reader: httpx.Client, facts: Facts) -> None:
    items = read(reader, "destinasi-wisata")["items"]
    assert len(items) == facts["destinations"]
    assert sum(1 for item in items if item["kode_wilayah"] == "33.20.06") == facts["destinations_in_jepara"]
    name, lat, lng = facts["park"]
    park = next(item for item in items if item["nama"] == name)
    assert (park["lat"], park["lng"]) == (lat, lng)
    assert [price["rupiah"] for price in park["harga_tiket"]] == facts["park_prices"]
    free = [item for item in items if any(price["rupiah"] == 0 for price in item["harga_tiket"])]
    assert len(free) == facts["free_destinations"]


def test_09_schools(reader: httpx.Client, facts: Facts) -> None:
    items = read(reader, "satuan-pendidikan")["items"]
    assert len({item["npsn"] for item in items}) == facts["schools"]
    assert sum(1 for item in items if item["status"] == "NEGERI") == facts["public_schools"]
    assert sum(1 for item in items if item["bentuk"] == "SD") == facts["primary_schools"]
    assert {item["kode_wilayah"] for item in items} == {None}


def test_10_budget(reader: httpx.Client, facts: Facts) -> None:
    items = read(reader, "realisasi-apbd")["items"]
    assert len(items) == facts["budgets"]
    income = {
        month: sum(Decimal(item["pendapatan"]) for item in items if item["bulan"] == month) for month in (1, 2, 3)
    }
    assert income == facts["income"]
    assert sum(1 for item in items if Decimal(item["silpa"]) < 0) == facts["negative_balances"]


def test_11_food_prices(reader: httpx.Client, facts: Facts) -> None:
    items = read(reader, "harga-komoditas")["items"]
    assert len(items) == facts["prices"]
    assert sum(Decimal(item["harga"]) for item in items) == facts["sum_of_prices"]
    assert {item["tanggal"] for item in items} == {facts["price_date"]}
    central_java = next(item for item in items if item["kode_wilayah"] == "pihps:14")
    assert Decimal(central_java["harga"]) == facts["price_in_central_java"]


def test_12_earthquake(reader: httpx.Client, facts: Facts) -> None:
    (event,) = read(reader, "kejadian-bencana")["items"]
    assert (event["lat"], event["lng"]) == facts["epicentre"]
    assert event["waktu"] == facts["moment"]
    assert float(event["kedalaman_km"]) == facts["depth_km"]
    ranges = [(felt["mmi_min"], felt["mmi_max"]) for felt in event["dirasakan"]]
    assert len(ranges) == facts["felt_places"]
    assert ranges.count(facts["felt_range"]) == facts["felt_in_range"]


def test_13_portal_says_that_its_csv_is_a_png(reader: httpx.Client, facts: Facts) -> None:
    (dataset,) = read(reader, "metadata-dataset")["items"]
    (resource,) = dataset["sumberdaya"]
    assert dataset["lisensi"] == "cc-by"
    assert resource["format_tercantum"] == "CSV"
    assert resource["format_terdeteksi"] == "PNG"
    assert resource["ukuran"] == facts["size_of_the_png"]


def test_13_file_labelled_csv_that_is_a_png_is_reported(file_gateway: RunningGateway, source_url: str) -> None:
    admin = file_gateway.admin
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


def test_two_sources_that_disagree_are_both_shown(reader: httpx.Client, facts: Facts) -> None:
    """More puskesmas by the statistics of the province than in the list of facilities: both stand with their provenance."""
    counted = read(
        reader,
        "statistik-indikator",
        filter="kode_wilayah = '33.20' AND tahun = 2023 AND kode_indikator LIKE 'jumlah_puskesmas%'",
    )["items"]
    listed = read(reader, "fasilitas-kesehatan", filter="jenis = 'puskesmas' AND kode_faskes LIKE 'P3320%'")["items"]
    assert sum(Decimal(item["nilai"]) for item in counted) == facts["health_centres_counted"]
    assert len(listed) == facts["health_centres_listed"]
    assert {item["_source"]["dataset"] for item in counted + listed} == {"dinkes-indikator", "dinkes-faskes"}


@pytest.mark.parametrize("schema", ["wilayah", "fasilitas-kesehatan", "kejadian-bencana"])
def test_every_answer_is_an_exchange(reader: httpx.Client, schema: str) -> None:
    answer = reader.get(f"/v1/records/{schema}", params={"limit": 1})
    assert len(answer.headers["exchange-id"]) == 36
    assert answer.headers["content-digest"].startswith("sha-256=:")
