#!/usr/bin/env bash
# Tools: openapi-generator 7.26.0 (the jar in PyPI's openapi-generator-cli); PHP 8.2, JDK 17, Go 1.26
# Behaviour: of a boolean with `const: false` (OpenAPI 3.1) three generators make three things. PHP: the one allowed value is the
#   text 'false'; the client refuses the boolean, which the document demands, and takes the text, which it forbids. Java: an
#   enum FALSE("false") over Boolean, which does not compile. Go: a plain bool. All three end with 0.
# Why one guesses otherwise: const is one value of JSON, and PHP code that was made for it is correct for texts and numbers.
# What it costs: in PHP nothing shows until an answer is checked with valid(), or a setter throws in production.
# Do instead: write `"type": "boolean"` without the const.
# Output seen (this script fails when it changes):
#> php: setClosed(false): InvalidArgumentException, setClosed('false'): taken, valid() of an answer with false: false
#> java: FALSE("false")
#> go: Closed *bool
set -euo pipefail
here=$(realpath "$0")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet openapi-generator-cli==7.26.0
cat >const.json <<'JSON'
{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/s": {"get": {"operationId": "get_s", "responses": {"200":
 {"description": "d", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}}}}},
 "components": {"schemas": {"S": {"type": "object", "properties": {"closed": {"type": "boolean", "const": false}}}}}}
JSON
make_client() { venv/bin/openapi-generator-cli generate -i const.json -g "$1" -o "$1" "${@:2}" >log 2>&1; }
make_client php
make_client java --library okhttp-gson
make_client go
cat >try.php <<'PHP'
<?php
spl_autoload_register(function ($class) {
    require __DIR__ . '/php/lib/' . str_replace('\\', '/', substr($class, strlen('OpenAPI\\Client\\'))) . '.php';
});
$answer = new OpenAPI\Client\Model\S(['closed' => false]);
$said = [];
foreach ([false, 'false'] as $value) {
    try {
        $answer->setClosed($value);
        $told = 'taken';
    } catch (Throwable $fault) {
        $told = get_class($fault);
    }
    $said[] = 'setClosed(' . var_export($value, true) . "): $told";
}
$valid = (new OpenAPI\Client\Model\S(['closed' => false]))->valid();
echo 'php: ', implode(', ', $said), ', valid() of an answer with false: ', var_export($valid, true), "\n";
PHP
{
  php try.php
  echo "java: $(grep -o 'FALSE(.*)' java/src/main/java/org/openapitools/client/model/S.java)"
  echo "go: $(grep -o 'Closed \*bool' go/model_s.go)"
} >seen
sed -n 's/^#> //p' "$here" | diff - seen && echo "as stated"
