#!/usr/bin/env bash
# Libraries: pyarrow 26.0.1 with pandas 3.1.1 installed beside it
# Behaviour: the first `pa.array` of a plain list imports pandas, whole, though nothing of pandas is given or asked for. Where that is
#   forbidden in Python's own way (`sys.modules["pandas"] = None`), the array of the list is not made: AttributeError. A finder that
#   raises ImportError is taken as "no pandas".
# Why one guesses otherwise: `import pyarrow` and `import pyarrow.compute` load no pandas, and pandas is optional for pyarrow; the check
#   is whether the list may be a Series.
# What it costs: a fifth of a second of processor time and some tens of megabytes in each short-lived process that makes one array, only
#   where pandas happens to be installed; a process with a limit of memory may end there.
# Do instead: make one array beside other work while the process starts (or in the process that workers are forked from).
# Output seen (this script fails when it changes):
#> pandas loaded by pyarrow and pyarrow.compute: False
#> pandas loaded by an array of one number: True
#> forbidden by sys.modules: AttributeError
#> refused by a finder: [0.5]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.1 pandas==3.1.1
run() { "$work/venv/bin/python" -c "$1"; }
{
  run '
import sys
import pyarrow as pa
import pyarrow.compute
print("pandas loaded by pyarrow and pyarrow.compute:", "pandas" in sys.modules)
pa.array([0.5])
print("pandas loaded by an array of one number:", "pandas" in sys.modules)
'
  run '
import sys
import pyarrow as pa
sys.modules["pandas"] = None
try:
    print("forbidden by sys.modules:", pa.array([0.5]).to_pylist())
except Exception as fault:
    print("forbidden by sys.modules:", type(fault).__name__)
'
  run '
import sys
import pyarrow as pa
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ImportError(name)
sys.meta_path.insert(0, Refusing())
print("refused by a finder:", pa.array([0.5]).to_pylist())
'
} >"$work/seen"
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
