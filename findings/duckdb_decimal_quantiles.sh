#!/usr/bin/env bash
# Library: duckdb 2.0.0
# Behaviour: median, quantile_cont, percentile_cont and mad of a DECIMAL(p,s) column give DECIMAL(p,s): the
#   interpolated value is cut TOWARD ZERO to the column's scale, without a word. On whole amounts held as
#   DECIMAL(p,0) (a NUMERIC(p,0) column of another database) the "continuous" quantile is a step: of {1, 2}
#   each quantile below 1 is the minimum, of {-2, -1} each one above 0 is the maximum. Cutting toward zero also makes the median depend on where zero is:
#   median(x - 10) + 10 is 2 where median(x) is 1.
#   The very same values as BIGINT give 1.5, as DOUBLE 1.5, and avg() of the DECIMAL column gives 1.5.
# Why one guesses otherwise: "Aggregate Functions" of DuckDB's documentation says that the median of an even
#   count averages quantitative values and that quantile_cont interpolates between the adjacent values
#   (Hyndman & Fan type 7), and names no result type; integer columns are widened to DOUBLE, and so is avg.
# What it costs: a cache or extract that holds whole numbers as DECIMAL(p,0) changes medians and p95s by up to
#   one unit, and a comparison of medians with the source fails only in the groups with an even count.
# Do instead: cast inside the aggregate, median(x::DOUBLE), or widen the scale first, x::DECIMAL(p+4,s+4).
# Output seen (this script fails when it changes):
#> DECIMAL(10,0) {1, 2}      median 1        at 0.1, 0.5, 0.99: 1, 1, 1           avg 1.5 mad 0
#> DECIMAL(10,0) {-2, -1}    median -1       at 0.1, 0.5, 0.99: -1, -1, -1        avg -1.5 mad 0
#> DECIMAL(10,2) {1.25, 2.5} median 1.87     at 0.1, 0.5, 0.99: 1.37, 1.87, 2.48  avg 1.875 mad 0.62
#> BIGINT        {1, 2}      median 1.5      at 0.1, 0.5, 0.99: 1.1, 1.5, 1.99    avg 1.5 mad 0.5
#> DOUBLE        {1, 2}      median 1.5      at 0.1, 0.5, 0.99: 1.1, 1.5, 1.99    avg 1.5 mad 0.5
#> shifted by ten: median(x) = 1, median(x - 10) + 10 = 2
#> percentile_cont(0.5) WITHIN GROUP (ORDER BY x DESC) = 1, median(x::DECIMAL(14,4)) = 1.5000
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet duckdb==2.0.0
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import duckdb
con = duckdb.connect(config={"threads": 1})
def row(sql, kind="DECIMAL(10,0)", a="1", b="2"):
    return con.execute(f"SELECT {sql} FROM (VALUES ({a}::{kind}), ({b}::{kind})) v(x)").fetchone()
for kind, a, b in (("DECIMAL(10,0)", "1", "2"), ("DECIMAL(10,0)", "-2", "-1"), ("DECIMAL(10,2)", "1.25", "2.5"),
                   ("BIGINT", "1", "2"), ("DOUBLE", "1", "2")):
    m, qs, avg, mad = row("median(x), quantile_cont(x, [0.1, 0.5, 0.99]), avg(x), mad(x)", kind, f"({a})", f"({b})")
    points = ", ".join(f"{v}" for v in qs)
    print(f"{kind:13} {'{' + a + ', ' + b + '}':11} median {m!s:8} at 0.1, 0.5, 0.99: {points:17} avg {avg} mad {mad}")
print("shifted by ten: median(x) = %s, median(x - 10) + 10 = %s" % row("median(x), median(x - 10) + 10"))
print("percentile_cont(0.5) WITHIN GROUP (ORDER BY x DESC) = %s, median(x::DECIMAL(14,4)) = %s" % row(
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY x DESC), median(x::DECIMAL(14,4))"))
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
