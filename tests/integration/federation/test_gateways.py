"""Three gateways one behind the other: what each says of its sources comes through, and none asks itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import RunningGateway
from tests.support.gateways import manifest_of, source_of, started

SCHEMA = "harga_komoditas@1"
LIST = "/v1/records/harga-komoditas"
FIELDS = {
    "tanggal": {"from": "tanggal", "date": "iso"},
    "kode_wilayah": "kode_wilayah",
    "pasar": "pasar",
    "komoditas": "komoditas",
    "harga": {"from": "harga", "number": {}},
}
HEAD = "tanggal,kode_wilayah,pasar,komoditas,harga\n"


def prices(market: str, count: int) -> str:
    rows = "".join(f"2026-11-{at % 28 + 1:02},33.20,{market},Barang {at},{1000 + at}.50\n" for at in range(count))
    return HEAD + rows


def publish_file(gateway: RunningGateway, agency: str, folder: Path, text: str) -> None:
    gateway.agency(agency)
    file = folder / f"{agency}.csv"
    file.write_text(text)
    gateway.upload(agency, file)
    source = {"kind": "file", "location": f"inbox/{agency}.csv"}
    gateway.publish(
        {
            "connector": f"{agency}-harga",
            "agency": agency,
            "schema": SCHEMA,
            "title": agency,
            "source": source,
            "fields": FIELDS,
        }
    )


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, ...]]:
    """The region, the province behind it, the country behind that; the region has an agency of its own too."""
    folder = tmp_path_factory.mktemp("chain")
    running: list[RunningGateway] = []
    try:
        for name in ("region", "province", "country"):
            running.append(started(folder / name))
        region, province, country = running
        publish_file(country, "bapanas", folder, prices("Pasar Nasional", 30))
        publish_file(country, "bps", folder, prices("Pasar BPS", 5))
        publish_file(region, "disperindag", folder, prices("Pasar Bangsri", 3))
        upper = source_of(country, province, "pusat")
        province.publish(manifest_of(upper, "pusat", "pusat-harga", SCHEMA))
        lower = source_of(province, region, "provinsi")
        region.publish(manifest_of(lower, "provinsi", "provinsi-harga", SCHEMA))
        yield tuple(running)
    finally:
        codes = [gateway.stop() for gateway in running]
    assert codes == [0, 0, 0]


def listed(gateway: RunningGateway, **params: Any) -> dict[str, Any]:
    answer = gateway.client("client", "pembaca").get(LIST, params={"limit": 100, **params})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    assert answer.headers["simpul-complete"] == ("?1" if found["complete"] else "?0")
    return found


@pytest.fixture(scope="module", autouse=True)
def readers(chain: tuple[RunningGateway, ...]) -> None:
    for gateway in chain:
        gateway.agency("pembaca")


def status_of(answer: dict[str, Any], dataset: str) -> dict[str, Any]:
    (found,) = [one for one in answer["sources"] if one["dataset"] == dataset]
    assert isinstance(found, dict)
    return found


def test_every_record_comes_through_with_where_it_is_from(chain: tuple[RunningGateway, ...]) -> None:
    found = listed(chain[0])

    assert found["complete"] is True
    assert len(found["items"]) == 38
    by_market = {item["pasar"]: item for item in found["items"]}
    origin = by_market["Pasar BPS"]["_source"]
    assert (origin["agency"], origin["dataset"]) == ("provinsi", "provinsi-harga")
    assert (origin["upstream"]["agency"], origin["upstream"]["upstream"]["agency"]) == ("pusat", "bps")
    assert origin["upstream"]["upstream"]["dataset"] == "bps-harga"
    assert "upstream" not in by_market["Pasar Bangsri"]["_source"]
    own = listed(chain[2], filter="pasar = 'Pasar BPS'")["items"]
    through = [item for item in found["items"] if item["pasar"] == "Pasar BPS"]
    assert [{**item, "_source": 0} for item in through] == [{**item, "_source": 0} for item in own]


def test_the_receipt_of_the_other_gateway_is_told_and_recorded(chain: tuple[RunningGateway, ...]) -> None:
    region, province, _ = chain
    status = status_of(listed(region), "provinsi-harga")

    (receipt,) = status["receipts"]
    assert receipt.startswith(f"{province.url}/v1/exchanges/")
    recorded = province.client("auditor", "tamu").get(receipt.removeprefix(province.url))
    assert recorded.status_code == 200, recorded.text
    assert "receipts" not in status_of(listed(region), "disperindag-harga")


def test_filter_fields_and_limit_go_to_the_other_gateway(chain: tuple[RunningGateway, ...]) -> None:
    region = chain[0]
    question = {"filter": "harga >= 1020.5 AND tanggal > DATE('2026-11-05')", "fields": "komoditas,harga"}
    found = listed(region, **question)

    assert sorted(item["komoditas"] for item in found["items"]) == [f"Barang {at}" for at in range(20, 28)]
    assert {"columns", "filter"} <= set(status_of(found, "provinsi-harga")["pushed"])
    there = status_of(listed(chain[1], **question), "pusat-harga")
    assert (there["rows"], {"columns", "filter"} <= set(there["pushed"])) == (8, True)


def test_an_export_holds_all_of_it(chain: tuple[RunningGateway, ...]) -> None:
    answer = chain[0].client("client", "pembaca").get(LIST, params={"f": "csv"})
    assert answer.status_code == 200
    assert answer.headers["simpul-complete"] == "?1"
    assert len(answer.text.splitlines()) == 39


def test_who_is_missing_far_behind_is_missing_here(chain: tuple[RunningGateway, ...], tmp_path: Path) -> None:
    region, _, country = chain
    broken = tmp_path / "bps.csv"
    broken.write_text(HEAD + '2026-11-01,33.20,"Pasar')
    country.upload("bps", broken)
    try:
        found = listed(region)
        assert found["complete"] is False
        assert len(found["items"]) == 33, "what the others gave stands"
        status = status_of(found, "provinsi-harga")
        assert (status["status"], status["problem"]["code"], status["rows"]) == ("unavailable", "source_partial", 30)
        assert "pusat (pusat-harga): unavailable" in status["problem"]["detail"]
        assert status_of(found, "disperindag-harga")["status"] == "ok"

        reader = region.client("client", "pembaca")
        refused = reader.get(LIST, headers={"prefer": "partial=never"})
        assert (refused.status_code, refused.json()["code"]) == (503, "partial_answer_refused")
        export = reader.get(LIST, params={"f": "csv"})
        assert (export.headers["simpul-complete"], len(export.text.splitlines())) == ("?0", 34)
        body = {"aggregates": [{"function": "count", "as": "n"}]}
        counted = reader.post(f"{LIST}/aggregate", json=body, headers={"prefer": "partial=allow"}).json()
        assert (counted["complete"], counted["items"]) == (False, [{"n": 33}])
        page = reader.get(LIST, params={"limit": 10, "agencies": "provinsi", "sort": "-harga"}).json()
        rest = reader.get(
            LIST, params={"limit": 100, "agencies": "provinsi", "sort": "-harga", "cursor": page["next_cursor"]}
        )
        assert len(page["items"]) + len(rest.json()["items"]) == 30, "no record stands on two pages"
    finally:
        broken.write_text(prices("Pasar BPS", 5))
        country.upload("bps", broken)
    assert listed(region)["complete"] is True


def test_a_gateway_that_is_away_is_a_source_that_is_away(chain: tuple[RunningGateway, ...]) -> None:
    region, province, _ = chain
    province.stop()
    try:
        found = listed(region)
    finally:
        province.start()
    assert found["complete"] is False
    assert status_of(found, "provinsi-harga")["status"] == "unavailable"
    assert len(found["items"]) == 3


def test_a_circle_of_gateways_is_refused_and_told(chain: tuple[RunningGateway, ...]) -> None:
    region, province, country = chain
    round_again = source_of(region, country, "daerah")
    connector = manifest_of(round_again, "daerah", "daerah-harga", SCHEMA)
    assert country.admin.put("/v1/connectors/daerah-harga", json=connector).status_code == 201
    checked = country.admin.post("/v1/connectors/daerah-harga/check").json()
    assert "not complete: provinsi (provinsi-harga): unavailable" in str(checked)
    published = country.admin.post("/v1/connectors/daerah-harga/publish")
    assert published.status_code == 200, published.text
    try:
        found = listed(region)
        there = status_of(listed(country), "daerah-harga")
    finally:
        country.admin.post("/v1/connectors/daerah-harga/retire")
    assert found["complete"] is False
    assert len(found["items"]) == 38
    assert "pusat (pusat-harga): unavailable" in status_of(found, "provinsi-harga")["problem"]["detail"]
    assert (there["status"], there["problem"]["code"]) == ("unavailable", "source_partial")
    own = region.client("client", "pembaca").get(
        LIST, headers={"simpul-via": f"{province.url[7:]}/log, {region.url[7:]}/log"}
    )
    assert (own.status_code, own.json()["code"]) == (400, "gateway_loop")
    long = region.client("client", "pembaca").get(LIST, headers={"simpul-via": "a, b, c, d, e"})
    assert (long.status_code, long.json()["code"]) == (400, "gateway_loop")


def test_discover_and_check_tell_what_is_there(chain: tuple[RunningGateway, ...]) -> None:
    region, province, _ = chain
    source = source_of(province, region, "provinsi")
    draft = {"connector": "provinsi-lain", "agency": "provinsi", "source": source}
    assert region.admin.put("/v1/connectors/provinsi-lain", json=draft).status_code == 201
    found = region.admin.post("/v1/connectors/provinsi-lain/discover")
    assert found.status_code == 200, found.text
    assert "harga_komoditas" in str(found.json()["tables"])
    assert any("source.schema" in note for note in found.json()["notes"])
