"""Keys of clients in the store, and what may be used once: on both stores, by several replicas."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.access import tables
from app.access.client_keys import read_keys
from app.access.clients import (
    ClientDraft,
    create_client,
    create_keyed_client,
    get_client,
    list_clients,
    put_keys,
    rotate_secret,
)
from app.access.credentials import SecretVerifier
from app.access.keys import ensure_keys, load_keys
from app.access.once import OnceRegister
from app.access.snapshot import load_snapshot
from app.access.tokens import TokenIssuer
from app.database import Database
from app.errors import Conflict, ServerOverloaded, TokenInvalid
from app.settings import Settings
from tests.integration.access.conftest import NOW
from tests.support.signing import Signer

DRAFT = ClientDraft("rsud", "client", "SIMRS RSUD Kartini", id="rsud-simrs")


async def test_keys_are_kept_with_the_client_and_replaced_whole(database: Database):
    first, second = Signer("ES256", kid="satu"), Signer("PS256", kid="dua")
    async with database.begin() as connection:
        made = await create_keyed_client(connection, DRAFT, read_keys([first.jwk]), NOW)
        await create_keyed_client(
            connection, ClientDraft("rsud", "client", "x", id="lain"), read_keys([second.jwk]), NOW
        )
        changed = await put_keys(connection, made.id, read_keys([second.jwk, first.jwk]), NOW + timedelta(days=1))
    async with database.read() as connection:
        assert await get_client(connection, made.id) == changed
        assert [one.id for one in await list_clients(connection)] == ["lain", "rsud-simrs"]
        times = dict((await connection.execute(sa.select(tables.client_key.c.kid, tables.client_key.c.created_at).where(
            tables.client_key.c.client == made.id))).all())  # fmt: skip
    assert [key.kid for key in changed.keys] == ["dua", "satu"]
    assert times == {"dua": NOW + timedelta(days=1), "satu": NOW}
    assert made.holds(made.keys[0].thumbprint)
    assert not made.holds(made.credential)


async def test_a_client_has_keys_or_a_secret(database: Database):
    signer = Signer("Ed25519")
    async with database.begin() as connection:
        client, secret = await create_client(connection, DRAFT, NOW)
        keyed = await put_keys(connection, client.id, read_keys([signer.jwk]), NOW)
        assert not await SecretVerifier().verify(keyed, secret)
        assert not await SecretVerifier().verify(keyed, "")
        with pytest.raises(Conflict, match="PUT /v1/clients/rsud-simrs/keys"):
            await rotate_secret(connection, client.id, NOW)
        bare = await put_keys(connection, client.id, (), NOW)
        assert not bare.holds(bare.credential)
        again, secret = await rotate_secret(connection, client.id, NOW)
    assert await SecretVerifier().verify(again, secret)


async def test_a_token_dies_with_the_key_it_was_got_with(database: Database, seal):
    kept, gone = Signer("ES256", kid="tetap"), Signer("EdDSA", kid="pergi")
    issuer = TokenIssuer("https://simpul.example")
    async with database.begin() as connection:
        client = await create_keyed_client(connection, DRAFT, read_keys([kept.jwk, gone.jwk]), NOW)
        await ensure_keys(connection, seal, NOW)
    await install(database, seal, issuer)
    tokens = {key.kid: issuer.issue(client, key.thumbprint).text for key in client.keys}
    assert {kid: issuer.verify(text).credential for kid, text in tokens.items()} == {
        key.kid: key.thumbprint for key in client.keys
    }
    async with database.begin() as connection:
        await put_keys(connection, client.id, read_keys([kept.jwk]), NOW)
    await install(database, seal, issuer)
    issuer.verify(tokens["tetap"])
    with pytest.raises(TokenInvalid, match="secret or key was changed"):
        issuer.verify(tokens["pergi"])


async def install(database: Database, seal, issuer: TokenIssuer) -> None:
    async with database.read() as connection:
        issuer.install(await load_keys(connection, seal), await load_snapshot(connection))


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
async def test_what_was_used_is_used_for_every_replica(request: pytest.FixtureRequest, tmp_path, store, anyio_backend):
    url = request.getfixturevalue("postgres_url") if store == "postgresql" else None
    (tmp_path / "simpul.db").touch()
    settings = Settings(dir=tmp_path, database_url=SecretStr(url) if url else None)
    replicas = [Database.open(settings) for _ in range(2)]
    async with replicas[0].begin() as connection:
        await connection.run_sync(tables.used_once.create)
    one, other = (OnceRegister(replica) for replica in replicas)
    until = time.time() + 60
    uses = [register.use("x", str(number), until=until) for number in range(300) for register in (one, other, one)]
    found = await asyncio.gather(*uses)
    assert found.count(True) == 300
    assert all(found[at : at + 3].count(True) == 1 for at in range(0, 900, 3))
    assert not await OnceRegister(replicas[1]).use("x", "7", until=until)
    assert await one.use("x7", "", until=until)
    for replica in replicas:
        await replica.close()


async def test_what_nobody_could_use_any_more_is_forgotten_and_the_table_is_bounded(database: Database):
    async with database.begin() as connection:
        await connection.run_sync(tables.used_once.create)
    register = OnceRegister(database, most_rows=2)
    for number in range(3):
        assert await register.use("old", str(number), until=time.time() - 1)
    assert await register.use("new", until=time.time() + 60)
    await register.sweep()
    async with database.read() as connection:
        left = (await connection.execute(sa.select(tables.used_once.c.expires_at))).scalars().all()
    assert len(left) == 1
    assert left[0] > datetime.now(UTC)
    assert await register.use("newer", until=time.time() + 60)
    full = OnceRegister(database, most_rows=2)
    await full.sweep()
    with pytest.raises(ServerOverloaded):
        await full.use("newest", until=time.time() + 60)
