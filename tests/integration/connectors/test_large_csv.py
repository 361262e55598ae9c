"""A large CSV file through the gateway: checked whole, paged to its end in either direction, counted, its faults told with their lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway

ROWS = 30_000
RAGGED, LATE_QUOTE, BAD_NUMBER, TWICE, BROKEN_LINE = 7_003, 12_345, 20_000, 25_001, 15_000


def written(file: Path) -> None:
    """Row n stands in line n + 1, one line further behind the cell that holds a line break; its key falls as n rises in every hundred."""
    with file.open("w", encoding="utf-8", newline="") as out:
        out.write("kode,nama,alamat,lat\r\n")
        for row in range(1, ROWS + 1):
            key = f"F{100 * (row // 100) + 99 - row % 100:06d}"
            cells = [key, f'"Klinik ""{row}"", Jepara"', f"Jalan {row}", f"-6.{row:05d}"]
            if row == RAGGED:
                cells.append("lebih")
            elif row == LATE_QUOTE:
                cells[1] = '"Klinik" Sehat'
            elif row == BAD_NUMBER:
                cells[3] = "enam"
            elif row == TWICE:
                cells[0] = "F000098"
            elif row == BROKEN_LINE:
                cells[2] = '"Jalan\nPemuda"'
            out.write(",".join(cells) + "\r\n")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("large")
    gateway = RunningGateway(folder / "instance")
    gateway.init()
    gateway.start()
    try:
        gateway.agency("dinkes")
        file = folder / "faskes.csv"
        written(file)
        assert file.stat().st_size > 1 << 20
        gateway.upload("dinkes", file)
        manifest = {
            "connector": "dinkes-faskes",
            "agency": "dinkes",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "file", "location": "inbox/faskes.csv"},
            "fields": {
                "kode_faskes": "kode", "nama": {"from": "nama", "text": "squeeze"}, "jenis": {"const": "klinik"}, "alamat": "alamat",
                "lat": {"from": "lat", "number": {}}, "lng": {"const": 110.6},
            },
        }  # fmt: skip
        gateway.admin.put("/v1/connectors/dinkes-faskes", json=manifest).raise_for_status()
        yield (
            gateway,
            gateway.admin.post("/v1/connectors/dinkes-faskes/check").json(),
            gateway.client("client", "dinkes"),
        )
    finally:
        gateway.stop()


def keys() -> list[str]:
    """Of the valid records."""
    gone = {RAGGED, LATE_QUOTE, BAD_NUMBER, TWICE}
    return [f"F{100 * (row // 100) + 99 - row % 100:06d}" for row in range(1, ROWS + 1) if row not in gone]


def walked(client: httpx.Client, **params: str) -> list[dict[str, Any]]:
    """Every record, page by page."""
    found: list[dict[str, Any]] = []
    asked: dict[str, str] | None = {"limit": "1000", **params}
    while asked is not None:
        page = client.get("/v1/records/fasilitas-kesehatan", params=asked).raise_for_status().json()
        found += page["items"]
        asked = {"limit": "1000", **params, "cursor": page["next_cursor"]} if page["next_cursor"] else None
    return found


def test_the_check_maps_every_row_and_tells_each_fault_with_its_line(reader: Any) -> None:
    _, report, _ = reader
    mapping = report["mapping"]
    assert (mapping["rows"], mapping["rejected"], mapping["duplicate_keys"]) == (ROWS, 4, 1)
    assert mapping["bounded"] is None
    told = {(one["field"], one["rule"]): one["places"] for one in mapping["rejects"]}
    line = {
        row: f"inbox/faskes.csv, line {row + 1 + (row > BROKEN_LINE)}"
        for row in (RAGGED, LATE_QUOTE, BAD_NUMBER, TWICE)
    }
    assert told == {
        ("", "ragged_row"): [line[RAGGED]],
        ("", "csv_quote"): [line[LATE_QUOTE]],
        ("lat", "not_a_number"): [line[BAD_NUMBER]],
        ("kode_faskes", "duplicate_key"): [line[TWICE]],
    }


def test_pages_to_the_end_are_the_whole_in_either_order(reader: Any) -> None:
    gateway, _, client = reader
    gateway.admin.post("/v1/connectors/dinkes-faskes/publish").raise_for_status()
    found = walked(client)
    assert [one["kode_faskes"] for one in found] == sorted(keys())
    broken = next(one for one in found if one["nama"] == f'Klinik "{BROKEN_LINE}", Jepara')
    assert broken["alamat"] == "Jalan\nPemuda"
    back = walked(client, sort="-lat", filter="lat < -6.25")
    assert [one["lat"] for one in back] == sorted((one["lat"] for one in found if one["lat"] < -6.25), reverse=True)


def test_one_record_and_the_count_of_all(reader: Any) -> None:
    gateway, _, client = reader
    gateway.admin.post("/v1/connectors/dinkes-faskes/publish")
    one = client.get("/v1/records/fasilitas-kesehatan/F020050").raise_for_status().json()
    assert [found["nama"] for found in one["items"]] == ['Klinik "20049", Jepara']
    asked = {"limit": "1", "count": "exact"}
    counted = client.get("/v1/records/fasilitas-kesehatan", params=asked).raise_for_status().json()
    assert counted["meta"]["count"]["value"] == len(keys())
    assert counted["sources"][0]["rejected_rows"] == 4
