"""Statements of one kind: what a row must be like, over every kind of field, operator and way of writing a value."""

from __future__ import annotations

from typing import Final

SIGNS: Final = ("=", "<>", "<", "<=", ">", ">=")
NUMBERS: Final = (
    "0", "-1.25", "15000.50", "15000.5", "1.50005e4", "12500", "1e18", "-5", "9007199254740993", "9007199254740992", "9007199254740993.0",
    "9.007199254740993e15", "120", "120.0", "24.667", "24.6670000000000000000000001", "2020", "2020.0", "2020.0000000000000001e0", "2020.5", ".5", "1e9",
)  # fmt: skip
FIELDS: Final = (
    ("npsn", "satuan_pendidikan", "jumlah_siswa"), ("kode", "wilayah", "luas_km2"), ("komoditas", "harga_komoditas", "harga"),
    ("kode_wilayah", "statistik_indikator", "tahun"),
)  # fmt: skip
_NUMBERS = [
    f"SELECT {shown}, {field} FROM {table} WHERE {field} {SIGNS[(n + m) % len(SIGNS)]} {number}"
    for n, number in enumerate(NUMBERS)
    for m, (shown, table, field) in enumerate(FIELDS)
    if (number, field) != ("24.6670000000000000000000001", "jumlah_siswa")
]
_TURNED = [
    f"SELECT {shown} FROM {table} WHERE {number} {sign} {field}"
    for sign in SIGNS
    for (shown, table, field), number in zip(FIELDS, ("80", "2.5", "12500", "2020"), strict=True)
]
TEXTS: Final = (
    "'Jepara'",
    "'jepara'",
    "''",
    "'O''Brien''s \"Desa\"'",
    "'Guyangan%'",
    "'été_é'",
    "'33'",
    "' Jepara'",
    "'z'",
)
_TEXTS = [f"SELECT kode FROM wilayah WHERE nama {sign} {text}" for sign in SIGNS for text in TEXTS]
PATTERNS: Final = (
    "'Je%'",
    "'%a'",
    "'%\\%'",
    "'_angsri'",
    "'%an%an%'",
    "'J'",
    "'%'",
    "''",
    "'%_'",
    "'été_é'",
    "'KARANG%'",
)
_PATTERNS = [
    f"SELECT kode, nama FROM wilayah WHERE nama {how} {pattern}"
    for how in ("LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE")
    for pattern in PATTERNS
] + [
    "SELECT kode FROM wilayah WHERE nama LIKE 'Guyangan!%' ESCAPE '!'", "SELECT kode FROM wilayah WHERE nama NOT LIKE '%!%' ESCAPE '!'",
    "SELECT kode FROM wilayah WHERE NOT (nama LIKE 'J%')", "SELECT kode FROM wilayah WHERE NOT nama LIKE 'J%' OR nama IS NULL",
    "SELECT npsn FROM satuan_pendidikan WHERE bentuk NOT LIKE 'S%'", "SELECT npsn FROM satuan_pendidikan WHERE NOT bentuk ILIKE 's_'",
    "SELECT npsn FROM satuan_pendidikan WHERE nama ILIKE kepala_sekolah", "SELECT kode FROM wilayah WHERE 'Jepara' LIKE nama",
]  # fmt: skip
_DATES = [
    f"SELECT komoditas, pasar, tanggal FROM harga_komoditas WHERE tanggal {sign} {day}"
    for sign in SIGNS
    for day in ("'2025-08-15'", "DATE '2025-09-04'", "CAST('2025-09-24' AS DATE)", "TIMESTAMP '2025-09-04 00:00:01'", "'2025-09-04'::DATE")
] + [
    f"SELECT id FROM kejadian_bencana WHERE waktu {sign} {moment}"
    for sign in ("<", ">=", "=")
    for moment in ("'2025-03-28 22:59:30'", "TIMESTAMP '2025-03-28 22:59:30'", "TIMESTAMPTZ '2025-03-29 05:59:30+07'", "'2025-04-01'", "DATE '2025-04-01'")
]  # fmt: skip
_OTHERS = [
    "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa BETWEEN 0 AND 100", "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa NOT BETWEEN 0 AND 100",
    "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa BETWEEN -5.5 AND 80.0", "SELECT kode FROM wilayah WHERE luas_km2 BETWEEN 0 AND 24.667",
    "SELECT kode FROM wilayah WHERE nama BETWEEN 'B' AND 'K'", "SELECT komoditas FROM harga_komoditas WHERE tanggal BETWEEN '2025-08-16' AND '2025-09-10'",
    "SELECT kode FROM wilayah WHERE nama IN ('Jepara', 'Keling', 'x')", "SELECT kode FROM wilayah WHERE nama NOT IN ('Jepara', 'Keling')",
    "SELECT kode FROM wilayah WHERE dasar_hukum IN ('UU 0', NULL)", "SELECT kode FROM wilayah WHERE dasar_hukum NOT IN ('UU 0', NULL)",
    "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa IN (0, 80, 120.0)", "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa IN (9007199254740993, 1)",
    "SELECT npsn FROM satuan_pendidikan WHERE bentuk IS NULL", "SELECT npsn FROM satuan_pendidikan WHERE bentuk IS NOT NULL",
    "SELECT npsn FROM satuan_pendidikan WHERE bentuk IS DISTINCT FROM 'SD'", "SELECT npsn FROM satuan_pendidikan WHERE bentuk IS NOT DISTINCT FROM NULL",
    "SELECT npsn FROM satuan_pendidikan WHERE (bentuk = 'SD') IS TRUE", "SELECT npsn FROM satuan_pendidikan WHERE (bentuk = 'SD') IS NOT TRUE",
    "SELECT npsn FROM satuan_pendidikan WHERE (bentuk = 'SD') IS FALSE", "SELECT npsn FROM satuan_pendidikan WHERE NOT bentuk = 'SD'",
    "SELECT npsn FROM satuan_pendidikan WHERE bentuk = 'SD' AND (status = 'negeri' OR jumlah_siswa < 0)",
    "SELECT npsn FROM satuan_pendidikan WHERE bentuk = 'SD' OR jumlah_siswa > 100", "SELECT npsn FROM satuan_pendidikan WHERE NOT (bentuk = 'SD' OR status = 'negeri')",
    "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa = '80'", "SELECT npsn FROM satuan_pendidikan WHERE npsn = 20318001",
    "SELECT kode FROM wilayah WHERE luas_km2 = '2.5'", "SELECT komoditas FROM harga_komoditas WHERE harga = '15000.5'",
    "SELECT npsn FROM satuan_pendidikan WHERE status = ANY (SELECT 'negeri')", "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa > ALL (SELECT 79)",
    "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa >= ANY (SELECT luas_km2 FROM wilayah)", "SELECT npsn FROM satuan_pendidikan WHERE bentuk <> ALL (SELECT 'SD')",
    "SELECT npsn FROM satuan_pendidikan WHERE status = ANY (['negeri', 'x'])", "SELECT npsn FROM satuan_pendidikan WHERE (bentuk, status) IN (('SD', 'negeri'), ('SMP', 'swasta'))",
    "SELECT npsn FROM satuan_pendidikan WHERE (bentuk, status) = ('SD', 'negeri')", "SELECT npsn FROM satuan_pendidikan WHERE kode_wilayah IN (SELECT kode FROM wilayah)",
    "SELECT npsn FROM satuan_pendidikan WHERE kode_wilayah NOT IN (SELECT kode FROM wilayah)", "SELECT w.kode FROM wilayah w WHERE w.kode = '33' AND w.kode <> '34'",
    "SELECT npsn FROM satuan_pendidikan s WHERE EXISTS (SELECT 1 FROM wilayah w WHERE w.kode = s.kode_wilayah AND w.luas_km2 > 50)",
    "SELECT npsn FROM satuan_pendidikan s WHERE NOT EXISTS (SELECT 1 FROM wilayah w WHERE w.kode = s.kode_wilayah)",
    "SELECT id FROM kejadian_bencana WHERE magnitudo > 4 AND magnitudo <= 4.75", "SELECT id FROM kejadian_bencana WHERE true", "SELECT id FROM kejadian_bencana WHERE 1 = 0",
    "SELECT id FROM kejadian_bencana WHERE NULL", "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa % 2 = 0 AND jumlah_siswa / 2 > 30",
    "SELECT npsn FROM satuan_pendidikan WHERE jumlah_siswa + 1 > 80 AND -jumlah_siswa < 0", "SELECT npsn FROM satuan_pendidikan WHERE lat < -6.52 AND lng >= 110.7",
    "SELECT kode_wilayah FROM statistik_indikator WHERE nilai > 72.0 AND tahun = 2020", "SELECT npsn FROM satuan_pendidikan WHERE nama = nama",
    "SELECT npsn FROM satuan_pendidikan WHERE alamat = 'Jl. 0\nKav. 2'", "SELECT kode FROM wilayah WHERE nama = 'J' || 'epara'",
    "SELECT kode_wilayah FROM statistik_indikator WHERE pengali = +100", "SELECT kode_wilayah FROM statistik_indikator WHERE pengali >= 1_000",
    "SELECT komoditas FROM harga_komoditas WHERE harga < 1e-400",
]  # fmt: skip

_EXACT = [
    f"SELECT {shown} FROM {table} WHERE {field} {condition}"
    for shown, table, field in FIELDS
    for condition in (
        "= 9007199254740992e0", "BETWEEN 1 AND 9007199254740992e0", "IN (9007199254740992, 1e0)", "IN (2020, 2020.5, 80)", "<= 2020.50000000000000000000",
        ">= 1000000000000000000000", "< 99999999999999999999999", "<> 016", "= 2_020", "BETWEEN 12500 AND 2020.0e0", "= -1.250", "IN (-5, -1.25, 2.5)",
    )
]  # fmt: skip

COMPARISONS: Final = [*_EXACT, *_NUMBERS, *_TURNED, *_TEXTS, *_PATTERNS, *_DATES, *_OTHERS]
