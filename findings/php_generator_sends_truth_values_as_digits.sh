#!/usr/bin/env bash
# Tools: openapi-generator 7.26.0 (the jar in PyPI's openapi-generator-cli), generator `php`; PHP 8.2
# Behaviour: a boolean in a query is sent as 1 or 0. The configuration has a setting for it (setBooleanFormatForQueryString), and
#   only the default configuration is asked: set on the one that is given to the API class, it changes nothing.
# Why one guesses otherwise: JSON's booleans are true and false, so are those of other generators, and an API class is given its
#   configuration to be asked.
# What it costs: a service that takes true and false only refuses each such call, also after the setting was found.
# Do instead: Configuration::getDefaultConfiguration()->setBooleanFormatForQueryString(Configuration::BOOLEAN_FORMAT_STRING)
# Output seen (this script fails when it changes):
#> as made: open=1, open=0
#> set on the own configuration: open=1, open=0
#> set on the default configuration: open=true, open=false
set -euo pipefail
here=$(realpath "$0")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet openapi-generator-cli==7.26.0
cat >flag.json <<'JSON'
{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/s": {"get": {"operationId": "get_s",
 "parameters": [{"name": "open", "in": "query", "schema": {"type": "boolean"}}], "responses": {"204": {"description": "d"}}}}}}
JSON
venv/bin/openapi-generator-cli generate -i flag.json -g php -o php >log 2>&1
# Guzzle is not needed to build a request's query; what the API class inherits and makes of it is stood in for here.
cat >try.php <<'PHP'
<?php
namespace GuzzleHttp { interface ClientInterface {} class Client implements ClientInterface {} }
namespace GuzzleHttp\Psr7 { class Request { public function __construct(public $method, public $uri) {} } }
namespace {
spl_autoload_register(function ($class) {
    require __DIR__ . '/php/lib/' . str_replace('\\', '/', substr($class, strlen('OpenAPI\\Client\\'))) . '.php';
});
use OpenAPI\Client\Configuration;
function told(string $when, Configuration $own): void
{
    $api = new OpenAPI\Client\Api\DefaultApi(new GuzzleHttp\Client(), $own);
    $sent = array_map(fn (bool $open) => parse_url($api->getSRequest($open)->uri, PHP_URL_QUERY), [true, false]);
    echo "$when: ", implode(', ', $sent), "\n";
}
told('as made', new Configuration());
told('set on the own configuration', (new Configuration())->setBooleanFormatForQueryString(Configuration::BOOLEAN_FORMAT_STRING));
Configuration::getDefaultConfiguration()->setBooleanFormatForQueryString(Configuration::BOOLEAN_FORMAT_STRING);
told('set on the default configuration', new Configuration());
}
PHP
php try.php >seen
sed -n 's/^#> //p' "$here" | diff - seen && echo "as stated"
