"""Amounts in free texts: the right number, or null with a warning; never a part of a number."""

from __future__ import annotations

import pytest

from app.datasets.mapping.codes import empty_code_book
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.contract import StepContext
from app.schemas import registry
from app.schemas.validation import validate_row
from app.schemas.warnings import soft_warnings

CASES = {
    "Rp130k": [130_000],
    "Rp 130 K": [130_000],
    "IDR 25k": [25_000],
    "25 ribu": [25_000],
    "25rb": [25_000],
    "Rp25rb/orang": [25_000],
    "Rp10,000": [10_000],
    "1,5 juta": [1_500_000],
    "Rp 1.5 juta per malam": [1_500_000],
    "2,75jt": [2_750_000],
    "16.000 pengunjung": [None],
    "25 ribu pengunjung": [None],
    "5K": [None],
    "Rp5.000 per 2.500 m": [5_000],
    "Rp 250.000/15 menit": [250_000],
    "Rp 250.000/1.500 m": [250_000],
    "Rp 5.000 - Rp 10.000": [5_000, 10_000],
    "5.000-10.000": [5_000, 10_000],
    "Rp 5 - 10 ribu": [5_000, 10_000],
    "5 s/d 10 ribu": [5_000, 10_000],
    "Dewasa 8.000, anak 5.000": [8_000, 5_000],
    "Dewasa Rp 8.000, Anak Rp 5.000": [8_000, 5_000],
    "Weekday Rp150.000, Weekend Rp225.000": [150_000, 225_000],
    "Rp. 5000": [5_000],
    "Rp5000": [5_000],
    "Rp 500": [500],
    "Rp 15.000,-": [15_000],
    "Rp 15.000,00": [15_000],
    "Rp 15,000.00": [15_000],
    "Rp 1.500.000": [1_500_000],
    "Rp 1,500,000": [1_500_000],
    "Rp 10.000,50": [None],
    "Rp 10 000": [None],
    "Rp 1.2345": [None],
    "Rp 12.34.567": [None],
    "10.000 rupiah": [10_000],
    "± Rp 5.000": [5_000],
    "Tiket Masuk Rp 5.000 (2024)": [5_000],
    "Jl. Pantai 12, buka 08.00": [None],
    "Sejak 2019, hubungi 0291-591234": [None],
    "Gratis": [0],
    "Dewasa Rp 5.000, anak gratis": [5_000, 0],
    "Tidak gratis": [None],
    "Hubungi petugas": [None],
}


def prices(text: str) -> list[dict[str, object]]:
    step = STEPS["prices"]({"currency": "rupiah"}, StepContext("/fields/x", empty_code_book(), "Asia/Jakarta"))
    found = step(text, {})
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(("text", "amounts"), CASES.items(), ids=list(CASES))
def test_the_right_amount_or_none(text: str, amounts: list[int | None]) -> None:
    assert [price["rupiah"] for price in prices(text)] == amounts
    assert all(price["teks_asli"] == text for price in prices(text))


@pytest.mark.parametrize(
    ("text", "told"), [("16.000 pengunjung", True), ("Rp 5.000", False), ("Hubungi petugas", False)]
)
def test_a_number_that_may_be_no_price_is_told(text: str, told: bool) -> None:
    schema = registry.get("destinasi_wisata")
    record, failures = validate_row(schema, {"id": "1", "nama": "Pantai", "harga_tiket": prices(text)})
    assert record is not None, failures
    codes = [warning.code for warning in soft_warnings(schema, record.__dict__)]
    assert codes == (["price_unclear"] if told else [])
