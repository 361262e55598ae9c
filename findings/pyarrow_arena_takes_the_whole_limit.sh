#!/usr/bin/env bash
# Library: pyarrow 26.0.0 (its default memory pool, mimalloc), under a limit of address space (RLIMIT_AS)
# Behaviour: a Parquet file of three rows is read with 256 MiB of address space left, and with 512 MiB, and with
#   1100 MiB; with exactly 1 GiB left it fails: "malloc of size 512 failed". The pool reserves an arena of 1 GiB at
#   its first allocation. Where that does not fit it takes less and goes on; where it just fits the reservation
#   itself is all that the process may have, and the next allocation of anybody fails.
#   pa.set_memory_pool(pa.system_memory_pool()) does not help, although default_memory_pool() says "system" from then
#   on: the Parquet reader's own allocations still come from the pool that was built in. Only the variable
#   ARROW_DEFAULT_MEMORY_POOL, set before the import, does.
# Why one guesses otherwise: more memory cannot be worse than less, 1 GiB is the limit that everybody writes for a
#   parsing child process, and the documentation of set_memory_pool says that it sets the default memory pool.
# What it costs: every Parquet file is "damaged" in the sandbox and fine outside of it, whatever its size, and a test
#   with a tighter limit passes.
# Do instead: start the child with ARROW_DEFAULT_MEMORY_POOL=system in its environment.
# Output seen (this script fails when it changes):
#> as installed, 256 MiB left: 3 rows
#> as installed, 512 MiB left: 3 rows
#> as installed, 1024 MiB left: ArrowMemoryError
#> as installed, 1100 MiB left: 3 rows
#> set_memory_pool(system), 1024 MiB left: ArrowMemoryError, default is system
#> ARROW_DEFAULT_MEMORY_POOL=system, 1024 MiB left: 3 rows
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.0
cat >"$work/read.py" <<'PY'
import os, resource, sys
import pyarrow as pa, pyarrow.parquet as pq
name, path, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
if os.fork() == 0:  # written by a child: this process has used no pool yet
    pq.write_table(pa.table({"a": [1, 2, 3]}), path)
    os._exit(0)
os.wait()
if name.startswith("set_"):
    pa.set_memory_pool(pa.system_memory_pool())
mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + (left << 20),) * 2)
try:
    said = f"{sum(b.num_rows for b in pq.ParquetFile(path, pre_buffer=False).iter_batches())} rows"
except pa.ArrowException as error:
    said = type(error).__name__
more = f", default is {pa.default_memory_pool().backend_name}" if name.startswith("set_") else ""
print(f"{name}, {left} MiB left: {said}{more}")
PY
python="$work/venv/bin/python"
{
  for left in 256 512 1024 1100; do "$python" "$work/read.py" "as installed" "$work/x.parquet" "$left"; done
  "$python" "$work/read.py" "set_memory_pool(system)" "$work/x.parquet" 1024
  ARROW_DEFAULT_MEMORY_POOL=system "$python" "$work/read.py" "ARROW_DEFAULT_MEMORY_POOL=system" "$work/x.parquet" 1024
} >"$work/seen"
sed -n 's/^#> //p' "$0" >"$work/wanted"
diff "$work/wanted" "$work/seen" && cat "$work/seen"
