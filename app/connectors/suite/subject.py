"""What a kind's tests give the suite: an opened connector, what it must give, and sources that are broken in known ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.connectors.contract import JSON_COLUMN, Connector, RawBatch
from app.connectors.environment import Environment, Limits, NetworkPolicy
from app.connectors.json_text import parse_json
from app.connectors.registry import open_connector, source_model
from app.connectors.requests import ScanRequest
from app.errors import SimpulError

SECRET = "uji-4f9c1e"  # noqa: S105 - of sources that tests make
PERSON = "Siti Contoh Pribadi"
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
TEXTS: tuple[str, ...] = (
    "",
    " ",
    "  ",
    "a",
    "A",
    "á",
    "a\u0301",
    "b ",
    "b",
    "B",
    "ä",
    "ß",
    "SS",
    "ss",
    "Z",
    "z",
    "İ",
    "i",
    "ı",
    "%",
    "_",
    "\\",
    "a%b",
)
TEXTS += (
    "a_b",
    "日本",
    "\U0001f600",
    "\uffff",
    "'",
    '"',
    "\u3000",
    "\xa0x",
    "10",
    "9",
    "Jepara",
    "JEPARA",
    "jepara ",
    "🂡z",
)
OPERATORS = frozenset({*COMPARISONS, "in", "like", "isnull", "and", "or", "not", "casefold"})


class Secrets:
    """Knows one secret."""

    def __init__(self, secret: str = SECRET) -> None:
        self._secret = secret

    def resolve(self, text: str) -> str:
        return text.replace("${secret:PW}", self._secret)


def environment(root: Path, ca_file: Path | None = None, secret: str = SECRET, **limits: Any) -> Environment:
    """What a connector under test is given; loopback is allowed."""
    cache = root / ".cache"
    cache.mkdir(exist_ok=True)
    policy = NetworkPolicy(networks=(ip_network("127.0.0.0/8"),))
    return Environment("dinkes", "dinkes-uji", root, cache, Secrets(secret), policy, Limits(**limits), ca_file=ca_file)


def opened(root: Path, source: dict[str, Any], **limits: Any) -> Connector:
    """The connector of a `source:` block."""
    return open_connector(source_model(source["kind"]).model_validate(source), environment(root, **limits))


@dataclass
class Fault:
    """A source that is broken in one way, and the error that must say so."""

    name: str
    open: Callable[[], Connector]
    error: type[SimpulError]
    retryable: bool
    columns: tuple[str, ...] | None = None


@dataclass
class Subject:
    """A source with known content. `literals`: values to compare a column with; a column without any is not filtered."""

    connector: Connector
    schema: pa.Schema
    rows: list[tuple[Any, ...]]
    literals: dict[str, Sequence[Any]] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    unique: str = ""
    measured: Sequence[str] = ()
    faults: list[Fault] = field(default_factory=list)
    fingerprint: Callable[[], Awaitable[Any]] | None = None
    rejects: int = 0
    missing_column_is_null: bool = False
    cannot: frozenset[str] = frozenset()
    """What the connector does not offer, in the words of `test_what_the_kind_cannot_do_is_declared`."""

    @property
    def names(self) -> list[str]:
        return list(self.schema.names)


async def read(connector: Connector, request: ScanRequest) -> list[tuple[Any, ...]]:
    """The rows of a scan."""
    return [row async for batch in connector.scan(request) for row in held(batch)]


def held(batch: RawBatch) -> list[tuple[Any, ...]]:
    """The rows of a batch in either form, the documents of JSON columns parsed."""
    if batch.arrow is None:
        return [tuple(row) for row in batch.rows or ()]
    columns = [batch.arrow.column(index).to_pylist() for index in range(batch.arrow.num_columns)]
    for index, column in enumerate(batch.schema):
        if column.metadata == JSON_COLUMN:
            columns[index] = [None if cell is None else parse_json(cell) for cell in columns[index]]
    return list(zip(*columns, strict=True))


def plain(value: Any) -> Any:
    """A value as rows are compared: lists and objects by their text."""
    return repr(value) if isinstance(value, dict | list) else value


def bag(rows: Sequence[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """The rows with how often each comes, in no order."""
    return Counter(tuple(map(plain, row)) for row in rows)


WHOLE_READS = frozenset({"filters", "keys", "order", "keyset", "aggregates"})
"""What nobody offers who reads a source whole."""
