"""A sealed copy: Parquet with modular encryption (AES-GCM, footer too) under a key of its own, bound to its name. Blocking.

Rows stand in the order of the key's values. What was changed, cut or moved from another copy is refused, not read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as sealing

from app.datasets.copies.faults import SnapshotUnreadable
from app.datasets.records import MappedRecord, RecordColumns, RecordWarning
from app.schemas.arrow import rows_of
from app.schemas.registry import SchemaDef
from app.schemas.warnings import TEXTS

GROUP_ROWS = 16_384
KEY_BYTES = 32
RECORD_KEY, WARNINGS = "_id", "_warnings"
_PART = ".part"


@dataclass(frozen=True, slots=True)
class Written:
    """What a finished file is: rows, bytes, SHA-256 (hex) of its sealed bytes."""

    rows: int
    size_bytes: int
    digest: str


class _Counted:
    """The file under the writer: every byte is asked for before it is written."""

    def __init__(self, path: Path, before: Callable[[int], None]) -> None:
        self._file = path.open("wb")
        self._before = before
        self._digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, part: Any) -> int:
        """Appends."""
        view = memoryview(part)
        self._before(view.nbytes)
        self._file.write(view)
        self._digest.update(view)
        self.size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Where the next byte stands."""
        return self.size

    def flush(self) -> None:
        """Nothing waits for it."""

    def close(self) -> None:
        """The writer is done; the file stays open until it is durable."""

    def durable(self) -> str:
        """Everything stands on the disk; the digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.end()
        return self._digest.hexdigest()

    def end(self) -> None:
        """Lets go of the file; may be called twice."""
        self.closed = True
        with suppress(OSError):
            self._file.close()


def write_copy(
    path: Path,
    key: bytes,
    bound_to: bytes,
    schema: pa.Schema,
    blocks: Iterable[pa.RecordBatch],
    before: Callable[[int], None],
) -> Written:
    """Writes all or nothing: the name stands only when every byte is durable. `before` is asked before each write and may raise."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(path.name + _PART)
    sealed = sealing.create_encryption_properties(  # type: ignore[attr-defined]
        footer_key=key, aad_prefix=bound_to, store_aad_prefix=False
    )
    file, rows = _Counted(part, before), 0
    try:
        sink: Any = file
        with pq.ParquetWriter(sink, schema, compression="zstd", encryption_properties=sealed) as writer:
            for group in _groups(schema, blocks):
                writer.write_table(group, row_group_size=GROUP_ROWS)
                rows += group.num_rows
        digest = file.durable()
        part.replace(path)
        _durable_name(path.parent)
    except BaseException:
        file.end()
        part.unlink(missing_ok=True)
        raise
    return Written(rows, file.size, digest)


def remove_unfinished(folder: Path) -> None:
    """What a process that ended in the middle left behind."""
    for part in folder.glob(f"*/*{_PART}"):
        part.unlink(missing_ok=True)


class SealedCopy:
    """An open copy, for one thread at a time. Raises `SnapshotUnreadable` for what is not the file that was written under this key."""

    def __init__(self, path: Path, key: bytes, bound_to: bytes, schema: SchemaDef) -> None:
        self._path, self._key, self._bound_to, self._schema = path, key, bound_to, schema
        self._opened: pq.ParquetFile | None = None
        self._known: dict[str | None, tuple[RecordWarning, ...]] = {}

    @property
    def rows(self) -> int:
        """How many records it holds."""
        return int(self._file().metadata.num_rows)

    def groups(self, least: Any = None, most: Any = None) -> Iterator[pa.RecordBatch]:
        """The rows in order, part by part; parts whose first key value lies below `least` or above `most` are left out."""
        file = self._file()
        for index in range(file.metadata.num_row_groups):
            if self._outside(file, index, least, most):
                continue
            try:
                table = file.read_row_group(index, use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(error) from None
            yield from table.combine_chunks().to_batches()

    def columns(self, rows: pa.RecordBatch, *, findings: bool) -> RecordColumns:
        """Rows of the file as records by columns."""
        noted: dict[int, tuple[RecordWarning, ...]] = {}
        if findings and rows.column(WARNINGS).null_count < rows.num_rows:
            told = rows.column(WARNINGS).to_pylist()
            noted = {index: self._warnings(text) for index, text in enumerate(told) if text is not None}
        return RecordColumns(rows.select(self._schema.arrow.names), rows.column(RECORD_KEY), noted)

    def records(self, rows: pa.RecordBatch, *, findings: bool) -> list[MappedRecord]:
        """Rows of the file as records."""
        keys: list[Any] = rows.column(RECORD_KEY).to_pylist()
        values = rows_of(self._schema, rows.select(self._schema.arrow.names))
        told: list[Any] = rows.column(WARNINGS).to_pylist() if findings else [None] * len(keys)
        return [MappedRecord(key, row, self._warnings(text)) for key, row, text in zip(keys, values, told, strict=True)]

    def close(self) -> None:
        """Lets go of the file; may be called twice."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close(force=True)

    def _file(self) -> pq.ParquetFile:
        if self._opened is None:
            opening = sealing.create_decryption_properties(  # type: ignore[attr-defined]
                footer_key=self._key, aad_prefix=self._bound_to
            )
            try:
                self._opened = pq.ParquetFile(self._path, decryption_properties=opening)
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(error) from None
        return self._opened

    def _outside(self, file: pq.ParquetFile, index: int, least: Any, most: Any) -> bool:
        if least is None and most is None:
            return False
        name = self._schema.meta.key[0]
        column = file.metadata.row_group(index).column(self._schema.arrow.get_field_index(name))
        bounds = column.statistics if column.path_in_schema == name else None
        if bounds is None or not bounds.has_min_max:
            return False
        return (least is not None and bounds.max < least) or (most is not None and bounds.min > most)

    def _warnings(self, text: str | None) -> tuple[RecordWarning, ...]:
        if text is None:
            return ()
        known = self._known.get(text)
        if known is None:
            found = orjson.loads(text)
            known = tuple(_warning(one["field"], one["code"], one["detail"]) for one in found)
            self._known[text] = known
        return known


def _warning(field: str, code: str, detail: str) -> RecordWarning:
    texts = TEXTS.get(code, ("", ""))
    return RecordWarning(field, code, texts[0] if texts[1] == detail else "", detail)


def stored_schema(schema: SchemaDef) -> pa.Schema:
    """The columns of a copy: those of the schema, the key as text, the findings as JSON text (`federation/reading/batches.py`)."""
    return schema.arrow.append(pa.field(RECORD_KEY, pa.string())).append(pa.field(WARNINGS, pa.string()))


def _groups(schema: pa.Schema, blocks: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for block in blocks:
        waiting.append(block)
        rows += block.num_rows
        if rows >= GROUP_ROWS:
            yield pa.Table.from_batches(waiting, schema)
            waiting, rows = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def _durable_name(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unreadable(error: Exception) -> SnapshotUnreadable:
    kind = (
        "is not there" if isinstance(error, FileNotFoundError) else "was changed, cut, or is sealed under another key"
    )
    return SnapshotUnreadable(
        f"the file of the snapshot {kind}; the source is asked, and the next one that is taken mends it"
    )
