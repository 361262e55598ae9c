"""Sealed rows: secrets of sources and signing keys; a row that was swapped or changed never opens."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.access import tables
from app.access.keys import VERIFY_SECONDS, ensure_keys, load_keys, rotate_keys
from app.access.sealing import Seal
from app.access.source_secrets import SecretStore, delete_secret, list_names, put_secret
from app.access.tables import SECRETS_TOPIC
from app.connectors.environment import SecretReader
from app.database import Database, read_stamps
from app.errors import NotFound, SecretUnknown, SettingsInvalid, ValidationFailed
from tests.integration.access.conftest import NOW

VALUE = "kata sandi ${env:HOME} ünïcode"


async def loaded(database: Database, seal: Seal) -> SecretStore:
    store = SecretStore(seal)
    async with database.read() as connection:
        await store.refresh(connection)
    return store


async def put(database: Database, seal: Seal, agency: str, name: str, value: str = VALUE) -> bool:
    async with database.begin() as connection:
        return await put_secret(connection, seal, agency, name, value, NOW)


async def test_a_secret_is_stored_sealed_and_resolves_for_its_agency_alone(database: Database, seal: Seal):
    assert await put(database, seal, "dinkes", "DB_PASSWORD")
    store = await loaded(database, seal)
    reader: SecretReader = store.resolver("dinkes")
    assert reader.resolve("postgresql://u:${secret:DB_PASSWORD}@h/db") == f"postgresql://u:{VALUE}@h/db"
    assert reader.resolve("no reference, $HOME, {x}") == "no reference, $HOME, {x}"
    with pytest.raises(SecretUnknown, match="rsud has no secret DB_PASSWORD"):
        store.resolver("rsud").resolve("${secret:DB_PASSWORD}")
    async with database.read() as connection:
        row = (await connection.execute(sa.select(tables.secret))).one()
        assert await list_names(connection, "dinkes") == [("DB_PASSWORD", NOW)]
        assert (await read_stamps(connection))[SECRETS_TOPIC] == 1
    assert VALUE.encode() not in row.sealed
    assert "kata sandi" not in repr((store, reader, vars(store), vars(reader)))


async def test_environment_names_resolve_only_where_the_operator_listed_them(database: Database, seal: Seal):
    store = await loaded(database, seal)
    environment = {"ALLOWED": "yes", "SIMPUL_SECRET_KEY": "the gateway's own"}
    reader = store.resolver("dinkes", ["ALLOWED", "NOT_SET"], environment)
    assert reader.resolve("${env:ALLOWED}") == "yes"
    for name in ("SIMPUL_SECRET_KEY", "NOT_SET"):
        with pytest.raises(SecretUnknown) as caught:
            reader.resolve(f"${{env:{name}}}")
        assert name in caught.value.detail
        assert "own" not in caught.value.detail.replace("the operator", "")


@pytest.mark.parametrize("text", ["${x}", "${secret}", "${secret:}", "${vault:A}", "${env:A B}", "${secret:../x}"])
async def test_a_malformed_reference_is_an_error_that_shows_no_text(database: Database, seal: Seal, text: str):
    reader = (await loaded(database, seal)).resolver("dinkes")
    with pytest.raises(SecretUnknown) as caught:
        reader.resolve(f"user:hunter2@{text}")
    assert "hunter2" not in caught.value.detail


async def test_a_replaced_secret_is_the_new_one_in_the_same_row(database: Database, seal: Seal):
    await put(database, seal, "dinkes", "A", "old")
    async with database.read() as connection:
        before = (await connection.execute(sa.select(tables.secret))).one()
    assert not await put(database, seal, "dinkes", "A", "new")
    async with database.read() as connection:
        after = (await connection.execute(sa.select(tables.secret))).one()
    assert after.id == before.id
    assert after.nonce != before.nonce
    assert (await loaded(database, seal)).resolver("dinkes").resolve("${secret:A}") == "new"


@pytest.mark.parametrize("swap", ["agency", "name"])
async def test_a_blob_swapped_into_another_row_does_not_open(database: Database, seal: Seal, swap: str):
    await put(database, seal, "dinkes", "A", "of dinkes")
    other = ("rsud", "A") if swap == "agency" else ("dinkes", "B")
    await put(database, seal, *other, "of the other")
    column = tables.secret.c
    async with database.begin() as connection:
        stolen = (await connection.execute(sa.select(tables.secret).where(column.agency == "dinkes"))).first()
        await connection.execute(
            sa.update(tables.secret)
            .where(column.agency == other[0], column.name == other[1])
            .values(sealed=stolen.sealed, nonce=stolen.nonce, key_id=stolen.key_id)
        )
    with pytest.raises(SecretUnknown, match="cannot be opened"):
        (await loaded(database, seal)).resolver(other[0]).resolve(f"${{secret:{other[1]}}}")


async def test_a_deleted_secret_is_gone(database: Database, seal: Seal):
    await put(database, seal, "dinkes", "A")
    async with database.begin() as connection:
        await delete_secret(connection, "dinkes", "A")
        with pytest.raises(NotFound):
            await delete_secret(connection, "dinkes", "A")
        assert await list_names(connection, "dinkes") == []


@pytest.mark.parametrize(
    ("name", "value"), [("1A", "x"), ("a b", "x"), ("A", ""), ("A", "x" * 16_385), ("A", "\ud800")]
)
async def test_malformed_secrets_are_refused_without_their_value(database: Database, seal: Seal, name: str, value: str):
    with pytest.raises(ValidationFailed) as caught:
        await put(database, seal, "dinkes", name, value)
    assert caught.value.errors
    assert "xxx" not in str([error.detail for error in caught.value.errors])


async def test_replicas_share_the_signing_key_through_the_store(database: Database, seal: Seal):
    async with database.begin() as connection:
        await ensure_keys(connection, seal, NOW)
        await ensure_keys(connection, seal, NOW)
        here, there = await load_keys(connection, seal), await load_keys(connection, seal)
        row = (await connection.execute(sa.select(tables.signing_key))).one()
    assert here.jwks(NOW) == there.jwks(NOW)
    assert len(here.keys) == 1
    assert here.keys[0].private.private_bytes_raw() not in row.sealed
    assert "Ed25519" not in repr(here)


async def test_rotation_keeps_the_old_key_until_its_tokens_ended(database: Database, seal: Seal):
    async with database.begin() as connection:
        first = await rotate_keys(connection, seal, NOW)
        second = await rotate_keys(connection, seal, NOW + timedelta(seconds=60))
        assert [key.kid for key in (await load_keys(connection, seal)).keys] == [first, second]
        third = await rotate_keys(connection, seal, NOW + timedelta(seconds=60 + VERIFY_SECONDS))
        assert [key.kid for key in (await load_keys(connection, seal)).keys] == [second, third]
        last = await rotate_keys(connection, seal, NOW + timedelta(days=1), revoke_others=True)
        assert [key.kid for key in (await load_keys(connection, seal)).keys] == [last]


async def test_a_signing_key_under_another_kid_does_not_open(database: Database, seal: Seal):
    async with database.begin() as connection:
        await ensure_keys(connection, seal, NOW)
        await connection.execute(sa.update(tables.signing_key).values(kid="another"))
        with pytest.raises(SettingsInvalid):
            await load_keys(connection, seal)
