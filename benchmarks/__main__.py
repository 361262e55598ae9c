"""`make bench`: every benchmark, one after the other."""

from __future__ import annotations

import subprocess
import sys

for name in ("log_writer", "lookup", "page", "paging", "fanout", "bulk", "match", "join", "log_search", "mapping"):
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
