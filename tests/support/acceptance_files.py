"""Which thirteen files the acceptance tests run on: the real ones, which may not be handed on, or look-alikes made for this project.

Does not live here: what is expected of either set (`tests/acceptance/facts.py`).
"""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import xlsxwriter

ROOT = Path(__file__).resolve().parents[2]
LOOKALIKES = ROOT / "tests" / "acceptance" / "lookalikes"
NAMED_BY = "SIMPUL_ACCEPTANCE_DATA"
SHEET = "dinkes_faskes_indonesia_2019.xlsx"
DATABASE = "bappeda_ekonomi_jateng.db"
FILES = (
    "dinpermades_wilayah_jepara.sql",
    "bps_kecamatan_3320.csv",
    "dpupr_batas_kecamatan_jepara.sql",
    "dinkes_faskes_jateng.csv",
    SHEET,
    "dinkes_rumahsakit_api.json",
    DATABASE,
    "disparbud_20_destinasi.json",
    "disdikpora_sekolah.csv",
    "bpkad_apbd_bulanan.csv",
    "disperindag_pihps_provinsi.json",
    "bpbd_bmkg_autogempa.json",
    "diskominfo_ckan_package_search.json",
)


class FilesAbsentError(Exception):
    """A folder was named for the real files and does not hold them: nothing else is taken in its place."""


def real_files(environment: Mapping[str, str] = os.environ, root: Path = ROOT) -> Path | None:
    """The folder that `SIMPUL_ACCEPTANCE_DATA` names, else `../shared/data` where it holds all files, else None."""
    named = environment.get(NAMED_BY)
    folder = Path(named) if named else root.parent / "shared" / "data"
    absent = [name for name in FILES if not (folder / name).is_file()]
    if not absent:
        return folder.resolve()
    if named:
        raise FilesAbsentError(f"{NAMED_BY} names {folder}, which does not hold {', '.join(absent)}")
    return None


def which_files() -> str:
    """The set in use, for the reader of a test report."""
    folder = real_files()
    return f"the real files in {folder}" if folder else "look-alike files (the real ones are not here)"


def write_lookalikes(folder: Path) -> Path:
    """The thirteen look-alikes in `folder`. Two are binary: their rows stand as CSV in the project and are written here."""
    for name in FILES:
        if name == SHEET:
            _write_sheet(folder / name)
        elif name == DATABASE:
            _write_database(folder / name)
        else:
            shutil.copyfile(LOOKALIKES / name, folder / name)
    return folder


def _rows(name: str) -> list[list[str]]:
    with (LOOKALIKES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _write_sheet(target: Path) -> None:
    """Every cell is text, coordinates too, as in the real sheet; the last column alone holds numbers."""
    header, *rows = _rows(SHEET)
    with xlsxwriter.Workbook(str(target)) as book:
        sheet = book.add_worksheet("Sheet1")
        for number, row in enumerate([header, *rows]):
            for column, cell in enumerate(row):
                sheet.write_string(number, column, cell)
            if number:
                sheet.write_number(number, len(row) - 1, int(row[-1]))


def _write_database(target: Path) -> None:
    _, *rows = _rows(DATABASE)
    connection = sqlite3.connect(target)
    connection.execute(
        "CREATE TABLE ekonomi (kabupaten_kota TEXT, tahun BIGINT, kemiskinan_pct FLOAT, ipm FLOAT, tpt FLOAT, pdrb FLOAT)"
    )
    connection.executemany("INSERT INTO ekonomi VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
