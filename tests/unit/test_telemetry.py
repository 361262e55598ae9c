"""Log lines, metrics and trace ids."""

import io
import json
import logging
import re
import sys
from contextlib import contextmanager

import pytest
import sqlglot
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.registry import all_schemas
from app.telemetry import (
    MASK,
    PERSONAL_KEYS,
    Metrics,
    TraceContext,
    configure_command,
    configure_logging,
    mask,
    quiet_server,
)

NIK = "3320014101900001"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@contextmanager
def configured():
    """Configures logging and puts back what was there; not a fixture, since pytest changes the handlers after set-up."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    configure_logging("INFO")
    try:
        yield
    finally:
        root.handlers, root.level = before
        structlog.contextvars.clear_contextvars()
        structlog.reset_defaults()


@pytest.mark.parametrize(
    "said",
    [
        {"nik": "3"},
        {"Authorization": "Bearer abcdefgh"},
        {"client-secret": "x"},
        {"nested": [{"nama": "Contoh Warga Uji", "tanggal_lahir": "1990-01-01"}]},
        {"db_password": "x", "refresh_token": "y"},
    ],
)
def test_values_of_personal_and_secret_keys_are_masked(said):
    assert [value for value in _leaves(mask(said)) if value != MASK] == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"row 3: {NIK} is wrong", f"row 3: {MASK} is wrong"),
        ("3320 0141 0190 0001", MASK),
        ("Authorization: Bearer abc.def-ghi_jkl", f"Authorization: Bearer {MASK}"),
        ("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.sig", MASK),
        ("postgresql://reader:hunter2@db.example/x", f"postgresql://reader:{MASK}@db.example/x"),
        ("client_secret=abc&grant_type=x", f"client_secret={MASK}&grant_type=x"),
        ("33.20.10.2001 Karimunjawa", "33.20.10.2001 Karimunjawa"),
        ("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("2026-11-24T00:25:01.123456Z", "2026-11-24T00:25:01.123456Z"),
    ],
)
def test_texts_lose_what_is_personal_or_secret_and_nothing_else(text, kept):
    assert mask(text) == kept


def test_a_number_of_sixteen_digits_is_masked():
    assert mask({"rows": 195, "value": int(NIK), "float": float(NIK), "ok": True, "share": 0.5, "none": None}) == {
        "rows": 195,
        "value": MASK,
        "float": MASK,
        "ok": True,
        "share": 0.5,
        "none": None,
    }


def test_depth_is_bounded():
    deep: object = "bottom"
    for _ in range(1000):
        deep = {"a": deep}

    assert "bottom" not in json.dumps(mask(deep))


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_run_of_sixteen_digits_survives(value):
    said = mask({"value": value, "planted": [f"x {NIK}", {"k": NIK}]})

    assert re.search(r"(?<![0-9A-Za-z])\d{16}(?![0-9A-Za-z])", json.dumps(said, ensure_ascii=False)) is None


def test_every_personal_field_of_a_schema_is_masked():
    personal = {field.name for schema in all_schemas() for field in schema.fields.values() if field.pdp != "none"}
    regions = {"kode_wilayah"}  # a village is named in the lines of open data too, and points to nobody by itself

    assert personal - regions - PERSONAL_KEYS == set()


def test_our_lines_and_those_of_libraries_are_json_with_the_trace(capfdbinary):
    with configured():
        structlog.contextvars.bind_contextvars(trace_id="t" * 32, exchange_id="e", agency="dinkes")
        structlog.get_logger("simpul.test").info("answered", rows=3, nik=NIK)
        structlog.get_logger("simpul.test").debug("unheard")
        logging.getLogger("sqlalchemy").warning("failed for %s", NIK)

    ours, theirs = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert ours["event"] == "answered"
    assert ours["nik"] == MASK
    assert ours["level"] == "info"
    assert [line["logger"] for line in (ours, theirs)] == ["simpul.test", "sqlalchemy"]
    assert theirs["event"] == f"failed for {MASK}"
    assert [line["agency"] for line in (ours, theirs)] == ["dinkes", "dinkes"]


def test_tracebacks_carry_no_local_variables(capfdbinary):
    def fail(record):
        raise ValueError(f"cannot read {record}")

    with configured():
        try:
            fail(NIK)
        except ValueError:
            structlog.get_logger().exception("unexpected_fault")

    (line,) = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert NIK not in json.dumps(line)
    assert all("locals" not in frame for frame in line["exception"][0]["frames"])


def test_a_command_keeps_its_stdout_for_the_answer(capfdbinary):
    try:
        configure_command()
        structlog.get_logger("simpul.test").warning("left_open_closed", count=3, nik=NIK)
        structlog.get_logger("simpul.test").info("unheard")
    finally:
        structlog.reset_defaults()

    told = capfdbinary.readouterr()
    (line,) = map(json.loads, told.err.splitlines())
    assert (told.out, line["event"], line["count"], line["nik"]) == (b"", "left_open_closed", 3, MASK)


def test_a_line_that_cannot_be_written_is_lost_and_nobody_fails(monkeypatch: pytest.MonkeyPatch):
    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, _line):
            raise OSError(28, "No space left on device")

    closed = io.TextIOWrapper(io.BytesIO())
    closed.buffer.close()
    with configured():
        for there in (io.TextIOWrapper(io.BufferedWriter(Full())), closed):
            monkeypatch.setattr(sys, "stdout", there)
            for _ in range(2):
                structlog.get_logger("simpul.test").error("log_not_written", reason="disk full")
        monkeypatch.undo()


def test_a_text_that_is_no_utf_8_is_told_all_the_same(capfdbinary):
    with configured():
        structlog.get_logger("simpul.test").error("log_not_written", reason="\udcff.db", size=2**70)

    (line,) = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert (line["reason"], line["size"]) == ("\udcff.db", 2**70)


def test_the_parser_of_sql_writes_no_statement(capfdbinary):
    with configured():
        sqlglot.parse_one(f"ALTER TABLE warga WHAT '{NIK}'", dialect="duckdb")
        logging.getLogger("sqlglot").error("found %s", NIK)

    assert capfdbinary.readouterr() == (b"", b"")


def test_the_server_is_quiet_while_it_is_told_to_be(capfdbinary):
    server, quiet = logging.getLogger("uvicorn.error"), True
    before = list(server.filters)
    with configured():
        try:
            quiet_server(lambda: quiet)
            server.error("first")
            quiet = False
            server.error("second")
        finally:
            server.filters = before

    assert [json.loads(line)["event"] for line in capfdbinary.readouterr().out.splitlines()] == ["second"]


def test_an_unknown_level_is_named():
    with pytest.raises(ValueError, match="'LOUD' is not one of"):
        configure_logging("LOUD")


def test_two_gateways_in_one_process_count_apart():
    first, second = Metrics(), Metrics()

    first.requests.labels("GET", "/v1/schemas", "200").inc()

    said = [line for line in io.BytesIO(first.render()) if line.startswith(b"simpul_requests_total")]
    assert said == [b'simpul_requests_total{method="GET",route="/v1/schemas",status="200"} 1.0\n']
    assert b"simpul_requests_total{" not in second.render()


def test_a_trace_goes_on_with_a_span_of_our_own():
    trace = TraceContext.from_header(PARENT)

    assert trace.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert trace.span_id != "00f067aa0ba902b7"
    assert trace.sampled
    assert re.fullmatch(r"00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01", trace.header)
    assert trace.child().trace_id == trace.trace_id
    assert trace.child().span_id != trace.span_id


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        PARENT.upper(),
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        PARENT.replace("00-", "ff-", 1),
        PARENT + "-more",
        PARENT + "-" + "x" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_malformed_header_starts_a_new_trace(header):
    trace = TraceContext.from_header(header)

    assert re.fullmatch(r"[0-9a-f]{32}", trace.trace_id)
    assert trace.trace_id != "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_later_version_of_the_header_is_read_as_far_as_known():
    assert TraceContext.from_header("01" + PARENT[2:] + "-more").trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


def _leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]
