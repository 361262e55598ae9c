"""Statements of one kind: which tables are read and how they are put together: joins, subqueries, WITH, stars, unions, values."""

from __future__ import annotations

from typing import Final

_HOW = ("JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT OUTER JOIN", "SEMI JOIN", "ANTI JOIN")
_JOINS = [
    f"SELECT s.npsn, s.nama FROM satuan_pendidikan s {how} wilayah w ON w.kode = s.kode_wilayah AND {more} ORDER BY ALL"
    for how in _HOW
    for more in ("true", "w.tingkat = 'kecamatan'", "s.status = 'negeri'", "w.luas_km2 > s.jumlah_siswa")
] + [
    "SELECT w.nama, s.nama FROM satuan_pendidikan s JOIN wilayah w ON w.kode = s.kode_wilayah WHERE w.nama = 'Bangsri' ORDER BY 2",
    "SELECT * FROM satuan_pendidikan JOIN (SELECT kode AS kode_wilayah, luas_km2 FROM wilayah) w USING (kode_wilayah) ORDER BY npsn",
    "SELECT kode_wilayah, pasar FROM harga_komoditas JOIN satuan_pendidikan USING (kode_wilayah) ORDER BY ALL",
    "SELECT s.nama, w.nama FROM satuan_pendidikan s, wilayah w WHERE w.kode = s.kode_wilayah ORDER BY s.npsn",
    "SELECT s.nama, h.pasar FROM satuan_pendidikan s, harga_komoditas h, wilayah w WHERE w.kode = s.kode_wilayah AND h.kode_wilayah = w.kode AND h.komoditas = 'Telur' ORDER BY ALL",
    "SELECT npsn, kode FROM satuan_pendidikan JOIN wilayah ON kode = kode_wilayah ORDER BY npsn", "SELECT npsn, kode FROM satuan_pendidikan, wilayah WHERE kode_wilayah = kode ORDER BY npsn",
    "SELECT pasar, harga, t.rata FROM harga_komoditas CROSS JOIN (SELECT avg(harga) AS rata FROM harga_komoditas) t WHERE harga > t.rata ORDER BY ALL",
    "SELECT pasar, harga / total FROM harga_komoditas, (SELECT sum(harga) AS total FROM harga_komoditas) ORDER BY ALL",
    "WITH total AS (SELECT count(*) AS n FROM wilayah) SELECT kode, n FROM wilayah CROSS JOIN total ORDER BY kode", "WITH t AS (SELECT max(luas_km2) AS m FROM wilayah) SELECT kode FROM wilayah, t WHERE luas_km2 = m",
    "SELECT a.kode, b.kode FROM wilayah a JOIN wilayah b ON a.kode = b.kode_induk ORDER BY ALL", "SELECT a.kode, b.kode FROM wilayah a LEFT JOIN wilayah b ON a.kode = b.kode_induk AND b.luas_km2 > 1 WHERE b.kode IS NULL ORDER BY 1",
    "SELECT a.kode FROM wilayah a JOIN wilayah b ON b.kode = left(a.kode, 5) WHERE b.nama = 'Jepara' ORDER BY 1", "SELECT w.kode, x.n FROM wilayah w, LATERAL (SELECT count(*) AS n FROM satuan_pendidikan s WHERE s.kode_wilayah = w.kode) x ORDER BY 1",
    "SELECT w.kode, x.nama FROM wilayah w JOIN LATERAL (SELECT s.nama FROM satuan_pendidikan s WHERE s.kode_wilayah = w.kode ORDER BY npsn LIMIT 1) x ON true ORDER BY 1",
    "SELECT w.kode, x.nama FROM wilayah w LEFT JOIN LATERAL (SELECT s.nama FROM satuan_pendidikan s WHERE s.kode_wilayah = w.kode ORDER BY npsn LIMIT 1) x ON true ORDER BY 1",
    "SELECT s.nama FROM satuan_pendidikan s JOIN wilayah w ON (w.kode = s.kode_wilayah) AND (w.nama LIKE 'B%' OR s.bentuk = 'SMA') ORDER BY 1",
    "SELECT s.npsn FROM satuan_pendidikan s LEFT JOIN wilayah w ON w.kode = s.kode_wilayah WHERE w.nama NOT LIKE 'B%' ORDER BY 1", "SELECT s.npsn FROM satuan_pendidikan AS s INNER JOIN wilayah AS w ON s.kode_wilayah = w.kode AND s.nama = w.nama",
]  # fmt: skip
_STARS = [
    "SELECT * FROM wilayah ORDER BY kode", "SELECT w.* FROM wilayah w ORDER BY kode", "SELECT *, kode AS k FROM wilayah ORDER BY kode", "SELECT wilayah.*, 1 AS satu FROM wilayah ORDER BY kode",
    "SELECT * EXCLUDE (nama, luas_km2) FROM wilayah ORDER BY kode", "SELECT * EXCLUDE nama FROM wilayah ORDER BY kode", "SELECT * REPLACE (upper(nama) AS nama) FROM wilayah ORDER BY kode",
    "SELECT * RENAME (nama AS sebutan) FROM wilayah ORDER BY kode", "SELECT w.* EXCLUDE (kode_induk) FROM wilayah w ORDER BY kode", "SELECT * FROM (SELECT kode, nama FROM wilayah) t ORDER BY 1",
    "WITH a AS (SELECT kode, nama FROM wilayah) SELECT * FROM a ORDER BY 1", "WITH a AS (SELECT * FROM wilayah) SELECT * FROM a ORDER BY kode", "WITH a AS (SELECT kode, _agency FROM wilayah) SELECT * FROM a ORDER BY kode",
    "WITH a AS (SELECT kode AS k, _agency, _dataset FROM wilayah) SELECT a.* FROM a ORDER BY k", "WITH a AS (SELECT kode AS k, _agency FROM wilayah) SELECT a.*, s.npsn FROM satuan_pendidikan s JOIN a ON a.k = s.kode_wilayah ORDER BY npsn",
    "SELECT t.* FROM (SELECT kode, _agency FROM wilayah) t ORDER BY kode", "SELECT * FROM (SELECT kode, _agency AS opd FROM wilayah) t ORDER BY kode", "SELECT s.npsn, w.* FROM satuan_pendidikan s JOIN wilayah w ON w.kode = s.kode_wilayah ORDER BY npsn",
    "SELECT * FROM satuan_pendidikan s JOIN wilayah w ON w.kode = s.kode_wilayah ORDER BY npsn", "SELECT count(*) FROM wilayah", "SELECT *, row_number() OVER (ORDER BY kode) AS n FROM wilayah ORDER BY kode",
    "SELECT * FROM (SELECT count(*), max(nama) FROM wilayah) t", "SELECT _agency, count(*) FROM wilayah GROUP BY _agency ORDER BY 1", "SELECT kode, _dataset FROM wilayah WHERE _agency = 'opd1' ORDER BY kode",
    "SELECT * FROM (SELECT * FROM wilayah WHERE tingkat = 'desa') t ORDER BY kode LIMIT 2", 'SELECT "count_star()" FROM (SELECT count(*) FROM wilayah) t', "WITH a AS (SELECT count(*) FROM wilayah) SELECT * FROM a",
]  # fmt: skip
_WITH = [
    "WITH a AS (SELECT kode FROM wilayah WHERE tingkat = 'desa'), b AS (SELECT kode FROM a WHERE kode LIKE '33.20.08%') SELECT count(*) FROM b", "WITH a(k, n) AS (SELECT kode, nama FROM wilayah) SELECT n FROM a WHERE k = '33'",
    "WITH a AS (SELECT kode FROM wilayah) SELECT x.kode FROM a x JOIN a y ON x.kode = y.kode ORDER BY 1", "SELECT kode FROM wilayah WHERE kode IN (WITH a AS (SELECT kode_wilayah AS k FROM satuan_pendidikan) SELECT k FROM a) ORDER BY 1",
    "WITH a AS (SELECT 1 AS n), b AS (WITH a AS (SELECT 2 AS n) SELECT n FROM a) SELECT a.n, b.n, w.kode FROM wilayah w, a, b ORDER BY 3", "WITH a AS MATERIALIZED (SELECT kode FROM wilayah) SELECT count(*) FROM a",
    "SELECT (SELECT max(harga) FROM harga_komoditas h WHERE h.kode_wilayah = w.kode) AS m, kode FROM wilayah w ORDER BY kode", "SELECT kode FROM wilayah WHERE luas_km2 > (SELECT avg(luas_km2) FROM wilayah) ORDER BY kode",
    "SELECT kode, (SELECT count(*) FROM satuan_pendidikan s WHERE s.kode_wilayah = kode) FROM wilayah ORDER BY kode", "WITH W AS (SELECT kode AS Kode FROM wilayah) SELECT kode FROM w ORDER BY KODE LIMIT 1",
    "SELECT nama FROM (SELECT nama FROM wilayah WHERE kode = '33') UNION ALL SELECT nama FROM satuan_pendidikan ORDER BY nama", "SELECT nama FROM wilayah UNION SELECT nama FROM satuan_pendidikan ORDER BY nama DESC LIMIT 3",
    "SELECT nama FROM wilayah INTERSECT SELECT nama FROM satuan_pendidikan", "SELECT nama FROM wilayah EXCEPT SELECT nama FROM satuan_pendidikan ORDER BY 1", "SELECT nama FROM wilayah EXCEPT ALL SELECT nama FROM satuan_pendidikan ORDER BY 1",
    "SELECT kode AS a, 1 AS b FROM wilayah UNION ALL BY NAME SELECT 2 AS b, npsn AS a FROM satuan_pendidikan ORDER BY ALL", "(SELECT kode FROM wilayah ORDER BY kode LIMIT 1) UNION ALL (SELECT npsn FROM satuan_pendidikan ORDER BY npsn LIMIT 1) ORDER BY 1",
    "(SELECT kode FROM wilayah ORDER BY kode LIMIT 2)", "-- sebuah catatan\nSELECT count(*) FROM wilayah", "/* catatan */ SELECT count(*) FROM wilayah;", "SELECT kode FROM wilayah ORDER BY kode LIMIT 3 OFFSET 2", "SELECT kode FROM wilayah ORDER BY luas_km2 DESC NULLS LAST, kode",
    "SELECT kode FROM wilayah ORDER BY 1 FETCH FIRST 3 ROWS ONLY", "SELECT kode FROM wilayah ORDER BY kode OFFSET 10", "SELECT kode FROM wilayah ORDER BY length(nama), kode DESC LIMIT 4", "SELECT kode FROM wilayah ORDER BY nama COLLATE NOCASE, kode",
    "SELECT w.kode, v.b FROM wilayah w JOIN (VALUES ('33', 1), ('33.20', 2)) v(a, b) ON v.a = w.kode ORDER BY 1", "WITH v(a, b) AS (VALUES ('33', 1), ('33.20', NULL)) SELECT kode, b FROM wilayah JOIN v ON a = kode ORDER BY 1",
    "SELECT kode FROM wilayah WHERE kode IN (VALUES ('33'), ('33.20')) ORDER BY 1", "SELECT kode, nama FROM wilayah ORDER BY kode LIMIT 1 + 1", 'SELECT s.npsn FROM satuan_pendidikan AS "s" ORDER BY "s".npsn LIMIT 1',
    "SELECT id, k FROM (SELECT id, unnest(kode_wilayah) AS k FROM kejadian_bencana) ORDER BY ALL", "SELECT wilayah.kode FROM wilayah WHERE wilayah.nama = 'Jepara' ORDER BY wilayah.kode", "SELECT kode FROM WILAYAH ORDER BY Kode LIMIT 1",
    "SELECT kode k FROM wilayah ORDER BY k LIMIT 2", "SELECT kode AS nama, nama AS kode FROM wilayah ORDER BY kode, nama", "SELECT nama AS x FROM wilayah WHERE kode = '33' UNION ALL SELECT 'a' WHERE EXISTS (SELECT 1 FROM wilayah WHERE kode = 'x')",
]  # fmt: skip

TABLES_READ: Final = [*_JOINS, *_STARS, *_WITH]
