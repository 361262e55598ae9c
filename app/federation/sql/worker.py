"""The worker process of callers' SQL: one statement over the rows it is given, in an engine without files, network or settings.

Run as `python -m app.federation.sql.worker`. Frames on stdin: tables and their batches, then the statement; frames on
stdout: an Arrow stream or a fault. It ends with the statement, and at once when the gateway lets go of its stdin.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import tempfile
import threading
from typing import IO, Any

import duckdb
import pyarrow as pa

FRAME = struct.Struct(">cQ")
BATCH_ROWS = 16_384
_ADDRESS_SPACE = 4 << 30
_DEPTH = "length(kode) - length(replace(kode, '.', ''))"
_TINGKAT = (
    f"CREATE MACRO tingkat(kode) AS CASE {_DEPTH} WHEN 0 THEN 'provinsi' WHEN 1 THEN 'kabupaten' WHEN 2 THEN 'kecamatan' "
    "WHEN 3 THEN CASE WHEN split_part(kode, '.', 4)[1] = '1' THEN 'kelurahan' ELSE 'desa' END END"
)
_INDUK = (
    "CREATE MACRO induk(kode, jenjang) AS CASE WHEN kode IS NULL OR jenjang IS NULL THEN NULL "
    f"WHEN {_DEPTH} < (CASE jenjang WHEN 'provinsi' THEN 0 WHEN 'kabupaten' THEN 1 WHEN 'kecamatan' THEN 2 "
    "WHEN 'kelurahan' THEN 3 WHEN 'desa' THEN 3 ELSE 9 END) THEN NULL "
    "ELSE array_to_string(list_slice(string_split(kode, '.'), 1, CASE jenjang WHEN 'provinsi' THEN 1 "
    "WHEN 'kabupaten' THEN 2 WHEN 'kecamatan' THEN 3 ELSE 4 END), '.') END"
)


def main() -> None:
    """Reads, runs, answers."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    with tempfile.TemporaryDirectory(prefix="simpul-sql-") as folder:
        engine: duckdb.DuckDBPyConnection | None = None
        made: set[str] = set()
        while True:
            kind, body = _read(source)
            if kind == b"S":
                engine = _engine(json.loads(body), folder)
            elif engine is None:
                return
            elif kind == b"B":
                size = body[0]
                _insert(engine, body[1 : 1 + size].decode(), body[1 + size :], made)
            elif kind == b"Q":
                threading.Thread(target=_leave_with, args=(source, folder), daemon=True).start()
                _answer(engine, json.loads(body), sink)
                return


def _engine(settings: dict[str, Any], folder: str) -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(":memory:", config={"threads": 2})
    for command in (
        _TINGKAT,
        _INDUK,
        "SET TimeZone = 'UTC'",
        f"SET memory_limit = '{int(settings['memory_bytes'])}B'",
        "SET temp_file_encryption = true",
        f"SET temp_directory = '{folder}'",
        f"SET max_temp_directory_size = '{int(settings['temp_bytes'])}B'",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET allow_community_extensions = false",
        "SET python_enable_replacements = false",
        "SET max_expression_depth = 250",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        engine.execute(command)
    return engine


def _insert(engine: duckdb.DuckDBPyConnection, name: str, stream: bytes, made: set[str]) -> None:
    table = pa.ipc.open_stream(stream).read_all()
    engine.register("arriving", table)
    target = '"' + name.replace('"', '""') + '"'
    if name in made:
        engine.execute(f"INSERT INTO {target} SELECT * FROM arriving")  # noqa: S608 - the gateway's own name, quoted
    else:
        engine.execute(f"CREATE TABLE {target} AS SELECT * FROM arriving")  # noqa: S608 - as above
        made.add(name)
    engine.unregister("arriving")


def _answer(engine: duckdb.DuckDBPyConnection, question: dict[str, Any], sink: IO[bytes]) -> None:
    most = int(question["rows"])
    try:
        found = engine.sql(question["sql"], params=question["parameters"] or None)
        names = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in found.columns]
        huge = [str(kind) in {"HUGEINT", "UBIGINT", "UHUGEINT"} for kind in found.types]
        if any(huge):
            shown = [
                f"CAST({name} AS BIGINT) AS {name}" if wide else name for name, wide in zip(names, huge, strict=True)
            ]
            found = found.project(", ".join(shown))
        reader = found.to_arrow_reader(BATCH_ROWS)
        _write(sink, b"T", json.dumps([str(kind) for kind in found.types]).encode())
        rows, sent = 0, 0
        for batch in reader:
            rows += batch.num_rows
            kept = batch.slice(0, max(most - sent, 0))
            if kept.num_rows or sent == 0:
                _write(sink, b"R", _stream(kept))
            sent += kept.num_rows
            if rows > most:
                break
        if sent == 0 and rows == 0:
            _write(sink, b"R", _stream(pa.RecordBatch.from_pylist([], schema=reader.schema)))
        _write(sink, b"D", json.dumps({"more": rows > most}).encode())
    except duckdb.OutOfMemoryException as error:
        _write(sink, b"E", json.dumps({"kind": "memory", "detail": _brief(error)}).encode())
    except MemoryError:
        _write(sink, b"E", json.dumps({"kind": "memory", "detail": "the process is at its limit"}).encode())
    except duckdb.Error as error:
        _write(sink, b"E", json.dumps({"kind": "failed", "detail": _brief(error)}).encode())


def _brief(error: Exception) -> str:
    """The kind of the fault and no value of any row: messages of casts quote them."""
    words = str(error).split(":", 1)[0].strip()
    return words[:80] or type(error).__name__


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _read(source: IO[bytes]) -> tuple[bytes, bytes]:
    head = source.read(FRAME.size)
    if len(head) < FRAME.size:
        return b"", b""
    kind, size = FRAME.unpack(head)
    return kind, source.read(size)


def _write(sink: IO[bytes], kind: bytes, body: bytes) -> None:
    sink.write(FRAME.pack(kind, len(body)))
    sink.write(body)
    sink.flush()


def _leave_with(source: IO[bytes], folder: str) -> None:
    """Ends the process when nobody waits for it any more."""
    os.read(source.fileno(), 1)
    import shutil  # noqa: PLC0415 - only on the way out

    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main()
