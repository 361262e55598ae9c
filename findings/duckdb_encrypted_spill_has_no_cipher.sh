#!/usr/bin/env bash
# Library: duckdb 2.0.0
# Behaviour: `SET temp_file_encryption = true` is taken without a word, and every query is answered while it fits into
#   memory. The first one that has to write a temporary file fails: only a cipher that reads is built in.
# Why one guesses otherwise: the setting's description says "Encrypt all temporary files, if the database is encrypted", and
#   setting it names no extension that is missing.
# What it costs: tests with small data pass, and a sort or join above `memory_limit` fails where it is in use.
# Do instead: test with a `memory_limit` below the data. Without the extension that the message names, write sorted runs
#   to files that you encrypt yourself; the other switch that the message names says itself that it is not secure.
# Output seen (this script fails when it changes):
#> 1000 rows, encrypted: 1000
#> 3000000 rows, plain: 3000000
#> 3000000 rows, encrypted: DuckDB currently has a read-only crypto module loaded
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet duckdb==2.0.0
"$work/venv/bin/python" - "$work" >"$work/seen" <<'PY'
import sys
import duckdb
for rows, how in ((1_000, "encrypted"), (3_000_000, "plain"), (3_000_000, "encrypted")):
    con = duckdb.connect(config={"threads": 2, "memory_limit": "64MB"})
    con.execute(f"SET temp_directory = '{sys.argv[1]}/spill'")
    con.execute(f"SET temp_file_encryption = {how == 'encrypted'}")
    try:
        seen = con.execute(f"SELECT count(*) FROM (SELECT DISTINCT md5(i::VARCHAR) FROM range({rows}) r(i))").fetchall()[0][0]
    except duckdb.Error as error:
        seen = str(error).strip().split(".")[0]
    print(f"{rows} rows, {how}: {seen}")
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
