"""Statements of one kind: groups, totals, windows, and what stands over them."""

from __future__ import annotations

from typing import Final

_TOTALS = [
    f"SELECT {text} FROM harga_komoditas"
    for text in (
        "count(*)", "count(harga)", "count(DISTINCT pasar)", "sum(harga)", "avg(harga)", "min(harga), max(harga)", "min(tanggal), max(tanggal)", "min(pasar), max(pasar)",
        "stddev(harga)", "stddev_pop(harga)", "variance(harga)", "var_pop(harga)", "bool_and(harga > 0), bool_or(harga < 0)", "count_if(harga > 0)",
        "string_agg(komoditas, ',' ORDER BY komoditas, pasar, tanggal)", "string_agg(DISTINCT komoditas, ', ' ORDER BY komoditas)", "string_agg(DISTINCT pasar ORDER BY pasar DESC)",
        "arg_max(komoditas, harga)", "arg_min(pasar, harga)", "first(komoditas ORDER BY harga DESC NULLS LAST, pasar)", "last(pasar ORDER BY tanggal, pasar, komoditas)",
        "any_value(satuan ORDER BY satuan)", "quantile_cont(harga, 0.9)", "quantile_disc(harga, 0.25)", "mode(satuan)", "quantile_cont(harga::DOUBLE, [0.25, 0.75])",
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY harga)", "percentile_disc(0.9) WITHIN GROUP (ORDER BY harga DESC)", "array_agg(komoditas ORDER BY komoditas, pasar, tanggal)",
        "list(DISTINCT satuan ORDER BY satuan)", "approx_count_distinct(pasar)", "sum(harga) FILTER (WHERE pasar = 'Pasar Ratu')", "count(*) FILTER (WHERE harga IS NULL)",
        "sum(CASE WHEN satuan = 'kg' THEN harga ELSE 0 END)", "sum(harga) / count(*)", "sum(harga * 2)", "count(*) + 1, count(*) * 1.5", "max(harga) - min(harga)",
        "covar_pop(harga, harga)", "corr(harga::DOUBLE, harga::DOUBLE)", "product(2)", "sum(1)", "avg(length(pasar))", "kurtosis(harga)", "skewness(harga)", "histogram(satuan)",
        "entropy(satuan)", "bit_and(1)", "max(harga, 2)", "arg_max(komoditas, harga, 2)", "count()", "sum(DISTINCT harga)", "mad(harga::DOUBLE)", "regr_slope(harga, harga)",
    )
]  # fmt: skip
_GROUPS = [
    f"SELECT {shown}, count(*) AS n, sum(harga) AS jumlah FROM harga_komoditas {grouped}"
    for shown, grouped in (
        ("pasar", "GROUP BY pasar ORDER BY pasar"), ("pasar", "GROUP BY 1 ORDER BY 1 DESC"), ("pasar AS p", "GROUP BY p ORDER BY p"), ("pasar", "GROUP BY ALL ORDER BY pasar"),
        ("pasar, satuan", "GROUP BY ALL ORDER BY ALL"), ("pasar, satuan", "GROUP BY ROLLUP (pasar, satuan) ORDER BY ALL"), ("pasar, satuan", "GROUP BY CUBE (pasar, satuan) ORDER BY ALL"),
        ("pasar, satuan", "GROUP BY GROUPING SETS ((pasar, satuan), (pasar), ()) ORDER BY ALL"), ("pasar, grouping(pasar)", "GROUP BY ROLLUP (pasar) ORDER BY ALL"),
        ("upper(pasar)", "GROUP BY upper(pasar) ORDER BY 1"), ("year(tanggal), month(tanggal)", "GROUP BY 1, 2 ORDER BY 1, 2"),
        ("date_trunc('month', tanggal)", "GROUP BY date_trunc('month', tanggal) ORDER BY 1"), ("CASE WHEN satuan = 'kg' THEN 'berat' ELSE 'hitung' END", "GROUP BY CASE WHEN satuan = 'kg' THEN 'berat' ELSE 'hitung' END ORDER BY 1"),
        ("satuan = 'kg'", "GROUP BY satuan = 'kg' ORDER BY 1"), ("komoditas LIKE 'Beras%' AS beras", "GROUP BY komoditas LIKE 'Beras%' ORDER BY beras"),
        ("pasar", "GROUP BY pasar HAVING sum(harga) > 80000 ORDER BY 1"), ("pasar", "GROUP BY pasar HAVING count(*) = 12 AND max(komoditas) = 'Telur' ORDER BY jumlah DESC, 1"),
        ("komoditas", "WHERE pasar <> 'Pasar Ratu' GROUP BY komoditas ORDER BY n DESC, komoditas LIMIT 2"), ("komoditas", "GROUP BY komoditas ORDER BY jumlah NULLS FIRST, 1"),
        ("komoditas", "GROUP BY komoditas ORDER BY jumlah DESC NULLS LAST, 1 OFFSET 1"), ("max(tanggal)", "GROUP BY satuan ORDER BY satuan"), ("kode_wilayah IN ('33.20.06')", "GROUP BY 1 ORDER BY 1"),
        ("substring(kode_wilayah, 1, 5)", "GROUP BY substring(kode_wilayah, 1, 5) ORDER BY 1"), ("coalesce(sumber, '-')", "GROUP BY coalesce(sumber, '-') ORDER BY 1"),
        ("pasar, komoditas", "GROUP BY pasar, komoditas HAVING count(harga) < 3 ORDER BY pasar, komoditas"), ("satuan", "GROUP BY satuan ORDER BY count(*) DESC"),
        ("satuan", "GROUP BY satuan ORDER BY max(harga)"), ("'semua'", ""), ("tanggal", "GROUP BY tanggal ORDER BY tanggal FETCH FIRST 2 ROWS ONLY"), ("pasar, 'kg'", "GROUP BY pasar, 'kg' ORDER BY 1"),
    )
]  # fmt: skip
_WINDOWS = [
    f"SELECT npsn, {text} FROM satuan_pendidikan ORDER BY npsn"
    for text in (
        "row_number() OVER (ORDER BY npsn DESC)", "rank() OVER (ORDER BY bentuk NULLS FIRST)", "dense_rank() OVER (ORDER BY bentuk)", "percent_rank() OVER (ORDER BY npsn)",
        "cume_dist() OVER (ORDER BY npsn)", "ntile(2) OVER (ORDER BY npsn)", "lag(nama) OVER (ORDER BY npsn)", "lead(nama, 2, '-') OVER (ORDER BY npsn)",
        "first_value(nama) OVER (PARTITION BY bentuk ORDER BY npsn)", "last_value(nama) OVER (ORDER BY npsn)", "nth_value(nama, 2) OVER (ORDER BY npsn)",
        "sum(jumlah_siswa) OVER (PARTITION BY bentuk)", "sum(jumlah_siswa) OVER (ORDER BY npsn ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        "avg(lat) OVER (ORDER BY npsn ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING)", "count(*) OVER w, max(nama) OVER w FROM satuan_pendidikan WINDOW w AS (PARTITION BY bentuk) --",
        "lag(kepala_sekolah IGNORE NULLS) OVER (ORDER BY npsn)", "count(*) FILTER (WHERE status = 'negeri') OVER (PARTITION BY bentuk)", "sum(jumlah_siswa) OVER (ORDER BY bentuk)",
        "min(nama) OVER (ORDER BY npsn RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)", "string_agg(nama, ',') OVER (ORDER BY npsn)", "sum(count(*)) OVER () FROM satuan_pendidikan GROUP BY npsn --",
        "count(*) OVER (ORDER BY npsn ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW)", "count(*) OVER (ORDER BY npsn GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW)",
    )
]  # fmt: skip
_OVER = [
    "SELECT nama, bentuk FROM satuan_pendidikan QUALIFY row_number() OVER (PARTITION BY bentuk ORDER BY npsn) = 1 ORDER BY nama",
    "SELECT DISTINCT bentuk, status FROM satuan_pendidikan ORDER BY bentuk, status", "SELECT DISTINCT ON (bentuk) bentuk, nama FROM satuan_pendidikan ORDER BY bentuk, npsn",
    "SELECT DISTINCT ON (bentuk, status) nama FROM satuan_pendidikan ORDER BY bentuk, status, npsn DESC", "SELECT count(*) FROM (SELECT DISTINCT status FROM satuan_pendidikan) t",
    "SELECT bentuk, n FROM (SELECT bentuk, count(*) AS n FROM satuan_pendidikan GROUP BY bentuk) t WHERE n > 1", "SELECT max(n) FROM (SELECT count(*) AS n FROM satuan_pendidikan GROUP BY status)",
    "SELECT satuan, komoditas FROM harga_komoditas GROUP BY komoditas, satuan ORDER BY komoditas", "SELECT jumlah_siswa * 2 AS dua, dua + 1 AS tiga FROM satuan_pendidikan ORDER BY npsn",
    "SELECT bentuk AS b, count(*) FROM satuan_pendidikan WHERE b = 'SD' GROUP BY b", "SELECT sum(jumlah_siswa) FROM satuan_pendidikan", "SELECT sum(jumlah_siswa * 1000) FROM satuan_pendidikan",
    "SELECT nama FROM satuan_pendidikan QUALIFY count(*) OVER (PARTITION BY bentuk) > 1 ORDER BY 1", "SELECT tahun, avg(nilai) FROM statistik_indikator GROUP BY tahun ORDER BY tahun",
    "SELECT kode_wilayah, arg_max(nilai, tahun) FROM statistik_indikator GROUP BY ALL ORDER BY ALL DESC", "SELECT sum(pengali), sum(nilai) FROM statistik_indikator WHERE nilai IS NOT NULL",
]  # fmt: skip

AGGREGATES: Final = [*_TOTALS, *_GROUPS, *_WINDOWS, *_OVER]
