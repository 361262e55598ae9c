#!/usr/bin/env bash
# Tool: openapi-python-client 0.29.1 on an answer with several media types
# Behaviour: which type an answer has in the generated client is decided by the order of the members of `content` in
#   the JSON text. With application/json first the operation returns the model. With application/geo+json first (an
#   alphabetical dump puts it there) every answer, also that of application/json, becomes a File, and its parser
#   wraps the decoded JSON in BytesIO: `File(payload=BytesIO(response.json()))`, a TypeError whenever it runs.
#   No warning, exit code 0.
# Why one guesses otherwise: members of a JSON object have no order, a document that is dumped with sorted keys is
#   the same document, and application/json is the one type that the generator says it supports.
# What it costs: json.dumps(…, sort_keys=True) for a stable diff makes every list, search and look-up of the client
#   unusable, and only a call shows it.
# Do instead: write application/json first in `content`, whatever else is sorted.
# Output seen (this script fails when it changes):
#> json first: returns Page, parses Page.from_dict(response.json())
#> geo+json first: returns File, parses File(payload=BytesIO(response.json()))
#> exit codes: 0 0
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openapi-python-client==0.29.1
cat >"$work/write.py" <<'PY'
import json, sys
forms = {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}},
         "application/geo+json": {"schema": {"type": "string", "format": "binary"}}}
if sys.argv[2] == "geo":
    forms = dict(reversed(forms.items()))
json.dump({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/r": {"get": {
    "operationId": "list_r", "responses": {"200": {"description": "d", "content": forms}}}}},
    "components": {"schemas": {"Page": {"type": "object", "properties": {"n": {"type": "integer"}}}}}}, open(sys.argv[1], "w"))
PY
codes=""
for first in json geo; do
  python3 "$work/write.py" "$work/$first.json" "$first"
  code=0
  PATH="$work/venv/bin:$PATH" openapi-python-client generate --path "$work/$first.json" --output-path "$work/out-$first" \
    --meta none >"$work/$first.log" 2>&1 || code=$?
  codes="$codes $code"
done
cat >"$work/said.py" <<'PY'
import re, sys
from pathlib import Path
for first, name in (("json", "json first"), ("geo", "geo+json first")):
    text = next(Path(sys.argv[1], f"out-{first}").rglob("list_r.py")).read_text()
    kind = re.search(r"-> Response\[(\w+)\]", text)[1]
    parse = re.sub(r"\s+", "", re.search(r"response_200 = (.*?)\n\n", text, re.S)[1])
    print(f"{name}: returns {kind}, parses {parse}")
PY
python3 "$work/said.py" "$work" >"$work/seen"
echo "exit codes:$codes" >>"$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen" && echo "as stated"
