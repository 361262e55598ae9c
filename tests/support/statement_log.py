"""What a PostgreSQL server of the tests was told: every statement of one database, with the values that were bound to it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.fixtures.postgres import Cluster

UNLOGGED = "-c log_statement=none"
"""`options` of the sessions of the tests themselves, whose statements are nobody's question."""


class StatementLog:
    """Of a database whose sessions are opened after this one. `since` tells what came after a mark."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        self._file = Path(cluster.folder) / "server.log"
        name = urlsplit(database).path.lstrip("/")
        with psycopg.connect(database, autocommit=True) as admin:
            for setting, value in (
                ("log_statement", "all"),
                ("log_min_messages", "log"),  # of the cluster: what is fatal
                ("log_parameter_max_length", "-1"),
            ):
                admin.execute(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'")

    def mark(self) -> int:
        """Where the log ends now."""
        return self._file.stat().st_size

    def since(self, mark: int) -> str:
        """The statements and their values since then."""
        with self._file.open("rb") as log:
            log.seek(mark)
            return log.read().decode("utf-8", "replace")
