"""The exchange layer around endpoints that misbehave: whatever happens below, an exchange that was opened is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.access.clients import ClientDraft, list_clients
from app.api.layer.exchange_layer import ExchangeLayer
from app.api.layer.resource import EVERYONE, Resource, Rule, RuleTable
from app.audit.entry.record import Subject
from app.cli.instance import create_instance
from app.cli.local import WALIDATA
from app.cli.local import create_client as make_client
from app.datasets.flights import Flights
from app.errors import SourceTimeout
from app.federation.question.query import SourceStatus
from app.gateway.exchange import Exchange
from app.gateway.services import Services
from app.settings import Settings, load_settings
from app.wiring import open_services

LIST = "http://gateway/v1/records/fasilitas-kesehatan"
Endpoint = Callable[[Request], Awaitable[Response]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = load_settings(dir=tmp_path_factory.mktemp("layer") / "instance", base_url="http://gateway")
    create_instance(made)
    make_client(made, ClientDraft(WALIDATA, "admin", "Uji"))
    return made


class OpenedLayer:
    """Real services with an endpoint of the test's own in the place of the application."""

    def __init__(self, services: Services, token: str) -> None:
        self.services = services
        self.headers = {"authorization": f"Bearer {token}"}

    async def ask(self, endpoint: Endpoint) -> httpx.Response:
        async def unused(scope: Scope, receive: Receive, send: Send) -> None:
            raise AssertionError

        lists = Resource("/v1/records", "records")
        lists.get("/fasilitas-kesehatan", Rule("list", EVERYONE, "outcome", direct=True))(endpoint)
        layer = ExchangeLayer(unused, RuleTable([lists]))
        state = SimpleNamespace(state=SimpleNamespace(services=self.services))

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["app"] = state
            await layer(scope, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.get(LIST, headers=self.headers)

    async def entries(self, exchange_id: str) -> list[dict[str, Any]]:
        rows = await self.services.log.reader.fetch(
            "SELECT e.entry, e.id, d.detail FROM log_entry e LEFT JOIN exchange_detail d ON d.idx = e.idx WHERE e.xid = $1"
            " ORDER BY e.idx",
            exchange_id,
        )
        seals = self.services.log.seals
        return [{**orjson.loads(entry), "detail": seals.document(name, detail)} for entry, name, detail in rows]

    async def last(self) -> list[dict[str, Any]]:
        """The entries of the newest exchange."""
        rows = await self.services.log.reader.fetch("SELECT xid FROM log_entry ORDER BY idx DESC LIMIT 1")
        return await self.entries(str(rows[0][0]))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[OpenedLayer]:
    async with open_services(settings) as services:
        async with services.database.read() as connection:
            client = (await list_clients(connection))[0]
        yield OpenedLayer(services, services.access.issuer.issue(client).text)


def exchange_of(request: Request) -> Exchange:
    return request.state.exchange


async def test_facts_that_are_no_entry_close_the_exchange_as_failed(settings: Settings) -> None:
    async def quoting(request: Request) -> Response:
        exchange = exchange_of(request)
        exchange.structure = "nama = 'Siti'"
        await exchange.intend(request.scope["app"].state.services.log)
        return Response(b"never released")

    async with opened(settings) as at:
        answer = await at.ask(quoting)
        intent, outcome = await at.entries(answer.headers["exchange-id"])
        metrics = at.services.metrics.render().decode()

    assert answer.status_code == 500
    assert answer.json()["exchange_id"] == answer.headers["exchange-id"]
    assert b"never released" not in answer.content
    assert (intent["kind"], outcome["kind"], outcome["status"]) == ("intent", "outcome", 500)
    assert "q" not in outcome
    assert outcome["detail"]["refused_entry"]["q"] == "nama = 'Siti'"
    assert outcome["bytes"] == len(answer.content)
    assert "simpul_log_entry_faults_total 1.0" in metrics


@pytest.mark.parametrize(("number", "tagged"), [("3320990101900001", 1), ("---", None)])
async def test_the_people_of_an_exchange_that_failed_so_are_found_all_the_same(
    settings: Settings, number: str, tagged: int | None
) -> None:
    async def quoting(request: Request) -> Response:
        exchange = exchange_of(request)
        exchange.subjects.append(Subject("nik", number, "asked"))
        exchange.structure = "nik = '3320990101900001'"
        return Response(b"never released")

    async with opened(settings) as at:
        answer = await at.ask(quoting)
        kept = await at.entries(answer.headers["exchange-id"])

    assert answer.status_code == 500
    assert [entry["kind"] for entry in kept] == ["intent", "outcome"]
    assert kept[1].get("subj_n") == tagged


async def test_a_fault_in_the_outcome_alone_is_closed_too(settings: Settings) -> None:
    async def asked(request: Request) -> Response:
        exchange = exchange_of(request)
        await exchange.intend(request.scope["app"].state.services.log)
        exchange.sources = (SourceStatus("no agency at all", "x", "ok"),)
        return Response(b"never released")

    async with opened(settings) as at:
        answer = await at.ask(asked)
        kept = await at.entries(answer.headers["exchange-id"])

    assert answer.status_code == 500
    assert [(entry["kind"], entry.get("status")) for entry in kept] == [("intent", None), ("outcome", 500)]


async def test_work_that_was_cancelled_below_is_a_fault_and_not_the_end_of_the_request(settings: Settings) -> None:
    async def cancelled(request: Request) -> Response:
        await exchange_of(request).intend(request.scope["app"].state.services.log)
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone
        return Response(b"never released")

    async with opened(settings) as at:
        answer = await at.ask(cancelled)
        kept = await at.entries(answer.headers["exchange-id"])

    assert answer.status_code == 500
    assert [(entry["kind"], entry.get("status")) for entry in kept] == [("intent", None), ("outcome", 500)]


@pytest.mark.parametrize("intended", [True, False])
async def test_a_request_that_the_stopping_server_cancels_is_closed(settings: Settings, intended: bool) -> None:
    async with opened(settings) as at:
        started = asyncio.Event()

        async def slow(request: Request) -> Response:
            if intended:
                await exchange_of(request).intend(at.services.log)
            started.set()
            await asyncio.sleep(30)
            return Response()

        asking = asyncio.create_task(at.ask(slow))
        await started.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        kept = await at.last()

    assert [(entry["kind"], entry.get("status")) for entry in kept] == [("intent", None), ("outcome", 499)]
    assert kept[1]["detail"]["error"] == "gateway_stopped"


async def test_a_cancellation_in_the_middle_of_writing_the_intent_leaves_one_intent(settings: Settings) -> None:
    """At every moment: the task is cancelled after another number of turns of the loop."""
    async with opened(settings) as at:
        for turns in range(12):

            async def intending(request: Request) -> Response:
                await exchange_of(request).intend(at.services.log)
                await asyncio.sleep(30)
                return Response()

            asking = asyncio.create_task(at.ask(intending))
            for _ in range(turns * 3):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
        rows = await at.services.log.reader.fetch(
            "SELECT xid, sum(CASE WHEN kind = 'intent' THEN 1 ELSE 0 END), sum(CASE WHEN kind = 'outcome' THEN 1 ELSE 0 END)"
            " FROM log_entry WHERE op = 'list' GROUP BY xid"
        )

    assert rows
    assert {(int(intents), int(outcomes)) for _, intents, outcomes in rows} == {(1, 1)}


async def test_readers_that_share_a_read_see_its_time_out(settings: Settings) -> None:
    """A read that was cancelled underneath is no cancellation of those who wait for it."""
    flights: Flights[int] = Flights()

    async def broken() -> int:
        current = asyncio.current_task()
        assert current is not None
        asyncio.get_running_loop().call_later(0.01, current.cancel)
        await asyncio.sleep(30)
        return 1

    async with opened(settings) as at:

        async def shared(request: Request) -> Response:
            await exchange_of(request).intend(at.services.log)
            await flights.join("question", broken)
            return Response(b"never released")

        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await at.ask(shared))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
        kept = [await at.entries(answer.headers["exchange-id"]) for answer in answers]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(504, SourceTimeout.code)}
    assert {len(entries) for entries in kept} == {2}


async def test_an_answer_whose_intent_is_not_durable_has_no_number(settings: Settings) -> None:
    async with opened(settings) as at:

        async def asked(request: Request) -> Response:
            await exchange_of(request).intend(at.services.log)
            return Response(b"never released")

        await at.services.log._writer.stop()
        answer = await at.ask(asked)

    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
    assert "exchange-id" not in answer.headers
    assert "exchange_id" not in answer.json()
