#!/usr/bin/env bash
# Library: pyarrow 26.0.1
# Behaviour: the cast of a string to decimal128(p,s) wraps around at 128 bits before it looks at the precision, so a
#   number that does not fit becomes another number, without a word: 4 as decimal128(38,38) is 0.5971…, 2^128 + 1 as
#   decimal128(38,0) is 1, ten times that is 10. Numbers whose remainder lies outside the type are refused as they
#   should be (1, 2, 3, 10^38), so a test with a round number passes. The same number as an integer is refused.
# Why one guesses otherwise: "Safe" casts are the default and documented to raise where a value does not fit, and
#   neighbours of these values do raise ArrowInvalid.
# What it costs: drivers give a NUMERIC without precision as text (ADBC's for PostgreSQL does); cast to decimal128,
#   its column holds wrong amounts that look like amounts.
# Do instead: cast only what has at most 38 digits, and at most p - s of them before the point; the others by Decimal.
# Output seen (this script fails when it changes):
#> '3' -> decimal128(38, 38): ArrowInvalid
#> '4' -> decimal128(38, 38): 0.59717633079061536536625392568231788544
#> '5' -> decimal128(38, 38): ArrowInvalid
#> '100000000000000000000000000000000000000' -> decimal128(38, 0): ArrowInvalid
#> '340282366920938463463374607431768211457' -> decimal128(38, 0): 1
#> '3402823669209384634633746074317682114570' -> decimal128(38, 0): 10
#> 4 -> decimal128(38, 38): ArrowInvalid
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.1
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import pyarrow as pa
def show(value, scale):
    kind = pa.decimal128(38, scale)
    try:
        found = pa.array([value]).cast(kind)[0].as_py()
    except pa.ArrowInvalid as error:
        found = type(error).__name__
    print(f"{value!r} -> {kind}: {found}")
for text in ("3", "4", "5"):
    show(text, 38)
for text in (str(10**38), str(2**128 + 1), str(10 * (2**128 + 1))):
    show(text, 0)
show(4, 38)
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
