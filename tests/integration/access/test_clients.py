"""Clients in the store: made, found, disabled, rotated; what they do to tokens."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.access.clients import ClientDraft, create_client, get_client, list_clients, rotate_secret, set_disabled
from app.access.credentials import SecretVerifier
from app.access.keys import ensure_keys, load_keys
from app.access.purposes import SEED, list_purposes, seed_purposes
from app.access.sealing import Seal
from app.access.snapshot import load_snapshot
from app.access.tables import ACCESS_TOPIC
from app.access.tokens import TokenIssuer
from app.database import Database, read_stamps
from app.errors import Conflict, NotFound, TokenInvalid, ValidationFailed
from tests.integration.access.conftest import NOW

DRAFT = ClientDraft("rsud", "client", "SIMRS RSUD Kartini", id="rsud-simrs")


async def stamp(database: Database) -> int:
    async with database.read() as connection:
        return (await read_stamps(connection)).get(ACCESS_TOPIC, 0)


async def test_a_client_is_made_once_and_its_secret_is_stored_as_a_hash_only(database: Database):
    async with database.begin() as connection:
        client, secret = await create_client(connection, DRAFT, NOW)
    async with database.read() as connection:
        stored = await get_client(connection, "rsud-simrs")
    assert stored == client
    assert stored.created_at == NOW
    assert len(secret) == 43
    assert secret not in repr(vars_of(stored))
    assert await SecretVerifier().verify(stored, secret)
    assert await stamp(database) == 1


async def test_a_taken_id_is_a_conflict_and_the_transaction_goes_on(database: Database):
    async with database.begin() as connection:
        await create_client(connection, DRAFT, NOW)
        with pytest.raises(Conflict, match="rsud-simrs"):
            await create_client(connection, DRAFT, NOW)
        generated, _ = await create_client(connection, ClientDraft("rsud", "auditor", "Auditor"), NOW)
    async with database.read() as connection:
        assert [client.id for client in await list_clients(connection)] == sorted(["rsud-simrs", generated.id])
    assert generated.id.startswith("rsud-auditor-")


async def test_lists_are_by_agency_and_in_pages(database: Database):
    async with database.begin() as connection:
        for number in range(4):
            draft = ClientDraft("dinkes" if number % 2 else "rsud", "client", "x", id=f"c{number}")
            await create_client(connection, draft, NOW)
    async with database.read() as connection:
        assert [client.id for client in await list_clients(connection, agency="dinkes")] == ["c1", "c3"]
        assert [client.id for client in await list_clients(connection, after="c0", limit=2)] == ["c1", "c2"]


async def test_rotation_replaces_secret_and_credential(database: Database):
    async with database.begin() as connection:
        before, old = await create_client(connection, DRAFT, NOW)
        after, new = await rotate_secret(connection, "rsud-simrs", NOW + timedelta(days=1))
    verifier = SecretVerifier()
    assert before.credential != after.credential
    assert await verifier.verify(after, new)
    assert not await verifier.verify(after, old)
    assert after.rotated_at == NOW + timedelta(days=1)


async def test_a_disabled_client_loses_its_tokens_with_the_next_snapshot(database: Database, seal: Seal):
    issuer = TokenIssuer("https://simpul.example")
    async with database.begin() as connection:
        client, _ = await create_client(connection, DRAFT, NOW)
        await ensure_keys(connection, seal, NOW)
    await install(database, seal, issuer)
    token = issuer.issue(client).text
    assert issuer.verify(token) == client.principal
    for disabled in (True, False):
        before = await stamp(database)
        async with database.begin() as connection:
            assert (await set_disabled(connection, "rsud-simrs", disabled=disabled)).disabled is disabled
        assert await stamp(database) == before + 1
        await install(database, seal, issuer)
        if disabled:
            with pytest.raises(TokenInvalid):
                issuer.verify(token)
    assert issuer.verify(token) == client.principal


async def install(database: Database, seal: Seal, issuer: TokenIssuer) -> None:
    async with database.read() as connection:
        issuer.install(await load_keys(connection, seal), await load_snapshot(connection))


async def test_unknown_clients_are_not_found(database: Database):
    async with database.begin() as connection:
        with pytest.raises(NotFound):
            await get_client(connection, "nobody")
        with pytest.raises(NotFound):
            await rotate_secret(connection, "nobody", NOW)
        with pytest.raises(NotFound):
            await set_disabled(connection, "nobody", disabled=True)


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        (ClientDraft("rsud", "client", "x", id="Rsud App"), "/client_id"),
        (ClientDraft("RSUD", "client", "x"), "/agency"),
        (ClientDraft("rsud", "root", "x"), "/role"),  # type: ignore[arg-type]
        (ClientDraft("rsud", "client", ""), "/name"),
        (ClientDraft("rsud", "client", "a\x00b"), "/name"),
    ],
)
async def test_a_malformed_client_names_the_pointer(database: Database, draft: ClientDraft, pointer: str):
    async with database.begin() as connection:
        with pytest.raises(ValidationFailed) as caught:
            await create_client(connection, draft, NOW)
    assert [error.pointer for error in caught.value.errors] == [pointer]


async def test_purposes_are_seeded_once(database: Database):
    async with database.begin() as connection:
        assert await seed_purposes(connection) == len(SEED)
        assert await seed_purposes(connection) == 0
        assert {purpose.code for purpose in await list_purposes(connection)} == {purpose.code for purpose in SEED}
    assert await stamp(database) == 1


def vars_of(client) -> dict[str, object]:
    return {name: getattr(client, name) for name in client.__slots__}
