#!/usr/bin/env bash
# Library: duckdb 2.0.0, crossed with sqlglot 30.30.0
# Behaviour: x // n is a whole number only when BOTH sides have an integer type. One DECIMAL side, even
#   DECIMAL(p,0), makes it the same DOUBLE quotient as x / n, while x % n stays an exact remainder. So
#   (x // n) * n + x % n is no longer x, GROUP BY x // 5 makes a group a value, and sum(x) // 2 changes
#   its answer when the column's type goes from INTEGER to DECIMAL. Nothing is raised.
#   The two easy repairs are wrong as well: trunc(0.3 / 0.1) and fdiv(0.3, 0.1) are both 2.
# Why one guesses otherwise: "Numeric Functions" of DuckDB's documentation tells only of integers (whole)
#   and FLOAT/DOUBLE ("/ and // are equivalent"), gives fdiv as "x // y but returns a DOUBLE" and says that
#   % takes integral types only. fdiv rounds down, % takes DECIMAL, and / and // part at a zero divisor.
# Crossed: sqlglot takes // for a whole-number division whatever the types, so the same text translated
#   to another engine gives another number (run below on DuckDB and, translated, on SQLite).
# Do instead: round((x - x % n) / n): the remainder of a DECIMAL is exact. Refuse // on a DECIMAL or DOUBLE
#   operand before a query is sent to more than one engine.
# Output seen (this script fails when it changes):
#> integer   7 // 2 = 3
#> decimal   7.5 // 2 = 3.75, 7::DECIMAL(4,0) // 2 = 3.5, 7.5 % 2 = 1.5
#> identity  (7.5 // 2) * 2 + 7.5 % 2 = 9.0
#> sums      sum(INTEGER) // 2 = 3, sum(DECIMAL(4,0)) // 2 = 3.5
#> groups    x // 5 over 1.5, 2.5, 7.5 = [0.3, 0.5, 1.5]
#> repairs   trunc(0.3 / 0.1) = 2.0, fdiv(0.3, 0.1) = 2.0, round((x - x % n) / n) = 3.0
#> fdiv      -7 // 2 = -3, fdiv(-7, 2) = -4.0
#> zero      1e0 / 0 = inf, 1e0 // 0 = InvalidInputException, 1e0 % 0 = nan, 1.0 % 0 = InvalidInputException
#> sqlite    SELECT CAST(CAST(7.5 AS REAL) / 2 AS INTEGER) = 3
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet duckdb==2.0.0 sqlglot==30.30.0
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import sqlite3, duckdb, sqlglot
con = duckdb.connect(config={"threads": 1})
def q(sql):
    try:
        return con.execute("SELECT " + sql).fetchone()[0]
    except duckdb.Error as error:
        return type(error).__name__
def show(name, *sqls):
    print(f"{name:9} " + ", ".join(f"{s} = {q(s)}" for s in sqls))
show("integer", "7 // 2")
show("decimal", "7.5 // 2", "7::DECIMAL(4,0) // 2", "7.5 % 2")
show("identity", "(7.5 // 2) * 2 + 7.5 % 2")
sums = [(t, q(f"sum(x::{t}) // 2 FROM (VALUES (3), (4)) v(x)")) for t in ("INTEGER", "DECIMAL(4,0)")]
print("sums      " + ", ".join(f"sum({t}) // 2 = {v}" for t, v in sums))
print("groups    x // 5 over 1.5, 2.5, 7.5 =", q("list(DISTINCT x // 5 ORDER BY x // 5) FROM (VALUES (1.5), (2.5), (7.5)) v(x)"))
exact = q("round((x - x % n) / n) FROM (VALUES (0.3, 0.1)) v(x, n)")
print(f"repairs   trunc(0.3 / 0.1) = {q('trunc(0.3 / 0.1)')}, fdiv(0.3, 0.1) = {q('fdiv(0.3, 0.1)')}, round((x - x % n) / n) = {exact}")
show("fdiv", "-7 // 2", "fdiv(-7, 2)")
show("zero", "1e0 / 0", "1e0 // 0", "1e0 % 0", "1.0 % 0")
lite = sqlglot.transpile("SELECT 7.5 // 2", read="duckdb", write="sqlite")[0]
print("sqlite   ", lite, "=", sqlite3.connect(":memory:").execute(lite).fetchone()[0])
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
