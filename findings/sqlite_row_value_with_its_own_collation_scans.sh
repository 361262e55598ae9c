#!/usr/bin/env bash
# Library: SQLite 3.54.1 (in apsw 3.54.1.0)
# Behaviour: a comparison of row values serves itself from an index, and so does a single comparison with COLLATE; but a row value with
#   an explicit COLLATE that is the columns' own collation already walks the index from its beginning. The answer is the same.
# Why one guesses otherwise: each of the two alone is a SEARCH, COLLATE BINARY changes nothing about columns that are BINARY, and
#   ORDER BY with the same COLLATE is served by the index.
# What it costs: keyset paging that names its collation, so that every database sorts alike, reads all the pages before: here
#   1,599,257 steps of the engine for five rows in place of 59. Page 1 shows nothing of it.
# Do instead: a bound on the first column (a COLLATE BINARY >= ?) and a chain of ties behind it; or leave COLLATE out of the row value.
# Output seen (this script fails when it changes):
#> row value                       SEARCH t USING COVERING INDEX i ((a,b)>(?,?))
#> row value with COLLATE          SCAN t USING COVERING INDEX i
#> first column with COLLATE       SEARCH t USING COVERING INDEX i (a>?)
#> chain with COLLATE              SEARCH t USING COVERING INDEX i (a>?)
#> the same rows: True; steps of the second are more than 1000 times those of the first: True
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet apsw==3.54.1.0
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import apsw
database = apsw.Connection(":memory:")
database.execute("CREATE TABLE t (a TEXT, b TEXT); CREATE INDEX i ON t (a, b)")
database.execute(
    "INSERT INTO t SELECT printf('%08d', n), n FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000)"
    " SELECT n FROM c); ANALYZE"
)
ORDER = " ORDER BY a COLLATE BINARY, b COLLATE BINARY LIMIT 5"
AT = "00199900"
QUESTIONS = {
    "row value": f"(a, b) > ('{AT}', 'x')",
    "row value with COLLATE": f"(a COLLATE BINARY, b COLLATE BINARY) > ('{AT}', 'x')",
    "first column with COLLATE": f"a COLLATE BINARY > '{AT}'",
    "chain with COLLATE": f"a COLLATE BINARY >= '{AT}' AND (a COLLATE BINARY > '{AT}' OR b COLLATE BINARY > 'x')",
}
rows, steps = {}, {}
for name, condition in QUESTIONS.items():
    text = f"SELECT a, b FROM t WHERE {condition}{ORDER}"
    plan = [row[3] for row in database.execute("EXPLAIN QUERY PLAN " + text)]
    print(f"{name:<31} {'; '.join(plan)}")
    count = [0]
    def tick():
        count[0] += 1
        return False
    database.set_progress_handler(tick, 1)
    rows[name] = list(database.execute(text))
    database.set_progress_handler(None)
    steps[name] = count[0]
one, two = "row value", "row value with COLLATE"
print(f"the same rows: {rows[one] == rows[two]}; steps of the second are more than 1000 times those of the first: {steps[two] > 1000 * steps[one]}")
print(steps, file=__import__("sys").stderr)
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
