"""What child processes of the gateway are started with: no secret, credential or setting of its environment."""

from __future__ import annotations

import os
import sys

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


def bare_environment() -> dict[str, str]:
    """The environment of a child: where programs and this code are found, and nothing else."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
