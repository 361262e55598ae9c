#!/usr/bin/env bash
# Tools: openapi-generator 7.26.0 (the jar in PyPI's openapi-generator-cli), generator `go`; Go 1.26
# Behaviour: a binary request body with `maxLength` makes a client that does not compile: the check of the length is
#   written as for a text, `strlen(*r.body)`, while the body is an *os.File. The generator ends with 0 and says nothing.
# Why one guesses otherwise: linters ask for a bound on every string (OWASP API4:2023), a binary body is a string to
#   OpenAPI, and the same document without the bound gives a client that compiles.
# What it costs: the whole package; one upload operation is enough.
# Do instead: map the type of files (`--type-mappings file=*string`), or leave the bound out of binary bodies.
# Output seen (this script fails when it changes):
#> with maxLength: cannot use *r.body (variable of struct type os.File) as string value in argument to strlen
#> without: compiles
set -euo pipefail
here=$(realpath "$0")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet openapi-generator-cli==7.26.0
document() {
  echo '{"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {"/f": {"put": {"operationId": "put_file",
  "requestBody": {"required": true, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"'"$1"'}}}},
  "responses": {"204": {"description": "d"}}}}}}'
}
built() {
  document "$1" >"$2.json"
  venv/bin/openapi-generator-cli generate -i "$2.json" -g go -o "$2" >log 2>&1
  (cd "$2" && go build ./... >../said 2>&1) && echo compiles || grep -o 'cannot use .*' said
}
{
  echo "with maxLength: $(built ', "maxLength": 1000' bounded)"
  echo "without: $(built '' free)"
} >seen
sed -n 's/^#> //p' "$here" | diff - seen && echo "as stated"
