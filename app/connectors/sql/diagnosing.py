"""What a database tells of how one of its tables has to be read: text columns that hold JSON, a view that declares no key."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from app.connectors.capabilities import Capabilities
from app.connectors.contract import Discovery
from app.connectors.diagnosis import Diagnoses, Diagnosis, Findings
from app.connectors.json_text import JsonFlaw, parse_json
from app.connectors.sql.source import SqlSource

SAMPLE_ROWS: Final = 200
_FEWEST: Final = 3
"""Documents from which on a column is taken to hold nothing else."""
_TOLD: Final = frozenset({"json", "jsonb"})
"""Types of columns that are read as JSON without being named."""


class DatabaseDiagnosis(Diagnoses):
    """The ability of every database."""

    _source: SqlSource

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """As of a connector: after `learn` with the keys that the database declares."""

    @abstractmethod
    async def learn(self) -> None:
        """As of a connector."""

    @abstractmethod
    async def discover(self, sample_rows: int = 20) -> Discovery:
        """As of a connector."""

    async def diagnose(self) -> Diagnosis:
        """The only table, where there is one; columns of JSON documents by a sample; that rows have no key."""
        found, source = Findings(), self._source
        if source.table is None and source.query is None:
            tables = (await self.discover(1)).tables
            if len(tables) == 1:
                found.source("table", tables[0], "the database shows this user no other table")
            return found.diagnosis()
        shown = await self.discover(SAMPLE_ROWS)
        if "json_columns" not in source.model_fields_set:
            texts = [
                one.name for one in shown.columns if pa.types.is_string(one.arrow_type) and one.source_type not in _TOLD
            ]
            held = [name for name in texts if _documents(row.get(name) for row in shown.sample)]
            if held:
                found.source("json_columns", held, "every text of the sample is a JSON object or list")
        await self.learn()
        if shown.columns and not self.capabilities.keys:
            found.note(
                "the database declares no key of these rows; where columns identify one, name them in source.key"
            )
        return found.diagnosis()


def _documents(values: Iterable[Any]) -> bool:
    """Whether these are texts, all of them JSON objects or lists; nulls say nothing."""
    texts: Sequence[Any] = [value for value in values if value is not None]
    return len(texts) >= _FEWEST and all(isinstance(text, str) and _document(text) for text in texts)


def _document(text: str) -> bool:
    if text.strip()[:1] not in {"{", "["}:
        return False
    try:
        return isinstance(parse_json(text), Mapping | list)
    except JsonFlaw:
        return False
