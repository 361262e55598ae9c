"""Variants that agencies send and that the thirteen files do not show: cp1252 with semicolons, NIK as numbers, a million rows."""

from __future__ import annotations

import csv
import resource
import time
from pathlib import Path

import httpx
import pytest
import xlsxwriter

from app.connectors.environment import Environment, Limits
from app.connectors.registry import open_connector
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.records import ReadRequest
from app.schemas import registry
from tests.support.gateway import RunningGateway

ROWS = 1_000_000
GROWTH_KIB = 200 * 1024


class _NoSecrets:
    def resolve(self, text: str) -> str:
        return text


def dataset(folder: Path, fields: dict[str, object], schema: str, **source: object) -> MappedDataset:
    document = {
        "connector": "made",
        "agency": "made",
        "schema": schema,
        "source": {"kind": "file", **source},
        "fields": fields,
    }
    manifest = parse_manifest(document)
    definition = registry.get(schema)
    limits = Limits(deadline_seconds=300.0)
    (folder / "cache").mkdir(exist_ok=True)
    environment = Environment("made", "made", folder, folder / "cache", _NoSecrets(), limits=limits)
    return MappedDataset(
        manifest=manifest,
        revision=1,
        schema=definition,
        connector=open_connector(manifest.source, environment),
        mapping=compile_mapping(manifest, definition, empty_code_book()),
        limits=limits,
    )


@pytest.mark.anyio
async def test_semicolons_cp1252_and_decimal_commas(tmp_path: Path) -> None:
    text = "Kode;Nama;Lintang\r\nK1;Poliklinik Dé Café;-6,5\r\nK2;Klinik “Sehat”;-6,75\r\n"
    (tmp_path / "klinik.csv").write_bytes(text.encode("cp1252"))
    fields = {"kode_faskes": "Kode", "nama": "Nama", "lat": {"from": "Lintang", "number": {"decimal": ","}}}
    source = dataset(tmp_path, fields, "fasilitas_kesehatan@1", location="klinik.csv", delimiter=";", encoding="cp1252")
    result = await source.read(ReadRequest())
    await source.close()

    assert [(record.values["nama"], record.values["lat"]) for record in result.records] == [
        ("Poliklinik Dé Café", -6.5),
        ("Klinik “Sehat”", -6.75),
    ]


@pytest.mark.anyio
async def test_nik_kept_as_number_is_rejected_with_the_reason(tmp_path: Path) -> None:
    """A sheet keeps 15 digits of a number: a NIK kept as one is taken neither by its name nor by the explicit step, as text it is."""
    with xlsxwriter.Workbook(str(tmp_path / "warga.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["nik", "nama"])
        sheet.write_row(1, 0, [3320990101900001, "Satu"])
        sheet.write_row(2, 0, [33209901019000019, "Dua"])
        sheet.write_row(3, 0, ["3320990101900003", "Tiga"])
    plain = dataset(tmp_path, {"nik": "nik", "nama": "nama"}, "penduduk_verifikasi@1", location="warga.xlsx")
    stated = dataset(
        tmp_path,
        {"nik": {"from": "nik", "as_text": {"digits": 16}}, "nama": "nama"},
        "penduduk_verifikasi@1",
        location="warga.xlsx",
    )
    renamed, converted = await plain.read(ReadRequest()), await stated.read(ReadRequest())
    await plain.close()
    await stated.close()

    assert (len(renamed.records), renamed.rejected_rows) == (1, 2)
    assert [record.values["nik"] for record in converted.records] == ["3320990101900003"]
    assert [(reject.field, reject.rule) for reject in converted.rejects] == [("nik", "digits_lost")] * 2
    assert "33209901019000019" not in str(renamed.rejects + converted.rejects)


def test_file_that_is_not_in_its_encoding_is_told(file_gateway: RunningGateway, tmp_path: Path) -> None:
    (tmp_path / "rusak.csv").write_bytes(b"kode,nama\nA,Caf\xe9\n")
    file_gateway.upload("dinkes", tmp_path / "rusak.csv")
    manifest = {
        "connector": "dinkes-rusak",
        "agency": "dinkes",
        "schema": "fasilitas_kesehatan@1",
        "source": {"kind": "file", "location": "inbox/rusak.csv"},
        "fields": {"kode_faskes": "kode", "nama": "nama"},
    }
    admin = file_gateway.admin
    assert admin.put("/v1/connectors/dinkes-rusak", json=manifest).status_code == httpx.codes.CREATED
    report = admin.post("/v1/connectors/dinkes-rusak/check").json()
    step = next(step for step in report["steps"] if not step["ok"])

    assert (step["problem"]["code"], step["field"]) == ("source_format_error", "/source/encoding")
    assert "line" in step["problem"]["detail"]


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_million_rows_need_bounded_memory(tmp_path: Path) -> None:
    with (tmp_path / "besar.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["kode", "nama", "jenis", "lat", "lng"])
        writer.writerows((f"K{number:07d}", f"Klinik {number}", "klinik", "-6.5", "110.6") for number in range(ROWS))
    fields = {
        "kode_faskes": "kode",
        "nama": "nama",
        "jenis": "jenis",
        "lat": {"from": "lat", "number": {}},
        "lng": {"from": "lng", "number": {}},
    }
    source = dataset(tmp_path, fields, "fasilitas_kesehatan@1", location="besar.csv")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    result = await source.read(ReadRequest(order=(("nama", True),), limit=100))
    seconds = time.perf_counter() - started
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    await source.close()
    print(f"{ROWS} rows in {seconds:.1f} s, RSS growth {growth // 1024} MiB")  # noqa: T201 - the figure belongs into the report

    assert result.records[0].values["nama"] == "Klinik 999999"
    assert len(result.records) == 100
    assert growth <= GROWTH_KIB
