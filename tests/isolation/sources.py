"""Sources of the provider whose content the tests change between two rounds of the same questions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg

from tests.support.sources import SourceServer
from tests.support.statement_log import UNLOGGED, StatementLog


class Sources:
    """What stands at the provider: a service with facilities, a service and a table with counts of people."""

    def __init__(self, services: SourceServer, database: str, statements: StatementLog) -> None:
        self.services, self.database, self.statements = services, database, statements
        with psycopg.connect(database, autocommit=True, options=UNLOGGED) as connection:
            connection.execute(
                "CREATE TABLE jumlah_penduduk (wilayah text, periode text, jk text, umur text, kategori text, jumlah int, ket text, "
                "PRIMARY KEY (wilayah, periode, jk, umur, kategori))"
            )

    def facilities(self, *emails: str | None) -> Callable[[], None]:
        """A world in which the facilities have these addresses."""
        rows = [
            {"kode": f"F{number}", "nama": f"Klinik {number}", "jenis": "klinik", "email": email}
            for number, email in enumerate(emails, 1)
        ]
        return lambda: self.services.json("/faskes", json.dumps({"data": rows}).encode())

    def counts(self, *hidden: tuple[str, int], many: int = 0) -> Callable[[], None]:
        """A world in which the districts beyond the row filter have these counts, `many` more ages of one too."""

        def change() -> None:
            rows: list[tuple[Any, ...]] = [
                ("33.20.01", "2025", "laki_laki", f"{age}-{age + 4}", "agama:islam", 40 + age, "lihat")
                for age in (0, 5, 10)
            ]
            rows += [
                (region, "2025", "laki_laki", "0-4", "agama:islam", count, "tersembunyi") for region, count in hidden
            ]
            rows += [
                (f"33.20.03.{2001 + number}", "2025", "perempuan", "0-4", "agama:islam", 99, "tersembunyi")
                for number in range(many)
            ]
            with psycopg.connect(self.database, autocommit=True, options=UNLOGGED) as connection:
                connection.execute("TRUNCATE jumlah_penduduk")
                with connection.cursor() as cursor:
                    cursor.executemany("INSERT INTO jumlah_penduduk VALUES (%s, %s, %s, %s, %s, %s, %s)", rows)
                connection.execute("ANALYZE jumlah_penduduk")

        return change
