"""What every kind has to do: read what stands there, as it is, and say what it cannot do."""

from __future__ import annotations

import time
import traceback
from typing import Any, ClassVar

import pytest

from app.connectors.contract import CountEstimate, Freshness
from app.connectors.requests import ScanRequest
from app.connectors.suite.subject import PERSON, SECRET, Subject, bag, held, read
from app.errors import CapabilityUndeclared, SourceError, SourceSchemaMismatch, SourceTimeout


class ReadingSuite:
    """Every test reads `subject`, a module fixture of the kind's own file."""

    only_asks: ClassVar[bool] = False
    """Whether whatever is sent to the source is a question by its method (GET), so that nothing can tell a change."""

    async def test_the_raw_schema_is_exact(self, subject: Subject) -> None:
        async for batch in subject.connector.scan(ScanRequest()):
            assert batch.schema.equals(subject.schema, check_metadata=True), batch.schema

    async def test_every_row_is_read_as_it_is(self, subject: Subject) -> None:
        assert bag(await read(subject.connector, ScanRequest())) == bag(subject.rows)

    async def test_what_cannot_be_read_is_a_reject_with_its_location(self, subject: Subject) -> None:
        found = [reject async for batch in subject.connector.scan(ScanRequest()) for reject in batch.rejects]

        assert len(found) == subject.rejects
        assert all(reject.location and reject.rule and PERSON not in reject.detail for reject in found)

    async def test_what_the_kind_cannot_do_is_declared(self, subject: Subject) -> None:
        """Tests below prove that what is not offered is refused; which that is does not change unseen."""
        await subject.connector.learn()
        can = subject.connector.capabilities
        offered = {
            "columns": can.columns,
            "filters": can.filter_exactness != "none",
            "keys": can.most_keys > 0,
            "order": can.order,
            "keyset": can.keyset,
            "aggregates": bool(can.aggregates),
            "estimate": isinstance(subject.connector, CountEstimate),
            "fingerprint": subject.fingerprint is not None,
        }
        found = {name for name, offers in offered.items() if not offers}
        assert found == subject.cannot, found

    async def test_columns_come_as_asked(self, subject: Subject) -> None:
        if not subject.connector.capabilities.columns:
            with pytest.raises(CapabilityUndeclared):
                await read(subject.connector, ScanRequest(columns=(subject.names[0],)))
            return
        chosen = tuple(reversed(subject.names))[: max(1, len(subject.names) // 2)]
        indexes = [subject.names.index(name) for name in chosen]
        expected = bag([tuple(row[index] for index in indexes) for row in subject.rows])
        found: list[tuple[Any, ...]] = []
        async for batch in subject.connector.scan(ScanRequest(columns=chosen)):
            assert batch.schema.names == list(chosen)
            assert len(batch.rejects) <= subject.rejects
            found += held(batch)

        assert not subject.rejects <= 0 or bag(found) == expected
        assert not expected - bag(found)

    async def test_a_column_that_is_gone_is_named(self, subject: Subject) -> None:
        request = ScanRequest(columns=(subject.names[0], "hilang"))
        if subject.missing_column_is_null:
            assert {row[1] for row in await read(subject.connector, request)} == {None}
            return
        with pytest.raises(SourceSchemaMismatch) as caught:
            await read(subject.connector, request)
        assert "hilang" in caught.value.detail

    async def test_the_deadline_holds(self, subject: Subject) -> None:
        with pytest.raises(SourceTimeout) as caught:
            await read(subject.connector, ScanRequest(deadline=time.monotonic() - 0.01))
        assert caught.value.retryable

    async def test_leaving_in_the_middle_lets_the_source_go(self, subject: Subject) -> None:
        for _ in range(subject.connector.capabilities.concurrent_scans * 2 + 2):
            batches = subject.connector.scan(ScanRequest())
            async for _batch in batches:
                break
            await batches.aclose()  # type: ignore[attr-defined]

        assert bag(await read(subject.connector, ScanRequest())) == bag(subject.rows)

    async def test_reading_changes_nothing(self, subject: Subject) -> None:
        if subject.fingerprint is None:
            assert self.only_asks
            return
        before = await subject.fingerprint()
        await subject.connector.check()
        await subject.connector.discover()
        await read(subject.connector, ScanRequest())

        assert await subject.fingerprint() == before
        if isinstance(subject.connector, Freshness):
            assert await subject.connector.version() is not None

    async def test_check_passes_and_discover_shows_the_columns(self, subject: Subject) -> None:
        steps = await subject.connector.check()
        found = await subject.connector.discover(sample_rows=3)

        assert steps
        assert [step.error for step in steps] == [None] * len(steps)
        assert [column.name for column in found.columns] == subject.names
        assert len(found.sample) <= 3


class FaultSuite:
    """Sources that are broken in known ways."""

    async def test_faults_become_the_right_error_and_tell_no_secret(
        self, subject: Subject, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert subject.faults
        for fault in subject.faults:
            connector = fault.open()
            try:
                with pytest.raises(SourceError) as caught:
                    await read(connector, ScanRequest(columns=fault.columns))
                error = caught.value
                assert isinstance(error, fault.error), f"{fault.name}: {error!r}"
                assert error.retryable is fault.retryable, fault.name
                steps = await connector.check()
                told = "".join(traceback.format_exception(error)) + repr(error.facts) + error.detail + repr(steps)
            finally:
                await connector.close()
                await connector.close()
            told += caplog.text + "".join(capfd.readouterr())
            assert SECRET not in told, fault.name
            assert PERSON not in told, fault.name
