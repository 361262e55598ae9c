"""The console script `simpul`. The agent starts without the gateway's code: it stays on small machines."""

from __future__ import annotations

import sys

AGENT = "agent"


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:2] == [AGENT]:
        from app.agent.commands import main as agent

        sys.exit(agent(sys.argv[2:]))
    from app.cli.main import main as simpul

    simpul()
