"""Statements of these lists that are refused, each by name; none is answered otherwise than the engine alone would."""

from __future__ import annotations

from typing import Final

REFUSED: Final = [
    "SELECT npsn, even(lat) FROM satuan_pendidikan ORDER BY npsn",
    "SELECT npsn, isnan(lat) FROM satuan_pendidikan ORDER BY npsn",
    "SELECT kode, repeat(left(nama, 1), 3) FROM wilayah ORDER BY kode",
    "SELECT kode, ascii(nama) FROM wilayah ORDER BY kode",
    "SELECT kode, chr(65) FROM wilayah ORDER BY kode",
    "SELECT kode, format('{} di {}', nama, tingkat) FROM wilayah ORDER BY kode",
    "SELECT kode, printf('%s', nama) FROM wilayah ORDER BY kode",
    "SELECT kode, md5(nama) FROM wilayah ORDER BY kode",
    "SELECT kode, unicode(nama) FROM wilayah ORDER BY kode",
    "SELECT kode, bit_length(nama) FROM wilayah ORDER BY kode",
    "SELECT id, to_days(2) FROM kejadian_bencana ORDER BY id",
    "SELECT product(2) FROM harga_komoditas",
    "SELECT histogram(satuan) FROM harga_komoditas",
    "SELECT entropy(satuan) FROM harga_komoditas",
    "SELECT bit_and(1) FROM harga_komoditas",
    "SELECT mad(harga::DOUBLE) FROM harga_komoditas",
    "SELECT kode FROM wilayah ORDER BY nama COLLATE NOCASE, kode",
    "SELECT id, k FROM (SELECT id, unnest(kode_wilayah) AS k FROM kejadian_bencana) ORDER BY ALL",
]  # fmt: skip
