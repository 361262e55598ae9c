"""Long answers in the background: a result is bound to the grants of its making, and to nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.access.decisions import DecisionCache
from app.access.rates import RateLimiter
from app.errors import SourceTimeout
from app.federation.question.query import SourceStatus
from app.gateway.access import Gate
from app.gateway.jobs import _digest, _documents, _Kept, grants_of, policy_of
from app.gateway.sources import OpenDataset
from app.gateway.spool import Spool
from tests.unit.access.making import make_agreement, make_client, make_state
from tests.unit.gateway.making import make_exchange, open_dataset


class Served:
    """Datasets by schema."""

    def __init__(self, *opened: OpenDataset) -> None:
        self.opened = opened

    def of_schema(self, schema: str) -> tuple[OpenDataset, ...]:
        return tuple(one for one in self.opened if one.schema.name == schema)


@dataclass
class Means:
    """What tells the grants of the present."""

    access: Gate
    sources: Served


def means(state: Any, *opened: OpenDataset) -> Any:
    gate = Gate(None, RateLimiter(60), RateLimiter(60, policy="agreement"), "Asia/Jakarta", state, DecisionCache())  # type: ignore[arg-type]
    return Means(gate, Served(*opened))


def asking(purpose: str | None = None) -> Any:
    exchange = make_exchange(op="export")
    exchange.asks(schemas=["fasilitas_kesehatan"])
    exchange.asserts(purpose=purpose)
    return exchange


def test_grants_as_one_digest_are_the_same_in_any_order_and_differ_by_every_grant():
    assert policy_of({"a": "1", "b": "2"}) == policy_of({"b": "2", "a": "1"})
    different = [{}, {"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": "1"}, {"a": "1", "b": "2"}]
    assert len({policy_of(grants) for grants in different}) == len(different)


def test_grants_are_told_by_dataset_and_stay_the_same_while_nothing_moves():
    held = means(make_state(), open_dataset("dinkes"), open_dataset("rsud"))

    assert set(grants_of(held, asking(), "export")) == {"dinkes-set", "rsud-set"}
    assert grants_of(held, asking(), "export") == grants_of(held, asking(), "export")


def test_a_disabled_or_unknown_client_is_granted_nothing():
    disabled = make_state(clients=(make_client(disabled=True),))
    unknown = make_state(clients=(make_client("another-app"),))

    for state in (disabled, unknown):
        assert grants_of(means(state, open_dataset("dinkes")), asking(), "export") == {}


@pytest.mark.parametrize(
    "terms",
    [{"fields": ("kode_faskes", "nama")}, {"masks": {"email_kontak": "hash"}}, {"row_filter": "kelas = 'B'"}],
)
def test_other_fields_masks_or_rows_are_another_grant(terms: dict[str, Any]):
    def granted(**terms: Any) -> dict[str, str]:
        held = make_agreement(provider="dinkes", schema="fasilitas_kesehatan", valid_until=FAR, **terms)
        return grants_of(means(make_state(held), open_dataset("dinkes")), asking("pelayanan_kesehatan"), "export")

    assert granted(**terms) != granted()
    assert granted(**terms) == granted(**terms)


def test_a_revoked_agreement_is_another_grant():
    terms: dict[str, Any] = {"provider": "dinkes", "schema": "fasilitas_kesehatan", "valid_until": FAR}
    found = [
        grants_of(means(make_state(held), open_dataset("dinkes")), asking("pelayanan_kesehatan"), "export")
        for held in (make_agreement(**terms), make_agreement(state="revoked", **terms))
    ]

    assert found[0] != found[1]


FAR = (datetime.now(UTC) + timedelta(days=3650)).date()


def test_what_sources_did_is_kept_as_plain_values_with_times_in_utc():
    moment = datetime(2026, 11, 20, 9, 0, tzinfo=timezone(timedelta(hours=7)))
    sources = [
        SourceStatus("dinkes", "dinkes-set", "ok", 2, as_of=moment, pushed=("filter",), withheld=("telepon",)),
        SourceStatus("rsud", "rsud-set", "timeout", problem=SourceTimeout("slow")),
    ]
    first, second = orjson.loads(orjson.dumps(_documents(sources)))

    assert (first["as_of"], first["pushed"], first["withheld"]) == ("2026-11-20T02:00:00Z", ["filter"], ["telepon"])
    assert (second["status"], second["as_of"]) == ("timeout", None)


def test_a_kept_result_is_read_back_and_its_digest_is_that_of_the_plain_bytes(tmp_path: Path):
    path = tmp_path / "job-1.bin"
    spool = Spool(tmp_path, memory_bytes=0, most_bytes=100, path=path)
    spool.write(b"hello world")
    spool.close()
    kept = _Kept(tmp_path, path, spool.key, 11)

    assert (b"".join(kept.chunks()), kept.size) == (b"hello world", 11)
    # RFC 9530, Content-Digest of "hello world" without a line feed
    assert _digest(path, spool.key) == "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:"


def test_a_kept_result_that_was_changed_has_another_digest(tmp_path: Path):
    path = tmp_path / "job-1.bin"
    spool = Spool(tmp_path, memory_bytes=0, most_bytes=100, path=path)
    spool.write(b"hello world")
    spool.close()
    before = _digest(path, spool.key)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])

    assert _digest(path, spool.key) != before
