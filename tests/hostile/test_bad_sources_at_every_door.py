"""A source that hangs, breaks off, lies or changes in mid-read, at every door: it is named, the others answer, nothing is complete."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.faulty import FAULTS, FaultyService
from tests.support.gateway import RunningGateway
from tests.support.questions import DOORS, said

DEADLINE = "600ms"
SAYS = {
    "hangs": ("timeout", "source_timeout"),
    "hangs_in_body": ("timeout", "source_timeout"),
    "trickles": ("timeout", "source_timeout"),
    "resets": ("unavailable", "source_unreachable"),
    "length_too_long": ("unavailable", "source_unreachable"),
    "length_too_short": ("unavailable", "source_format_error"),
    "length_too_short_and_kept": ("unavailable", "source_format_error"),
    "other_columns": ("schema_mismatch", "source_schema_mismatch"),
    "renamed_member": ("schema_mismatch", "source_schema_mismatch"),
    "no_list": ("schema_mismatch", "source_schema_mismatch"),
    "no_objects": ("schema_mismatch", "source_schema_mismatch"),
    "no_json": ("unavailable", "source_format_error"),
}
SLOW = {"hangs", "hangs_in_body", "trickles"}
_SLOW_TOO = {"list", "look_up", "export", "changes"}
"""Doors at which a slow source is waited for twice: with and without `partial=never`."""
OK = ("ok", None)


@pytest.fixture(scope="module")
def service() -> Iterator[FaultyService]:
    made = FaultyService()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, service: FaultyService) -> Iterator[RunningGateway]:
    """One agency whose service may misbehave, with one slot only; another with a file."""
    folder = tmp_path_factory.mktemp("faults")
    running = RunningGateway(
        folder / "instance", {"SIMPUL_BREAKER_FAILURES": "100000", "SIMPUL_RATE_PER_MINUTE": "100000"}
    )
    running.init()
    running.start()
    running.agency("dinkes")
    running.agency("rsud")
    (folder / "faskes.csv").write_text("kode,nama,jenis\nB1,Lain,klinik\n", "utf-8")
    running.upload("dinkes", folder / "faskes.csv")
    running.publish(facility_manifest("dinkes-faskes", "dinkes"))
    source = {"kind": "rest", "url": f"{service.url}/a", "record_path": "$.data[*]", "paging": {"kind": "page"}}
    source |= {"deadline": DEADLINE, "concurrency": 1}
    running.publish({**facility_manifest("rsud-faskes", "rsud"), "source": source})
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("fault", FAULTS)
def test_hostile_47_a_source_that_goes_wrong_is_named_and_the_others_answer(
    reader: httpx.Client, service: FaultyService, fault: str, name: str
) -> None:
    door, legs = DOORS[name], {"dinkes": OK, "rsud": SAYS[fault]}
    page = 1 if name == "look_up" and fault not in SLOW | {"renamed_member"} else 2
    with service.broken(fault, page):
        strict = said(reader, door.ask(reader, partial=False))
        loose = strict if fault in SLOW and name not in _SLOW_TOO else said(reader, door.ask(reader))
    then = said(reader, door.ask(reader, partial=False))

    assert (strict.status, strict.code, strict.sources) == (503, "partial_answer_refused", legs)
    if name == "look_up":  # nobody who answered has the key: nobody knows
        assert (loose.status, loose.code, loose.sources) == (503, "partial_answer_refused", legs)
    elif loose is not strict:
        assert (loose.status, loose.code, loose.complete) == (200, None, False), loose
        assert loose.sources in (legs, {})
        assert "B1" in loose.text or name in {"aggregate", "conflicts", "export_job"}
    assert "Satu" not in strict.text
    assert (then.status, then.complete) == (200, True), then  # its only slot is free again


def test_hostile_47_what_a_broken_source_sent_is_in_no_log(gateway: RunningGateway) -> None:
    written = (gateway.folder / "serve.log").read_text("utf-8")
    assert "leg_failed" not in written
    assert "Satu 1" not in written
    assert "Dua 3" not in written
