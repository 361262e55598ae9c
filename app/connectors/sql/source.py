"""The `source:` block of kind `sql`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from app.connectors.network import Dialled
from app.connectors.source import SourceBase
from app.connectors.sql.address import ServerAddress, SqliteAddress, parse_url
from app.connectors.sql.query import check_query


class SqlSource(SourceBase):
    """A table, a view or a steward's own SELECT. With neither, only `check` and `discover` work (a draft)."""

    kind: Literal["sql"] = "sql"
    url: str = Field(
        max_length=1000,
        description="postgresql://, mysql:// or oracle://user:${secret:NAME}@host:port/db, or sqlite:register.db in the agency's folder",
    )
    table: str | None = Field(default=None, max_length=200, description="Table or view: name or schema.name")
    query: str | None = Field(default=None, description="One SELECT in the source's dialect")
    key: tuple[str, ...] = Field(default=(), description="Columns that identify a row, where the source declares none")
    json_columns: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        description="Text columns that hold JSON documents, where the source does not say so",
    )
    zone: str | None = Field(default=None, description="Time zone of timestamps that carry none, e.g. Asia/Jakarta")

    @property
    def address(self) -> ServerAddress | SqliteAddress:
        """The parts of the URL."""
        return parse_url(self.url)

    @property
    def dialect(self) -> str:
        """postgres, mysql, oracle or sqlite."""
        address = self.address
        return "sqlite" if isinstance(address, SqliteAddress) else address.dialect

    @property
    def table_parts(self) -> tuple[str | None, str]:
        """Schema (None: whatever the session sees first) and name."""
        return split_table(self.table or "")

    def dialled(self) -> Sequence[Dialled]:
        """See `SourceBase.dialled`."""
        address = self.address
        if isinstance(address, SqliteAddress):
            return ()
        return (Dialled("/source/url", address.host, int(address.port)),)

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parse_url(url)
        return url

    @field_validator("table")
    @classmethod
    def _check_table(cls, table: str | None) -> str | None:
        if table is not None:
            split_table(table)
        return table

    @field_validator("zone")
    @classmethod
    def _check_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError):
                raise ValueError("unknown time zone; write a name such as Asia/Jakarta") from None
        return zone

    @model_validator(mode="after")
    def _check_reading(self) -> Self:
        if self.table is not None and self.query is not None:
            raise ValueError("give either `table` or `query`, not both")
        if self.query is not None:
            check_query(self.query, self.dialect)
        if self.zone is not None and self.dialect == "sqlite":
            raise ValueError(
                "`zone` is for database servers; SQLite has no timestamps, its texts are read by the mapping"
            )
        return self


_NAME = r'"[^"\x00]+"|[^".\x00]+'
_TABLE = re.compile(rf"(?:({_NAME})\.)?({_NAME})")


def split_table(table: str) -> tuple[str | None, str]:
    """`name`, `schema.name`, `"odd.name"`, `schema."odd.name"` as (schema, name). Raises `ValueError`."""
    found = _TABLE.fullmatch(table)
    if found is None:
        raise ValueError('a table is written as name or schema.name; a name that holds a dot as "odd.name"')
    schema, name = found.groups()
    return (schema.strip('"') if schema else None, name.strip('"'))
