"""What the gateway tells its operator: JSON log lines, metrics, trace ids.

Lives here: how a line is formed and what may never stand in one. Does not live here: the exchange log (`app/audit`),
the record of what was exchanged: these lines may be lost, that one may not.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from structlog.typing import Processor

MASK = "[masked]"
_DEPTH = 8
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

PERSONAL_KEYS = frozenset(
    {
        "nik", "nkk", "no_kk", "nama", "nama_lengkap", "nama_ibu", "tanggal_lahir", "tempat_lahir", "jenis_kelamin",
        "agama", "status_perkawinan", "pekerjaan", "alamat", "telepon", "telp", "no_hp", "email", "npwp", "nip",
        "kepala_sekolah", "nama_kepala_sekolah", "penanggung_jawab", "pengelola_nama", "kontak", "email_kontak",
        "status_dasar", "officer", "subject", "subjects", "case",
    }
)  # fmt: skip
"""Names whose values may belong to a person (UU 27/2022). A test proves that it holds every personal field."""

_SECRET_ENDINGS = (
    "authorization", "password", "passphrase", "secret", "token", "assertion", "api_key", "private_key", "cookie",
    "dsn",
)  # fmt: skip
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    # A NIK or family-card number: 16 digits, as one run or grouped by blank, dot or hyphen.
    (re.compile(r"(?<![0-9A-Za-z])\d(?:[ .\-]?\d){15}(?![0-9A-Za-z])"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"), MASK),
    (re.compile(r"(?i)\b((?:client_)?secret|password|passwd|api_?key|token)(\s*[=:]\s*)[^\s&;,\"']+"), rf"\1\2{MASK}"),
    (re.compile(r"(://[^\s/:@]*):[^\s/@]+@"), rf"\1:{MASK}@"),
)
_NIK_LEAST = 10**15


def mask(value: Any, depth: int = 0) -> Any:
    """The value without personal data and secrets: by name of the key, and by form inside texts and numbers.

    Deeper than 8 levels everything is masked, so that the work for one line is bounded.
    """
    if isinstance(value, str):
        for pattern, replacement in _IN_TEXT:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return MASK if _NIK_LEAST <= abs(value) < _NIK_LEAST * 10 else value
    if depth >= _DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return {
            mask(str(name)): MASK if _masked_key(str(name)) else mask(item, depth + 1) for name, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [mask(item, depth + 1) for item in value]
    return mask(str(value), depth + 1)


def mask_line(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Structlog processor: the last look at a line before it is written."""
    masked: dict[str, Any] = mask(line)
    return masked


# The parser of SQL writes what it does not know into its log: statements hold values, which no log line may.
logging.getLogger("sqlglot").disabled = True

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
_CLOSING: tuple[Processor, ...] = (
    structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    mask_line,
)


def configure_logging(level: str = "INFO") -> None:
    """JSON lines on stdout for this process, ours and those of libraries alike; safe to call again.

    `trace_id`, `exchange_id` and `agency` come from `structlog.contextvars.bind_contextvars`. Tracebacks carry no local
    variables, because those hold records. The access log of the server stays off: paths there are not templates.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r} is not one of {', '.join(logging.getLevelNamesMapping())}")
    _write_own_lines(number, lambda: sys.stdout.buffer)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_CLOSING,
            structlog.processors.JSONRenderer(serializer=_json_text),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they write whole addresses: a query may name a person
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False


def configure_command() -> None:
    """For a command that is no gateway: our own warnings go to stderr, since its answer is on stdout."""
    _write_own_lines(logging.WARNING, lambda: sys.stderr.buffer)


def quiet_server(quiet: Callable[[], bool]) -> None:
    """The server's own account of a fault is not written while `quiet` says so."""
    logging.getLogger("uvicorn.error").addFilter(lambda _: not quiet())


class _Lines:
    """Where our lines go. One that cannot be written (disk full, pipe closed) is lost: nobody fails because of it."""

    def __init__(self, file: Callable[[], BinaryIO]) -> None:
        self._file = file

    def write(self, line: bytes) -> None:
        """As of a file."""
        with suppress(OSError, ValueError):
            self._file().write(line)

    def flush(self) -> None:
        """As of a file."""
        with suppress(OSError, ValueError):
            self._file().flush()


