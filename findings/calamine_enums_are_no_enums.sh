#!/usr/bin/env bash
# Library: python-calamine 0.9.1
# Behaviour: SheetTypeEnum and SheetVisibleEnum are no Python enums: their members cannot be hashed, so that they stand in no set and are
#   no key of a dictionary; they have no name, cannot be listed and cannot be pickled. They equal the integer behind them, and each other.
# Why one guesses otherwise: they are called Enum, print as `SheetTypeEnum.WorkSheet`, and the stub that comes with the package declares
#   them as `class SheetTypeEnum(enum.Enum)`, which type checkers believe.
# What it costs: `kinds = {sheet.typ for sheet in book.sheets_metadata}` passes every type checker and raises at the first workbook; a
#   process that parses cannot hand the metadata of its sheets to another one as they are.
# Do instead: compare with ==, and pass on str() of them.
# Output seen (this script fails when it changes):
#> an enum.Enum: False
#> the stub says enum.Enum: True
#> in a set: TypeError
#> pickled: TypeError
#> listed: TypeError
#> by name: AttributeError
#> equal to 0: True
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet python-calamine==0.9.1
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import enum
import pickle
from pathlib import Path

import python_calamine
from python_calamine import SheetTypeEnum


def tried(name, work):
    try:
        print(f"{name}: {work()}")
    except Exception as fault:
        print(f"{name}: {type(fault).__name__}")


sheet = SheetTypeEnum.WorkSheet
stubs = "".join(file.read_text() for file in Path(python_calamine.__file__).parent.glob("*.pyi"))
tried("an enum.Enum", lambda: isinstance(sheet, enum.Enum))
tried("the stub says enum.Enum", lambda: "class SheetTypeEnum(enum.Enum)" in stubs)
tried("in a set", lambda: {sheet})
tried("pickled", lambda: pickle.dumps(sheet))
tried("listed", lambda: list(SheetTypeEnum))
tried("by name", lambda: sheet.name)
tried("equal to 0", lambda: sheet == 0)
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
