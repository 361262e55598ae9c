"""Large files of an office: a CSV of 1,000,000 rows beside DuckDB's own count of it, a workbook of 100,000 rows x 20 beside calamine alone.

Measured are the check (the whole file mapped, up to its bounds), the first page of an answer, and the memory of the gateway.
`python -m benchmarks.files [--rows 1000000] [--sheet-rows 100000] [--rounds 3]`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import httpx
import xlsxwriter
from python_calamine import CalamineWorkbook

from benchmarks.match import Peak
from tests.support.gateway import RunningGateway

_FIELDS = {
    "kode_faskes": "kode",
    "nama": {"from": "nama", "text": "squeeze"},
    "jenis": {"const": "klinik"},
    "alamat": "alamat",
    "lat": {"from": "lat", "number": {}},
    "lng": {"from": "lng", "number": {}},
}


def write_csv(file: Path, rows: int) -> None:
    """About 120 bytes a row."""
    with file.open("w", encoding="utf-8") as out:
        out.write("kode,nama,alamat,lat,lng,catatan\n")
        for at in range(rows):
            out.write(
                f"F{at:07d},Fasilitas {at},Jalan Pemuda nomor {at} Jepara,-6.{at:07d},110.{at:07d},{'catatan ' * 5}\n"
            )


def write_sheet(file: Path, rows: int) -> None:
    """Twenty columns, texts and numbers."""
    with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Data")
        sheet.write_row(0, 0, ["kode", "nama", "alamat", "lat", "lng", *[f"k{at}" for at in range(15)]])
        for at in range(rows):
            numbers = [-6.5 + at / 1e7, 110.6 + at / 1e7, *[at + step for step in range(15)]]
            sheet.write_row(at + 1, 0, [f"F{at:07d}", f"Fasilitas {at}", f"Jalan {at}", *numbers])


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def registered(gateway: RunningGateway, file: Path, fields: dict[str, object]) -> None:
    """The file as a draft that has its fields."""
    with file.open("rb") as content:
        gateway.admin.put(f"/v1/agencies/dinkes/files/{file.name}", content=content).raise_for_status()
    manifest = {
        "connector": f"dinkes-{file.stem}",
        "agency": "dinkes",
        "schema": "fasilitas_kesehatan@1",
        "source": {"kind": "file", "location": f"inbox/{file.name}"},
        "fields": fields,
    }
    gateway.admin.put(f"/v1/connectors/dinkes-{file.stem}", json=manifest).raise_for_status()


def told(name: str, ours: list[float], theirs: list[float]) -> None:
    mine, peer = statistics.median(ours), statistics.median(theirs)
    print(f"{name}: {mine:.2f} s beside {peer:.2f} s, {mine / peer:.1f} x its time", flush=True)


def check(gateway: RunningGateway, name: str, file: Path) -> None:
    """A check; the file counts as new for the gateway."""
    file.touch()
    report = gateway.admin.post(f"/v1/connectors/{name}/check").raise_for_status().json()
    if not report["passed"]:
        raise SystemExit(str(report["steps"])[:500])


def page(reader: httpx.Client, file: Path) -> None:
    """A first page of an answer; the file counts as new for the gateway."""
    file.touch()
    reader.get("/v1/records/fasilitas-kesehatan", params={"limit": 100}).raise_for_status()


def measure(
    gateway: RunningGateway, file: Path, fields: dict[str, object], peer: Callable[[], object], rounds: int
) -> None:
    """Both in turn."""
    name = f"dinkes-{file.stem}"
    registered(gateway, file, fields)
    stored = gateway.folder / "agencies" / "dinkes" / "inbox" / file.name
    peak = Peak(gateway)
    theirs, checks, pages = [], [], []
    for _ in range(rounds):
        theirs.append(seconds(peer))
        checks.append(seconds(lambda: check(gateway, name, stored)))
    gateway.admin.post(f"/v1/connectors/{name}/publish").raise_for_status()
    reader = gateway.client("client", "dinkes")
    reader.timeout = httpx.Timeout(300)
    for _ in range(rounds):
        pages.append(seconds(lambda: page(reader, stored)))
    told(f"{file.name} check", checks, theirs)
    told(f"{file.name} first page", pages, theirs)
    print(f"{file.name}: memory of the gateway grew by {peak.grown()} MiB at most", flush=True)
    gateway.admin.post(f"/v1/connectors/{name}/suspend").raise_for_status()


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sheet-rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        gateway = RunningGateway(folder / "instance", {"SIMPUL_UPLOAD_BYTES": "1000000000"})
        gateway.init()
        gateway.start()
        gateway.agency("dinkes")
        gateway.admin.timeout = httpx.Timeout(300)
        try:
            text, sheet = folder / "besar.csv", folder / "besar.xlsx"
            write_csv(text, given.rows)
            write_sheet(sheet, given.sheet_rows)
            count = f"SELECT count(*) FROM read_csv('{text}', all_varchar = true)"
            measure(gateway, text, _FIELDS, lambda: duckdb.connect().execute(count).fetchall(), given.rounds)
            plain = {**_FIELDS, "lat": "lat", "lng": "lng"}
            alone = lambda: CalamineWorkbook.from_path(str(sheet)).get_sheet_by_index(0).to_python()  # noqa: E731
            measure(gateway, sheet, plain, alone, given.rounds)
        finally:
            gateway.stop()


if __name__ == "__main__":
    main()