class _NamedLogger(structlog.BytesLogger):
    """Writes lines of the part of the program that is named so."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__(file)
        self.name = name


def _write_own_lines(level: int, file: Callable[[], BinaryIO]) -> None:
    """Structlog writes JSON lines of at least this level."""
    lines = cast("BinaryIO", _Lines(file))
    structlog.configure(
        processors=[
            *_SHARED,
            structlog.stdlib.add_logger_name,
            *_CLOSING,
            structlog.processors.JSONRenderer(serializer=_json_bytes),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda name="": _NamedLogger(lines, name),
        cache_logger_on_first_use=False,
    )


class Metrics:
    """The counters of one gateway, in a registry of their own. No label ever holds an address, a key or a person."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.requests = Counter(
            "simpul_requests", "Requests by route template", ("method", "route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "simpul_request_seconds", "Time to answer", ("method", "route"), registry=registry, buckets=_SECONDS
        )
        self.log_appends = Counter("simpul_log_appends", "Entries made durable in the exchange log", registry=registry)
        self.log_failures = Counter("simpul_log_failures", "Entries that could not be written", registry=registry)
        self.entry_faults = Counter(
            "simpul_log_entry_faults", "Exchanges whose facts were no valid entry: each is an alarm", registry=registry
        )
        self.refusals = Counter(
            "simpul_refusals", "Proofs of who asks that were refused (401), by code", ("code",), registry=registry
        )
        self.alarms = Counter("simpul_alarms", "What somebody has to look at", ("kind",), registry=registry)
        self.log_queue = Gauge("simpul_log_queue_entries", "Entries waiting for the writer", registry=registry)
        self.log_seconds = Histogram(
            "simpul_log_append_seconds", "From hand-over to durable", registry=registry, buckets=_SECONDS
        )
        self.store_failures = Counter(
            "simpul_store_failures", "Notes (quarantine, health) that the store did not take", registry=registry
        )
        self.source_scans = Counter(
            "simpul_source_scans", "Scans by agency and status", ("agency", "status"), registry=registry
        )
        self.source_seconds = Histogram(
            "simpul_source_seconds", "Time of one scan", ("agency",), registry=registry, buckets=_SECONDS
        )
        self.source_checks = Counter(
            "simpul_source_checks", "Scheduled checks by agency and result", ("agency", "result"), registry=registry
        )
        self.snapshots = Counter(
            "simpul_snapshots", "Snapshots by agency and result", ("agency", "result"), registry=registry
        )
        self._requests: dict[tuple[str, str, int], Counter] = {}
        self._seconds: dict[tuple[str, str], Histogram] = {}
        self._scans: dict[tuple[str, str], Counter] = {}
        ProcessCollector(registry=registry)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request by its route template, and how long it took."""
        timed = self._seconds.get((method, route))
        if timed is None:
            timed = self._seconds[method, route] = self.request_seconds.labels(method, route)
        timed.observe(seconds)
        mark = (method, route, status)
        found = self._requests.get(mark)
        if found is None:
            found = self._requests[mark] = self.requests.labels(method, route, str(status))
        found.inc()

    def count_scan(self, agency: str, status: str, seconds: float) -> None:
        """Counts one scan of an agency's source by how it ended, and how long it took."""
        self.source_seconds.labels(agency).observe(seconds)
        found = self._scans.get((agency, status))
        if found is None:
            found = self._scans[agency, status] = self.source_scans.labels(agency, status)
        found.inc()

    def count_probe(self, agency: str, *, passed: bool) -> None:
        """Counts one scheduled check of an agency's source."""
        self.source_checks.labels(agency, "passed" if passed else "failed").inc()

    def count_snapshot(self, agency: str, *, taken: bool) -> None:
        """Counts one try to take a snapshot."""
        self.snapshots.labels(agency, "taken" if taken else "failed").inc()

    def render(self) -> bytes:
        """The Prometheus text format (`prometheus_client.CONTENT_TYPE_LATEST`)."""
        return generate_latest(self.registry)


_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where one request stands in a trace (W3C Trace Context, level 1). Ids are lower-case hex: 32 and 16 digits."""

    trace_id: str
    span_id: str
    sampled: bool = False

    @classmethod
    def new(cls) -> TraceContext:
        """The start of a trace."""
        return cls(trace_id=_nonzero_hex(16), span_id=_nonzero_hex(8))

    @classmethod
    def from_header(cls, traceparent: bytes | str | None) -> TraceContext:
        """Our span in the caller's trace; a missing or malformed header starts a new trace, as section 3.2 wants."""
        text = traceparent.decode("latin-1") if isinstance(traceparent, bytes) else (traceparent or "")
        found = _TRACEPARENT.fullmatch(text.strip()) if len(text) <= 512 else None
        if found is None:
            return cls.new()
        version, trace_id, parent_id, flags, rest = found.groups()
        if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(parent_id, 16):
            return cls.new()
        return cls(trace_id=trace_id, span_id=_nonzero_hex(8), sampled=bool(int(flags, 16) & 1))

    def child(self) -> TraceContext:
        """The same trace with a span of its own, for a call to a source."""
        return TraceContext(trace_id=self.trace_id, span_id=_nonzero_hex(8), sampled=self.sampled)

    @property
    def header(self) -> str:
        """Value of `traceparent` for a call that this span makes."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


_TRACE: ContextVar[Callable[[], TraceContext] | None] = ContextVar("trace", default=None)


def trace_by(trace: Callable[[], TraceContext]) -> None:
    """Names the trace of what is done from here on in this task; asked for only where something goes out."""
    _TRACE.set(trace)


def outgoing_trace() -> str | None:
    """`traceparent` for a call to a source, None where nobody asked."""
    trace = _TRACE.get()
    return None if trace is None else trace().child().header


def _masked_key(name: str) -> bool:
    name = name.lower().replace("-", "_")
    return name in PERSONAL_KEYS or name.endswith(_SECRET_ENDINGS)


def _json_bytes(line: Any, **_options: Any) -> bytes:
    try:
        return orjson.dumps(line, default=str)
    except orjson.JSONEncodeError:  # half of a surrogate pair, as in the name of a file that is no UTF-8
        return json.dumps(line, default=str).encode()


def _json_text(line: Any, **options: Any) -> str:
    return _json_bytes(line, **options).decode("utf-8")


def _nonzero_hex(length_bytes: int) -> str:
    """Random hex; an id of only zeros is invalid (section 3.2.2)."""
    while not int(text := secrets.token_hex(length_bytes), 16):
        continue
    return text
