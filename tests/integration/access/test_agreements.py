"""Agreements in the store: who may take which step, what follows, and two hands at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest

from app.access.agreements import (
    Agreement,
    Terms,
    approve,
    end,
    get_agreement,
    list_agreements,
    propose,
    revoke,
)
from app.access.clients import ClientDraft, create_client
from app.access.decisions import AccessRequest, decide
from app.access.facts import FieldFacts, SchemaFacts
from app.access.principals import Principal
from app.access.purposes import seed_purposes
from app.access.snapshot import load_snapshot
from app.database import Database
from app.errors import AgencyForbidden, Conflict, NotFound, RoleForbidden, StateConflict
from tests.integration.access.conftest import NOW

TODAY = date(2026, 6, 15)
TERMS = Terms(
    provider="dukcapil",
    consumer="rsud",
    schema="penduduk_verifikasi",
    fields=("nik", "nama"),
    purposes=("pelayanan_kesehatan",),
    basis="UU 17/2023",
    valid_from=date(2026, 6, 1),
    valid_until=date(2026, 12, 31),
    row_filter="kode_wilayah LIKE '33.20%'",
    masks={"nama": "last4"},
)
CONSUMER = Principal("rsud-steward", "rsud", "steward", "sidik-consumer")
PROVIDER = Principal("dukcapil-steward", "dukcapil", "steward", "sidik-provider")
ADMIN = Principal("walidata", "diskominfo", "admin", "sidik-admin")
STRANGER = Principal("dinkes-steward", "dinkes", "steward", "sidik-stranger")
CLIENT = Principal("rsud-simrs", "rsud", "client", "sidik-client")


async def proposed(database: Database, agreement_id: str = "pks-1") -> Agreement:
    async with database.begin() as connection:
        return await propose(connection, TERMS, CONSUMER, NOW, agreement_id=agreement_id)


async def activated(database: Database) -> Agreement:
    await proposed(database)
    async with database.begin() as connection:
        await approve(connection, "pks-1", PROVIDER, NOW, today=TODAY)
        return await approve(connection, "pks-1", ADMIN, NOW, today=TODAY)


async def test_the_whole_way_to_active_is_signed(database: Database):
    agreement = await activated(database)
    assert agreement.terms == TERMS
    assert agreement.state_on(TODAY) == "active"
    assert [(one.step, one.agency, one.client) for one in agreement.signatories] == [
        ("propose", "rsud", "rsud-steward"),
        ("provider", "dukcapil", "dukcapil-steward"),
        ("walidata", "diskominfo", "walidata"),
    ]
    async with database.read() as connection:
        assert await get_agreement(connection, "pks-1") == agreement


async def test_an_admin_signs_for_nobody_but_the_walidata(database: Database):
    """Neither for the consumer nor for the provider, though its own agency is the provider: its steward has to."""
    async with database.begin() as connection:
        with pytest.raises(RoleForbidden, match="steward of rsud"):
            await propose(connection, TERMS, ADMIN, NOW)
    await proposed(database)
    async with database.begin() as connection:
        with pytest.raises(RoleForbidden, match="steward of dukcapil"):
            await approve(connection, "pks-1", ADMIN, NOW, today=TODAY)
        with pytest.raises(RoleForbidden, match="steward of dukcapil"):
            await approve(connection, "pks-1", replace(ADMIN, agency="dukcapil"), NOW, today=TODAY)


@pytest.mark.parametrize("same", [{"client_id": "dukcapil-steward"}, {"credential": "sidik-provider"}])
async def test_no_credential_signs_twice_whatever_its_role(database: Database, same: dict[str, str]):
    """A client that became an admin meanwhile, or another client under the very credential."""
    await proposed(database)
    async with database.begin() as connection:
        await approve(connection, "pks-1", PROVIDER, NOW, today=TODAY)
        with pytest.raises(AgencyForbidden, match="another credential") as refused:
            await approve(connection, "pks-1", replace(ADMIN, **same), NOW, today=TODAY)
        assert refused.value.facts["rule"] == "second_hand"
        assert (await approve(connection, "pks-1", ADMIN, NOW, today=TODAY)).state == "active"


async def test_a_consumer_that_is_the_provider_needs_two_stewards(database: Database):
    own = replace(TERMS, consumer="dukcapil")
    async with database.begin() as connection:
        await propose(connection, own, PROVIDER, NOW, agreement_id="pks-1")
        with pytest.raises(AgencyForbidden, match="another credential"):
            await approve(connection, "pks-1", PROVIDER, NOW, today=TODAY)
        other = replace(PROVIDER, client_id="dukcapil-steward-2", credential="lain")
        assert (await approve(connection, "pks-1", other, NOW, today=TODAY)).state == "approved"


async def test_who_may_not(database: Database):
    async with database.begin() as connection:
        with pytest.raises(RoleForbidden):
            await propose(connection, TERMS, CLIENT, NOW)
        with pytest.raises(AgencyForbidden):
            await propose(connection, TERMS, PROVIDER, NOW)
    await proposed(database)
    async with database.begin() as connection:
        with pytest.raises(AgencyForbidden):
            await approve(connection, "pks-1", CONSUMER, NOW, today=TODAY)
        with pytest.raises(NotFound, match="pks-1"):
            await approve(connection, "pks-1", STRANGER, NOW, today=TODAY)
        await approve(connection, "pks-1", PROVIDER, NOW, today=TODAY)
        with pytest.raises(RoleForbidden, match="walidata"):
            await approve(connection, "pks-1", PROVIDER, NOW, today=TODAY)
        with pytest.raises(AgencyForbidden):
            await revoke(connection, "pks-1", CONSUMER, NOW, reason="x")
        with pytest.raises(NotFound):
            await end(connection, "pks-1", STRANGER, NOW)
        with pytest.raises(NotFound):
            await approve(connection, "pks-9", ADMIN, NOW, today=TODAY)


@pytest.mark.parametrize("principal", [CONSUMER, PROVIDER, ADMIN])
async def test_either_side_may_end_it_once(database: Database, principal: Principal):
    await activated(database)
    async with database.begin() as connection:
        ended = await end(connection, "pks-1", principal, NOW, reason="selesai")
        assert (ended.state, ended.reason, ended.signatories[-1].step) == ("ended", "selesai", "end")
        with pytest.raises(StateConflict, match="ended already"):
            await end(connection, "pks-1", principal, NOW)
        with pytest.raises(StateConflict) as caught:
            await approve(connection, "pks-1", ADMIN, NOW, today=TODAY)
    assert caught.value.facts["allowed"] == ["proposed", "approved"]


async def test_an_expired_proposal_and_an_active_one_cannot_be_approved(database: Database):
    await proposed(database)
    async with database.begin() as connection:
        with pytest.raises(StateConflict, match="expired"):
            await approve(connection, "pks-1", PROVIDER, NOW, today=date(2027, 1, 1))
        await approve(connection, "pks-1", PROVIDER, NOW, today=TODAY)
        await approve(connection, "pks-1", ADMIN, NOW, today=TODAY)
        with pytest.raises(StateConflict, match="active"):
            await approve(connection, "pks-1", ADMIN, NOW, today=TODAY)


async def test_terms_never_change_under_an_id(database: Database):
    await proposed(database)
    with pytest.raises(Conflict, match="pks-1"):
        await proposed(database)
    async with database.begin() as connection:
        generated = await propose(connection, TERMS, CONSUMER, NOW)
    assert generated.id.startswith("agr-")


async def test_of_two_hands_at_once_one_wins(database: Database):
    await proposed(database)

    async def step() -> str:
        async with database.begin() as connection:
            return (await approve(connection, "pks-1", PROVIDER, NOW, today=TODAY)).state

    answers = await asyncio.gather(step(), step(), step(), return_exceptions=True)
    states = sorted(answer for answer in answers if isinstance(answer, str))
    late = [answer for answer in answers if isinstance(answer, StateConflict | RoleForbidden)]
    assert (states, len(late)) == (["approved"], 2), "the step was taken once, and the walidata's is not the provider's"
    async with database.read() as connection:
        stored = await get_agreement(connection, "pks-1")
    assert len(stored.signatories) == 1 + len(states)


async def test_lists_show_an_agency_both_sides(database: Database):
    for number in range(3):
        await proposed(database, f"pks-{number}")
    async with database.read() as connection:
        for agency in ("rsud", "dukcapil", None):
            assert len(await list_agreements(connection, agency=agency)) == 3
        assert await list_agreements(connection, agency="dinkes") == []
        page = await list_agreements(connection, agency="rsud", after="pks-0", limit=1)
        assert [agreement.id for agreement in page] == ["pks-1"]


async def test_a_revoked_agreement_denies_with_the_next_snapshot(database: Database):
    facts = SchemaFacts(
        "penduduk_verifikasi",
        {"nik": FieldFacts("terbatas", "sensitive"), "nama": FieldFacts("terbatas", "personal")},
        key=("nik",),
        lookup_only=True,
        subject="nik",
    )
    request = AccessRequest("verify", facts, "dukcapil", purpose="pelayanan_kesehatan", officer="ID1", case="RM-1")
    async with database.begin() as connection:
        await seed_purposes(connection)
        client, _ = await create_client(connection, ClientDraft("rsud", "client", "SIMRS"), NOW)
    await activated(database)
    async with database.read() as connection:
        before = await load_snapshot(connection)
    decision = decide(client.principal, request, before, TODAY)
    assert (decision.allow, decision.agreement, decision.masks) == (True, "pks-1", {"nama": "last4"})
    async with database.begin() as connection:
        await revoke(connection, "pks-1", PROVIDER, NOW, reason="insiden")
    async with database.read() as connection:
        after = await load_snapshot(connection)
    assert after.stamp > before.stamp
    assert decide(client.principal, request, after, TODAY).rule == "agreement_revoked"
