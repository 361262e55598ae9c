#!/usr/bin/env bash
# Library: pygeoapi 0.21.0 (the newest for Python 3.11)
# Behaviour: its wheel installs its own test suite as a top-level package `tests`. A project that is installed editable beside it (a .pth,
#   as pip and uv write it) and has a package `tests` of its own imports pygeoapi's, wherever its own folder is not first on the path:
#   in child processes, under `python -P`, in programs that are run by their file. `python -m pytest` in the folder still finds its own.
# Why one guesses otherwise: a server is installed to be talked to; nothing of it is imported. What breaks is another process's import of
#   one's own helpers, with the name of one's own module in the error.
# What it costs: pickles to worker processes fail in continuous integration alone, or after an unrelated dependency was added.
# Do instead: put the project's folder into PYTHONPATH of children, or install the server in an environment of its own.
# Output seen (this script fails when it changes):
#> modules of the package tests in the wheel: 54
#> python -c, in the folder: ours
#> python -P -c, in the folder: pygeoapi's
#> with PYTHONPATH: ours
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-deps pygeoapi==0.21.0
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$work/project/tests"
echo 'OURS = True' >"$work/project/tests/__init__.py"
echo "$work/project" >"$site/__editable__project.pth"
(
  cd "$work/project"
  echo "modules of the package tests in the wheel: $(find "$site/tests" -name '*.py' | wc -l | tr -d ' ')"
  say='import tests; print("ours" if hasattr(tests, "OURS") else "pygeoapi'"'"'s")'
  echo "python -c, in the folder: $("$work/venv/bin/python" -c "$say")"
  echo "python -P -c, in the folder: $("$work/venv/bin/python" -P -c "$say")"
  echo "with PYTHONPATH: $(PYTHONPATH="$work/project" "$work/venv/bin/python" -P -c "$say")"
) >"$work/seen"
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
