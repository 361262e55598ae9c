"""The worker process of callers' SQL: one statement over the rows it is given, in an engine without files, network or settings.

Forked for `app.federation.sql.engine`. Frames that it reads: tables and their batches, then the statement; frames that it
writes: an Arrow stream or a fault. It ends with the statement, and at once when the gateway lets go of the socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import struct
import threading
from collections.abc import Iterator
from typing import IO, Any

import duckdb
import pyarrow as pa

from app.nursery import fork_for_each

FRAME = struct.Struct(">cQ")
BATCH_ROWS = 16_384
_ADDRESS_SPACE = 4 << 30
_CANONICAL = "regexp_full_match({0}, '[0-9]{{2}}([.][0-9]{{2}}([.][0-9]{{2}}([.][0-9]{{4}})?)?)?')"
_TINGKAT = (
    f"CREATE MACRO tingkat(kode) AS CASE WHEN {_CANONICAL.format('kode')} THEN CASE length(kode) WHEN 2 THEN 'provinsi' "
    "WHEN 5 THEN 'kabupaten' WHEN 8 THEN 'kecamatan' ELSE CASE WHEN substring(kode, 10, 1) = '1' THEN 'kelurahan' ELSE 'desa' END END END"
)
_INDUK = (
    f"CREATE MACRO induk(kode, jenjang) AS CASE WHEN NOT {_CANONICAL.format('kode')} THEN NULL "
    "WHEN jenjang = 'provinsi' THEN left(kode, 2) WHEN jenjang = 'kabupaten' AND length(kode) >= 5 THEN left(kode, 5) "
    "WHEN jenjang = 'kecamatan' AND length(kode) >= 8 THEN left(kode, 8) "
    "WHEN jenjang IN ('kelurahan', 'desa') AND tingkat(kode) = jenjang THEN kode END"
)
_NOT_WHOLE = "// takes whole numbers"
_WHOLE_QUOTIENT = (
    "CREATE MACRO whole_quotient(a, b) AS CASE WHEN regexp_matches(typeof(a) || typeof(b), 'DOUBLE|FLOAT|DECIMAL') "
    f"THEN error('{_NOT_WHOLE}') ELSE a // b END"
)
"""The engine's `//` divides floats and decimals without cutting: 1.25 // 2 would be 0.625."""
_SENT_AS = {
    "HUGEINT": "DECIMAL(38, 0)",
    "UBIGINT": "DECIMAL(38, 0)",
    "UHUGEINT": "DECIMAL(38, 0)",
    "INTERVAL": "VARCHAR",
    '"NULL"': "VARCHAR",
}
"""Types of the engine that not every format has -> what their values are sent as."""


def main() -> None:
    """Forks a worker for each statement; ends when the gateway does."""
    fork_for_each(_serve)


def _serve(talk: socket.socket) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    with talk.makefile("rb") as source, talk.makefile("wb") as sink:
        _work(source, sink)


def _work(source: IO[bytes], sink: IO[bytes]) -> None:
    """Reads, runs, answers."""
    engine: duckdb.DuckDBPyConnection | None = None
    made: set[str] = set()
    while True:
        kind, body = _read(source)
        if kind == b"S":
            engine = _engine(json.loads(body))
        elif engine is None or not kind:
            return
        elif kind == b"B":
            size = body[0]
            _insert(engine, body[1 : 1 + size].decode(), body[1 + size :], made)
        elif kind == b"C":
            _shared(engine, json.loads(body), sink)
        elif kind == b"Q":
            threading.Thread(target=_leave_with, args=(source,), daemon=True).start()
            _answer(engine, json.loads(body), sink)
            return


def _engine(settings: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(":memory:", config={"threads": 2})
    for command in (
        _TINGKAT,
        _INDUK,
        _WHOLE_QUOTIENT,
        "SET TimeZone = 'UTC'",
        f"SET memory_limit = '{int(settings['memory_bytes'])}B'",
        "SET temp_file_encryption = true",
        "SET temp_directory = '" + settings["folder"].replace("'", "''") + "'",
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
    with _told(sink):
        found = engine.sql(question["sql"], params=question["parameters"] or None)
        sent_as = [_sent_as(str(kind)) for kind in found.types]
        kinds = [
            made if made is not None and (made == "VARCHAR" or made.endswith("]")) else str(kind)
            for made, kind in zip(sent_as, found.types, strict=True)
        ]
        if any(sent_as):
            # by position: names may stand twice
            shown = [f"CAST(#{n} AS {kind})" if kind else f"#{n}" for n, kind in enumerate(sent_as, 1)]
            found = found.project(", ".join(shown))
        reader = found.to_arrow_reader(BATCH_ROWS)
        _write(sink, b"T", json.dumps(kinds).encode())
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


def _sent_as(kind: str) -> str | None:
    """The type that a column is cast to, lists of it alike; None where it leaves as it is."""
    item = kind.rstrip("[]")
    made = _SENT_AS.get(item)
    return None if made is None else made + kind[len(item) :]


def _shared(engine: duckdb.DuckDBPyConnection, question: dict[str, Any], sink: IO[bytes]) -> None:
    """A check before the statement: how many keys several agencies hold, and whose."""
    with _told(sink):
        ((keys, agencies),) = engine.execute(question["sql"], question["parameters"] or None).fetchall()
        _write(sink, b"C", json.dumps({"keys": keys, "agencies": agencies or []}).encode())


@contextlib.contextmanager
def _told(sink: IO[bytes]) -> Iterator[None]:
    """Every fault as one frame."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        _write(sink, b"E", json.dumps({"kind": "memory", "detail": _brief(error)}).encode())
    except MemoryError:
        _write(sink, b"E", json.dumps({"kind": "memory", "detail": "the process is at its limit"}).encode())
    except duckdb.Error as error:
        said = str(error)
        kind = "zero" if "Division by zero" in said else "not_whole" if _NOT_WHOLE in said else "failed"
        _write(sink, b"E", json.dumps({"kind": kind, "detail": _brief(error)}).encode())


def _brief(error: Exception) -> str:
    """The kind of the fault and no value of any row: messages of casts quote them. Binding happens before any row is read."""
    if isinstance(error, duckdb.BinderException):
        return str(error).splitlines()[0][:300]
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


def _leave_with(source: IO[bytes]) -> None:
    """Ends the process when nobody waits for it any more."""
    os.read(source.fileno(), 1)
    os._exit(1)
