"""`python -m app.agent`: the same as `simpul agent`."""

from __future__ import annotations

import sys

from app.agent.commands import main

sys.exit(main(sys.argv[1:]))
