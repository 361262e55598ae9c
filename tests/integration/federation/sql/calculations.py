"""Statements of one kind: what stands in a column, over functions, casts, texts, times, lists and their names."""

from __future__ import annotations

from typing import Final

_NUMBERS = [
    f"SELECT npsn, {text} FROM satuan_pendidikan ORDER BY npsn"
    for text in (
        "jumlah_siswa + 1", "jumlah_siswa - 1.5", "jumlah_siswa * 2", "jumlah_siswa / 7", "jumlah_siswa // 7", "jumlah_siswa % 7", "-jumlah_siswa",
        "abs(jumlah_siswa)", "sign(jumlah_siswa)", "round(lat, 1)", "round(lat)", "floor(lat)", "ceil(lat)", "trunc(lat)", "sqrt(lng)", "power(lat, 2)",
        "ln(lng)", "log10(lng)", "log2(lng)", "exp(lat)", "greatest(lat, -6.52, NULL)", "least(jumlah_siswa, 50)", "coalesce(jumlah_siswa, -1)",
        "nullif(jumlah_siswa, 0)", "ifnull(bentuk, '-')", "CASE WHEN jumlah_siswa > 50 THEN 'besar' WHEN jumlah_siswa IS NULL THEN NULL ELSE 'kecil' END",
        "CASE bentuk WHEN 'SD' THEN 1 WHEN 'SMP' THEN 2 END", "if(jumlah_siswa > 50, 'ya', 'tidak')", "CAST(lat AS DECIMAL(10, 2))", "lat::INTEGER",
        "CAST(npsn AS BIGINT)", "TRY_CAST(bentuk AS INTEGER)", "TRY_CAST(npsn AS INTEGER)", "jumlah_siswa::DOUBLE", "jumlah_siswa::VARCHAR", "(lat, lng) IS NULL",
        "jumlah_siswa > 50", "bentuk = 'SD' AND status = 'negeri'", "NOT (bentuk = 'SD')", "1", "'x'", "NULL", "true", "1.50", "1e3", "-1", "count(*) OVER ()",
        "pi()", "mod(jumlah_siswa, 7)", "cbrt(lng)", "degrees(lat)", "radians(lat)", "sin(lat)", "cos(lat)", "atan2(lat, lng)", "even(lat)", "isnan(lat)",
        "CAST(lat AS FLOAT)", "CAST(jumlah_siswa AS DECIMAL(38, 0))", "CAST(NULL AS TEXT)", "CAST('1' AS BOOLEAN)", "jumlah_siswa BETWEEN 1 AND 100",
    )
]  # fmt: skip
_TEXTS = [
    f"SELECT kode, {text} FROM wilayah ORDER BY kode"
    for text in (
        "upper(nama)", "lower(nama)", "length(nama)", "substring(nama, 2, 3)", "substr(nama, 2)", "left(nama, 3)", "right(nama, 2)", "replace(nama, 'a', 'o')",
        "trim(nama)", "ltrim(nama, 'J')", "rtrim(nama, 'i')", "concat(nama, '-', dasar_hukum)", "concat_ws(', ', nama, dasar_hukum)", "nama || ' ' || tingkat",
        "strpos(nama, 'a')", "position('a' IN nama)", "instr(nama, 'a')", "starts_with(nama, 'J')", "ends_with(nama, 'a')", "contains(nama, 'an')",
        "split_part(kode, '.', 2)", "reverse(nama)", "lpad(nama, 5, '0')", "rpad(nama, 12, '. ')", "repeat(left(nama, 1), 3)", "ascii(nama)", "chr(65)",
        "regexp_matches(nama, '^J')", "regexp_extract(kode, '[0-9]+$')", "regexp_replace(nama, '[aeiou]', '*', 'g')", "regexp_full_match(kode, '[0-9.]+')",
        "regexp_extract(kode, '([0-9]+)\\.([0-9]+)', 2)", "string_split(kode, '.')", "split(kode, '.')[1]", "nama[1]", "nama[2:3]", "translate(nama, 'aj', 'oh')",
        "dasar_hukum IS NULL", "nama LIKE 'J%'", "nama NOT LIKE 'J%'", "nama NOT ILIKE 'j%'", "nama IN ('Jepara')", "upper(substr(nama, 1, 1)) || lower(substr(nama, 2))",
        "len(nama)", "char_length(nama)", "strip_accents(nama)", "nama ~ 'J.*'", "nama SIMILAR TO 'J.*'", "levenshtein(nama, 'Jepara')", "format('{} di {}', nama, tingkat)",
        "printf('%s', nama)", "md5(nama)", "coalesce(dasar_hukum, nama, 'x')", "array_length(string_split(kode, '.'))", "list_contains(string_split(kode, '.'), '20')",
        "unicode(nama)", "nullif(nama, '')", "prefix(nama, 'J')", "suffix(nama, 'a')", "string_to_array(kode, '.')", "bit_length(nama)", "CAST(kode AS VARCHAR)",
    )
]  # fmt: skip
_TIMES = [
    f"SELECT id, {text} FROM kejadian_bencana ORDER BY id"
    for text in (
        "waktu", "date(waktu)", "CAST(waktu AS DATE)", "CAST(waktu AS TIMESTAMP)", "waktu::TIMESTAMP", "extract(year FROM waktu)", "extract(hour FROM waktu)",
        "extract(dow FROM waktu)", "extract(epoch FROM waktu)", "date_part('month', waktu)", "year(waktu)", "month(waktu)", "day(waktu)", "hour(waktu)", "minute(waktu)",
        "second(waktu)", "quarter(waktu)", "week(waktu)", "dayofweek(waktu)", "isodow(waktu)", "dayofyear(waktu)", "date_trunc('month', waktu)", "date_trunc('hour', waktu)",
        "date_trunc('week', waktu)", "date_diff('day', waktu, TIMESTAMPTZ '2025-12-31 00:00:00+00')", "waktu + INTERVAL 7 HOUR", "waktu - INTERVAL '1' MONTH",
        "waktu + INTERVAL (kedalaman_km::INTEGER) DAY", "TIMESTAMP '2025-12-31 00:00:00' - waktu::TIMESTAMP", "strftime(waktu, '%Y-%m')", "last_day(waktu)",
        "dayname(waktu)", "monthname(waktu)", "epoch(waktu)", "waktu AT TIME ZONE 'UTC'", "waktu AT TIME ZONE 'Asia/Jakarta'",
        "date_trunc('day', waktu AT TIME ZONE 'Asia/Jayapura')", "waktu::TIMESTAMP AT TIME ZONE 'Asia/Makassar'",
        "(waktu + INTERVAL 1 HOUR) AT TIME ZONE 'Asia/Jakarta'", "strftime(waktu AT TIME ZONE 'Asia/Jakarta', '%d %H:%M')", "(waktu AT TIME ZONE 'Asia/Pontianak')::DATE",
        "waktu AT TIME ZONE 'Asia/Jakarta' AT TIME ZONE 'UTC'", "extract(hour FROM waktu AT TIME ZONE 'Asia/Jakarta')", "make_date(2025, 1, 2)", "DATE '2025-01-31' + INTERVAL 1 MONTH",
        "date_add(DATE '2025-01-31', INTERVAL 1 DAY)", "DATE '2025-01-31' + 1", "DATE '2025-02-01' - DATE '2025-01-31'", "age(TIMESTAMP '2025-02-01', TIMESTAMP '2025-01-01')",
        "date_sub('day', waktu, waktu)", "strptime(waktu_wib, '%Y-%m-%d')", "try_strptime(jenis, '%Y')", "datediff('hour', waktu, waktu)", "TIMESTAMP '2025-01-01 12:00:00'",
        "INTERVAL 1 DAY", "to_days(2)", "date_part('hour', waktu::TIMESTAMP)", "century(waktu)", "datetrunc('day', waktu::TIMESTAMP)", "CAST('2025-01-01' AS DATE)",
        "time_bucket(INTERVAL 1 DAY, waktu::TIMESTAMP)", "weekofyear(waktu)", "yearweek(waktu)", "make_timestamp(2025, 1, 2, 3, 4, 5.5)", "current_date = today()",
        "now() = current_timestamp", "get_current_timestamp() = now()", "dirasakan", "kode_wilayah", "kode_wilayah[1]", "len(kode_wilayah)", "dirasakan[1].tempat",
        "list_contains(kode_wilayah, '33.20')", "array_to_string(kode_wilayah, ',')", "[1, 2, 3]", "list_sort(kode_wilayah)", "kode_wilayah[-1]", "kode_wilayah IS NULL",
    )
]  # fmt: skip
_NAMES = [
    f"SELECT {text} FROM wilayah ORDER BY ALL"
    for text in (
        'kode AS "Kode"', "kode AS Kode", "NAMA", "nama, nama", 'nama "A b"', "w.nama FROM wilayah w JOIN (SELECT '33' AS kode) t ON t.kode = w.kode --",
        "count(*), sum(luas_km2)", "count(*) AS n", "max(nama) || 'x'", "CAST(kode AS TEXT)", "kode::VARCHAR, upper(kode)", "(kode)", "((kode)) || 'a'",
        "count(DISTINCT nama)", "sum(luas_km2) FILTER (WHERE kode > '33.20')", "row_number() OVER (ORDER BY kode)", "CASE WHEN kode = '33' THEN 1 ELSE 2 END",
        "kode = '33'", "kode IN ('33', '34')", "kode LIKE '3%'", "NOT kode = '33'", "kode IS NULL", "-luas_km2", "luas_km2 + 1 * 2", "wilayah.kode", '"kode"', '"KODE"',
        "'teks'", "1, 2.5, NULL, true", "DATE '2025-01-01'", "INTERVAL 3 DAY", "(SELECT max(kode) FROM wilayah)", "EXISTS (SELECT 1 FROM wilayah)", "kode BETWEEN '1' AND '4'",
    )
]  # fmt: skip

CALCULATIONS: Final = [*_NUMBERS, *_TEXTS, *_TIMES, *_NAMES]
