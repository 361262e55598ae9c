#!/usr/bin/env bash
# Tools: openapi-generator 7.26.0 (the jar in PyPI's openapi-generator-cli), generator `php`; PHP 8.2
# Behaviour: a member that is `anyOf` a list (or a text) and an object becomes a class with the object's members alone. A list or a
#   text in its place is read without a fault, as an object without members. A text with `format: decimal` becomes a float.
#   The generator ends with 0 and warns of neither.
# Why one guesses otherwise: other languages get a union or fail to compile; a text was chosen for amounts so that nobody rounds them.
# What it costs: the list is gone and nothing says so; an amount of more than 15 digits is another amount.
# Do instead: `--type-mappings decimal=string,SPlaces=mixed`: the name of the class that the generator made up.
# Output seen (this script fails when it changes):
#> as made: places {}, amount 1.2345678901234568e+17
#> mapped: places ["a","b"], amount "123456789012345678.25"
set -euo pipefail
here=$(realpath "$0")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet openapi-generator-cli==7.26.0
cat >choice.json <<'JSON'
{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/s": {"get": {"operationId": "get_s", "responses": {"200":
 {"description": "d", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}}}}},
 "components": {"schemas": {"M": {"type": "object", "properties": {"count": {"type": "integer"}}},
  "S": {"type": "object", "properties": {"amount": {"type": "string", "format": "decimal"},
   "places": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"$ref": "#/components/schemas/M"}]}}}}}}
JSON
make_client() { venv/bin/openapi-generator-cli generate -i choice.json -g php -o php "$@" >log 2>&1; }
cat >try.php <<'PHP'
<?php
spl_autoload_register(function ($class) {
    require __DIR__ . '/php/lib/' . str_replace('\\', '/', substr($class, strlen('OpenAPI\\Client\\'))) . '.php';
});
$text = '{"amount": "123456789012345678.25", "places": ["a", "b"]}';
$answer = OpenAPI\Client\ObjectSerializer::deserialize($text, 'OpenAPI\Client\Model\S');
$told = array_map(json_encode(...), [$answer->getPlaces(), $answer->getAmount()]);
echo "$argv[1]: places $told[0], amount $told[1]\n";
PHP
{
  make_client && php try.php 'as made'
  make_client --type-mappings decimal=string,SPlaces=mixed && php try.php mapped
} >seen
sed -n 's/^#> //p' "$here" | diff - seen && echo "as stated"
