#!/usr/bin/env bash
# Tools: openapi-generator 7.26.0 (the jar in PyPI's openapi-generator-cli), generator `java`, library `native`; a JDK of 17
# Behaviour: a component that is `anyOf` a list and its item makes a class with `List<A>.class`, which is no Java: the file
#   does not parse. With the library `okhttp-gson` the same document gives a class that parses. The generator ends with 0.
# Why one guesses otherwise: it is the generator's default library, and the shape is the plainest union there is ("one or many").
# What it costs: nothing compiles, whatever else the document holds.
# Do instead: `--schema-mappings S=Object`, or another library.
# Output seen (this script fails when it changes):
#> native: 1 class with List<A>.class, and javac says: error: <identifier> expected
#> okhttp-gson: 0 classes with List<A>.class
set -euo pipefail
here=$(realpath "$0")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet openapi-generator-cli==7.26.0
cat >one_or_many.json <<'JSON'
{"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {"/s": {"get": {"operationId": "get_s", "responses":
 {"200": {"description": "d", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}}}}},
 "components": {"schemas": {"A": {"type": "object", "properties": {"a": {"type": "string"}}},
  "S": {"anyOf": [{"type": "array", "items": {"$ref": "#/components/schemas/A"}}, {"$ref": "#/components/schemas/A"}]}}}}
JSON
made() {
  venv/bin/openapi-generator-cli generate -i one_or_many.json -g java --library "$1" -o "$1" >log 2>&1
  grep -rl 'List<A>\.class' "$1/src/main" | wc -l
}
{
  native=$(made native)
  said=$(javac -d out native/src/main/java/org/openapitools/client/model/S.java 2>&1 | grep -o 'error: <identifier> expected' | sort -u || true)
  echo "native: $native class with List<A>.class, and javac says: $said"
  echo "okhttp-gson: $(made okhttp-gson) classes with List<A>.class"
} >seen
sed -n 's/^#> //p' "$here" | diff - seen && echo "as stated"
