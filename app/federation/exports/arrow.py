"""Parquet and Arrow stream: typed columns, `_agency` and `_dataset` behind them; the sources stand in the metadata."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from app.federation.exports.writer import Columns, Sink, Summary, Writer
from app.federation.reading.batches import Batch

_ROWS_A_GROUP = 65_536


def typed(columns: Columns, batch: Batch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch's columns in the answer's order."""
    rows = batch.columns.num_rows
    made = [batch.columns.column(column.name) for column in columns.schema]
    if columns.sourced:
        for text in (batch.agency, batch.dataset):
            made.append(pa.repeat(pa.scalar(text, pa.string()), rows))
    return pa.RecordBatch.from_arrays(made, schema=schema)


def answer_schema(columns: Columns) -> pa.Schema:
    """The answer's fields, then who gave the record."""
    schema = columns.schema
    if columns.sourced:
        schema = schema.append(pa.field("_agency", pa.string())).append(pa.field("_dataset", pa.string()))
    return schema.with_metadata({"simpul:schema": columns.ref})


class ParquetWriter(Writer):
    """Row groups of 65,536 records, zstd."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        super().__init__(columns, sink)
        self._schema = answer_schema(columns)
        target: Any = sink
        self._file: Any = pq.ParquetWriter(target, self._schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def take(self, batch: Batch) -> None:
        """Waits until a row group is full."""
        self._waiting.append(typed(self.columns, batch, self._schema))
        self._rows += batch.columns.num_rows
        if self._rows >= _ROWS_A_GROUP:
            self._write()

    def finish(self, summary: Summary) -> None:
        """The last row group and the footer."""
        self._write()
        notes = {"simpul:complete": "true" if summary.complete else "false"}
        notes["simpul:sources"] = orjson.dumps(summary.sources, default=str, option=orjson.OPT_UTC_Z).decode()
        self._file.add_key_value_metadata(notes)
        self._file.close()

    def _write(self) -> None:
        if self._waiting:
            self._file.write_table(pa.Table.from_batches(self._waiting), row_group_size=_ROWS_A_GROUP)
        self._waiting, self._rows = [], 0


class ArrowWriter(Writer):
    """The IPC streaming format."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        super().__init__(columns, sink)
        self._schema = answer_schema(columns)
        target: Any = sink
        self._stream = pa.ipc.new_stream(target, self._schema)

    def take(self, batch: Batch) -> None:
        """One batch."""
        self._stream.write_batch(typed(self.columns, batch, self._schema))

    def finish(self, summary: Summary) -> None:
        """The end mark of the stream."""
        self._stream.close()
