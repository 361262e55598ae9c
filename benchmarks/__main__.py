"""`make bench`: every benchmark, one after the other."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "log_writer", "lookup", "page", "paging", "fanout", "bulk", "match", "join", "groups", "log_search", "mapping", "suggest", "files",
    "agent", "tokens",
)  # fmt: skip

for name in NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
