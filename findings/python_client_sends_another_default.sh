#!/usr/bin/env bash
# Libraries: openapi-python-client 0.29.1 with ruff 0.14.10
# Behaviour: a text default that holds a quotation mark or a backslash gets one backslash more for each: the client sends `\"` where the
#   document's default is `"`, and `a\\b` for `a\b`, without a word. An optional property `const: true` gives `!= Trueand not`, which is no
#   Python: its module does not compile, while `const: 1` (`1and`) and `const: "x"` (`'x'and`) do.
# Why one guesses otherwise: the default stands in the generated code as a Python literal, in the docstring too, and looks escaped once;
#   the same constant on a required property is right.
# What it costs: a server that tells its defaults gets them back as other values from every client that leaves the member out.
# Do instead: no default for such texts in the document (say it in words), and `enum: [true]` or plain boolean for the constant.
# Output seen (this script fails when it changes):
#> default of the document: 1 character, sent: 2 characters
#> default of the document: 3 characters, sent: 4 characters
#> optional const 1: compiles
#> optional const "x": compiles
#> optional const true: SyntaxError
#> required const true: compiles
set -euo pipefail
self=$(realpath "$0")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openapi-python-client==0.29.1 ruff==0.14.10
cd "$work"
PATH="$work/venv/bin:$PATH" python - >"$work/seen" <<'PY'
import json
import pathlib
import subprocess
import sys


def generated(name, properties, required=()):
    model = {"type": "object", "properties": properties, "required": list(required)}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": name, "version": "1"},
        "paths": {"/a": {"post": {"operationId": "a", "requestBody": body, "responses": {"204": {"description": "ok"}}}}},
        "components": {"schemas": {"A": model}},
    }
    pathlib.Path(f"{name}.json").write_text(json.dumps(document))
    command = ["openapi-python-client", "generate", "--path", f"{name}.json", "--output-path", name, "--meta", "none"]
    subprocess.run(command, capture_output=True)
    return pathlib.Path(name)


def sent(name):
    code = f"from {name}.models.a import A; import json; print(json.dumps(A().to_dict()))"
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


given = {"quote": '"', "path": "a\\b"}
generated("defaults", {name: {"type": "string", "default": value} for name, value in given.items()})
for name, value in sent("defaults").items():
    some = "character" if len(given[name]) == 1 else "characters"
    print(f"default of the document: {len(given[name])} {some}, sent: {len(value)} characters")
for name, constant, required in (("one", 1, ()), ("text", "x", ()), ("truth", True, ()), ("needed", True, ("a",))):
    module = generated(name, {"a": {"const": constant}}, required) / "models" / "a.py"
    try:
        compile(module.read_text(), str(module), "exec")
        said = "compiles"
    except SyntaxError:
        said = "SyntaxError"
    print(f"{'required' if required else 'optional'} const {json.dumps(constant)}: {said}")
PY
cat "$work/seen"
sed -n "s/^#> //p" "$self" | diff - "$work/seen"
