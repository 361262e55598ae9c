#!/usr/bin/env bash
# Libraries: jsonschema 4.26.0 beside jsonschema-rs 0.61.2
# Behaviour: of a `decimal.Decimal`, which PostgreSQL's numeric and `json.loads(parse_float=Decimal)` give, the two make opposite things.
#   jsonschema counts it as a number, but 0.3 is above `maximum: 0.3`, 0.1 is not `const: 0.1`, a whole one is no `integer`, and
#   `multipleOf` ends with TypeError instead of a verdict. jsonschema-rs reads the digits: all of these hold, and
#   0.30000000000000000001 is above the maximum. NaN is a number for jsonschema alone.
# Why one guesses otherwise: both pass the same official suite, whose numbers come from json.loads and are never Decimal; and
#   `minimum: 0.3` lets Decimal("0.3") pass in both, because the float 0.3 lies below it by 1e-17.
# What it costs: rows of a database that are checked before they are written as JSON fail at their bounds, and pass once they were written.
# Do instead: check what the JSON says (jsonschema-rs on the values, or jsonschema on the parsed text).
# Output seen (this script fails when it changes; jsonschema first):
#> maximum 0.3, Decimal 0.3: False True
#> minimum 0.3, Decimal 0.3: True True
#> maximum 0.3, Decimal 0.30000000000000000001: False False
#> const 0.1, Decimal 0.1: False True
#> integer, Decimal 9007199254740993: False True
#> integer, Decimal 1E+3: False True
#> multipleOf 0.01, Decimal 19.99: TypeError True
#> multipleOf 0.01, Decimal 19.995: TypeError False
#> number, Decimal NaN: True False
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet jsonschema==4.26.0 jsonschema-rs==0.61.2
"$work/venv/bin/python" - >"$work/seen" <<'PY'
from decimal import Decimal

import jsonschema
import jsonschema_rs

CASES = [
    ("maximum", 0.3, "0.3"),
    ("minimum", 0.3, "0.3"),
    ("maximum", 0.3, "0.30000000000000000001"),
    ("const", 0.1, "0.1"),
    ("type", "integer", "9007199254740993"),
    ("type", "integer", "1E+3"),
    ("multipleOf", 0.01, "19.99"),
    ("multipleOf", 0.01, "19.995"),
    ("type", "number", "NaN"),
]


def verdict(validator, rule, text):
    try:
        return validator(rule).is_valid(Decimal(text))
    except Exception as fault:
        return type(fault).__name__


for keyword, value, text in CASES:
    said = [verdict(one.Draft202012Validator, {keyword: value}, text) for one in (jsonschema, jsonschema_rs)]
    print(f"{value if keyword == 'type' else f'{keyword} {value}'}, Decimal {text}:", *said)
PY
cat "$work/seen"
sed -n "s/^#> //p" "$0" | diff - "$work/seen"
